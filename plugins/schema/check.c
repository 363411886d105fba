/* check.c - the guardrail: what a request promises is remembered, and the answer is held
 * against it.
 *
 * A whole answer is looked at as a document. A stream's is held back by the host and
 * looked at as texts: there is no document, and no other attempt can be made. Tool calls
 * are shown complete in either.
 *
 * SPDX-License-Identifier: MIT
 */
#include "schema.h"

#include <stdio.h>

/* Of one request: from its prompt to its answer. In lz->keep() memory. */
struct promise {
	lz_str schema; /* JSON; ptr NULL: the request asks for none */
	lz_str tools;  /* JSON: a map of name and parameters; ptr NULL: there are none */
	bool is_repaired;
};

/* What is wrong with an answer. */
struct fault {
	const char *code;
	char why[WHY_BYTES];
	bool has_no_text; /* that another attempt could answer to */
};

static struct promise *
promise_of(lz_call *c)
{
	void **slot = lz->slot(c);

	if (*slot == NULL)
		*slot = lz->keep(c, sizeof(struct promise));
	return *slot;
}

static lz_str
keep_text(lz_call *c, lz_str text)
{
	char *copy = text.ptr != NULL ? lz->keep(c, text.len + 1) : NULL;

	if (copy == NULL)
		return lz_strn(NULL, 0);
	memcpy(copy, text.ptr, text.len);
	return lz_strn(copy, text.len);
}

static bool
has_text(const lz_json *j)
{
	return lz->json_str(j, lz_strz("")).len > 0;
}

/* ---- requests ---- */

static int32_t
refuse(lz_call *c, const char *code, const char *where, const char *why)
{
	char sentence[WHY_BYTES + 100];

	(void)snprintf(sentence, sizeof(sentence), "%s: %s", where, why);
	lz->reason(c, lz_strz(code), lz_strz(sentence));
	return LZ_BLOCK;
}

/* Would it be understood? Before anything is paid. */
static int32_t
vet(lz_call *c, const lz_json *schema, const char *where)
{
	char why[WHY_BYTES];
	struct compiled *s;
	int32_t rc = schema_compile(schema, false, &s, why, sizeof(why));

	if (rc == LZ_E_INVALID)
		return refuse(c, "schema.unusable", where, why);
	schema_free(s);
	return rc;
}

static int32_t
remember_schema(lz_call *c, struct promise *p, const lz_json *body)
{
	lz_str type =
	    lz->json_str(lz->json_at(body, "/response_format/type"), lz_strz(""));
	const lz_json *schema = lz->json_at(body, "/response_format/json_schema/schema");
	int32_t rc;

	if (schema == NULL) /* others write it here, with either type */
		schema = lz->json_at(body, "/response_format/schema");
	if (lz_eq(type, "json_object") && schema == NULL)
		schema = lz->json_parse(c, lz_strz("{\"type\":\"object\"}"));
	else if (!lz_eq(type, "json_schema") && !lz_eq(type, "json_object"))
		return LZ_OK;
	else if (schema == NULL) /* any JSON will do */
		schema = lz->json_of_bool(c, 1);
	rc = vet(c, schema, "the schema of response_format");
	if (rc != LZ_OK)
		return rc;
	p->schema = keep_text(c, lz->json_text(c, schema));
	return p->schema.ptr != NULL ? LZ_OK : LZ_E_NOMEM;
}

/* Adds the functions of a list; `inside` is where one of them stands in an item. */
static int32_t
add_tools(lz_call *c, lz_json *map, const lz_json *list, const char *inside)
{
	for (size_t i = 0; i < lz->json_len(list); i++) {
		const lz_json *f = lz->json_at(lz->json_item(list, i, NULL), inside);
		const lz_json *parameters = lz->json_at(f, "/parameters");
		lz_str name = lz->json_str(lz->json_at(f, "/name"), lz_strz(""));
		char where[100];
		int32_t rc;

		if (name.len == 0)
			continue;
		if (parameters == NULL || lz->json_type(parameters) == LZ_NULL)
			parameters = lz->json_new(c, LZ_OBJECT);
		(void)snprintf(where, sizeof(where), "the parameters of '%.*s'",
		    (int)(name.len < 64 ? name.len : 64), name.ptr);
		rc = vet(c, parameters, where);
		if (rc != LZ_OK)
			return rc;
		if (lz->json_set(c, map, name, parameters) != LZ_OK)
			return LZ_E_NOMEM;
	}
	return LZ_OK;
}

static int32_t
remember_tools(lz_call *c, struct promise *p, const lz_json *body)
{
	lz_json *map = lz->json_new(c, LZ_OBJECT);
	int32_t rc = add_tools(c, map, lz->json_at(body, "/tools"), "/function");

	if (rc == LZ_OK)
		rc = add_tools(c, map, lz->json_at(body, "/functions"), "");
	if (rc != LZ_OK || lz->json_len(map) == 0)
		return rc;
	p->tools = keep_text(c, lz->json_text(c, map));
	return p->tools.ptr != NULL ? LZ_OK : LZ_E_NOMEM;
}

static int32_t
check_request(const struct guard *g, lz_call *c)
{
	const lz_json *body = lz->body(c);
	struct promise *p = promise_of(c);
	int32_t rc = LZ_OK;

	if (!lz_eq(lz->request(c)->route, "chat"))
		return LZ_OK;
	if (p == NULL)
		return LZ_E_NOMEM;
	if (body == NULL)
		return LZ_E_FAIL;
	if (g->compiled == NULL)
		rc = remember_schema(c, p, body);
	return rc == LZ_OK && g->tools ? remember_tools(c, p, body) : rc;
}

/* ---- the text of an answer ---- */

static bool
is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

struct range {
	size_t from, to;
};

static struct range
trimmed(lz_str s, struct range r)
{
	while (r.from < r.to && is_blank(s.ptr[r.from]))
		r.from++;
	while (r.to > r.from && is_blank(s.ptr[r.to - 1]))
		r.to--;
	return r;
}

/* ```json, a line break, the text, ```: what is inside, or r as it came. */
static struct range
unfenced(lz_str s, struct range r)
{
	static const char fence[] = "```";
	const size_t n = sizeof(fence) - 1;
	struct range in = r;

	if (r.to - r.from < 2 * n || memcmp(s.ptr + r.from, fence, n) != 0 ||
	    memcmp(s.ptr + r.to - n, fence, n) != 0)
		return r;
	in.from += n;
	in.to -= n;
	while (in.from < in.to && s.ptr[in.from] != '\n') {
		if (s.ptr[in.from] == '{' || s.ptr[in.from] == '[')
			break;
		in.from++;
	}
	return trimmed(s, in);
}

/* Cuts away what stands around r. */
static int32_t
cut_out(lz_call *c, size_t text, lz_str s, struct range r)
{
	lz_str nothing = lz_strz("");
	int32_t rc = LZ_OK;

	if (r.from > 0)
		rc = lz->replace(c, text, 0, r.from, nothing);
	if (rc == LZ_OK && r.to < s.len)
		rc = lz->replace(c, text, r.to, s.len, nothing);
	return rc == LZ_OK ? LZ_OK : LZ_E_FAIL;
}

/* text: its index, SIZE_MAX where it has none that could be edited */
static int32_t
judge_text(const struct guard *g, lz_call *c, const struct compiled *schema, lz_str s,
    size_t text, struct fault *f)
{
	struct range all = trimmed(s, (struct range){ 0, s.len }), in = all;
	const lz_json *j;
	int32_t rc;

	if (g->unwrap)
		in = unfenced(s, all);
	j = lz->json_parse(c, lz_strn(s.ptr + in.from, in.to - in.from));
	if (j == NULL) {
		f->code = "schema.not_json";
		(void)snprintf(f->why, sizeof(f->why), "(root): is not JSON%s",
		    unfenced(s, all).from > all.from && !g->unwrap
			? "; it stands inside a Markdown fence"
			: "");
		return LZ_BLOCK;
	}
	f->code = "schema.mismatch";
	rc = schema_validate(schema, c, j, g->max_steps, f->why);
	if (rc == LZ_OK && in.from > all.from)
		return text == SIZE_MAX ? LZ_E_FAIL : cut_out(c, text, s, in);
	return rc;
}

/* ---- arguments of tool calls ---- */

static int32_t
judge_call(const struct guard *g, lz_call *c, const lz_json *tools,
    const lz_json *function, struct fault *f)
{
	lz_str name = lz->json_str(lz->json_at(function, "/name"), lz_strz(""));
	lz_str text = lz->json_str(lz->json_at(function, "/arguments"), lz_strz(""));
	const lz_json *parameters = json_member(tools, name), *value;
	int shown = (int)(name.len < 64 ? name.len : 64);
	struct compiled *s;
	char why[WHY_BYTES];
	int32_t rc;

	f->has_no_text = true;
	f->code = "schema.tool";
	if (parameters == NULL) {
		(void)snprintf(f->why, sizeof(f->why),
		    "the tool '%.*s' that it calls is not declared", shown, name.ptr);
		return LZ_BLOCK;
	}
	value = lz->json_parse(c, text.len > 0 ? text : lz_strz("{}"));
	if (value == NULL) {
		(void)snprintf(f->why, sizeof(f->why),
		    "the arguments of '%.*s' are not JSON", shown, name.ptr);
		return LZ_BLOCK;
	}
	if (schema_compile(parameters, false, &s, why, sizeof(why)) != LZ_OK)
		return LZ_E_NOMEM; /* it was fine when the request came */
	rc = schema_validate(s, c, value, g->max_steps, why);
	schema_free(s);
	(void)snprintf(f->why, sizeof(f->why), "the arguments of '%.*s': %.*s", shown,
	    name.ptr, WHY_BYTES - 100, why);
	return rc;
}

/* Of a whole answer all, of a stream those that are complete: they come in the check that
 * sees their choice's end. Other kinds of calls have no parameters. */
static int32_t
judge_calls(const struct guard *g, lz_call *c, const struct promise *p, struct fault *f)
{
	const lz_json *calls = g->tools ? lz->tool_calls(c) : NULL, *tools;
	int32_t rc = LZ_OK;

	if (calls == NULL)
		return LZ_OK;
	tools = lz->json_parse(c, p->tools.ptr != NULL ? p->tools : lz_strz("{}"));
	for (size_t i = 0; rc == LZ_OK && i < lz->json_len(calls); i++) {
		const lz_json *function =
		    lz->json_at(lz->json_item(calls, i, NULL), "/function");

		if (function != NULL)
			rc = judge_call(g, c, tools, function, f);
	}
	return rc;
}

/* ---- a whole answer ---- */

/* The content: a string, or the texts of its parts. */
static lz_str
content_of(lz_call *c, const lz_json *content)
{
	size_t n = 0, count = lz->json_len(content);
	lz_str empty = lz_strz(""), one;
	char *all;

	if (lz->json_type(content) != LZ_ARRAY)
		return lz->json_str(content, empty);
	for (size_t i = 0; i < count; i++)
		n += lz->json_str(
			   lz->json_at(lz->json_item(content, i, NULL), "/text"), empty)
			 .len;
	all = lz->alloc(c, n + 1);
	if (all == NULL)
		return lz_strn(NULL, 0);
	n = 0;
	for (size_t i = 0; i < count; i++) {
		one = lz->json_str(
		    lz->json_at(lz->json_item(content, i, NULL), "/text"), empty);
		memcpy(all + n, one.ptr, one.len);
		n += one.len;
	}
	return lz_strn(all, n);
}

/* Which of the texts is it? */
static size_t
text_index(lz_call *c, uint32_t choice, lz_str content)
{
	for (size_t i = 0; i < lz->texts(c); i++) {
		const lz_text *t = lz->text(c, i);

		if (t->kind == LZ_PROSE && t->choice == choice &&
		    t->text.len == content.len &&
		    memcmp(t->text.ptr, content.ptr, content.len) == 0)
			return i;
	}
	return SIZE_MAX;
}

static int32_t
judge_choice(const struct guard *g, lz_call *c, const struct compiled *schema,
    const lz_json *choice, size_t at, struct fault *f)
{
	const lz_json *message = lz->json_at(choice, "/message");
	int64_t index = lz->json_int(lz->json_at(choice, "/index"), (int64_t)at);
	lz_str content = content_of(c, lz->json_at(message, "/content"));
	if (content.ptr == NULL)
		return LZ_E_NOMEM;
	if (content.len > 0)
		return judge_text(
		    g, c, schema, content, text_index(c, (uint32_t)index, content), f);
	/* It calls tools first, or refuses: that is no answer yet, or none at all. */
	if (has_text(lz->json_at(message, "/refusal")) ||
	    lz->json_len(lz->json_at(message, "/tool_calls")) > 0 ||
	    lz->json_len(lz->json_at(message, "/function_call")) > 0)
		return LZ_OK;
	f->has_no_text = true;
	f->code = "schema.empty";
	(void)snprintf(f->why, sizeof(f->why), "(root): the answer is empty");
	return LZ_BLOCK;
}

static int32_t
judge_document(const struct guard *g, lz_call *c, const struct compiled *schema,
    const lz_json *body, struct fault *f)
{
	const lz_json *choices = lz->json_at(body, "/choices");
	int32_t rc = LZ_OK;

	for (size_t i = 0; rc == LZ_OK && i < lz->json_len(choices); i++)
		rc = judge_choice(g, c, schema, lz->json_item(choices, i, NULL), i, f);
	return rc;
}

/* ---- an answer that was streamed ---- */

static bool
is_first_of_choice(lz_call *c, size_t i)
{
	const lz_text *t = lz->text(c, i), *other;

	for (size_t k = 0; k < i; k++) {
		other = lz->text(c, k);
		if (other->kind == LZ_PROSE && other->choice == t->choice)
			return false;
	}
	return t->kind == LZ_PROSE;
}

static int32_t
judge_texts(
    const struct guard *g, lz_call *c, const struct compiled *schema, struct fault *f)
{
	int32_t rc = LZ_OK;

	for (size_t i = 0; rc == LZ_OK && i < lz->texts(c); i++)
		if (is_first_of_choice(c, i))
			rc = judge_text(g, c, schema, lz->text(c, i)->text, i, f);
	return rc;
}

/* ---- what comes of it ---- */

static int32_t
act(const struct guard *g, lz_call *c, struct promise *p, const struct fault *f,
    bool is_whole)
{
	char ask[WHY_BYTES + 200];

	if (g->repair && is_whole && !f->has_no_text && !p->is_repaired) {
		p->is_repaired = true;
		(void)snprintf(ask, sizeof(ask),
		    "Your last answer does not match the JSON Schema that is asked for, "
		    "at the JSON pointer %s. Answer again with nothing but the corrected "
		    "JSON.",
		    f->why);
		lz->reason(c, lz_strz(f->code), lz_strz(ask));
		return LZ_AGAIN;
	}
	lz->reason(c, lz_strz(f->code), lz_strz(f->why));
	return g->action == FLAG ? LZ_FLAG : LZ_BLOCK;
}

static int32_t
judge(const struct guard *g, lz_call *c, struct promise *p, const struct compiled *schema)
{
	struct fault f = { .code = "schema.mismatch" };
	const lz_json *body = lz->body(c);
	int32_t rc = judge_calls(g, c, p, &f);

	if (rc == LZ_OK && schema != NULL)
		rc = body != NULL ? judge_document(g, c, schema, body, &f)
				  : judge_texts(g, c, schema, &f);
	if (rc == LZ_E_LIMIT)
		lz->log(c, LZ_WARN, lz_strz("the answer takes more than max_steps"));
	return rc == LZ_BLOCK ? act(g, c, p, &f, body != NULL) : rc;
}

static int32_t
check_answer(const struct guard *g, lz_call *c)
{
	bool has_seen_request = *lz->slot(c) != NULL;
	struct promise *p = promise_of(c);
	struct compiled *of_request = NULL;
	char why[WHY_BYTES];
	int32_t rc;

	if (p == NULL)
		return LZ_E_NOMEM;
	if (!has_seen_request && (g->compiled == NULL || g->tools)) {
		lz->log(c, LZ_WARN,
		    lz_strz("what the request asks for is not known; set on: [request, "
			    "response]"));
		return LZ_E_FAIL;
	}
	if (p->schema.ptr != NULL && schema_compile(lz->json_parse(c, p->schema), false,
					 &of_request, why, sizeof(why)) != LZ_OK)
		return LZ_E_NOMEM; /* it was fine when the request came */
	rc = judge(g, c, p, g->compiled != NULL ? g->compiled : of_request);
	schema_free(of_request);
	return rc;
}

int32_t
guard_check(void *self, lz_call *c)
{
	return lz->request(c)->phase == LZ_REQUEST ? check_request(self, c)
						   : check_answer(self, c);
}
