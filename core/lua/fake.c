/* fake.c - a host for scripts that are tested: what it shows is in a document, nothing
 * leaves it, and time passes when somebody waits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/options.h"
#include "lua/fake_json.h"
#include "lua/inside.h"

enum {
	MEMORY_BYTES = 64 << 20,
	TEXT_BYTES = 16 << 20,
	TEXTS_MAX = 1000,
	TARGETS_MAX = 2000,
	LOG_MAX = 1000,
	TURNS_MAX = 1000000, /* callbacks of one visit */
	NOW_MS = 1700000000
};

struct change {
	size_t text, from, to;
	lz_str with;
};

struct fake {
	lz_host host;
	struct arena *memory; /* of the visit */
	json_t *keep;         /* JSON that the visit made, and all that was looked at */
	json_t *shared;       /* counters */
	json_t *log;
	int64_t now_ms;
	/* the visit */
	const json_t *document;
	lz_request request;
	lz_text *text;
	size_t text_count;
	lz_target *target;
	size_t target_count;
	json_t *body, *edit;
	void *slot;
	/* what it did */
	struct change *change;
	size_t change_count, change_room;
	size_t hold; /* of the text that streams; SIZE_MAX: none */
	json_t *tags, *calls, *order, *chosen;
	int64_t output_limit;
	lz_str code, message;
	/* later */
	lz_reply_fn *reply_fn;
	lz_call_fn *call_fn;
	void *ud;
	lz_reply reply;
	bool has_finished;
	int32_t result;
	size_t turns; /* callbacks, in all of the visit */
	int64_t spent_ns;
	bool grants_all;
};

static _Thread_local struct fake *at_hand; /* for services that carry no call */

static struct fake *
fake_of(lz_call *c)
{
	return (struct fake *)(void *)c;
}

lz_call *
fake_call(struct fake *f)
{
	return (lz_call *)(void *)f;
}

const lz_host *
fake_host(struct fake *f)
{
	return &f->host;
}

static lz_str
kept(struct fake *f, lz_str s)
{
	return s.ptr != NULL ? arena_copy(f->memory, s) : STR_NONE;
}

/* ---- services ---- */

static void
fake_log(lz_call *c, int32_t level, lz_str text)
{
	struct fake *f = c != NULL ? fake_of(c) : at_hand;

	(void)level;
	if (f != NULL && json_array_size(f->log) < LOG_MAX)
		(void)json_array_append_new(f->log, json_stringn(text.ptr, text.len));
}

static uint32_t
fake_metric(int32_t kind, const char *name, const char *help)
{
	(void)kind;
	(void)name;
	(void)help;
	return 1;
}

static void
fake_observe(uint32_t id, double value)
{
	(void)id;
	(void)value;
}

static int64_t
fake_now(void)
{
	return at_hand != NULL ? at_hand->now_ms : NOW_MS;
}

/* The same numbers in every run. */
static void
fake_random(void *out, size_t n)
{
	static _Thread_local uint32_t state = 1;
	unsigned char *at = out;

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		at[i] = (unsigned char)(state >> 24);
	}
}

static int64_t
fake_shared_add(lz_str key, int64_t by, uint32_t ttl_s)
{
	json_t *counter;
	int64_t value, ends;

	if (at_hand == NULL)
		return 0;
	counter = json_object_getn(at_hand->shared, key.ptr, key.len);
	value = json_get_int(counter, "value", 0);
	ends = json_get_int(counter, "ends_ms", 0);
	if (counter == NULL || (ends > 0 && ends <= at_hand->now_ms)) {
		value = 0;
		ends = ttl_s > 0 ? at_hand->now_ms + (int64_t)ttl_s * 1000 : 0;
	}
	value += by;
	if (by != 0)
		(void)json_object_setn_new(at_hand->shared, key.ptr, key.len,
		    json_pack("{s:I, s:I}", "value", (json_int_t)value, "ends_ms",
			(json_int_t)ends));
	return value;
}

static const lz_request *
fake_request(lz_call *c)
{
	return &fake_of(c)->request;
}

static lz_str
map_value(const json_t *document, const char *map, lz_str key)
{
	const json_t *value =
	    json_object_getn(json_object_get(document, map), key.ptr, key.len);

	return json_is_string(value)
		   ? lz_strn(json_string_value(value), json_string_length(value))
		   : STR_NONE;
}

static lz_str
fake_header(lz_call *c, lz_str name)
{
	return map_value(fake_of(c)->document, "headers", name);
}

static lz_str
fake_metadata(lz_call *c, lz_str key)
{
	if (str_starts(key, "key."))
		return map_value(
		    fake_of(c)->document, "key_metadata", str_cut(key, 4, key.len));
	return map_value(fake_of(c)->document, "metadata", key);
}

static int32_t
fake_tag(lz_call *c, lz_str key, lz_str value)
{
	if (json_object_setn_new(fake_of(c)->tags, key.ptr, key.len,
		json_stringn(value.ptr, value.len)) != 0)
		return LZ_E_INVALID;
	return LZ_OK;
}

static int64_t
nano_of(const json_t *object, const char *name)
{
	return (int64_t)(json_number_value(json_object_get(object, name)) * 1e9);
}

static int32_t
fake_budget(lz_call *c, uint32_t scope, lz_budget *out)
{
	static const char *const names[] = { [LZ_OF_KEY] = "key",
		[LZ_OF_ASSISTANT] = "assistant",
		[LZ_OF_ORGANIZATION] = "organization" };
	const json_t *b = json_object_get(
	    json_object_get(fake_of(c)->document, "budgets"), names[scope]);

	if (b == NULL)
		return LZ_E_INVALID;
	out->scope = scope;
	out->limit = nano_of(b, "limit_eur");
	out->spent = nano_of(b, "spent_eur");
	out->reserved = nano_of(b, "reserved_eur");
	out->resets_at_unix = json_get_int(b, "resets_at", 0);
	return LZ_OK;
}

static void *
fake_alloc(lz_call *c, size_t n)
{
	return arena_alloc(fake_of(c)->memory, n);
}

static void **
fake_slot(lz_call *c)
{
	return &fake_of(c)->slot;
}

static void
fake_reason(lz_call *c, lz_str code, lz_str message)
{
	struct fake *f = fake_of(c);

	f->code = kept(f, code);
	f->message = kept(f, message);
}

static const lz_json *
fake_body(lz_call *c)
{
	return (const lz_json *)(const void *)fake_of(c)->body;
}

static lz_json *
fake_edit(lz_call *c)
{
	struct fake *f = fake_of(c);

	if (f->edit == NULL && f->body != NULL) {
		f->edit = json_deep_copy(f->body);
		(void)json_array_append_new(f->keep, f->edit);
	}
	return (lz_json *)(void *)f->edit;
}

/* ---- texts ---- */

static size_t
fake_texts(lz_call *c)
{
	return fake_of(c)->text_count;
}

static const lz_text *
fake_text(lz_call *c, size_t i)
{
	return i < fake_of(c)->text_count ? &fake_of(c)->text[i] : NULL;
}

static int32_t
fake_replace(lz_call *c, size_t i, size_t from, size_t to, lz_str with)
{
	struct fake *f = fake_of(c);
	struct change *more;

	if (i >= f->text_count || from > to || to > f->text[i].text.len ||
	    from < f->text[i].seen)
		return LZ_E_INVALID;
	for (size_t k = 0; k < f->change_count; k++)
		if (f->change[k].text == i && from < f->change[k].to &&
		    f->change[k].from < to)
			return LZ_E_INVALID;
	if (f->change_count == f->change_room) {
		f->change_room = f->change_room * 2 + 8;
		more = mem_realloc(f->change, f->change_room * sizeof(*more));
		if (more == NULL)
			return LZ_E_NOMEM;
		f->change = more;
	}
	f->change[f->change_count++] = (struct change){ i, from, to, kept(f, with) };
	return LZ_OK;
}

static int32_t
fake_hold(lz_call *c, size_t i, size_t from)
{
	struct fake *f = fake_of(c);

	if (i >= f->text_count || from < f->text[i].seen)
		return LZ_E_INVALID;
	if (i == 0 && from < f->hold)
		f->hold = from;
	return LZ_OK;
}

static int32_t
fake_limit_output(lz_call *c, int64_t tokens)
{
	struct fake *f = fake_of(c);

	if (f->output_limit < 0 || tokens < f->output_limit)
		f->output_limit = tokens;
	return LZ_OK;
}

/* ---- targets ---- */

static size_t
fake_targets(lz_call *c)
{
	return fake_of(c)->target_count;
}

static const lz_target *
fake_target(lz_call *c, size_t i)
{
	return i < fake_of(c)->target_count ? &fake_of(c)->target[i] : NULL;
}

static int32_t
fake_prefer(lz_call *c, size_t i, double score, lz_str why)
{
	struct fake *f = fake_of(c);
	char name[300];
	json_t *entry;
	size_t k;

	(void)score;
	(void)why;
	if (i >= f->target_count)
		return LZ_E_INVALID;
	(void)snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(f->target[i].provider),
	    STR_ARG(f->target[i].model));
	json_array_foreach(f->chosen, k, entry)
	{
		if (json_integer_value(entry) == (json_int_t)i)
			return LZ_E_INVALID;
	}
	(void)json_array_append_new(f->chosen, json_integer((json_int_t)i));
	return json_array_append_new(f->order, json_string(name)) == 0 ? LZ_OK
								       : LZ_E_NOMEM;
}

/* ---- later ---- */

static bool
is_busy(const struct fake *f)
{
	return f->reply_fn != NULL || f->call_fn != NULL;
}

static void
take_headers(struct fake *f, const json_t *headers)
{
	size_t n = 0;
	lz_header *list =
	    arena_alloc(f->memory, (json_object_size(headers) + 1) * sizeof(*list));
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
	{
		if (list != NULL && json_is_string(value))
			list[n++] =
			    lz_head(lz_strz(name), lz_strz(json_string_value(value)));
	}
	f->reply.headers = list;
	f->reply.header_count = n;
}

static int32_t
fake_http(lz_call *c, const lz_http *q, lz_reply_fn *fn, void *ud)
{
	struct fake *f = fake_of(c);
	const json_t *answer = json_object_getn(
	    json_object_get(f->document, "http"), q->url.ptr, q->url.len);
	lz_str body = json_get_str(answer, "body");

	if (is_busy(f))
		return LZ_E_LIMIT;
	(void)json_array_append_new(f->calls,
	    json_pack("{s:o, s:o, s:o}", "method",
		json_stringn(q->method.ptr, q->method.len), "url",
		json_stringn(q->url.ptr, q->url.len), "body",
		json_stringn(q->body.ptr != NULL ? q->body.ptr : "", q->body.len)));
	f->reply = (lz_reply){ .size = sizeof(f->reply),
		.error = json_is_object(answer) ? LZ_OK : LZ_E_FAIL };
	f->reply.status = (int32_t)json_get_int(answer, "status", 200);
	f->reply.body = body.ptr != NULL ? body : lz_strz("");
	if (json_get_bool(answer, "times_out", false))
		f->reply.error = LZ_E_TIMEOUT;
	take_headers(f, json_object_get(answer, "headers"));
	f->reply_fn = fn;
	f->ud = ud;
	return LZ_OK;
}

static int32_t
fake_after(lz_call *c, uint32_t ms, lz_call_fn *fn, void *ud)
{
	struct fake *f = fake_of(c);

	if (is_busy(f))
		return LZ_E_LIMIT;
	f->now_ms += ms;
	f->call_fn = fn;
	f->ud = ud;
	return LZ_OK;
}

static int32_t
fake_finish(lz_call *c, int32_t result)
{
	struct fake *f = fake_of(c);

	if (f->has_finished)
		return LZ_E_INVALID;
	f->has_finished = true;
	f->result = result;
	return LZ_OK;
}

static void
deliver(struct fake *f)
{
	lz_reply_fn *reply_fn = f->reply_fn;
	lz_call_fn *call_fn = f->call_fn;

	f->reply_fn = NULL;
	f->call_fn = NULL;
	f->turns++;
	if (reply_fn != NULL)
		reply_fn(fake_call(f), &f->reply, f->ud);
	else
		call_fn(fake_call(f), LZ_OK, f->ud);
}

/* ---- the host ---- */

static void
fill_host(struct fake *f, const lz_host *base)
{
	lz_host *h = &f->host;

	*h = *base; /* those that read JSON, and hmac */
	h->log = fake_log;
	h->metric = fake_metric;
	h->observe = fake_observe;
	h->now_unix_ms = fake_now;
	h->random = fake_random;
	h->request = fake_request;
	h->header = fake_header;
	h->metadata = fake_metadata;
	h->tag = fake_tag;
	h->budget = fake_budget;
	h->shared_add = fake_shared_add;
	h->alloc = fake_alloc;
	h->keep = fake_alloc;
	h->slot = fake_slot;
	h->reason = fake_reason;
	h->body = fake_body;
	h->edit = fake_edit;
	h->texts = fake_texts;
	h->text = fake_text;
	h->replace = fake_replace;
	h->hold = fake_hold;
	h->limit_output = fake_limit_output;
	h->targets = fake_targets;
	h->target = fake_target;
	h->prefer = fake_prefer;
	h->http = fake_http;
	h->after = fake_after;
	h->finish = fake_finish;
	fake_json_fill(h);
}

struct fake *
fake_new(const lz_host *base)
{
	struct fake *f = mem_zalloc(sizeof(*f));

	if (f == NULL)
		return NULL;
	fill_host(f, base);
	f->now_ms = INT64_C(1000) * NOW_MS;
	f->memory = arena_new(MEMORY_BYTES);
	f->keep = json_array();
	f->shared = json_object();
	f->log = json_array();
	if (f->memory != NULL && f->keep != NULL && f->shared != NULL && f->log != NULL)
		return f;
	fake_free(f);
	return NULL;
}

void
fake_free(struct fake *f)
{
	if (f == NULL)
		return;
	if (at_hand == f)
		at_hand = NULL;
	arena_free(f->memory);
	json_decref(f->keep);
	json_decref(f->shared);
	json_decref(f->log);
	mem_free(f->change);
	mem_free(f);
}

void
fake_take(lz_call *c, json_t *j)
{
	(void)json_array_append_new(fake_of(c)->keep, j);
}

json_t *
fake_keep(lz_call *c)
{
	return fake_of(c)->keep;
}

struct arena *
fake_memory(lz_call *c)
{
	return fake_of(c)->memory;
}

/* ---- what the document says ---- */

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

static enum status
begin(struct fake *f, const json_t *d, struct err *e)
{
	if (check_members(d, e) != ST_OK)
		return ST_INVALID;
	arena_reset(f->memory);
	(void)json_array_append(f->keep, (json_t *)(uintptr_t)d);
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

/* ---- a visit ---- */

static int64_t
wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
fake_grant_all(struct fake *f)
{
	f->grants_all = true;
}

int64_t
fake_spent_ns(const struct fake *f)
{
	return f->spent_ns;
}

static int32_t
call_once(struct fake *f, const lz_component *c, void *instance)
{
	int64_t began_ns = wall_ns();
	struct fake *before = at_hand;
	int32_t result;

	at_hand = f;
	f->has_finished = false;
	f->hold = SIZE_MAX;
	f->change_count = 0;
	if (strcmp(c->kind, LZ_ROUTER) == 0)
		result = ((const lz_router *)c->vtable)->pick(instance, fake_call(f));
	else
		result = ((const lz_guardrail *)c->vtable)->check(instance, fake_call(f));
	for (int i = 0;
	     result == LZ_PENDING && !f->has_finished && is_busy(f) && i < TURNS_MAX; i++)
		deliver(f);
	if (result == LZ_PENDING)
		result = f->has_finished ? f->result : LZ_E_FAIL;
	at_hand = before;
	f->spent_ns += wall_ns() - began_ns;
	return result;
}

static int
by_place(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* The text from..to with its changes. */
static void
add_changed(struct fake *f, size_t text, size_t from, size_t to, struct buf *out)
{
	lz_str s = f->text[text].text;

	if (f->change_count > 0)
		qsort(f->change, f->change_count, sizeof(f->change[0]), by_place);
	for (size_t i = 0; i < f->change_count; i++) {
		const struct change *c = &f->change[i];

		if (c->text != text || c->from < from || c->to > to)
			continue;
		buf_add_str(out, str_cut(s, from, c->from));
		buf_add_str(out, c->with);
		from = c->to;
	}
	buf_add_str(out, str_cut(s, from, to));
}

static size_t
next_cut(const json_t *d, lz_str whole, size_t at, size_t turn)
{
	const json_t *cuts = json_object_get(d, "stream_cuts");
	int64_t every = json_get_int(d, "stream_every", 0), cut = 0;

	if (cuts != NULL && turn < json_array_size(cuts))
		cut = json_integer_value(json_array_get(cuts, turn));
	else if (cuts == NULL && every > 0)
		cut = (int64_t)at + every;
	else
		cut = (int64_t)whole.len;
	if (cut < (int64_t)at)
		cut = (int64_t)at;
	while (cut < (int64_t)whole.len && ((unsigned char)whole.ptr[cut] & 0xc0) == 0x80)
		cut++;
	return cut > (int64_t)whole.len ? whole.len : (size_t)cut;
}

static size_t
at_character(lz_str s, size_t at)
{
	while (at > 0 && at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
		at--;
	return at;
}

/* What is shown of a stream: the end of what is out, what is held, what is new. */
static lz_str
show(struct fake *f, const lz_guardrail *g, lz_str out, lz_str waiting, size_t *seen)
{
	size_t from = out.len > g->context ? at_character(out, out.len - g->context) : 0;
	char *room;

	*seen = out.len - from;
	room = arena_alloc(f->memory, *seen + waiting.len + 1);
	if (room == NULL)
		return STR_NONE;
	if (*seen > 0)
		memcpy(room, out.ptr + from, *seen);
	if (waiting.len > 0)
		memcpy(room + *seen, waiting.ptr, waiting.len);
	return lz_strn(room, *seen + waiting.len);
}

/* The first text arrives in pieces; `out` is all that left. */
static int32_t
stream(struct fake *f, const lz_component *c, void *instance, struct buf *out,
    size_t *checks)
{
	const lz_guardrail *g = c->vtable;
	lz_str whole = f->text[0].text;
	size_t released = 0, arrived = 0, seen, hold;
	int32_t result = LZ_OK, worst = LZ_OK;

	for (size_t turn = 0; worst != LZ_BLOCK; turn++) {
		arrived = next_cut(f->document, whole, arrived, turn);
		f->text[0].text =
		    show(f, g, buf_str(out), str_cut(whole, released, arrived), &seen);
		f->text[0].plain = f->text[0].text;
		f->text[0].seen = (uint32_t)seen;
		f->text[0].final = arrived == whole.len;
		result = call_once(f, c, instance);
		++*checks;
		if (result < LZ_OK || result == LZ_BLOCK)
			return result;
		if (result > worst)
			worst = result;
		hold = f->text[0].text.len;
		if (!f->text[0].final && f->hold != SIZE_MAX)
			hold = f->hold;
		else if (!f->text[0].final)
			hold = hold > g->overlap + seen
				   ? at_character(f->text[0].text, hold - g->overlap)
				   : seen;
		add_changed(f, 0, seen, hold, out);
		released += hold - seen;
		if (f->text[0].final)
			break;
	}
	return worst;
}

static const char *
verdict_name(int32_t result)
{
	switch (result) {
	case LZ_OK:
		return "pass";
	case LZ_BLOCK:
		return "block";
	case LZ_FLAG:
		return "flag";
	case LZ_REROUTE:
		return "use_model";
	default:
		return "error";
	}
}

static void
tell_texts(struct fake *f, json_t *result, const struct buf *streamed)
{
	json_t *texts = json_array();

	for (size_t i = 0; i < f->text_count; i++) {
		struct buf b;

		buf_init(&b, TEXT_BYTES);
		if (i == 0 && streamed != NULL)
			buf_add_str(&b, buf_str(streamed));
		else
			add_changed(f, i, 0, f->text[i].text.len, &b);
		(void)json_array_append_new(
		    texts, json_stringn(b.ptr != NULL ? b.ptr : "", b.len));
		buf_free(&b);
	}
	if (f->text_count > 0)
		(void)json_object_set(result, "text", json_array_get(texts, 0));
	(void)json_object_set_new(result, "texts", texts);
}

/* Of a stream they would be offsets into what was shown last. */
static json_t *
edits_told(const struct fake *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->change_count; i++) {
		const struct change *c = &f->change[i];

		(void)json_array_append_new(
		    list, json_pack("{s:I, s:I, s:I, s:o}", "text", (json_int_t)c->text,
			      "from", (json_int_t)c->from, "to", (json_int_t)c->to,
			      "with", json_stringn(c->with.ptr, c->with.len)));
	}
	return list;
}

static json_t *
tell(struct fake *f, int32_t verdict, const struct buf *streamed, size_t checks)
{
	json_t *result = json_pack("{s:s, s:O, s:O, s:O, s:I, s:I}", "verdict",
	    verdict_name(verdict), "tags", f->tags, "calls", f->calls, "order", f->order,
	    "checks", (json_int_t)checks, "turns", (json_int_t)f->turns);
	size_t logged = json_array_size(f->log);

	if (verdict > LZ_OK && f->code.ptr != NULL)
		(void)json_object_update_new(
		    result, json_pack("{s:o, s:o}", "code",
				json_stringn(f->code.ptr, f->code.len), "message",
				json_stringn(f->message.ptr, f->message.len)));
	if (verdict < LZ_OK)
		(void)json_object_update_new(result,
		    json_pack("{s:I, s:O}", "result", (json_int_t)verdict, "error",
			logged > 0 ? json_array_get(f->log, logged - 1) : json_null()));
	if (f->output_limit >= 0)
		(void)json_object_set_new(
		    result, "output_limit", json_integer(f->output_limit));
	if (f->edit != NULL || f->body != NULL)
		(void)json_object_set(
		    result, "body", f->edit != NULL ? f->edit : f->body);
	(void)json_object_set(result, "log", f->log);
	(void)json_object_set(result, "chosen", f->chosen);
	if (streamed == NULL && f->change_count > 0)
		(void)json_object_set_new(result, "edits", edits_told(f));
	tell_texts(f, result, streamed);
	return result;
}

static json_t *
visit(struct fake *f, const lz_component *c, void *instance)
{
	const json_t *d = f->document;
	bool is_stream = strcmp(c->kind, LZ_GUARDRAIL) == 0 && f->text_count > 0 &&
			 (json_object_get(d, "stream_every") != NULL ||
			     json_object_get(d, "stream_cuts") != NULL);
	size_t checks = 0;
	struct buf out;
	int32_t result;
	json_t *told;

	buf_init(&out, TEXT_BYTES);
	f->tags = json_object();
	f->calls = json_array();
	f->order = json_array();
	f->chosen = json_array();
	if (is_stream) {
		result = stream(f, c, instance, &out, &checks);
	} else {
		result = call_once(f, c, instance);
		checks = 1;
	}
	told = tell(f, result, is_stream ? &out : NULL, checks);
	json_decref(f->tags);
	json_decref(f->calls);
	json_decref(f->order);
	json_decref(f->chosen);
	buf_free(&out);
	return told;
}

json_t *
fake_visit(struct fake *f, struct script *s, const json_t *document, struct err *e)
{
	const lz_component *c = script_component(s);
	struct options_context context = { .keep = f->keep };
	json_t *told = NULL;
	void *instance;
	char why[8];

	if (begin(f, document, e) != ST_OK)
		return NULL;
	context.memory = f->memory;
	instance = mem_zalloc(c->instance_size);
	if (instance == NULL) {
		(void)err_fail(e, ST_NOMEM, "out of memory");
		return NULL;
	}
	script_seat(s, instance, &f->host);
	((struct instance *)instance)->calls_nobody = f->grants_all;
	if (options_apply(c->options, c->option_count, c->option_size,
		json_object_get(document, "options"), instance, &context, e) == ST_OK &&
	    c->init(instance, why, sizeof(why)) == LZ_OK) {
		told = visit(f, c, instance);
		c->fini(instance);
	}
	mem_free(instance);
	return told;
}
