/* guard_plugin.c - guardrails for tests: one word, and whatever a guardrail may do about
 * it. `word` works on a growing text, `whole` does not.
 *
 * SPDX-License-Identifier: MIT
 */
#include <latenza/plugin.h>

enum {
	MASK,
	BLOCK,
	FLAG,
	REVEAL,
	REROUTE,
	AGAIN,
	FAIL,
	HOLD,
	TREE,
	PASS
};

struct word {
	lz_str word, with, only;
	int64_t delay_ms;
	int32_t action;
};

static int
begins_like(lz_str word, const char *p, size_t n)
{
	return memcmp(word.ptr, p, n < word.len ? n : word.len) == 0;
}

static int32_t
found(const struct word *g, lz_call *c, size_t i, size_t at)
{
	lz_str model = g->with;

	lz->reason(c, g->action == REROUTE ? model : lz_strz("test.word"), g->with);
	switch (g->action) {
	case MASK:
		return lz->replace(c, i, at, at + g->word.len, g->with);
	case REVEAL:
		return lz->request(c)->phase == LZ_RESPONSE
			   ? lz->reveal(c, i, at, at + g->word.len, g->with)
			   : LZ_OK;
	case HOLD:
		return lz->hold(c, i, at);
	case BLOCK:
		return LZ_BLOCK;
	case REROUTE:
		return LZ_REROUTE;
	case AGAIN:
		return LZ_AGAIN;
	case FAIL:
		return LZ_E_FAIL;
	case FLAG:
		return LZ_FLAG;
	default:
		return LZ_OK;
	}
}

static int32_t
judge(const struct word *g, lz_call *c)
{
	int32_t result = LZ_OK, one;

	for (size_t i = 0; i < lz->texts(c); i++) {
		const lz_text *t = lz->text(c, i);
		size_t end = t->text.len;

		if (g->only.len > 0 &&
		    !(t->role.len == g->only.len &&
			memcmp(t->role.ptr, g->only.ptr, g->only.len) == 0))
			continue;
		for (size_t at = t->seen; at < end; at++) {
			if (!begins_like(g->word, t->text.ptr + at, end - at))
				continue;
			if (end - at < g->word.len) {
				if (!t->final)
					(void)lz->hold(c, i, at);
				break;
			}
			one = found(g, c, i, at);
			if (one < 0 || one == LZ_BLOCK || one == LZ_REROUTE ||
			    one == LZ_AGAIN)
				return one;
			if (one > result)
				result = one;
			at += g->word.len - 1;
		}
	}
	return result;
}

static void
later(lz_call *c, int32_t error, void *ud)
{
	lz->finish(c, error == LZ_OK ? judge(ud, c) : error);
}

static int32_t
edit_tree(const struct word *g, lz_call *c)
{
	lz_json *tree = lz->edit(c);

	if (tree == NULL)
		return LZ_E_FAIL;
	if (lz->request(c)->phase == LZ_REQUEST)
		return lz->json_put(
		    c, tree, "/messages/0/content", lz->json_of_str(c, g->with));
	return lz->json_put(
	    c, tree, "/choices/0/message/content", lz->json_of_str(c, g->with));
}

static int32_t
check(void *self, lz_call *c)
{
	struct word *g = self;

	if (g->action == TREE)
		return edit_tree(g, c);
	if (g->action == FAIL && g->word.len == 0)
		return LZ_E_FAIL;
	if (g->delay_ms == 0)
		return judge(g, c);
	return lz->after(c, (uint32_t)g->delay_ms, later, g) == LZ_OK ? LZ_PENDING
								      : LZ_E_FAIL;
}

static int32_t
pass(void *self, lz_call *c)
{
	(void)self;
	(void)c;
	return LZ_OK;
}

/* How many there were, and how many are gone: counted for test_reload. */
static void
count(const char *name, const char *help)
{
	lz->observe(lz->metric(LZ_COUNTER, name, help), 1);
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	(void)self, (void)err, (void)err_len;
	count("made", "instances made");
	return LZ_OK;
}

static void
fini(void *self)
{
	(void)self;
	count("ended", "instances ended");
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct word, word, "", NULL, "what is looked for"),
	LZ_OPT_TEXT(struct word, with, "***", NULL, "what is put in its place, or said"),
	LZ_OPT_TEXT(struct word, only, "", NULL, "in texts of this role alone"),
	LZ_OPT_CHOICE(struct word, action, "mask",
	    "mask|block|flag|reveal|reroute|again|fail|hold|tree|pass", "what is done"),
	LZ_OPT_INT(struct word, delay_ms, "0", 0, 60000, NULL, "how long it thinks"),
};
static const lz_guardrail growing = { .size = sizeof(growing),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.streams = 1,
	.context = 1,
	.check = check };
static const lz_guardrail still = { .size = sizeof(still),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.check = check };
static const lz_guardrail nothing = { .size = sizeof(nothing),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.streams = 1,
	.check = pass };
static const lz_component parts[] = {
	{ .kind = LZ_GUARDRAIL,
	    .name = "word",
	    .summary = "One word, on growing texts",
	    .vtable = &growing,
	    .init = init,
	    .fini = fini,
	    LZ_OPTIONS_OF(options),
	    .instance_size = sizeof(struct word) },
	{ .kind = LZ_GUARDRAIL,
	    .name = "whole",
	    .summary = "One word, on whole texts",
	    .vtable = &still,
	    LZ_OPTIONS_OF(options),
	    .instance_size = sizeof(struct word) },
	{ .kind = LZ_GUARDRAIL,
	    .name = "nothing",
	    .summary = "Lets everything pass",
	    .vtable = &nothing },
};
LZ_PLUGIN("test.guards", "1.0.0", "MIT", parts)
