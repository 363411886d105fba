/* error.c - what Mistral says when it refuses: six shapes, and types that are not to be
 * trusted.
 *
 * {"detail":"..."}, {"detail":[{"loc","msg"}]}, {"message":"..."}, {"object":"error",
 * "message":"..."}, and a message that is an object or a list of the first two.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mistral.h"

/* ["body","messages",0] is messages.0 to who wrote it. */
static lz_str
place_of(lz_call *c, const lz_json *detail)
{
	const lz_json *loc = lz->json_at(detail, "/loc");
	struct text t = { .ptr = NULL };

	for (size_t i = 0, n = lz->json_len(loc); i < n; i++) {
		const lz_json *step = lz->json_item(loc, i, NULL);
		lz_str word = lz->json_str(step, lz->json_text(c, step));

		if (i == 0 && lz_eq(word, "body"))
			continue;
		if (t.len > 0)
			join(c, &t, lz_strz("."));
		join(c, &t, word);
	}
	return t.len > 0 ? text_str(&t) : lz_strn(NULL, 0);
}

static void
add_one(lz_call *c, struct text *t, const lz_json *one)
{
	lz_str place = place_of(c, one);
	lz_str words = text_at(one, "/msg");

	if (words.ptr == NULL)
		words = lz->json_str(one, text_at(one, "/message"));
	if (words.ptr == NULL)
		words = lz->json_text(c, one);
	if (t->len > 0)
		join(c, t, lz_strz("; "));
	if (place.ptr != NULL) {
		join(c, t, place);
		join(c, t, lz_strz(": "));
	}
	join(c, t, words);
}

/* The list, or the words, that a body keeps under detail or message. */
static const lz_json *
saying_of(const lz_json *body)
{
	static const char *const places[] = { "/message/detail", "/message", "/detail",
		"/error/message" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const lz_json *said = lz->json_at(body, places[i]);

		if (said != NULL && lz->json_type(said) != LZ_NULL)
			return said;
	}
	return NULL;
}

static void
read_message(lz_call *c, const lz_json *body, lz_fault *out)
{
	const lz_json *said = saying_of(body);
	struct text t = { .ptr = NULL };

	if (said == NULL)
		return;
	if (lz->json_type(said) != LZ_ARRAY)
		add_one(c, &t, said);
	for (size_t i = 0, n = lz->json_type(said) == LZ_ARRAY ? lz->json_len(said) : 0;
	     i < n; i++)
		add_one(c, &t, lz->json_item(said, i, NULL));
	if (t.len > 0)
		out->message = text_str(&t);
	out->param = place_of(c, lz->json_item(said, 0, NULL));
}

static int
has_words(lz_str text, const char *words)
{
	size_t n = strlen(words);

	for (size_t i = 0; i + n <= text.len; i++)
		if (memcmp(text.ptr + i, words, n) == 0)
			return 1;
	return 0;
}

/* By number, whatever the type says; a number is no code that a client could look for. */
static const struct {
	const char *number;
	int32_t upstream, status;
	const char *code;
} known[] = {
	{ "1500", LZ_UPSTREAM_UNABLE, 404, "model_not_found" },
	{ "1300", LZ_UPSTREAM_RATE, 0, "rate_limit_exceeded" },
	{ "3230", LZ_UPSTREAM_CALLER, 400, "invalid_request_message_order" },
};

void
error_read(lz_call *c, const lz_json *body, lz_fault *out)
{
	const lz_json *code = lz->json_at(body, "/code");
	lz_str number = lz->json_str(code, lz->json_text(c, code));

	read_message(c, body, out);
	out->code = lz_strn(NULL, 0);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (lz_eq(number, known[i].number)) {
			out->upstream = known[i].upstream;
			out->code = lz_strz(known[i].code);
			out->status = known[i].status;
		}
	if (has_words(out->message, "capacity exceeded"))
		out->upstream = LZ_UPSTREAM_RATE;
	if (has_words(out->message, "maximum context length") ||
	    has_words(out->message, "too large for model"))
		out->upstream = LZ_UPSTREAM_CONTEXT;
}

int32_t
error_classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	(void)self;
	error_read(c, lz->json_parse(c, r->body), out);
	/* The host took it for the target's already. */
	if (r->status == 404 && out->upstream == LZ_UPSTREAM_UNABLE &&
	    out->code.ptr == NULL) {
		out->code = lz_strz("model_not_found");
	}
	return LZ_OK;
}

int
error_is(const lz_json *body)
{
	return lz_eq(text_at(body, "/object"), "error") ||
	       lz->json_at(body, "/detail") != NULL ||
	       lz->json_type(lz->json_at(body, "/error")) == LZ_OBJECT;
}
