/* question.c - what the hook is asked: who calls whom, and the texts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

static bool
set(lz_call *c, lz_json *object, const char *name, const lz_json *value)
{
	return value != NULL && lz->json_set(c, object, lz_strz(name), value) == LZ_OK;
}

/* What is not known is null. */
static bool
set_str(lz_call *c, lz_json *object, const char *name, lz_str value)
{
	return set(c, object, name,
	    value.ptr != NULL ? lz->json_of_str(c, value) : lz->json_new(c, LZ_NULL));
}

static lz_json *
text_of(lz_call *c, size_t i)
{
	static const char *const kinds[] = { [LZ_PROSE] = "prose",
		[LZ_TOOL_ARGUMENTS] = "tool_arguments",
		[LZ_TOOL_RESULT] = "tool_result",
		[LZ_REASONING] = "reasoning" };
	const lz_text *t = lz->text(c, i);
	const char *kind =
	    t->kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[t->kind] : "prose";
	lz_json *j = lz->json_new(c, LZ_OBJECT);
	bool is_answer = lz->request(c)->phase == LZ_RESPONSE;

	if (set(c, j, "index", lz->json_of_int(c, (int64_t)i)) &&
	    set(c, j, is_answer ? "choice" : "message",
		is_answer                 ? lz->json_of_int(c, t->choice)
		: t->message <= INT32_MAX ? lz->json_of_int(c, t->message)
					  : lz->json_new(c, LZ_NULL)) &&
	    set_str(c, j, "role", t->role) && set_str(c, j, "kind", lz_strz(kind)) &&
	    set_str(c, j, "name", t->name) && set_str(c, j, "text", t->text))
		return j;
	return NULL;
}

static lz_json *
texts_of(const struct hook *h, lz_call *c, bool *is_too_long)
{
	lz_json *list = lz->json_new(c, LZ_ARRAY);
	size_t bytes = 0;

	for (size_t i = 0; list != NULL && i < lz->texts(c); i++) {
		const lz_json *one;

		bytes += lz->text(c, i)->text.len;
		if (bytes > (size_t)h->max_bytes) {
			*is_too_long = true;
			return NULL;
		}
		one = text_of(c, i);
		if (one == NULL || lz->json_put(c, list, "/-", one) != LZ_OK)
			return NULL;
	}
	return list;
}

int32_t
question_of(const struct hook *h, lz_call *c, lz_str *out)
{
	const lz_request *q = lz->request(c);
	const char *phase = q->phase == LZ_REQUEST ? "request" : "response";
	lz_json *j = lz->json_new(c, LZ_OBJECT);
	bool is_too_long = false;

	if (!set_str(c, j, "id", q->id) || !set_str(c, j, "phase", lz_strz(phase)) ||
	    !set_str(c, j, "route", q->route) || !set_str(c, j, "model", q->model) ||
	    !set(c, j, "stream", lz->json_of_bool(c, q->stream != 0)) ||
	    !set_str(c, j, "key", q->key) ||
	    !set_str(c, j, "organization", q->organization) ||
	    !set_str(c, j, "assistant", q->assistant) ||
	    !set_str(c, j, "user", q->user) ||
	    !set(c, j, "texts", texts_of(h, c, &is_too_long))) {
		return is_too_long ? ask_too_long(c) : LZ_E_NOMEM;
	}
	*out = lz->json_text(c, j);
	return out->ptr != NULL ? LZ_OK : LZ_E_NOMEM;
}
