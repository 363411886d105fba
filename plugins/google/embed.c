/* embed.c - vectors: embedContent for one text, batchEmbedContents for several.
 *
 * SPDX-License-Identifier: MIT
 */
#include "google.h"

#include <stdio.h>

enum {
	BATCH_MAX = 100 /* texts in one request, by Google's word */
};

static const char *const tasks[] = { NULL, "SEMANTIC_SIMILARITY", "CLASSIFICATION",
	"CLUSTERING", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", "CODE_RETRIEVAL_QUERY",
	"QUESTION_ANSWERING", "FACT_VERIFICATION" };

static int
is_same_word(lz_str s, const char *upper)
{
	if (s.len != strlen(upper))
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - ('a' - 'A'));
		if (c != upper[i])
			return 0;
	}
	return 1;
}

/* The caller's task_type, or the operator's. */
static const char *
task_of(struct work *w)
{
	const lz_json *said = lz->json_at(w->body, "/task_type");
	lz_str word = lz->json_str(said, lz_strz(""));

	if (lz->json_type(said) == LZ_NULL)
		return tasks[w->self->embedding_task];
	for (size_t i = 1; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (is_same_word(word, tasks[i]))
			return tasks[i];
	work_refuse(w, LZ_UPSTREAM_CALLER, "task_type",
	    "'task_type' is none of Google's: SEMANTIC_SIMILARITY, CLASSIFICATION, "
	    "CLUSTERING, RETRIEVAL_DOCUMENT, RETRIEVAL_QUERY, CODE_RETRIEVAL_QUERY, "
	    "QUESTION_ANSWERING, FACT_VERIFICATION");
	return NULL;
}

static void
fill(struct work *w, lz_json *request, const lz_json *text, const char *task)
{
	const lz_json *dimensions = lz->json_at(w->body, "/dimensions");
	lz_json *content = work_object(w), *part = work_object(w), *parts = work_array(w);

	work_set(w, part, "text", text);
	work_append(w, parts, part);
	work_set(w, content, "parts", parts);
	work_set(w, request, "content", content);
	if (task != NULL)
		work_set_word(w, request, "taskType", task);
	if (lz->json_type(dimensions) != LZ_NULL)
		work_set(w, request, "outputDimensionality", dimensions);
}

static lz_json *
name_of(struct work *w, lz_str model)
{
	static const char collection[] = "models/";
	size_t room = sizeof(collection) + model.len;
	char *name = lz->alloc(w->c, room);

	if (memchr(model.ptr, '/', model.len) != NULL)
		return lz->json_of_str(w->c, model);
	if (name == NULL)
		return NULL;
	return lz->json_of_str(
	    w->c, lz_strn(name, (size_t)snprintf(name, room, "%s%.*s", collection,
				    (int)model.len, model.ptr)));
}

static void
several(struct work *w, lz_str model, const lz_json *input, const char *task)
{
	lz_json *name = name_of(w, model), *requests = work_array(w);
	size_t n = lz->json_len(input);

	if (n > BATCH_MAX) {
		work_refuse(w, LZ_UPSTREAM_UNABLE, "input",
		    "Google takes at most 100 texts at once");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		lz_json *request = work_object(w);

		work_set(w, request, "model", name);
		fill(w, request, lz->json_item(input, i, NULL), task);
		work_append(w, requests, request);
	}
	work_set(w, w->out, "requests", requests);
}

void
embed_translate(struct work *w, lz_str model, int *many)
{
	const lz_json *input = lz->json_at(w->body, "/input");
	const lz_json *first = lz->json_item(input, 0, NULL);
	const char *task = task_of(w);
	size_t n = lz->json_len(w->body);
	lz_str name;

	for (size_t i = 0; i < n; i++) {
		static const char *const known[] = { "model", "input", "dimensions",
			"encoding_format", "task_type", "user" };
		int is_known = lz->json_type(lz->json_item(w->body, i, &name)) == LZ_NULL;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			is_known |= lz_eq(name, known[k]);
		if (!is_known)
			work_drop(w, name);
	}
	*many = lz->json_type(input) == LZ_ARRAY;
	if (*many && lz->json_type(first) != LZ_STRING)
		work_refuse(w, LZ_UPSTREAM_UNABLE, "input",
		    "Google makes vectors of texts, not of tokens");
	else if (*many)
		several(w, model, input, task);
	else
		fill(w, w->out, input, task);
}

/* The vectors as they came; the host writes them as the caller wants. Where Google counts
 * nothing, the caller is told what the host reckons, and the ledger that it is reckoned.
 */
int32_t
embed_reply(lz_call *c, const lz_json *said)
{
	const lz_json *list = lz->json_at(said, "/embeddings");
	const lz_json *one = lz->json_at(said, "/embedding/values");
	int64_t counted =
	    lz->json_int(lz->json_at(said, "/usageMetadata/promptTokenCount"), -1);
	lz_json *out = lz->json_new(c, LZ_OBJECT), *data = lz->json_new(c, LZ_ARRAY);
	size_t n = one != NULL ? 1 : lz->json_len(list);
	lz_usage u = { .size = sizeof(u), .input = counted };

	for (size_t i = 0; i < n; i++) {
		lz_json *item = lz->json_new(c, LZ_OBJECT);
		const lz_json *values =
		    one != NULL ? one
				: lz->json_at(lz->json_item(list, i, NULL), "/values");

		if (lz->json_type(values) != LZ_ARRAY)
			return LZ_E_FAIL;
		(void)lz->json_set(c, item, lz_strz("embedding"), values);
		(void)lz->json_put(c, data, "/-", item);
	}
	(void)lz->json_set(c, out, lz_strz("data"), data);
	if (counted >= 0) {
		(void)lz->usage(c, &u);
	} else {
		lz_json *reckoned = lz->json_of_int(c, lz->request(c)->prompt_tokens);

		(void)lz->json_put(c, out, "/usage/prompt_tokens", reckoned);
		(void)lz->json_put(c, out, "/usage/total_tokens", reckoned);
	}
	return lz->emit(c, out);
}
