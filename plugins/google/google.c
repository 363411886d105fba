/* google.c - Google's Gemini API: where a request goes, and with which headers.
 *
 * Nothing of it is OpenAI's: request.c and content.c make a request of Google's from the
 * caller's, answer.c makes OpenAI's answers from Google's, embed.c does both for vectors,
 * fault.c says whose fault an error is. What one side has no word for is listed in
 * README.md; nothing else may get lost.
 *
 * SPDX-License-Identifier: MIT
 */
#include "google.h"

#include <stdio.h>

/* ---- helpers of all files ---- */

int
work_goes_on(const struct work *w)
{
	return w->refused == 0 && !w->is_short;
}

lz_json *
work_object(struct work *w)
{
	lz_json *j = lz->json_new(w->c, LZ_OBJECT);

	w->is_short |= j == NULL;
	return j;
}

lz_json *
work_array(struct work *w)
{
	lz_json *j = lz->json_new(w->c, LZ_ARRAY);

	w->is_short |= j == NULL;
	return j;
}

void
work_set(struct work *w, lz_json *object, const char *key, const lz_json *value)
{
	w->is_short |=
	    value == NULL || lz->json_set(w->c, object, lz_strz(key), value) != LZ_OK;
}

void
work_set_str(struct work *w, lz_json *object, const char *key, lz_str value)
{
	work_set(w, object, key, lz->json_of_str(w->c, value));
}

void
work_set_word(struct work *w, lz_json *object, const char *key, const char *value)
{
	work_set_str(w, object, key, lz_strz(value));
}

void
work_append(struct work *w, lz_json *array, const lz_json *value)
{
	w->is_short |= value == NULL || lz->json_put(w->c, array, "/-", value) != LZ_OK;
}

lz_json *
work_config(struct work *w)
{
	if (w->config == NULL)
		w->config = work_object(w);
	return w->config;
}

void
work_refuse(struct work *w, int32_t upstream, const char *param, const char *message)
{
	lz_fault f = { .size = sizeof(f), .upstream = upstream, .status = 400 };

	if (!work_goes_on(w))
		return;
	if (upstream == LZ_UPSTREAM_UNABLE)
		f.code = lz_strz("unsupported_parameter");
	f.message = lz_strz(message);
	f.param = lz_strz(param);
	w->refused = lz->fail(w->c, &f);
	if (w->refused == LZ_OK)
		w->refused = LZ_E_FAIL;
}

void
work_drop(struct work *w, lz_str name)
{
	/* A name that fits into no header is told of all the same. */
	if (lz->dropped(w->c, name) == LZ_E_INVALID)
		(void)lz->dropped(w->c, lz_strz("other"));
}

lz_str
string_at(const lz_json *j, const char *pointer)
{
	return lz->json_str(lz->json_at(j, pointer), lz_strn(NULL, 0));
}

int
has_prefix(lz_str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

int
contains(lz_str s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.len; i++)
		if (memcmp(s.ptr + i, word, n) == 0)
			return 1;
	return 0;
}

/* ---- where it goes ---- */

/* "gemini-2.5-flash" is 25, "gemini-3-pro" 30. A name without a number, as
 * gemini-flash-latest, is taken for the newest. */
static int
generation_of(lz_str model)
{
	static const char family[] = "gemini-";
	int n = 0, digits = 0, tenth = 0;
	size_t i = has_prefix(model, "models/") ? strlen("models/") : 0;
	lz_str name = lz_strn(model.ptr + i, model.len - i);

	if (!has_prefix(name, family))
		return GENERATION_NONE;
	for (i = strlen(family); i < name.len; i++, digits++) {
		if (name.ptr[i] < '0' || name.ptr[i] > '9' || digits == 2)
			break;
		n = n * 10 + (name.ptr[i] - '0');
	}
	if (i + 1 < name.len && name.ptr[i] == '.' && name.ptr[i + 1] >= '0' &&
	    name.ptr[i + 1] <= '9')
		tenth = name.ptr[i + 1] - '0';
	return digits > 0 ? n * 10 + tenth : GENERATION_LEVELS;
}

/* Tuned models, and who writes it out, have a collection in their name. */
static int32_t
set_url(lz_call *c, lz_http *out, lz_str model, const char *method)
{
	static const char collection[] = "models/";
	size_t room = out->url.len + model.len + strlen(method) + sizeof(collection) + 2;
	char *url = lz->alloc(c, room);
	int is_named = memchr(model.ptr, '/', model.len) != NULL;

	if (url == NULL)
		return LZ_E_NOMEM;
	out->url = lz_strn(url,
	    (size_t)snprintf(url, room, "%.*s/%s%.*s%s", (int)out->url.len, out->url.ptr,
		is_named ? "" : collection, (int)model.len, model.ptr, method));
	return LZ_OK;
}

static int32_t
set_headers(lz_call *c, lz_http *out)
{
	lz_header *h = lz->alloc(c, 2 * sizeof(*h));
	lz_str key = lz->credential(c);

	if (h == NULL)
		return LZ_E_NOMEM;
	out->headers = h;
	out->header_count = 1;
	h[0] = lz_head(lz_strz("content-type"), lz_strz("application/json"));
	if (key.len > 0)
		h[out->header_count++] = lz_head(lz_strz("x-goog-api-key"), key);
	return LZ_OK;
}

static int
is_embedding(lz_call *c)
{
	return lz_eq(lz->request(c)->route, "embeddings");
}

static int32_t
build(void *self, lz_call *c, lz_http *out)
{
	const lz_target *target = lz->chosen(c);
	lz_str model = target->upstream_model;
	struct work w = { .self = self, .c = c, .body = lz->body(c) };
	const char *method = ":generateContent";
	int many = 0;
	int32_t result;

	w.generation = generation_of(model);
	w.thinks =
	    w.generation >= GENERATION_THINKS &&
	    (target->capabilities == 0 || (target->capabilities & LZ_CAN_REASON) != 0);
	w.out = work_object(&w);
	if (is_embedding(c)) {
		embed_translate(&w, model, &many);
		method = many ? ":batchEmbedContents" : ":embedContent";
	} else {
		request_translate(&w);
		if (lz->request(c)->stream)
			method = ":streamGenerateContent?alt=sse";
	}
	if (w.refused != 0)
		return w.refused;
	result = set_url(c, out, model, method);
	if (result == LZ_OK)
		result = set_headers(c, out);
	out->body = lz->json_text(c, w.out);
	return w.is_short || out->body.ptr == NULL ? LZ_E_NOMEM : result;
}

/* ---- what comes back ---- */

static int32_t
reply(void *self, lz_call *c, const lz_reply *r)
{
	const lz_json *answer = lz->json_parse(c, r->body);

	(void)self;
	if (fault_find(answer) != NULL)
		return fault_fail(c, answer);
	return is_embedding(c) ? embed_reply(c, answer) : answer_reply(c, answer);
}

static int32_t
event(void *self, lz_call *c, lz_str name, lz_str data)
{
	(void)self;
	(void)name; /* Google gives none */
	return answer_event(c, data);
}

static int32_t
end(void *self, lz_call *c, int32_t clean)
{
	(void)self;
	return answer_end(c, clean);
}

static int32_t
classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	(void)self;
	fault_read(lz->json_parse(c, r->body), out);
	return LZ_OK;
}

static const lz_option options[] = {
	LZ_OPT_CHOICE(struct google, safety, "vendor", "vendor|off|none|high|medium|low",
	    "what Google's filters block: vendor, its own default; off, no filter; none, "
	    "filtered but never blocked; else what is at least so likely harmful"),
	LZ_OPT_CHOICE(struct google, embedding_task, "none",
	    "none|semantic_similarity|classification|clustering|retrieval_document|"
	    "retrieval_query|code_retrieval_query|question_answering|fact_verification",
	    "what vectors are for when the request has no task_type"),
	LZ_OPT_BOOL(struct google, account_files, "false",
	    "callers may name files of this account: gs:// and the Files API"),
};
static const lz_provider provider = {
	.size = sizeof(provider),
	.needs = LZ_NEEDS_BODY,
	.framing = LZ_SSE,
	.routes = "chat embeddings",
	.build = build,
	.reply = reply,
	.event = event,
	.end = end,
	.classify = classify,
	.base_url = "https://generativelanguage.googleapis.com/v1beta",
};
static const lz_component parts[] = { {
    .kind = LZ_PROVIDER,
    .name = "google",
    .summary = "Google's Gemini API",
    .vtable = &provider,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct google),
} };
LZ_PLUGIN("google", "0.1.0", "MIT", parts)
