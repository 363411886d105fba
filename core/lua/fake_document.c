/* fake_document.c - the document of a visit: its members as what a host shows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/options.h"
#include "lua/fake_inside.h"

enum {
	TEXTS_MAX = 1000,
	TARGETS_MAX = 2000
};

static lz_str
text_of(const json_t *object, const char *name, const char *otherwise)
{
	lz_str s = json_get_str(object, name);

	return s.ptr != NULL ? s : lz_strz(otherwise);
}

static void
read_request(struct fake *f, const json_t *d)
{
	lz_request *q = &f->request;

	*q = (lz_request){ .size = sizeof(*q), .deadline_ms = 2000 };
	q->phase =
	    str_is(json_get_str(d, "phase"), "response") ? LZ_RESPONSE : LZ_REQUEST;
	q->stream =
	    json_get_bool(d, "stream", json_object_get(d, "stream_every") != NULL);
	q->prompt_tokens = json_get_int(d, "prompt_tokens", 100);
	q->max_output_tokens = json_get_int(d, "max_output_tokens", -1);
	q->id = text_of(d, "id", "test");
	q->route = text_of(d, "route", "chat");
	q->model = text_of(d, "model", "test-model");
	q->key = text_of(d, "key", "key");
	q->assistant = text_of(d, "assistant", NULL);
	q->organization = text_of(d, "organization", "organization");
	q->user = text_of(d, "user", NULL);
	q->session = text_of(d, "session", NULL);
}

static uint32_t
kind_of(lz_str kind)
{
	static const char *const kinds[] = { "prose", "tool_arguments", "tool_result",
		"reasoning" };

	for (uint32_t i = 0; i < 4; i++)
		if (str_is(kind, kinds[i]))
			return i;
	return LZ_PROSE;
}

static void
read_text(struct fake *f, size_t i, const json_t *j)
{
	lz_text *t = &f->text[i];
	bool is_text = json_is_string(j);

	t->size = sizeof(*t);
	t->final = 1;
	t->message = (uint32_t)i;
	t->kind = kind_of(json_get_str(j, "kind"));
	t->role =
	    text_of(j, "role", f->request.phase == LZ_RESPONSE ? "assistant" : "user");
	t->name = json_get_str(j, "name");
	t->text = is_text ? lz_strn(json_string_value(j), json_string_length(j))
			  : text_of(j, "text", "");
	t->plain = is_text ? t->text : text_of(j, "plain", NULL);
	if (t->plain.ptr == NULL)
		t->plain = t->text;
}

static enum status
read_texts(struct fake *f, const json_t *d, struct err *e)
{
	const json_t *one = json_object_get(d, "text"),
		     *list = json_object_get(d, "texts");

	f->text_count = one != NULL ? 1 : json_array_size(list);
	if (f->text_count > TEXTS_MAX)
		return err_fail(e, ST_LIMIT, "more than %d texts", TEXTS_MAX);
	if (one != NULL && !json_is_string(one))
		return err_fail(e, ST_INVALID, "text is no text");
	f->text = arena_alloc(f->memory, (f->text_count + 1) * sizeof(*f->text));
	if (f->text == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	for (size_t i = 0; i < f->text_count; i++)
		read_text(f, i, one != NULL ? one : json_array_get(list, i));
	return ST_OK;
}

static double
number_of(const json_t *j, const char *name, double otherwise)
{
	const json_t *value = json_object_get(j, name);

	return json_is_number(value) ? json_number_value(value) : otherwise;
}

static uint32_t
abilities_of(const json_t *j)
{
	static const char *const names[] = { "stream", "tools", "vision", "schema",
		"reason", "audio", "files" };
	uint32_t can = 0;

	for (uint32_t i = 0; i < 7; i++)
		if (json_is_true(json_object_get(j, names[i])))
			can |= 1u << i;
	return can;
}

static void
read_target(lz_target *t, const json_t *j)
{
	double cost = number_of(j, "cost_eur", -1);

	t->size = sizeof(*t);
	t->healthy = json_get_bool(j, "healthy", true);
	t->capabilities = abilities_of(json_object_get(j, "capabilities"));
	t->provider = text_of(j, "provider", "provider");
	t->model = text_of(j, "model", "model");
	t->upstream_model = t->model;
	t->region = text_of(j, "region", NULL);
	t->context_tokens = json_get_int(j, "context_tokens", 128000);
	t->max_output_tokens = json_get_int(j, "max_output_tokens", 16000);
	t->cost_estimate = cost < 0 ? -1 : (int64_t)(cost * 1e9);
	t->weight = number_of(j, "weight", 1);
	t->quality = number_of(j, "quality", -1);
	t->ttft_ms = number_of(j, "ttft_ms", -1);
	t->ms_per_token = number_of(j, "ms_per_token", -1);
	t->latency_ms = -1;
	t->error_rate = number_of(j, "error_rate", 0);
	t->load = number_of(j, "load", 0);
}

static enum status
read_targets(struct fake *f, const json_t *d, struct err *e)
{
	const json_t *list = json_object_get(d, "targets");

	f->target_count = json_array_size(list);
	if (f->target_count > TARGETS_MAX)
		return err_fail(e, ST_LIMIT, "more than %d targets", TARGETS_MAX);
	f->target = arena_alloc(f->memory, (f->target_count + 1) * sizeof(*f->target));
	if (f->target == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	for (size_t i = 0; i < f->target_count; i++)
		read_target(&f->target[i], json_array_get(list, i));
	return ST_OK;
}

static enum status
check_members(const json_t *d, struct err *e)
{
	static const char *const known[] = { "options", "phase", "text", "texts",
		"stream_every", "stream_cuts", "body", "targets", "headers", "metadata",
		"key_metadata", "id", "route", "model", "key", "assistant",
		"organization", "user", "session", "prompt_tokens", "max_output_tokens",
		"stream", "budgets", "http", "now", NULL };
	const char *name;
	json_t *value;

	if (!json_is_object(d))
		return err_fail(
		    e, ST_INVALID, "what is shown to a script is a table with names");
	json_object_foreach((json_t *)(uintptr_t)d, name, value)
	{
		const char *near = options_nearest(lz_strz(name), known);

		if (near == NULL || strcmp(near, name) != 0)
			return err_fail(e, ST_INVALID,
			    near != NULL ? "there is no '%s'; did you mean '%s'?"
					 : "there is no '%s'",
			    name, near);
	}
	return ST_OK;
}

enum status
fake_begin(struct fake *f, const json_t *d, struct err *e)
{
	if (check_members(d, e) != ST_OK)
		return ST_INVALID;
	arena_reset(f->memory);
	f->document = d;
	f->slot = NULL;
	f->turns = 0;
	f->change_count = 0;
	f->output_limit = -1;
	f->code = f->message = STR_NONE;
	f->body = json_object_get(d, "body");
	f->edit = NULL;
	if (json_object_get(d, "now") != NULL)
		f->now_ms = json_get_int(d, "now", 0) * 1000;
	read_request(f, d);
	return read_texts(f, d, e) == ST_OK && read_targets(f, d, e) == ST_OK
		   ? ST_OK
		   : ST_INVALID;
}
