/* verdict.c - what the service said of the inputs, and what that leads to.
 *
 * An answer that is not understood to the last result is an error, never a pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include "moderation.h"

#include <stdio.h>

enum action {
	IGNORE,
	FLAG,
	BLOCK
};

/* ---- categories ---- */

static bool
is_plain(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch >= '0' && ch <= '9') || ch == '_' || ch == '-' || ch == '/' ||
	       ch == '.';
}

/* 2: the list names it; 1: a name of the list that ends in * does; 0: it does not. */
static int
named_by(const lz_list *list, lz_str category)
{
	int best = 0;

	for (size_t i = 0; i < list->count; i++) {
		lz_str one = list->items[i];

		if (one.len == category.len &&
		    memcmp(one.ptr, category.ptr, one.len) == 0)
			return 2;
		if (one.len > 0 && one.ptr[one.len - 1] == '*' &&
		    one.len - 1 <= category.len &&
		    memcmp(one.ptr, category.ptr, one.len - 1) == 0)
			best = 1;
	}
	return best;
}

static enum action
action_of(const struct moderation *m, lz_str category)
{
	int block = named_by(&m->block, category), flag = named_by(&m->flag, category);

	if (block == 0 && flag == 0)
		return IGNORE;
	return block >= flag ? BLOCK : FLAG;
}

/* The member of that name; the pointer's signs are escaped. */
static const lz_json *
member(const lz_json *object, lz_str name)
{
	char pointer[2 * CATEGORY_BYTES + 2] = "/";
	size_t n = 1;

	if (name.len > CATEGORY_BYTES)
		return NULL;
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '/' || name.ptr[i] == '~')
			pointer[n++] = '~';
		pointer[n++] = name.ptr[i] == '/'   ? '1'
			       : name.ptr[i] == '~' ? '0'
						    : name.ptr[i];
	}
	pointer[n] = '\0';
	return lz->json_at(object, pointer);
}

static bool
is_sane(lz_str category)
{
	for (size_t i = 0; i < category.len; i++)
		if (!is_plain(category.ptr[i]) &&
		    !(category.ptr[i] == '*' && i + 1 == category.len))
			return false;
	return category.len > 0 && category.len <= CATEGORY_BYTES;
}

static int32_t
vet_list(const char *name, const lz_list *list, char *err, size_t err_len)
{
	for (size_t i = 0; i < list->count; i++) {
		if (is_sane(list->items[i]))
			continue;
		(void)snprintf(err, err_len,
		    "%s[%zu]: a category has 1 to %d letters, digits and - _ / . and may "
		    "end in *",
		    name, i, CATEGORY_BYTES);
		return LZ_E_INVALID;
	}
	return LZ_OK;
}

int32_t
verdict_vet(const struct moderation *m, char *err, size_t err_len)
{
	int32_t rc = vet_list("block", &m->block, err, err_len);

	if (rc == LZ_OK)
		rc = vet_list("flag", &m->flag, err, err_len);
	for (size_t i = 0; rc == LZ_OK && i < lz->json_len(m->thresholds); i++) {
		lz_str key;
		double v = lz->json_num(lz->json_item(m->thresholds, i, &key), -1);

		if (is_sane(key) && key.ptr[key.len - 1] != '*' && v > 0 && v <= 1)
			continue;
		(void)snprintf(err, err_len,
		    "thresholds.%.*s: a category's name and a number above 0 and at most "
		    "1 "
		    "are wanted",
		    (int)(key.len < CATEGORY_BYTES ? key.len : CATEGORY_BYTES), key.ptr);
		rc = LZ_E_INVALID;
	}
	return rc;
}

/* ---- one result ---- */

static void
tell(lz_call *c, lz_str category)
{
	char code[CATEGORY_BYTES + 16] = "moderation.", message[CATEGORY_BYTES + 64];
	size_t n = strlen(code);

	for (size_t i = 0; i < category.len && i < CATEGORY_BYTES; i++)
		code[n++] = category.ptr[i];
	for (size_t i = 11; i < n; i++)
		if (!is_plain(code[i]))
			code[i] = '_';
	(void)snprintf(message, sizeof(message), "the moderation service found '%.*s'",
	    (int)(n - 11), code + 11);
	lz->reason(c, lz_strn(code, n), lz_strz(message));
}

struct result {
	const lz_json *flagged, *categories, *scores;
};

/* Is it above its threshold, or, without one, what the service calls flagged? */
static int32_t
is_hit(const struct moderation *m, lz_call *c, const struct result *r, lz_str category,
    bool *hit)
{
	double limit = lz->json_num(member(m->thresholds, category), m->limit), score;
	const lz_json *flag = member(r->categories, category);

	if (limit > 0) {
		score = lz->json_num(member(r->scores, category), -1);
		if (score < 0)
			return ask_wrong(c, "the service gave no score for a category");
		*hit = score >= limit;
		return LZ_OK;
	}
	if (lz->json_type(flag) != LZ_BOOL)
		return ask_wrong(c, "the service did not say whether a category holds");
	*hit = lz->json_bool(flag, 0) != 0;
	return LZ_OK;
}

/* A threshold for what the service does not know never holds, and nobody would see it. */
static int32_t
knows_thresholds(const struct moderation *m, lz_call *c, const struct result *r)
{
	for (size_t i = 0; i < lz->json_len(m->thresholds); i++) {
		lz_str key;

		(void)lz->json_item(m->thresholds, i, &key);
		if (member(r->scores, key) == NULL)
			return ask_wrong(
			    c, "thresholds names a category that the service does not");
	}
	return LZ_OK;
}

static int32_t
judge_result(const struct moderation *m, lz_call *c, const struct result *r)
{
	const lz_json *list =
	    lz->json_type(r->scores) == LZ_OBJECT ? r->scores : r->categories;
	enum action worst = IGNORE, one;
	bool hit = false, is_any = false;
	int32_t rc = knows_thresholds(m, c, r);

	for (int pass = FLAG; rc == LZ_OK && pass <= BLOCK; pass++) {
		for (size_t i = 0; rc == LZ_OK && i < lz->json_len(list); i++) {
			lz_str category;

			(void)lz->json_item(list, i, &category);
			rc = is_hit(m, c, r, category, &hit);
			if (rc != LZ_OK || !hit)
				continue;
			is_any = true;
			one = action_of(m, category);
			if (one == (enum action)pass)
				tell(c, category);
			if (one > worst)
				worst = one;
		}
	}
	/* Flagged for a reason that it has no name for. */
	if (rc == LZ_OK && !is_any && m->limit <= 0 && lz->json_len(m->thresholds) == 0 &&
	    lz->json_bool(r->flagged, 0) != 0) {
		worst = action_of(m, lz_strz("flagged"));
		if (worst != IGNORE)
			tell(c, lz_strz("flagged"));
	}
	if (rc != LZ_OK)
		return rc;
	return worst == BLOCK ? LZ_BLOCK : worst == FLAG ? LZ_FLAG : LZ_OK;
}

static int32_t
judge(const struct moderation *m, lz_call *c, const lz_json *answer, size_t count)
{
	const lz_json *results = lz->json_at(answer, "/results");
	int32_t worst = LZ_OK, one;

	if (lz->json_type(results) != LZ_ARRAY || lz->json_len(results) != count)
		return ask_wrong(
		    c, "the service did not answer with a result for each input");
	for (size_t i = 0; i < count; i++) {
		const lz_json *j = lz->json_item(results, i, NULL);
		struct result r = { lz->json_at(j, "/flagged"),
			lz->json_at(j, "/categories"),
			lz->json_at(j, "/category_scores") };

		if (lz->json_type(r.flagged) != LZ_BOOL ||
		    lz->json_type(r.categories) != LZ_OBJECT)
			return ask_wrong(
			    c, "a result of the service lacks flagged or categories");
		one = judge_result(m, c, &r);
		if (one < 0 || one == LZ_BLOCK)
			return one;
		if (one == LZ_FLAG)
			worst = one;
	}
	return worst;
}

int32_t
verdict_of(const struct moderation *m, lz_call *c, const lz_reply *r, size_t count)
{
	int32_t rc = ask_answered(c, r, "the service");
	const lz_json *answer;

	if (rc != LZ_OK)
		return rc;
	answer = lz->json_parse(c, r->body);
	if (answer == NULL)
		return ask_wrong(c, "the service's answer is no JSON");
	return judge(m, c, answer, count);
}
