/* answer.c - what comes back: Gemini's candidates become OpenAI's choices, whole and as a
 * stream.
 *
 * Both are read by the same functions: a delta is a message that has only begun. What a
 * stream's end depends on is kept in the slot: Google sends no [DONE], says its
 * finishReason with the last content, and older servers with every piece, so the finish
 * is told at the end of the transport, and an end without one was a cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include "message.h"

enum {
	UNKNOWN = -1
};

/* ---- how it ended ---- */

static const struct finish finishes[] = {
	{ "STOP", "stop", 0 },
	{ "MAX_TOKENS", "length", 0 },
	{ "SAFETY", "content_filter", 0 },
	{ "RECITATION", "content_filter", 0 },
	{ "LANGUAGE", "content_filter", 0 },
	{ "BLOCKLIST", "content_filter", 0 },
	{ "PROHIBITED_CONTENT", "content_filter", 0 },
	{ "SPII", "content_filter", 0 },
	{ "MODEL_ARMOR", "content_filter", 0 },
	{ "IMAGE_SAFETY", "content_filter", 0 },
	{ "IMAGE_PROHIBITED_CONTENT", "content_filter", 0 },
	{ "IMAGE_RECITATION", "content_filter", 0 },
	/* The model stumbled: another try, or another model, may not. */
	{ "MALFORMED_FUNCTION_CALL", "stop", LZ_UPSTREAM_UNABLE },
	{ "UNEXPECTED_TOOL_CALL", "stop", LZ_UPSTREAM_UNABLE },
	{ "TOO_MANY_TOOL_CALLS", "stop", LZ_UPSTREAM_UNABLE },
	{ "MALFORMED_RESPONSE", "stop", LZ_UPSTREAM_UNABLE },
	{ "NO_IMAGE", "stop", LZ_UPSTREAM_UNABLE },
	{ "MISSING_THOUGHT_SIGNATURE", "stop", LZ_UPSTREAM_UNABLE },
};
/* OTHER, and what Google will think of. */
static const struct finish other_finish = { "OTHER", "stop", 0 };

static const struct finish *
find_finish(lz_str reason)
{
	if (reason.len == 0 || lz_eq(reason, "FINISH_REASON_UNSPECIFIED"))
		return NULL;
	for (size_t i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++)
		if (lz_eq(reason, finishes[i].reason))
			return &finishes[i];
	return &other_finish;
}

/* Google says STOP for calls too. */
static const char *
finish_word(const struct choice *choice)
{
	if (choice->calls > 0 && strcmp(choice->finish->twin, "stop") == 0)
		return "tool_calls";
	return choice->finish->twin;
}

/* The first finish that is a fault, where no choice holds anything; NULL: there is none.
 */
static const struct finish *
fault_of(const struct answer *a)
{
	const struct finish *found = NULL;

	for (size_t i = 0; i < CHOICES_MAX; i++) {
		const struct choice *choice = &a->choice[i];

		if (choice->has_content)
			return NULL;
		if (found == NULL && choice->finish != NULL && choice->finish->fault != 0)
			found = choice->finish;
	}
	return found;
}

static int32_t
fail(const struct answer *a, const struct finish *finish)
{
	lz_fault f = { .size = sizeof(f), .upstream = finish->fault };

	f.message = lz_strz("the model gave no usable answer");
	f.code = lz_strz(finish->reason);
	return lz->fail(a->c, &f);
}

/* ---- usage ---- */

static void
count(const lz_json *usage, const char *pointer, int64_t *out)
{
	int64_t n = lz->json_int(lz->json_at(usage, pointer), UNKNOWN);

	if (n >= 0)
		*out = n;
}

static int64_t
or_0(int64_t n)
{
	return n > 0 ? n : 0;
}

/* What was told last counts; a count that is left out stays as it was. The first pieces
 * of a stream count the prompt alone: told like that, an answer that breaks off would be
 * free. What nobody counts the host estimates. */
static void
read_usage(struct answer *a, const lz_json *usage, int is_last)
{
	struct counts *n = &a->counts;
	lz_usage u = { .size = sizeof(u) };
	int64_t rest;
	int has_content = 0;

	count(usage, "/promptTokenCount", &n->prompt);
	count(usage, "/candidatesTokenCount", &n->candidates);
	count(usage, "/thoughtsTokenCount", &n->thoughts);
	count(usage, "/totalTokenCount", &n->total);
	count(usage, "/cachedContentTokenCount", &n->cached);
	count(usage, "/toolUsePromptTokenCount", &n->tools);
	for (size_t i = 0; i < CHOICES_MAX; i++)
		has_content |= a->choice[i].has_content;
	if (n->prompt < 0)
		return;
	if (n->candidates < 0 && n->thoughts < 0 && has_content &&
	    !(is_last && n->total >= 0))
		return;
	u.cache_read = or_0(n->cached);
	u.input = or_0(n->prompt - u.cache_read) + or_0(n->tools);
	u.reasoning = or_0(n->thoughts);
	u.output = or_0(n->candidates) + u.reasoning;
	rest = n->total - n->prompt - or_0(n->tools);
	if (rest > u.output) /* the sum is what is paid for */
		u.output = rest;
	(void)lz->usage(a->c, &u);
}

/* ---- candidates ---- */

/* The choice that a candidate is; NULL: one that nobody can have asked for. */
static struct choice *
choice_of(struct answer *a, const lz_json *candidate, size_t at, int64_t *index)
{
	*index = lz->json_int(
	    lz->json_at(candidate, "/index"), a->is_stream ? 0 : (int64_t)at);
	return *index >= 0 && *index < CHOICES_MAX ? &a->choice[*index] : NULL;
}

/* NULL: nothing that can be shown. */
static lz_json *
read_candidate(struct answer *a, const lz_json *candidate, size_t at)
{
	lz_call *c = a->c;
	lz_json *out = lz->json_new(c, LZ_OBJECT), *message;
	const struct finish *finish;
	struct choice *choice;
	int64_t index;

	choice = choice_of(a, candidate, at, &index);
	if (choice == NULL)
		return NULL;
	choice->is_seen = 1;
	finish = find_finish(string_at(candidate, "/finishReason"));
	if (finish != NULL)
		choice->finish = finish;
	message = message_of(a, choice, lz->json_at(candidate, "/content/parts"));
	if (a->is_stream && lz->json_len(message) == 0)
		return NULL;
	message_set(c, out, "index", lz->json_of_int(c, index));
	message_set(c, out, a->is_stream ? "delta" : "message", message);
	message_set(c, out, "logprobs",
	    logprobs_of(c, lz->json_at(candidate, "/logprobsResult")));
	return out;
}

static int
is_blocked(const lz_json *answer)
{
	lz_str reason = string_at(answer, "/promptFeedback/blockReason");

	return reason.len > 0 && !lz_eq(reason, "BLOCK_REASON_UNSPECIFIED");
}

static void
start(struct answer *a, lz_call *c, int is_stream)
{
	a->c = c;
	a->is_stream = is_stream;
	a->counts =
	    (struct counts){ UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN };
}

/* ---- whole answers ---- */

/* A whole answer has ended, whatever it says of it. */
static void
finish_whole(struct answer *a, lz_json *choice, size_t index)
{
	struct choice *state = &a->choice[index];

	if (state->finish == NULL)
		state->finish = &other_finish;
	message_set(a->c, choice, "finish_reason",
	    lz->json_of_str(a->c, lz_strz(finish_word(state))));
}

/* The prompt was refused: an answer that says nothing, and why. */
static lz_json *
blocked_choice(lz_call *c, int is_stream)
{
	lz_json *choice = lz->json_new(c, LZ_OBJECT),
		*message = lz->json_new(c, LZ_OBJECT);

	message_set(c, message, "content", lz->json_of_str(c, lz_strz("")));
	message_set(c, choice, "index", lz->json_of_int(c, 0));
	message_set(c, choice, is_stream ? "delta" : "message", message);
	message_set(
	    c, choice, "finish_reason", lz->json_of_str(c, lz_strz("content_filter")));
	return choice;
}

int32_t
answer_reply(lz_call *c, const lz_json *said)
{
	const lz_json *candidates = lz->json_at(said, "/candidates");
	lz_json *out = lz->json_new(c, LZ_OBJECT), *choices = NULL;
	struct answer a = { 0 };
	size_t n = lz->json_len(candidates);

	start(&a, c, 0);
	for (size_t i = 0; i < n; i++) {
		lz_json *choice =
		    read_candidate(&a, lz->json_item(candidates, i, NULL), i);

		if (choice == NULL || a.is_broken)
			return LZ_E_FAIL;
		finish_whole(
		    &a, choice, (size_t)lz->json_int(lz->json_at(choice, "/index"), 0));
		message_append(c, &choices, choice);
	}
	read_usage(&a, lz->json_at(said, "/usageMetadata"), 1);
	if (fault_of(&a) != NULL)
		return fail(&a, fault_of(&a));
	if (n == 0 && !is_blocked(said))
		return LZ_E_FAIL;
	if (n == 0)
		message_append(c, &choices, blocked_choice(c, 0));
	message_set(c, out, "choices", choices);
	return a.is_short ? LZ_E_NOMEM : lz->emit(c, out);
}

/* ---- streams ---- */

static struct answer *
stream_of(lz_call *c)
{
	void **slot = lz->slot(c);
	struct answer *a = *slot;

	if (a == NULL) {
		a = *slot = lz->keep(c, sizeof(*a));
		if (a != NULL)
			start(a, c, 1);
	}
	return a;
}

static int32_t
emit_choice(lz_call *c, lz_json *choice)
{
	lz_json *chunk = lz->json_new(c, LZ_OBJECT), *choices = NULL;

	message_append(c, &choices, choice);
	message_set(c, chunk, "choices", choices);
	return lz->emit(c, chunk);
}

int32_t
answer_event(lz_call *c, lz_str data)
{
	const lz_json *said = lz->json_parse(c, data);
	const lz_json *candidates = lz->json_at(said, "/candidates");
	struct answer *a = stream_of(c);
	int32_t result = LZ_OK;
	int is_last = 0;

	if (a == NULL)
		return LZ_E_NOMEM;
	if (fault_find(said) != NULL)
		return fault_fail(c, said);
	if (lz->json_type(said) != LZ_OBJECT)
		return LZ_E_FAIL;
	a->c = c;
	a->is_blocked |= is_blocked(said);
	for (size_t i = 0, n = lz->json_len(candidates); i < n && result == LZ_OK; i++) {
		const lz_json *candidate = lz->json_item(candidates, i, NULL);
		lz_json *choice = read_candidate(a, candidate, i);

		is_last |= lz->json_at(candidate, "/finishReason") != NULL;
		if (a->is_broken)
			return LZ_E_FAIL;
		if (choice != NULL)
			result = emit_choice(c, choice);
	}
	read_usage(a, lz->json_at(said, "/usageMetadata"), is_last);
	return a->is_short ? LZ_E_NOMEM : result;
}

static int32_t
emit_finish(struct answer *a, size_t index)
{
	lz_json *choice = lz->json_new(a->c, LZ_OBJECT);

	message_set(a->c, choice, "index", lz->json_of_int(a->c, (int64_t)index));
	message_set(a->c, choice, "finish_reason",
	    lz->json_of_str(a->c, lz_strz(finish_word(&a->choice[index]))));
	return emit_choice(a->c, choice);
}

int32_t
answer_end(lz_call *c, int32_t clean)
{
	struct answer *a = *lz->slot(c);
	int32_t result = LZ_OK;
	size_t seen = 0;

	if (a == NULL || !clean)
		return LZ_E_FAIL;
	a->c = c;
	for (size_t i = 0; i < CHOICES_MAX; i++) {
		if (a->choice[i].is_seen && a->choice[i].finish == NULL)
			return LZ_E_FAIL;
		seen += (size_t)a->choice[i].is_seen;
	}
	if (fault_of(a) != NULL)
		return fail(a, fault_of(a));
	if (seen == 0)
		return a->is_blocked ? emit_choice(c, blocked_choice(c, 1)) : LZ_E_FAIL;
	for (size_t i = 0; i < CHOICES_MAX && result == LZ_OK; i++)
		if (a->choice[i].is_seen)
			result = emit_finish(a, i);
	return result;
}
