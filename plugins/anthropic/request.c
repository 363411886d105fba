/* request.c - OpenAI's request as Anthropic's: its members, one by one.
 *
 * The table says of every member that OpenAI has whether it is carried over, left out
 * (and told), or a reason to refuse. What stands in no table is left out and told, too.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include "make.h"

enum {
	HEADERS = 4,
	KEY_BYTES = 64,
	USUAL_LIMIT = 4096
};

/* ---- making values ---- */

static lz_json *
noted(struct making *m, lz_json *j)
{
	m->failed |= j == NULL;
	return j;
}

lz_json *
make_object(struct making *m)
{
	return noted(m, lz->json_new(m->c, LZ_OBJECT));
}

lz_json *
make_array(struct making *m)
{
	return noted(m, lz->json_new(m->c, LZ_ARRAY));
}

lz_json *
make_text(struct making *m, lz_str s)
{
	return noted(m, lz->json_of_str(m->c, s.ptr != NULL ? s : lz_strz("")));
}

lz_json *
make_int(struct making *m, int64_t v)
{
	return noted(m, lz->json_of_int(m->c, v));
}

void
make_set(struct making *m, lz_json *object, const char *key, const lz_json *value)
{
	m->failed |=
	    value == NULL || lz->json_set(m->c, object, lz_strz(key), value) != LZ_OK;
}

void
make_add(struct making *m, lz_json *array, const lz_json *value)
{
	m->failed |= value == NULL || lz->json_put(m->c, array, "/-", value) != LZ_OK;
}

void
make_refuse(struct making *m, int32_t upstream, const char *param, const char *message)
{
	if (m->fault.upstream != LZ_UPSTREAM_OK)
		return;
	m->fault = (lz_fault){ .size = sizeof(m->fault), .upstream = upstream };
	m->fault.status = 400;
	if (upstream == LZ_UPSTREAM_UNABLE)
		m->fault.code = lz_strz("unsupported_parameter");
	m->fault.param = lz_strz(param);
	m->fault.message = lz_strz(message);
}

void
make_dropped(struct making *m, const char *param)
{
	(void)lz->dropped(m->c, lz_strz(param));
}

const lz_json *
make_asked(const struct making *m, const char *pointer)
{
	const lz_json *j = lz->json_at(m->body, pointer);

	return lz->json_type(j) != LZ_NULL ? j : NULL;
}

lz_str
make_word(const lz_json *j)
{
	return lz->json_str(j, lz_strz(""));
}

/* ---- what becomes of each member ---- */

static int
always(const lz_json *v)
{
	(void)v;
	return 1;
}

static int
if_true(const lz_json *v)
{
	return lz->json_bool(v, 1);
}

static int
if_not_0(const lz_json *v)
{
	return lz->json_num(v, 1) < 0 || lz->json_num(v, 1) > 0;
}

static int
if_not_1(const lz_json *v)
{
	return lz->json_int(v, 0) != 1;
}

static int
if_filled(const lz_json *v)
{
	return lz->json_len(v) > 0;
}

static int
if_more_than_text(const lz_json *v)
{
	for (size_t i = 0, n = lz->json_len(v); i < n; i++)
		if (!lz_eq(make_word(lz->json_item(v, i, NULL)), "text"))
			return 1;
	return 0;
}

static int
if_not_medium(const lz_json *v)
{
	return !lz_eq(make_word(v), "medium");
}

static int
if_not_auto(const lz_json *v)
{
	return !lz_eq(make_word(v), "auto") && !lz_eq(make_word(v), "default");
}

enum does {
	CARRIED, /* by other code than the walk through the members */
	DROPPED,
	REFUSED
};

enum {
	ANY = -1 /* type: another reader looks at it */
};

static const struct row {
	const char *name;
	enum does does;
	int32_t type;                     /* LZ_REAL: any number */
	int (*matters)(const lz_json *v); /* else it says what Anthropic does anyway */
	const char *why;                  /* of a refusal */
} rows[] = {
	{ "model", CARRIED, ANY, NULL, NULL },
	{ "messages", CARRIED, ANY, NULL, NULL },
	{ "stream", CARRIED, ANY, NULL, NULL },
	{ "stream_options", CARRIED, ANY, NULL, NULL },
	{ "max_tokens", CARRIED, ANY, NULL, NULL },
	{ "max_completion_tokens", CARRIED, ANY, NULL, NULL },
	{ "metadata", CARRIED, ANY, NULL, NULL }, /* the gateway's own: in the trace */
	{ "tools", CARRIED, ANY, NULL, NULL },
	{ "tool_choice", CARRIED, ANY, NULL, NULL },
	{ "parallel_tool_calls", CARRIED, LZ_BOOL, NULL, NULL },
	{ "response_format", CARRIED, ANY, NULL, NULL },
	{ "stop", CARRIED, ANY, NULL, NULL },
	{ "temperature", CARRIED, LZ_REAL, NULL, NULL },
	{ "top_p", CARRIED, LZ_REAL, NULL, NULL },
	{ "top_k", CARRIED, LZ_INT, NULL, NULL },
	{ "user", CARRIED, LZ_STRING, NULL, NULL },
	{ "safety_identifier", CARRIED, LZ_STRING, NULL, NULL },
	{ "reasoning_effort", CARRIED, ANY, NULL, NULL },
	{ "thinking", CARRIED, LZ_OBJECT, NULL, NULL },
	{ "cache_control", CARRIED, LZ_OBJECT, NULL, NULL },
	{ "n", REFUSED, ANY, if_not_1, "Anthropic gives one choice" },
	{ "logprobs", REFUSED, ANY, if_true, "Anthropic gives no log probabilities" },
	{ "top_logprobs", REFUSED, ANY, if_not_0,
	    "Anthropic gives no log probabilities" },
	{ "logit_bias", REFUSED, ANY, if_filled, "Anthropic takes no biases" },
	{ "audio", REFUSED, ANY, always, "Anthropic speaks no audio" },
	{ "modalities", REFUSED, ANY, if_more_than_text, "Anthropic answers in text" },
	{ "functions", REFUSED, ANY, if_filled, "functions are served as tools only" },
	{ "function_call", REFUSED, ANY, always, "functions are served as tools only" },
	{ "web_search_options", REFUSED, ANY, always, "this provider does not search" },
	{ "seed", DROPPED, ANY, always, NULL },
	{ "presence_penalty", DROPPED, ANY, if_not_0, NULL },
	{ "frequency_penalty", DROPPED, ANY, if_not_0, NULL },
	{ "prediction", DROPPED, ANY, always, NULL },
	{ "store", DROPPED, ANY, if_true, NULL },
	{ "verbosity", DROPPED, ANY, if_not_medium, NULL },
	{ "service_tier", DROPPED, ANY, if_not_auto, NULL },
	{ "prompt_cache_key", DROPPED, ANY, always, NULL },
	{ "prompt_cache_retention", DROPPED, ANY, always, NULL },
};

static const struct row *
row_of(lz_str name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lz_eq(name, rows[i].name))
			return &rows[i];
	return NULL;
}

static int
is_of_type(const struct row *row, const lz_json *value)
{
	int32_t type = lz->json_type(value);

	return row->type == ANY || type == row->type ||
	       (row->type == LZ_REAL && type == LZ_INT);
}

static void
look_at(struct making *m, const struct row *row, const lz_json *value)
{
	if (!is_of_type(row, value))
		make_refuse(m, LZ_UPSTREAM_CALLER, row->name,
		    "the parameter is of another type than OpenAI's");
	else if (row->does == DROPPED && row->matters(value))
		make_dropped(m, row->name);
	else if (row->does == REFUSED && row->matters(value))
		make_refuse(m, LZ_UPSTREAM_UNABLE, row->name, row->why);
}

static void
look_through(struct making *m)
{
	lz_str key;

	for (size_t i = 0, n = lz->json_len(m->body); i < n; i++) {
		const lz_json *value = lz->json_item(m->body, i, &key);
		const struct row *row = row_of(key);

		if (lz->json_type(value) == LZ_NULL)
			continue;
		if (row == NULL)
			(void)lz->dropped(m->c, key);
		else
			look_at(m, row, value);
	}
}

/* ---- the rest ---- */

/* json_object has no twin: nothing makes the model write JSON. */
static void
set_format(struct making *m, lz_json *config)
{
	const lz_json *asked = make_asked(m, "/response_format");
	const lz_json *schema = lz->json_at(asked, "/json_schema/schema");
	lz_str type = make_word(lz->json_at(asked, "/type"));
	lz_json *format;

	if (asked == NULL || lz_eq(type, "text"))
		return;
	if (!lz_eq(type, "json_schema")) {
		make_refuse(m, LZ_UPSTREAM_UNABLE, "response_format",
		    "Anthropic takes a json_schema, or text");
		return;
	}
	if (lz->json_type(schema) != LZ_OBJECT) {
		make_refuse(m, LZ_UPSTREAM_CALLER, "response_format",
		    "'response_format.json_schema.schema' must be an object");
		return;
	}
	format = make_object(m);
	make_set(m, format, "type", make_text(m, type));
	make_set(m, format, "schema", schema);
	make_set(m, config, "format", format);
}

static void
add_stop(struct making *m, lz_json *stops, const lz_json *stop)
{
	if (lz->json_type(stop) != LZ_STRING)
		make_refuse(m, LZ_UPSTREAM_CALLER, "stop",
		    "'stop' must be a string or a list of strings");
	else if (part_is_blank(make_word(stop)))
		make_dropped(m, "stop"); /* Anthropic refuses these */
	else
		make_add(m, stops, stop);
}

static void
set_stops(struct making *m)
{
	const lz_json *asked = make_asked(m, "/stop");
	lz_json *stops;

	if (asked == NULL)
		return;
	stops = make_array(m);
	if (lz->json_type(asked) != LZ_ARRAY)
		add_stop(m, stops, asked);
	for (size_t i = 0, n = lz->json_len(asked); i < n; i++)
		add_stop(m, stops, lz->json_item(asked, i, NULL));
	if (lz->json_len(stops) > 0)
		make_set(m, m->out, "stop_sequences", stops);
}

static void
set_user(struct making *m)
{
	const lz_json *user = make_asked(m, "/user");
	lz_json *metadata;

	if (user == NULL)
		user = make_asked(m, "/safety_identifier");
	if (lz->json_type(user) != LZ_STRING)
		return;
	metadata = make_object(m);
	make_set(m, metadata, "user_id", user);
	make_set(m, m->out, "metadata", metadata);
}

static int64_t
limit_of(lz_call *c)
{
	int64_t bound = lz->request(c)->output_bound;

	if (bound <= 0)
		bound = lz->chosen(c)->max_output_tokens;
	return bound > 0 ? bound : USUAL_LIMIT;
}

static void
make_body(struct making *m)
{
	const lz_json *tier = make_asked(m, "/service_tier");
	lz_json *config = make_object(m), *choice;

	make_set(m, m->out, "model", make_text(m, lz->chosen(m->c)->upstream_model));
	make_set(m, m->out, "max_tokens", make_int(m, m->max_tokens));
	message_all(m);
	tools_set(m, &choice);
	set_format(m, config);
	set_stops(m);
	set_user(m);
	thinking_set(m, config, choice);
	if (lz->json_len(config) > 0)
		make_set(m, m->out, "output_config", config);
	message_mark(m, m->out, m->body);
	if (lz_eq(make_word(tier), "default"))
		make_set(
		    m, m->out, "service_tier", make_text(m, lz_strz("standard_only")));
	make_set(m, m->out, "stream",
	    noted(m, lz->json_of_bool(m->c, lz->request(m->c)->stream != 0)));
}

static int32_t
set_target(const struct anthropic *a, lz_call *c, lz_http *out)
{
	static const char path[] = "/messages";
	lz_header *h = lz->alloc(c, HEADERS * sizeof(*h));
	char *url = lz->alloc(c, out->url.len + sizeof(path));
	size_t n = 0;

	if (h == NULL || url == NULL)
		return LZ_E_NOMEM;
	memcpy(url, out->url.ptr, out->url.len);
	memcpy(url + out->url.len, path, sizeof(path));
	out->url = lz_strz(url);
	h[n++] = lz_head(lz_strz("content-type"), lz_strz("application/json"));
	h[n++] = lz_head(lz_strz("anthropic-version"), lz_strz("2023-06-01"));
	if (lz->credential(c).len > 0)
		h[n++] = lz_head(lz_strz("x-api-key"), lz->credential(c));
	if (a->beta.len > 0)
		h[n++] = lz_head(lz_strz("anthropic-beta"), a->beta);
	out->headers = h;
	out->header_count = n;
	return LZ_OK;
}

int32_t
request_build(void *self, lz_call *c, lz_http *out)
{
	struct making m = { .c = c, .self = self, .body = lz->body(c) };

	m.out = make_object(&m);
	m.generation = thinking_generation(lz->chosen(c)->upstream_model);
	m.max_tokens = limit_of(c);
	if (m.body == NULL)
		return LZ_E_NOMEM;
	look_through(&m);
	if (m.fault.upstream == LZ_UPSTREAM_OK)
		make_body(&m);
	if (m.fault.upstream != LZ_UPSTREAM_OK)
		return lz->fail(c, &m.fault);
	out->body = lz->json_text(c, m.out);
	if (m.failed || out->body.ptr == NULL)
		return LZ_E_NOMEM;
	return set_target(self, c, out);
}
