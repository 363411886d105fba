/* injection.c - a guardrail that looks for instructions where data should be.
 *
 * Signs are found by heuristics and weighed; see README.md for what they are worth.
 * lexicon.c and words.c know sentences, marks.c what is no sentence, answer.c what is
 * dangerous in an answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "injection.h"

#include <stdio.h>

struct injection {
	/* options */
	double threshold, tool_factor;
	lz_list skip, allowed_hosts;
	int32_t action, check_system;
	/* ours */
	struct lexicon *lexicon;
	uint32_t wanted; /* signs that count */
};
enum {
	BLOCK,
	FLAG
};

/* A sign's weight; a score is the sum of one message's, each name once. */
static const struct {
	const char *name, *code, *why;
	double weight;
} signs[SIGNS] = {
	[OVERRIDE] = { "override", "injection.override",
	    "asks to ignore instructions given before", 0.9 },
	[OVERRIDE_LOOSE] = { "override", "injection.override", "asks to forget rules",
	    0.7 },
	[OVERRIDE_WEAK] = { "override", "injection.override",
	    "asks to ignore what stands above", 0.5 },
	[PERSONA] = { "persona", "injection.persona", "asks for a role without limits",
	    0.7 },
	[LEAK] = { "leak", "injection.leak", "asks for the system prompt", 0.8 },
	[LEAK_LOOSE] = { "leak", "injection.leak", "asks for instructions", 0.4 },
	[SPOOF] = { "spoof", "injection.spoof", "opens a system's turn", 0.9 },
	[SPOOF_LOOSE] = { "spoof", "injection.spoof", "carries marks of a chat template",
	    0.5 },
	[HIDDEN] = { "hidden", "injection.hidden", "carries text that nobody sees", 0.9 },
	[APART] = { "hidden", "injection.hidden", "has unseen characters between letters",
	    0.4 },
	[MIXED] = { "mixed", "injection.mixed", "mixes alphabets within words", 0.4 },
	[ENCODED] = { "encoded", "injection.encoded", "carries instructions in code",
	    0.9 },
	[ENCODED_LOOSE] = { "encoded", "injection.encoded",
	    "asks to follow what is encoded", 0.5 },
	[ADDRESSED] = { "addressed", "injection.addressed",
	    "tells the assistant what to do", 0.5 },
	[EXFILTRATION] = { "exfiltration", "injection.exfiltration",
	    "an image's address carries data", 0.9 },
};

/* ---- verdicts ---- */

static void
tell(lz_call *c, uint32_t found)
{
	for (int i = 0; i < SIGNS; i++) {
		if ((found & SIGN(i)) != 0)
			lz->reason(c, lz_strz(signs[i].code), lz_strz(signs[i].why));
	}
}

static int32_t
decide(const struct injection *g, lz_call *c, uint32_t found, double factor)
{
	double score = 0;

	found &= g->wanted;
	/* Signs of one name stand side by side, the gravest first: it speaks for all. */
	for (int i = 0; i < SIGNS; i++) {
		if ((found & SIGN(i)) == 0)
			continue;
		score += signs[i].weight;
		while (i + 1 < SIGNS && strcmp(signs[i + 1].name, signs[i].name) == 0)
			i++;
	}
	if (found == 0 || score * factor < g->threshold)
		return LZ_OK;
	tell(c, found);
	return g->action == BLOCK ? LZ_BLOCK : LZ_FLAG;
}

/* ---- requests ---- */

/* What is known of the message whose texts are being read. */
struct message {
	struct window plain, text;
	uint32_t found, index, kind;
	bool is_open;
};

static bool
is_same(lz_str a, lz_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static void
read_text(const struct injection *g, lz_call *c, const lz_text *t, struct message *m)
{
	lz_str plain = t->plain.ptr != NULL ? t->plain : t->text;

	marks_of_roles(t->text, plain, &m->found);
	marks_of_disguise(t->text, &m->found);
	/* Of an assistant's turn in the history only the marks: it may well talk about
	 * this. */
	if (lz_eq(t->role, "assistant") && t->kind == LZ_PROSE)
		return;
	words_read(g->lexicon, &m->plain, plain, &m->found);
	if (!is_same(plain, t->text))
		words_read(g->lexicon, &m->text, t->text, &m->found);
	marks_of_encoding(g->lexicon, c, plain, &m->found);
}

static int32_t
close_message(const struct injection *g, lz_call *c, struct message *m)
{
	bool is_tool = m->kind == LZ_TOOL_RESULT;

	if (!is_tool)
		m->found &= ~SIGN(ADDRESSED);
	return m->is_open ? decide(g, c, m->found, is_tool ? g->tool_factor : 1) : LZ_OK;
}

static int32_t
check_request(const struct injection *g, lz_call *c)
{
	struct message m = { .is_open = false };
	int32_t verdict = LZ_OK, rc;

	for (size_t i = 0; i <= lz->texts(c); i++) {
		const lz_text *t = i < lz->texts(c) ? lz->text(c, i) : NULL;

		if (t != NULL && !g->check_system &&
		    (lz_eq(t->role, "system") || lz_eq(t->role, "developer")))
			continue;
		/* Parts of one message are one text to the model. */
		if (t == NULL || !m.is_open || t->message != m.index ||
		    t->kind != m.kind) {
			rc = close_message(g, c, &m);
			if (rc == LZ_BLOCK)
				return rc;
			verdict = rc != LZ_OK ? rc : verdict;
			memset(&m, 0, sizeof(m));
		}
		if (t == NULL)
			break;
		m.is_open = true;
		m.index = t->message;
		m.kind = t->kind;
		read_text(g, c, t, &m);
	}
	return verdict;
}

/* ---- answers, whole or growing ---- */

static int32_t
check_answer(const struct injection *g, lz_call *c)
{
	int32_t verdict = LZ_OK;

	for (size_t i = 0; i < lz->texts(c); i++) {
		const lz_text *t = lz->text(c, i);

		for (size_t at = t->seen; at < t->text.len;) {
			struct look l =
			    answer_look(t->text, at, t->final, &g->allowed_hosts);
			int32_t rc = LZ_OK;

			if (l.is_open) {
				(void)lz->hold(c, i, at);
				break;
			}
			if (l.len > 0)
				rc = decide(g, c, SIGN(l.sign), 1);
			if (rc == LZ_BLOCK)
				return rc;
			verdict = rc != LZ_OK ? rc : verdict;
			at += l.len > 0 ? l.len : 1;
		}
	}
	return verdict;
}

static int32_t
check(void *self, lz_call *c)
{
	return lz->request(c)->phase == LZ_REQUEST ? check_request(self, c)
						   : check_answer(self, c);
}

/* ---- an instance ---- */

/* The first that is no host, and so would never be met. */
static const lz_str *
first_no_host(const lz_list *list)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789.-_:[]";

	for (size_t i = 0; i < list->count; i++) {
		lz_str host = list->items[i];

		if (host.len == 0)
			return &list->items[i];
		for (size_t at = 0; at < host.len; at++)
			if (memchr(may, host.ptr[at], sizeof(may) - 1) == NULL)
				return &list->items[i];
	}
	return NULL;
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	struct injection *g = self;
	const lz_str *wrong = first_no_host(&g->allowed_hosts);

	if (wrong != NULL) {
		(void)snprintf(err, err_len,
		    "allowed_hosts: \"%.*s\" is no host; write images.example.com, which "
		    "is for all below it, too",
		    (int)(wrong->len < 100 ? wrong->len : 100), wrong->ptr);
		return LZ_E_INVALID;
	}
	g->wanted = SIGN(SIGNS) - 1;
	for (size_t i = 0; i < g->skip.count; i++) {
		for (int k = 0; k < SIGNS; k++) {
			if (lz_eq(g->skip.items[i], signs[k].name))
				g->wanted &= ~SIGN(k);
		}
	}
	g->lexicon = lexicon_new();
	if (g->lexicon == NULL) {
		(void)snprintf(err, err_len, "no memory");
		return LZ_E_NOMEM;
	}
	return LZ_OK;
}

static void
fini(void *self)
{
	lexicon_free(((struct injection *)self)->lexicon);
}

static const lz_option options[] = {
	LZ_OPT_CHOICE(struct injection, action, "block", "block|flag",
	    "what a score of the threshold or more leads to"),
	LZ_OPT_REAL(struct injection, threshold, "0.7", 0.1, 3,
	    "the score from which on a message counts as an injection"),
	LZ_OPT_REAL(struct injection, tool_factor, "1.5", 1, 10,
	    "what a tool's result is weighed with: it should hold no instructions"),
	LZ_OPT_LIST(struct injection, skip, "",
	    "override|persona|leak|spoof|hidden|mixed|encoded|addressed|exfiltration",
	    "signs that do not count"),
	LZ_OPT_LIST(struct injection, allowed_hosts, "", NULL,
	    "hosts, and all below them, that images in answers may come from"),
	LZ_OPT_BOOL(struct injection, check_system, "false",
	    "look at system and developer messages, too"),
};
static const lz_guardrail guardrail = {
	.size = sizeof(guardrail),
	.phases = LZ_REQUEST | LZ_RESPONSE,
	.needs = LZ_NEEDS_TEXTS,
	.streams = 1,
	.context = 16,
	.check = check,
};
static const lz_component parts[] = { {
    .kind = LZ_GUARDRAIL,
    .name = "injection",
    .summary = "Prompt injection, by documented heuristics",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct injection),
    .init = init,
    .fini = fini,
} };
LZ_PLUGIN("injection", "0.1.0", "MIT", parts)
