/* chunk.c - what OpenAI's answers say, read as ranges of their text: choices, usage,
 * errors, and what the text weighs.
 *
 * A chunk is scanned once, strictly; then only its choices are walked through. Text is
 * weighed as it would be decoded, because that is what tokens are made of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/jscan.h"
#include "call/attempt.h"

enum {
	ESCAPE_BYTES = 6
}; /* \u0000 */

/* ---- walking ---- */

static bool
is_between_items(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' || c == '[';
}

/* The end of the value that begins at `at`, in text that was scanned. */
static size_t
end_of_value(lz_str text, size_t at)
{
	unsigned depth = 0;
	bool is_string = false;

	for (; at < text.len; at++) {
		char c = text.ptr[at];

		if (is_string && c == '\\')
			at++;
		else if (c == '"')
			is_string = !is_string;
		else if (is_string)
			continue;
		else if (c == '{' || c == '[')
			depth++;
		else if (depth == 0 && (c == ',' || c == ']'))
			return at;
		else if (c == '}' || c == ']')
			depth--;
	}
	return text.len;
}

/* Walks through an array; *at begins with 0. */
static bool
next_item(lz_str array, size_t *at, lz_str *item)
{
	size_t from = *at;

	if (from == 0 && array.len > 0)
		from = 1; /* its own bracket; those of its items are theirs */
	while (from < array.len && array.ptr[from] != '[' &&
	       is_between_items(array.ptr[from]))
		from++;
	if (from >= array.len || array.ptr[from] == ']')
		return false;
	*at = end_of_value(array, from);
	*item = str_cut(array, from, *at);
	return true;
}

bool
chunk_has_items(const struct jscan_member *array)
{
	size_t at = 0;
	lz_str item;

	return array->type == JSCAN_ARRAY && next_item(array->value, &at, &item);
}

/* A string without its quotes, still escaped; absent: null, empty, another type. */
static lz_str
text_of(lz_str object, const char *name)
{
	struct jscan_member m;

	if (!jscan_inner(object, name, &m) || m.type != JSCAN_STRING || m.value.len <= 2)
		return STR_NONE;
	return str_cut(m.value, 1, m.value.len - 1);
}

/* ---- weighing ---- */

/* Bytes of UTF-8 that escaped text stands for, give or take the halves of surrogates. */
static int64_t
weight(lz_str escaped)
{
	int64_t n = 0;

	for (size_t i = 0; i < escaped.len; i++, n++)
		if (escaped.ptr[i] == '\\' && i + 1 < escaped.len) {
			bool is_code = escaped.ptr[i + 1] == 'u';

			n += is_code ? 2 : 0;
			i += is_code ? ESCAPE_BYTES - 1 : 1;
		}
	return n;
}

static void
keep_text(struct request *r, lz_str text, int64_t index)
{
	if (index == 0 && r->log_content == LOG_CONTENT_FULL && !r->answer_text.failed)
		buf_add_str(&r->answer_text, text);
}

static void
keep_tools(struct request *r, lz_str choice)
{
	if (r->log_content != LOG_CONTENT_FULL || r->answer_tools.failed)
		return;
	buf_add_z(&r->answer_tools, r->answer_tools.len > 0 ? "," : "");
	buf_add_str(&r->answer_tools, choice);
}

/* What a delta (or a message) brings. false: nothing to see. */
static bool
weigh(struct call *c, lz_str delta, int64_t index)
{
	static const char *const texts[] = { "content", "reasoning_content", "reasoning",
		"refusal" };
	bool is_any = false;

	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		lz_str s = text_of(delta, texts[i]);

		if (s.ptr == NULL)
			continue;
		is_any = true;
		c->a->delivered_bytes += weight(s);
		if (i == 0)
			keep_text(c->r, s, index);
	}
	return is_any;
}

/* Half of a call's JSON is names and punctuation, which cost nothing. */
static bool
weigh_tools(struct call *c, lz_str delta)
{
	static const char *const names[] = { "tool_calls", "function_call", "audio" };
	bool is_any = false;
	struct jscan_member m;

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!jscan_inner(delta, names[i], &m) ||
		    (m.type != JSCAN_OBJECT && !chunk_has_items(&m)))
			continue;
		is_any = true;
		c->a->delivered_bytes += weight(m.value) / 2;
	}
	return is_any;
}

/* ---- chunks ---- */

static int64_t
index_of(lz_str choice)
{
	struct jscan_member m;
	int64_t i;

	return jscan_inner(choice, "index", &m) && jscan_int(&m, &i) ? i : 0;
}

/* One choice. false: nothing to see in it. */
static bool
read_choice(struct call *c, lz_str choice)
{
	int64_t index = index_of(choice);
	lz_str finish = text_of(choice, "finish_reason");
	uint8_t other, *known = &other;
	struct jscan_member delta;
	bool has_text = false, has_tools = false;

	if (index >= 0 && index < CALL_CHOICES)
		known = &c->choice[index];
	else
		other = 0;
	*known |= CHOICE_SEEN;
	if (jscan_inner(choice, "delta", &delta)) {
		has_text = weigh(c, delta.value, index);
		has_tools = weigh_tools(c, delta.value);
	}
	if (has_tools) {
		*known |= CHOICE_HAS_TOOLS;
		keep_tools(c->r, choice);
	}
	if (finish.ptr != NULL) {
		*known |= CHOICE_IS_FINISHED;
		if (c->r->finish.ptr == NULL)
			c->r->finish = arena_copy(c->r->arena, finish);
	}
	return has_text || has_tools || finish.ptr != NULL;
}

enum status
chunk_read(struct call *c, lz_str data, struct chunk *out)
{
	struct jscan scan;
	const struct jscan_member *m;
	enum status st = jscan_object(data, &scan, NULL);
	size_t at = 0;
	lz_str choice;

	*out = (struct chunk){ .usage = STR_NONE, .error = STR_NONE };
	if (st != ST_OK)
		return st;
	m = jscan_find(&scan, "error");
	if (m != NULL && m->type != JSCAN_NULL && m->type != JSCAN_FALSE)
		out->error = m->value;
	m = jscan_find(&scan, "usage");
	if (m != NULL && m->type == JSCAN_OBJECT)
		out->usage = m->value;
	m = jscan_find(&scan, "choices");
	if (m == NULL || !chunk_has_items(m)) {
		out->is_usage_only = out->usage.ptr != NULL;
		return ST_OK;
	}
	while (next_item(m->value, &at, &choice))
		out->has_substance |= read_choice(c, choice);
	c->a->delivered_events += out->has_substance;
	return ST_OK;
}

bool
chunk_all_finished(const struct call *c)
{
	unsigned seen = 0, finished = 0;

	for (unsigned i = 0; i < CALL_CHOICES; i++) {
		seen += (c->choice[i] & CHOICE_SEEN) != 0;
		finished += (c->choice[i] & CHOICE_IS_FINISHED) != 0;
	}
	return seen > 0 && finished == seen;
}

/* ---- whole answers ---- */

void
chunk_read_whole(struct call *c, lz_str choices)
{
	size_t at = 0;
	lz_str choice, finish;
	struct jscan_member message;

	while (next_item(choices, &at, &choice)) {
		finish = text_of(choice, "finish_reason");
		if (c->r->finish.ptr == NULL && finish.ptr != NULL)
			c->r->finish = arena_copy(c->r->arena, finish);
		if (!jscan_inner(choice, "message", &message))
			continue;
		(void)weigh(c, message.value, -1);
		(void)weigh_tools(c, message.value);
	}
}

/* ---- usage ---- */

static int64_t
count_of(lz_str object, const char *name)
{
	struct jscan_member m;
	int64_t v;

	return jscan_inner(object, name, &m) && jscan_int(&m, &v) ? v : 0;
}

/* Of an object inside the object. */
static int64_t
detail_of(lz_str object, const char *details, const char *name)
{
	struct jscan_member m;

	return jscan_inner(object, details, &m) && m.type == JSCAN_OBJECT
		   ? count_of(m.value, name)
		   : 0;
}

static bool
has_number(lz_str object, const char *name)
{
	struct jscan_member m;

	return jscan_inner(object, name, &m) && m.type == JSCAN_NUMBER;
}

bool
chunk_usage(lz_str object, struct record_usage *out)
{
	int64_t prompt = count_of(object, "prompt_tokens");

	if (!has_number(object, "prompt_tokens") &&
	    !has_number(object, "completion_tokens"))
		return false;
	*out = (struct record_usage){
		.cache_read = detail_of(object, "prompt_tokens_details", "cached_tokens"),
		.cache_write =
		    detail_of(object, "prompt_tokens_details", "cache_write_tokens"),
		.output = count_of(object, "completion_tokens"),
		.reasoning =
		    detail_of(object, "completion_tokens_details", "reasoning_tokens"),
	};
	out->input = prompt - out->cache_read - out->cache_write;
	if (out->input < 0) /* its cache is not counted in: its words are disjoint */
		out->input = prompt;
	return true;
}
