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
	ESCAPE_BYTES = 6, /* \u0000 */
	MODEL_BYTES = 200
};

/* What a message or a delta may bring: texts first. Reasoning has two names, and some
 * providers give it under both. */
enum {
	SAID_CONTENT,
	SAID_REASONING = 2, /* behind its twin */
	SAID_TEXTS = 4,
	SAID = 7
};
static const char *const said_names[SAID] = { [SAID_CONTENT] = "content",
	"reasoning_content",
	"reasoning",
	"refusal",
	[SAID_TEXTS] = "tool_calls",
	"function_call",
	"audio" };

/* ---- walking ---- */

/* Letters, digits and what joins them. */
static bool
is_word(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    !(c >= '0' && c <= '9') && strchr("_-.:/@", c) == NULL)
			return false;
	}
	return s.len <= MODEL_BYTES;
}

bool
chunk_has_items(const struct jscan_member *array)
{
	const char *p = array->value.ptr;

	if (array->type != JSCAN_ARRAY)
		return false;
	/* Scanned text: what follows the bracket is white space, an item, or its twin. */
	do
		p++;
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r');
	return *p != ']';
}

/* A string without its quotes, still escaped; absent: null, empty, another type. */
static lz_str
text_of(const struct jscan_member *m)
{
	if (m->type != JSCAN_STRING || m->value.len <= 2)
		return STR_NONE;
	return str_cut(m->value, 1, m->value.len - 1);
}

/* A reason is a word; what is none is not kept for the trace. */
static void
note_finish(struct call *c, lz_str finish)
{
	if (c->r->finish.ptr == NULL && finish.ptr != NULL && is_word(finish))
		c->r->finish = arena_copy(c->r->arena, finish);
}

/* 0: absent, or no integer. */
static int64_t
count_of(const struct jscan_member *m)
{
	int64_t v;

	return m->value.ptr != NULL && jscan_int(m, &v) ? v : 0;
}

/* ---- weighing ---- */

/* Bytes of UTF-8 that escaped text stands for, give or take the halves of surrogates. */
static int64_t
weight(lz_str escaped)
{
	const char *p = escaped.ptr, *end = p + escaped.len;
	int64_t n = (int64_t)escaped.len;

	while (
	    p < end && (p = memchr(p, '\\', (size_t)(end - p))) != NULL && end - p > 1) {
		bool is_code = p[1] == 'u';

		n -= is_code ? ESCAPE_BYTES - 3 : 1;
		p += is_code ? ESCAPE_BYTES : 2;
	}
	return n;
}

static void
keep_text(const struct call *c, lz_str text, int64_t index)
{
	struct request *r = c->r;

	/* What guardrails look at is kept as they leave it: guarded.c. */
	if (index == 0 && c->guarded == NULL && r->log_content == LOG_CONTENT_FULL &&
	    !r->answer_text.failed)
		buf_add_str(&r->answer_text, text);
}

static void
keep_tools(const struct call *c, lz_str choice)
{
	struct request *r = c->r;

	if (c->guarded != NULL || r->log_content != LOG_CONTENT_FULL ||
	    r->answer_tools.failed)
		return;
	buf_add_z(&r->answer_tools, r->answer_tools.len > 0 ? "," : "");
	buf_add_str(&r->answer_tools, choice);
}

/* The texts of a delta (or a message). false: there are none. */
static bool
weigh_texts(struct call *c, const struct jscan_member said[SAID], int64_t index)
{
	bool is_any = false;

	for (unsigned i = 0; i < SAID_TEXTS; i++) {
		lz_str s = text_of(&said[i]);
		bool is_twin = i == SAID_REASONING && text_of(&said[i - 1]).ptr != NULL;

		if (s.ptr == NULL || is_twin)
			continue;
		is_any = true;
		c->a->delivered_bytes += weight(s);
		if (i == SAID_CONTENT)
			keep_text(c, s, index);
	}
	return is_any;
}

/* Half of a call's JSON is names and punctuation, which cost nothing. */
static bool
weigh_tools(struct call *c, const struct jscan_member said[SAID])
{
	bool is_any = false;

	for (unsigned i = SAID_TEXTS; i < SAID; i++) {
		if (said[i].type != JSCAN_OBJECT && !chunk_has_items(&said[i]))
			continue;
		is_any = true;
		c->a->delivered_bytes += weight(said[i].value) / 2;
	}
	return is_any;
}

/* ---- chunks ---- */

/* One choice. false: nothing to see in it. */
static bool
read_choice(struct call *c, lz_str choice)
{
	static const char *const names[] = { "index", "finish_reason", "delta" };
	struct jscan_member m[3], said[SAID];
	int64_t index;
	lz_str finish;
	uint8_t other, *known = &other;
	bool has_text, has_tools;

	jscan_pick(choice, names, 3, m);
	jscan_pick(m[2].value, said_names, SAID, said);
	index = count_of(&m[0]);
	finish = text_of(&m[1]);
	if (index >= 0 && index < CALL_CHOICES)
		known = &c->choice[index];
	else
		other = 0;
	*known |= CHOICE_SEEN;
	has_text = weigh_texts(c, said, index);
	has_tools = weigh_tools(c, said);
	if (has_tools) {
		*known |= CHOICE_HAS_TOOLS;
		keep_tools(c, choice);
		/* What guardrails look at is put together anew: guarded.c. */
		if (said[SAID_TEXTS].type == JSCAN_ARRAY && c->guarded == NULL)
			tools_read(c, index, said[SAID_TEXTS].value);
	}
	if (finish.ptr != NULL) {
		*known |= CHOICE_IS_FINISHED;
		note_finish(c, finish);
	}
	return has_text || has_tools || finish.ptr != NULL;
}

enum status
chunk_read(struct call *c, lz_str data, struct chunk *out)
{
	struct jscan scan;
	const struct jscan_member *m;
	enum status st = jscan_object(data, &scan, NULL);
	lz_str choices, choice;

	*out = (struct chunk){ .usage = STR_NONE, .error = STR_NONE };
	tools_begin(c);
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
	if (c->a->delivered_events == 0)
		chunk_note_model(c, jscan_find(&scan, "model"));
	for (choices = m->value; jscan_next_item(&choices, &choice);)
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

/* ---- who answered ---- */

static lz_str
behind_slashes(lz_str name)
{
	ptrdiff_t slash;

	while ((slash = str_find(name, '/')) >= 0)
		name = str_cut(name, (size_t)slash + 1, name.len);
	return name;
}

/* "gpt-4o" is answered by "gpt-4o-2024-08-06", "acme/m" by "m", "m-latest" by "m-2512":
 * none of these is another. */
static bool
is_another(lz_str asked, lz_str said)
{
	static const char latest[] = "-latest";

	asked = behind_slashes(asked);
	said = behind_slashes(said);
	if (str_ends(asked, latest))
		asked.len -= sizeof(latest) - 1;
	return !str_eq(str_cut(said, 0, asked.len), asked);
}

void
chunk_note_model(struct call *c, const struct jscan_member *model)
{
	lz_str said = model != NULL ? text_of(model) : STR_NONE;

	/* Where answers are judged, a text in its place would be kept unjudged. */
	if (said.len == 0 || said.len > MODEL_BYTES || c->a->answered_model.len > 0 ||
	    (guard_holds_answers(c->r) && !is_word(said)) ||
	    !is_another(c->a->target->upstream_model, said))
		return;
	c->a->answered_model = verdict_words(c, said, MODEL_BYTES);
}

/* ---- whole answers ---- */

void
chunk_read_whole(struct call *c, lz_str choices)
{
	static const char *const names[] = { "finish_reason", "message" };
	struct jscan_member m[2], said[SAID];
	lz_str choice, finish;

	while (jscan_next_item(&choices, &choice)) {
		jscan_pick(choice, names, 2, m);
		finish = text_of(&m[0]);
		note_finish(c, finish);
		jscan_pick(m[1].value, said_names, SAID, said);
		(void)weigh_texts(c, said, -1);
		(void)weigh_tools(c, said);
	}
}

/* ---- usage ---- */

bool
chunk_usage(lz_str object, struct record_usage *out)
{
	static const char *const names[] = { "prompt_tokens", "completion_tokens",
		"prompt_tokens_details", "completion_tokens_details" };
	static const char *const cache[] = { "cached_tokens", "cache_write_tokens" };
	static const char *const reasoning[] = { "reasoning_tokens" };
	struct jscan_member m[4], cached[2], reasoned;
	int64_t prompt;

	jscan_pick(object, names, 4, m);
	if (m[0].type != JSCAN_NUMBER && m[1].type != JSCAN_NUMBER)
		return false;
	jscan_pick(m[2].value, cache, 2, cached);
	jscan_pick(m[3].value, reasoning, 1, &reasoned);
	prompt = count_of(&m[0]);
	*out = (struct record_usage){
		.cache_read = count_of(&cached[0]),
		.cache_write = count_of(&cached[1]),
		.output = count_of(&m[1]),
		.reasoning = count_of(&reasoned),
	};
	out->input = prompt - out->cache_read - out->cache_write;
	if (out->input < 0) /* its cache is not counted in: its words are disjoint */
		out->input = prompt;
	return true;
}
