/* fake.c - a host for scripts that are tested: the table of functions. What it shows is
 * in a document, nothing leaves it, and time passes when somebody waits. JSON is the
 * gateway's own (plugin/value.c).
 *
 * Beside trial/, the host of plugins' tests: that one ends the test where a promise is
 * broken, and this one runs in a gateway too, which tests a script before it takes it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/mem.h"
#include "lua/fake_inside.h"

enum {
	MEMORY_BYTES = 64 << 20,
	LOG_MAX = 1000,
	TAGS = 64,
	TAG_NAME_BYTES = 64,
	TAG_BYTES = 512,
	NOW_S = 1700000000
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
	return at_hand != NULL ? at_hand->now_ms : INT64_C(1000) * NOW_S;
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
	int64_t before, value, ends;

	if (at_hand == NULL)
		return 0;
	counter = json_object_getn(at_hand->shared, key.ptr, key.len);
	before = json_get_int(counter, "value", 0);
	ends = json_get_int(counter, "ends_ms", 0);
	if (counter == NULL || (ends > 0 && ends <= at_hand->now_ms)) {
		before = 0;
		ends = ttl_s > 0 ? at_hand->now_ms + (int64_t)ttl_s * 1000 : 0;
	}
	if (__builtin_add_overflow(before, by, &value))
		value = before;
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

/* The gateway's limits (request/view.c). */
static bool
is_tag(lz_str s, size_t most)
{
	return s.len > 0 && s.len <= most && str_find(s, '\0') < 0;
}

static int32_t
fake_tag(lz_call *c, lz_str key, lz_str value)
{
	if (!is_tag(key, TAG_NAME_BYTES) || !is_tag(value, TAG_BYTES))
		return LZ_E_INVALID;
	if (json_object_size(fake_of(c)->tags) >= TAGS &&
	    json_object_getn(fake_of(c)->tags, key.ptr, key.len) == NULL)
		return LZ_E_LIMIT;
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

bool
fake_is_busy(const struct fake *f)
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

	if (fake_is_busy(f))
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

	if (fake_is_busy(f))
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

void
fake_deliver(struct fake *f)
{
	lz_reply_fn *reply_fn = f->reply_fn;
	lz_call_fn *call_fn = f->call_fn;

	f->reply_fn = NULL;
	f->call_fn = NULL;
	f->turns++;
	value_forget();
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

	*h = *base; /* JSON, and hmac */
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
}

struct fake *
fake_new(const lz_host *base)
{
	struct fake *f = mem_zalloc(sizeof(*f));

	if (f == NULL)
		return NULL;
	fill_host(f, base);
	f->visit.now = &f->visit.keep;
	f->now_ms = INT64_C(1000) * NOW_S;
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
	memory_reset(&f->scratch);
	memory_reset(&f->visit.keep);
	value_forget();
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
	(void)memory_own_json(&fake_of(c)->visit.keep, j, OWNED_MADE);
}

struct fake *
fake_enter(struct fake *f)
{
	struct fake *before = at_hand;

	at_hand = f;
	value_forget();
	return before;
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
