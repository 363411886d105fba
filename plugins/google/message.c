/* message.c - what a candidate's parts hold, as OpenAI's message or delta; and its log
 * probabilities.
 *
 * SPDX-License-Identifier: MIT
 */
#include "message.h"

enum {
	ID_BYTES = 12 /* random ones in the id of a call */
};

static int
is_thought(const lz_json *part)
{
	return lz->json_bool(lz->json_at(part, "/thought"), 0);
}

/* All texts of one kind, one behind the other; NULL: there is none. One alone is not
 * copied. */
static const lz_json *
join_texts(struct answer *a, const lz_json *parts, int thought)
{
	size_t count = lz->json_len(parts), bytes = 0, n = 0;
	const lz_json *only = NULL;
	char *text;

	for (size_t i = 0; i < count; i++) {
		const lz_json *part = lz->json_item(parts, i, NULL);
		lz_str s = string_at(part, "/text");

		if (s.len == 0 || is_thought(part) != thought)
			continue;
		only = lz->json_at(part, "/text");
		bytes += s.len;
		n++;
	}
	if (n < 2)
		return only;
	text = lz->alloc(a->c, bytes);
	if (text == NULL) {
		a->is_short = 1;
		return NULL;
	}
	bytes = 0;
	for (size_t i = 0; i < count; i++) {
		const lz_json *part = lz->json_item(parts, i, NULL);
		lz_str s = string_at(part, "/text");

		if (s.len == 0 || is_thought(part) != thought)
			continue;
		memcpy(text + bytes, s.ptr, s.len);
		bytes += s.len;
	}
	return lz->json_of_str(a->c, lz_strn(text, bytes));
}

void
message_set(lz_call *c, lz_json *object, const char *key, const lz_json *value)
{
	if (value != NULL)
		(void)lz->json_set(c, object, lz_strz(key), value);
}

static void
set_signature(lz_call *c, lz_json *object, const lz_json *part)
{
	const lz_json *signature = lz->json_at(part, "/thoughtSignature");

	if (lz->json_str(signature, lz_strz("")).len > 0)
		(void)lz->json_put(
		    c, object, "/extra_content/google/thought_signature", signature);
}

/* Google's own, or, as mostly there is none, one that nobody can have used before. */
static lz_json *
id_of(lz_call *c, lz_str given)
{
	static const char hex[] = "0123456789abcdef";
	char text[sizeof("call_") + 2 * (size_t)ID_BYTES] = "call_";
	uint8_t bytes[ID_BYTES];
	size_t n = strlen(text);

	if (given.len > 0)
		return lz->json_of_str(c, given);
	lz->random(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		text[n++] = hex[bytes[i] >> 4];
		text[n++] = hex[bytes[i] & 15];
	}
	return lz->json_of_str(c, lz_strn(text, n));
}

/* A part of a call, as Vertex sends them to whoever asks for it: nobody here does. */
static int
is_half(const lz_json *call)
{
	return string_at(call, "/name").len == 0 ||
	       lz->json_len(lz->json_at(call, "/partialArgs")) > 0 ||
	       lz->json_bool(lz->json_at(call, "/willContinue"), 0);
}

static lz_json *
call_of(struct answer *a, struct choice *choice, const lz_json *part)
{
	lz_call *c = a->c;
	const lz_json *said = lz->json_at(part, "/functionCall");
	lz_json *call = lz->json_new(c, LZ_OBJECT),
		*function = lz->json_new(c, LZ_OBJECT);
	const lz_json *args = lz->json_at(said, "/args");
	lz_str text = lz_strz("{}");

	a->is_broken |= is_half(said);
	if (lz->json_type(args) == LZ_OBJECT)
		text = lz->json_text(c, args);
	a->is_short |= text.ptr == NULL;
	if (a->is_stream)
		message_set(c, call, "index", lz->json_of_int(c, choice->calls));
	message_set(c, call, "id", id_of(c, string_at(said, "/id")));
	message_set(c, call, "type", lz->json_of_str(c, lz_strz("function")));
	message_set(c, function, "name", lz->json_at(said, "/name"));
	message_set(c, function, "arguments", lz->json_of_str(c, text));
	message_set(c, call, "function", function);
	set_signature(c, call, part);
	choice->calls++;
	return call;
}

/* As other gateways show pictures: a data: URL in `images`. */
static lz_json *
image_of(struct answer *a, const lz_json *part)
{
	static const char data[] = "data:", base64[] = ";base64,";
	lz_str kind = string_at(part, "/inlineData/mimeType");
	lz_str bytes = string_at(part, "/inlineData/data");
	size_t n = sizeof(data) + sizeof(base64) + kind.len + bytes.len;
	lz_json *image = lz->json_new(a->c, LZ_OBJECT);
	char *url = lz->alloc(a->c, n), *p = url;

	if (url == NULL || kind.len == 0) {
		a->is_short |= url == NULL;
		return NULL;
	}
	memcpy(p, data, strlen(data));
	p += strlen(data);
	memcpy(p, kind.ptr, kind.len);
	p += kind.len;
	memcpy(p, base64, strlen(base64));
	p += strlen(base64);
	if (bytes.len > 0)
		memcpy(p, bytes.ptr, bytes.len);
	p += bytes.len;
	message_set(a->c, image, "type", lz->json_of_str(a->c, lz_strz("image_url")));
	(void)lz->json_put(a->c, image, "/image_url/url",
	    lz->json_of_str(a->c, lz_strn(url, (size_t)(p - url))));
	return image;
}

void
message_append(lz_call *c, lz_json **list, const lz_json *value)
{
	if (*list == NULL)
		*list = lz->json_new(c, LZ_ARRAY);
	if (value != NULL)
		(void)lz->json_put(c, *list, "/-", value);
}

lz_json *
message_of(struct answer *a, struct choice *choice, const lz_json *parts)
{
	lz_call *c = a->c;
	lz_json *message = lz->json_new(c, LZ_OBJECT), *calls = NULL, *images = NULL;
	const lz_json *text = join_texts(a, parts, 0);

	message_set(c, message, "content", text);
	message_set(c, message, "reasoning_content", join_texts(a, parts, 1));
	for (size_t i = 0, n = lz->json_len(parts); i < n; i++) {
		const lz_json *part = lz->json_item(parts, i, NULL);

		if (lz->json_type(lz->json_at(part, "/functionCall")) == LZ_OBJECT)
			message_append(c, &calls, call_of(a, choice, part));
		else if (lz->json_type(lz->json_at(part, "/inlineData")) == LZ_OBJECT &&
			 !is_thought(part))
			message_append(c, &images, image_of(a, part));
		else
			set_signature(c, message, part);
	}
	message_set(c, message, "tool_calls", calls);
	message_set(c, message, "images", images);
	choice->has_content |= text != NULL || calls != NULL || images != NULL;
	if (!a->is_stream && text == NULL && calls == NULL)
		message_set(c, message, "content", lz->json_of_str(c, lz_strz("")));
	return message;
}

/* ---- log probabilities ---- */

static lz_json *
token_of(lz_call *c, const lz_json *said)
{
	lz_json *token = lz->json_new(c, LZ_OBJECT);

	message_set(c, token, "token", lz->json_at(said, "/token"));
	message_set(c, token, "logprob", lz->json_at(said, "/logProbability"));
	message_set(c, token, "bytes", lz->json_new(c, LZ_NULL));
	return token;
}

const lz_json *
logprobs_of(lz_call *c, const lz_json *result)
{
	const lz_json *chosen = lz->json_at(result, "/chosenCandidates");
	const lz_json *top = lz->json_at(result, "/topCandidates");
	lz_json *content = lz->json_new(c, LZ_ARRAY), *logprobs;

	if (lz->json_type(chosen) != LZ_ARRAY)
		return NULL;
	for (size_t i = 0, n = lz->json_len(chosen); i < n; i++) {
		lz_json *token = token_of(c, lz->json_item(chosen, i, NULL));
		lz_json *others = lz->json_new(c, LZ_ARRAY);
		const lz_json *list =
		    lz->json_at(lz->json_item(top, i, NULL), "/candidates");

		for (size_t k = 0, m = lz->json_len(list); k < m; k++)
			message_append(
			    c, &others, token_of(c, lz->json_item(list, k, NULL)));
		message_set(c, token, "top_logprobs", others);
		message_append(c, &content, token);
	}
	logprobs = lz->json_new(c, LZ_OBJECT);
	message_set(c, logprobs, "content", content);
	message_set(c, logprobs, "refusal", lz->json_new(c, LZ_NULL));
	return logprobs;
}
