/* shape.c - what a translation leaves to the host: the members that every OpenAI answer
 * has, in OpenAI's order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "call/attempt.h"

/* In this order; what else there is follows as it came, `last` behind it. */
static const char *const top_first[] = { "id", "object", "created", "model",
	"system_fingerprint", NULL };
static const char *const top_last[] = { "choices", "usage", NULL };
static const char *const choice_first[] = { "index", "message", "delta", NULL };
static const char *const choice_last[] = { "logprobs", "finish_reason", NULL };
static const char *const message_first[] = { "role", "content", "refusal", NULL };
static const char *const vectors_first[] = { "object", "data", NULL };
static const char *const vectors_last[] = { "model", "usage", NULL };
static const char *const vector_first[] = { "object", "index", NULL };
static const char *const none[] = { NULL };

static void
set_default(json_t *object, const char *key, json_t *value)
{
	if (json_object_get(object, key) == NULL)
		(void)json_object_set(object, key, value);
	json_decref(value);
}

static void
set_default_string(json_t *object, const char *key, lz_str value)
{
	if (json_object_get(object, key) == NULL)
		(void)json_object_set_new(
		    object, key, json_stringn(value.ptr, value.len));
}

/* Members move from one object to the other. */
static void
move_named(json_t *from, json_t *to, const char *const *names)
{
	for (; *names != NULL; names++) {
		json_t *value = json_object_get(from, *names);

		if (value == NULL)
			continue;
		(void)json_object_set(to, *names, value);
		(void)json_object_del(from, *names);
	}
}

/* The same object with its members in order. */
static void
put_in_order(json_t *object, const char *const *first, const char *const *last)
{
	json_t *ordered = json_object(), *behind = json_object();

	if (json_is_object(object) && ordered != NULL && behind != NULL) {
		move_named(object, ordered, first);
		move_named(object, behind, last);
		(void)json_object_update(ordered, object);
		(void)json_object_update(ordered, behind);
		(void)json_object_clear(object);
		(void)json_object_update(object, ordered);
	}
	json_decref(ordered);
	json_decref(behind);
}

static json_t *
shape(struct call *c, json_t *j, const char *object)
{
	set_default_string(j, "id", c->answer_id);
	set_default_string(j, "object", lz_strz(object));
	set_default(j, "created", json_integer(c->r->began.unix_ms / 1000));
	set_default_string(j, "model", c->a->target->upstream_model);
	put_in_order(j, top_first, top_last);
	return j;
}

json_t *
shape_answer(struct call *c, json_t *j)
{
	json_t *choice, *message;
	size_t i;

	json_array_foreach(json_object_get(j, "choices"), i, choice)
	{
		message = json_object_get(choice, "message");
		set_default(choice, "index", json_integer((json_int_t)i));
		set_default(choice, "logprobs", json_null());
		set_default_string(message, "role", STR_LIT("assistant"));
		set_default(message, "content", json_null());
		set_default(message, "refusal", json_null());
		put_in_order(message, message_first, none);
		put_in_order(choice, choice_first, choice_last);
	}
	if (c->a->has_usage)
		set_default(j, "usage", shape_usage(&c->a->usage));
	return shape(c, j, "chat.completion");
}

json_t *
shape_chunk(struct call *c, json_t *j)
{
	json_t *choice, *delta, *index;
	size_t i;

	json_array_foreach(json_object_get(j, "choices"), i, choice)
	{
		set_default(choice, "index", json_integer((json_int_t)i));
		set_default(choice, "delta", json_object());
		set_default(choice, "logprobs", json_null());
		set_default(choice, "finish_reason", json_null());
		index = json_object_get(choice, "index");
		delta = json_object_get(choice, "delta");
		if ((size_t)json_integer_value(index) < CALL_CHOICES &&
		    c->choice[json_integer_value(index)] == 0)
			set_default_string(delta, "role", STR_LIT("assistant"));
		put_in_order(delta, message_first, none);
		put_in_order(choice, choice_first, choice_last);
	}
	return shape(c, j, "chat.completion.chunk");
}

json_t *
shape_vectors(struct call *c, json_t *j)
{
	int64_t prompt = c->a->usage.input + c->a->usage.cache_read;
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(j, "data"), i, item)
	{
		set_default_string(item, "object", STR_LIT("embedding"));
		set_default(item, "index", json_integer((json_int_t)i));
		put_in_order(item, vector_first, none);
	}
	set_default_string(j, "object", STR_LIT("list"));
	set_default_string(j, "model", c->a->target->upstream_model);
	if (c->a->has_usage)
		set_default(j, "usage",
		    json_pack("{s:I, s:I}", "prompt_tokens", (json_int_t)prompt,
			"total_tokens", (json_int_t)prompt));
	put_in_order(j, vectors_first, vectors_last);
	return j;
}

json_t *
shape_usage(const struct record_usage *u)
{
	json_int_t prompt = u->input + u->cache_read + u->cache_write;
	json_int_t total = prompt + u->output;
	json_t *cached = json_pack("{s:I}", "cached_tokens", (json_int_t)u->cache_read);

	if (u->cache_write > 0)
		(void)json_object_set_new(cached, "cache_write_tokens",
		    json_integer((json_int_t)u->cache_write));
	return json_pack("{s:I, s:I, s:I, s:o, s:{s:I}}", "prompt_tokens", prompt,
	    "completion_tokens", (json_int_t)u->output, "total_tokens", total,
	    "prompt_tokens_details", cached, "completion_tokens_details",
	    "reasoning_tokens", (json_int_t)u->reasoning);
}
