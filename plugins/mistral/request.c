/* request.c - the members of a request, one by one, by a table.
 *
 * Mistral refuses a request for one member that it does not know. So each member has a
 * row: it is kept, called otherwise, made to fit, left out and told, or the request goes
 * to somebody who can do what it asks for.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mistral.h"

struct field {
	const char *name;
	void (*put)(struct job *j, const struct field *f, const lz_json *value);
	const char *more; /* the new name; or why not */
};

void
refuse(struct job *j, const char *param, const char *why)
{
	lz_fault f = { .size = sizeof(f),
		.upstream = LZ_UPSTREAM_UNABLE,
		.status = 400,
		.code = lz_strz("unsupported_parameter"),
		.message = lz_strz(why),
		.param = lz_strz(param) };

	if (j->result == LZ_OK)
		j->result = lz->fail(j->c, &f);
}

/* ---- what a row does ---- */

static void
keep(struct job *j, const struct field *f, const lz_json *value)
{
	set(j->c, j->out, f->more != NULL ? f->more : f->name, value);
}

/* Without it the answer is another one, or as good: the caller is told. What is off
 * anyway is no loss. */
static void
leave_out(struct job *j, const struct field *f, const lz_json *value)
{
	int is_off = lz->json_type(value) == LZ_BOOL && !lz->json_bool(value, 0);

	if (!is_off)
		(void)lz->dropped(j->c, lz_strz(f->name));
}

/* Read already, or without meaning for whoever answers. */
static void
pass_over(struct job *j, const struct field *f, const lz_json *value)
{
	(void)j;
	(void)f;
	(void)value;
}

static void
not_here(struct job *j, const struct field *f, const lz_json *value)
{
	(void)value;
	refuse(j, f->name, f->more);
}

/* ---- numbers ---- */

static void
put_temperature(struct job *j, const struct field *f, const lz_json *value)
{
	static const double most = 1.5;

	if (lz->json_num(value, 0) <= most) {
		keep(j, f, value);
		return;
	}
	(void)lz->dropped(j->c, lz_strz(f->name));
	set(j->c, j->out, f->name, lz->json_of_num(j->c, most));
}

/* 0 is not allowed; what is meant is the likeliest token. */
static void
put_top_p(struct job *j, const struct field *f, const lz_json *value)
{
	static const double least = 0.0001;

	if (lz->json_num(value, 1) < least)
		value = lz->json_of_num(j->c, least);
	keep(j, f, value);
}

/* A seed below 0 is as good as its lower bits. */
static void
put_seed(struct job *j, const struct field *f, const lz_json *value)
{
	int64_t seed = lz->json_int(value, 0);

	if (seed < 0)
		value = lz->json_of_int(j->c, seed & INT64_MAX);
	keep(j, f, value);
}

/* ---- choices ---- */

static void
put_service_tier(struct job *j, const struct field *f, const lz_json *value)
{
	lz_str tier = lz->json_str(value, lz_strz(""));

	if (lz_eq(tier, "auto") || lz_eq(tier, "standard_only"))
		keep(j, f, value);
	else if (lz_eq(tier, "default"))
		set(j->c, j->out, f->name,
		    lz->json_of_str(j->c, lz_strz("standard_only")));
	else
		leave_out(j, f, value);
}

static void
put_modalities(struct job *j, const struct field *f, const lz_json *value)
{
	for (size_t i = 0, n = lz->json_len(value); i < n; i++)
		if (!lz_eq(
			lz->json_str(lz->json_item(value, i, NULL), lz_strz("")), "text"))
			refuse(j, f->name, "Mistral answers with text only");
}

/* The members of these names that say something: null is not allowed where Mistral wants
 * a type, and others are not at all. names ends with NULL. */
static lz_json *
some_of(struct job *j, const lz_json *object, const char *const *names)
{
	lz_json *copy = lz->json_new(j->c, LZ_OBJECT);
	char pointer[40] = "/";

	for (; *names != NULL; names++) {
		const lz_json *value;

		strcpy(pointer + 1, *names);
		value = lz->json_at(object, pointer);
		if (value != NULL && lz->json_type(value) != LZ_NULL)
			set(j->c, copy, *names, value);
	}
	return copy;
}

static void
put_response_format(struct job *j, const struct field *f, const lz_json *value)
{
	static const char *const names[] = { "type", NULL };
	static const char *const inner[] = { "name", "description", "schema", "strict",
		NULL };
	const lz_json *schema = lz->json_at(value, "/json_schema");
	lz_json *format = some_of(j, value, names), *named;

	if (schema != NULL && lz->json_type(schema) == LZ_OBJECT) {
		named = some_of(j, schema, inner);
		if (lz->json_at(named, "/schema") == NULL)
			set(j->c, named, "schema", lz->json_new(j->c, LZ_OBJECT));
		set(j->c, format, "json_schema", named);
	}
	set(j->c, j->out, f->name, format);
}

static void
put_prediction(struct job *j, const struct field *f, const lz_json *value)
{
	const lz_json *content = lz->json_at(value, "/content");
	lz_json *copy = lz->json_new(j->c, LZ_OBJECT);
	struct text joined = { .ptr = NULL };

	for (size_t i = 0, n = lz->json_len(content); i < n; i++) {
		const lz_json *part = lz->json_item(content, i, NULL);

		/* What is left out here was shown to guardrails between its neighbours.
		 */
		if (!is_type_at(part, "/type", "text"))
			refuse(j, f->name, "a prediction's parts are texts");
		join(j->c, &joined, text_at(part, "/text"));
	}
	set(j->c, copy, "type", lz->json_of_str(j->c, lz_strz("content")));
	set(j->c, copy, "content",
	    lz->json_type(content) == LZ_STRING
		? content
		: lz->json_of_str(j->c, text_str(&joined)));
	set(j->c, j->out, f->name, copy);
}

/* ---- tools ---- */

static const lz_json *
function_of(struct job *j, const lz_json *function)
{
	static const char *const names[] = { "name", "description", "strict",
		"parameters", NULL };
	lz_json *copy = some_of(j, function, names), *none;

	if (lz->json_at(copy, "/parameters") == NULL) {
		none = lz->json_new(j->c, LZ_OBJECT);
		set(j->c, none, "type", lz->json_of_str(j->c, lz_strz("object")));
		set(j->c, none, "properties", lz->json_new(j->c, LZ_OBJECT));
		set(j->c, copy, "parameters", none);
	}
	return copy;
}

/* tool_choice {"type":"allowed_tools"}: only these are shown. */
static int
is_allowed(const struct job *j, const lz_json *tool)
{
	const lz_json *allowed = lz->json_at(j->body, "/tool_choice/allowed_tools/tools");
	lz_str name = text_at(tool, "/function/name");

	for (size_t i = 0, n = lz->json_len(allowed); i < n; i++) {
		lz_str one = text_at(lz->json_item(allowed, i, NULL), "/function/name");

		if (one.len == name.len && memcmp(one.ptr, name.ptr, one.len) == 0)
			return 1;
	}
	return allowed == NULL;
}

/* Functions are made to fit; Mistral's own tools pass as they are. An empty list is
 * refused there, so it is none. */
static void
put_tools(struct job *j, const struct field *f, const lz_json *value)
{
	lz_json *list = lz->json_new(j->c, LZ_ARRAY), *copy;

	for (size_t i = 0, n = lz->json_len(value); i < n; i++) {
		const lz_json *tool = lz->json_item(value, i, NULL);

		if (is_type_at(tool, "/type", "custom"))
			refuse(j, f->name, "Mistral has no custom tools, only functions");
		if (!is_allowed(j, tool))
			continue;
		j->has_tools = 1;
		copy = lz->json_new(j->c, LZ_OBJECT);
		set(j->c, copy, "type", lz->json_of_str(j->c, lz_strz("function")));
		set(j->c, copy, "function",
		    function_of(j, lz->json_at(tool, "/function")));
		append(j->c, list, is_type_at(tool, "/type", "function") ? copy : tool);
	}
	if (j->has_tools)
		set(j->c, j->out, f->name, list);
}

/* Stands behind tools in the table. */
static void
put_tool_choice(struct job *j, const struct field *f, const lz_json *value)
{
	lz_str word = lz->json_str(value, text_at(value, "/allowed_tools/mode"));
	lz_json *copy, *function;

	if (!j->has_tools)
		return;
	if (is_type_at(value, "/type", "custom")) {
		refuse(j, f->name, "Mistral has no custom tools, only functions");
	} else if (word.ptr != NULL) {
		set(j->c, j->out, f->name,
		    lz->json_of_str(
			j->c, lz_eq(word, "required") ? lz_strz("any") : word));
	} else {
		copy = lz->json_new(j->c, LZ_OBJECT);
		function = lz->json_new(j->c, LZ_OBJECT);
		set(j->c, function, "name", lz->json_at(value, "/function/name"));
		set(j->c, copy, "type", lz->json_of_str(j->c, lz_strz("function")));
		set(j->c, copy, "function", function);
		set(j->c, j->out, f->name, copy);
	}
}

static void
put_parallel(struct job *j, const struct field *f, const lz_json *value)
{
	if (j->has_tools)
		keep(j, f, value);
}

/* ---- the tables ---- */

static void
put_messages(struct job *j, const struct field *f, const lz_json *value)
{
	set(j->c, j->out, f->name, messages_of(j, value));
}

static void
put_model(struct job *j, const struct field *f, const lz_json *value)
{
	(void)value;
	set(j->c, j->out, f->name,
	    lz->json_of_str(j->c, lz->chosen(j->c)->upstream_model));
}

static const char old_functions[] =
    "functions are taken as tools only; write tools and tool_choice";

static const struct field chat_fields[] = {
	{ "model", put_model, NULL },
	{ "messages", put_messages, NULL },
	{ "tools", put_tools, NULL },
	{ "tool_choice", put_tool_choice, NULL },
	{ "parallel_tool_calls", put_parallel, NULL },
	{ "stream", keep, NULL },
	{ "temperature", put_temperature, NULL },
	{ "top_p", put_top_p, NULL },
	{ "stop", keep, NULL },
	{ "n", keep, NULL },
	{ "seed", put_seed, "random_seed" },
	{ "random_seed", put_seed, NULL },
	{ "presence_penalty", keep, NULL },
	{ "frequency_penalty", keep, NULL },
	{ "response_format", put_response_format, NULL },
	{ "prediction", put_prediction, NULL },
	{ "reasoning_effort", keep, NULL },
	{ "metadata", keep, NULL },
	{ "prompt_cache_key", keep, NULL },
	{ "service_tier", put_service_tier, NULL },
	{ "prompt_mode", keep, NULL },
	{ "guardrails", keep, NULL },
	{ "safe_prompt", keep, NULL },
	{ "max_tokens", pass_over, NULL },
	{ "max_completion_tokens", pass_over, NULL },
	{ "stream_options", pass_over, NULL },
	{ "modalities", put_modalities, NULL },
	{ "audio", not_here, "Mistral answers with text only" },
	{ "functions", not_here, old_functions },
	{ "function_call", not_here, old_functions },
	{ "web_search_options", not_here,
	    "Mistral searches the web by a tool of its own" },
	{ "logit_bias", leave_out, NULL },
	{ "logprobs", leave_out, NULL },
	{ "top_logprobs", leave_out, NULL },
	{ "verbosity", leave_out, NULL },
	{ "user", leave_out, NULL },
	{ "store", leave_out, NULL },
	{ "safety_identifier", leave_out, NULL },
	{ "prompt_cache_retention", leave_out, NULL },
};

static const struct field embedding_fields[] = {
	{ "model", put_model, NULL },
	{ "input", keep, NULL },
	{ "dimensions", keep, "output_dimension" },
	{ "encoding_format", keep, NULL },
	{ "metadata", keep, NULL },
	{ "user", leave_out, NULL },
};

/* ---- the whole ---- */

static void
put_known(struct job *j, const struct field *fields, size_t n)
{
	char pointer[40] = "/";

	for (size_t i = 0; i < n; i++) {
		const lz_json *value;

		strcpy(pointer + 1, fields[i].name);
		value = lz->json_at(j->body, pointer);
		if (value != NULL && lz->json_type(value) != LZ_NULL)
			fields[i].put(j, &fields[i], value);
	}
}

/* A member that no row knows would be refused: it is left out and told. */
static void
tell_unknown(struct job *j, const struct field *fields, size_t n)
{
	lz_str key;

	for (size_t i = 0, count = lz->json_len(j->body); i < count; i++) {
		size_t k = 0;
		const lz_json *value = lz->json_item(j->body, i, &key);

		while (k < n && !lz_eq(key, fields[k].name))
			k++;
		if (k == n && lz->json_type(value) != LZ_NULL)
			(void)lz->dropped(j->c, key);
	}
}

static int32_t
translate(struct job *j, const struct field *fields, size_t n)
{
	j->body = lz->body(j->c);
	j->out = lz->json_new(j->c, LZ_OBJECT);
	if (j->body == NULL || j->out == NULL)
		return LZ_E_NOMEM;
	put_known(j, fields, n);
	tell_unknown(j, fields, n);
	return j->result;
}

static int32_t
finish(struct job *j, lz_http *out)
{
	out->body = lz->json_text(j->c, j->out);
	return out->body.ptr != NULL ? LZ_OK : LZ_E_NOMEM;
}

int32_t
build_chat(lz_call *c, lz_http *out)
{
	struct job j = { .c = c,
		.can_reason = (lz->chosen(c)->capabilities & LZ_CAN_REASON) != 0 };
	int64_t limit = lz->request(c)->output_limit;
	int32_t result =
	    translate(&j, chat_fields, sizeof(chat_fields) / sizeof(chat_fields[0]));

	if (result != LZ_OK)
		return result;
	if (limit >= 0)
		set(c, j.out, "max_tokens", lz->json_of_int(c, limit));
	return finish(&j, out);
}

int32_t
build_embeddings(lz_call *c, lz_http *out)
{
	struct job j = { .c = c };
	int32_t result = translate(
	    &j, embedding_fields, sizeof(embedding_fields) / sizeof(embedding_fields[0]));
	const lz_json *input = lz->json_at(j.body, "/input");
	const lz_json *first = lz->json_item(input, 0, NULL);

	if (result == LZ_OK && first != NULL && lz->json_type(first) != LZ_STRING) {
		refuse(&j, "input", "Mistral embeds texts, and no tokens");
		result = j.result;
	}
	return result == LZ_OK ? finish(&j, out) : result;
}
