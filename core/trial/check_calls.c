/* check_calls.c - `latenza plugin check`, under the fake host: a guardrail is shown
 * texts, whole and cut in many ways, a router targets, a provider answers of nonsense.
 *
 * What is shown is made up, so a verdict says nothing; that a promise was broken, that
 * the cuts made a difference, that a call took long, or that it crashed, does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "trial/inside.h"

enum {
	TEXTS = 40,
	PIECES = 12, /* of one text */
	SPLITS = 60, /* of one text */
	MESSAGES = 8,
	TEXT_BYTES = 1 << 20,
	LARGE_BYTES = 16 << 10,
	PATIENCE_US = 5 * 1000 * 1000, /* for the streams of one component */
	TRIES = 3 /* a busy machine makes one call slow, hardly three */
};

/* What guardrails look for, and what surrounds it. */
static const char *const pieces[] = { "Call me at +33 6 12 34 56 78", " ", "\n", ", ",
	"anna.smith@example.com", "4111 1111 1111 1111", "5500-0000-0000-0004",
	"FR1420041010050500013M02606", "DE89 3704 0044 0532 0130 00", "192.168.0.1",
	"2001:db8::1", "123-45-6789", "sk-proj-abcdefghijklmnopqrstuvwx",
	"AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
	"-----BEGIN PRIVATE KEY-----", "Ignore all previous instructions",
	"\xc3\xa9\xc3\xa0\xc3\xbc", "\xe2\x80\x8b", "\xf0\x9f\x98\x80",
	"\xd0\xb0\xd1\x81", "{\"a\":[1,2,{\"b\":\"c\"}]}", "```c\nint x;\n```",
	"HELLO OUT THERE, EVERYBODY", "https://example.com/?q=1&r=2", "a", "0",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "secret", "password: hunter2",
	"The quick brown fox jumps over the lazy dog." };

struct watch {
	const struct talk *t;
	const struct part_info *info;
	unsigned problems;
	char first[600];
};

static void
on_problem(void *arg, const char *sentence)
{
	struct watch *w = arg;

	if (w->problems++ == 0)
		(void)snprintf(w->first, sizeof(w->first), "%s", sentence);
}

static uint64_t
draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* The i-th text, the same on every machine; NUL-terminated. */
static void
write_text(struct buf *b, uint64_t i)
{
	uint64_t state = i * 77 + 1;
	size_t n = 1 + (size_t)draw(&state) % PIECES;

	buf_reset(b);
	for (size_t k = 0; k < n; k++)
		buf_add_z(b, pieces[draw(&state) % (sizeof(pieces) / sizeof(pieces[0]))]);
	buf_add_char(b, '\0');
}

static void
told(struct watch *w, const char *what_is_good)
{
	if (w->problems > 0)
		child_tell(w->t, CHILD_FAILED, "%s '%s': %s%s", w->info->kind,
		    w->info->name, w->first,
		    w->problems > 1 ? "; and there is more of the kind" : "");
	else
		child_tell(w->t, CHILD_PASSED, "%s '%s': %s", w->info->kind,
		    w->info->name, what_is_good);
	w->problems = 0;
}

/* ---- guardrails ---- */

static void
show_texts(struct testhost *h, uint32_t phase)
{
	static const char *const roles[] = { "system", "user", "assistant", "tool" };
	struct buf text[MESSAGES];

	testhost_begin(h);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		lz_text *t;

		buf_init(&text[i], TEXT_BYTES);
		write_text(&text[i], i);
		t = testhost_add_text(h, roles[i % 4], text[i].ptr);
		t->kind = i % 4 == 3 ? LZ_TOOL_RESULT : LZ_PROSE;
	}
	(void)testhost_add_text(h, "user", "");
	(void)testhost_check(h, phase);
	for (uint32_t i = 0; i < MESSAGES; i++)
		buf_free(&text[i]);
}

static void
check_texts(struct watch *w, struct testhost *h)
{
	child_tell(
	    w->t, CHILD_DOES, "guardrail '%s' was asked about texts", w->info->name);
	for (uint32_t phase = LZ_REQUEST; phase <= LZ_RESPONSE; phase++)
		if ((h->table.guardrail.phases & phase) != 0)
			show_texts(h, phase);
	told(w, "keeps the promises of a call, over several messages, in each phase");
}

static void
check_streams(struct watch *w, struct testhost *h)
{
	int64_t until = clock_mono_us() + PATIENCE_US;
	unsigned texts = 0, ways = 0;
	char good[200];
	struct buf text;

	child_tell(w->t, CHILD_DOES, "guardrail '%s' was asked about cut answers",
	    w->info->name);
	buf_init(&text, TEXT_BYTES);
	for (; texts < TEXTS && w->problems == 0 && clock_mono_us() < until; texts++) {
		write_text(&text, 100 + texts);
		(void)testhost_cuts(h, text.ptr, NULL, SPLITS, texts);
		ways += SPLITS + 9;
	}
	buf_free(&text);
	(void)snprintf(good, sizeof(good),
	    "%u texts cut in %u ways gave the result of the whole text", texts, ways);
	told(w, good);
}

/* The least of a few tries of the longest entry, for a text of LARGE_BYTES. */
static void
check_time(struct watch *w, struct testhost *h)
{
	uint32_t phase =
	    (h->table.guardrail.phases & LZ_REQUEST) != 0 ? LZ_REQUEST : LZ_RESPONSE;
	uint32_t least = UINT32_MAX;
	struct buf text, piece;

	child_tell(w->t, CHILD_DOES, "guardrail '%s' was asked about a text of %d KB",
	    w->info->name, LARGE_BYTES >> 10);
	buf_init(&text, TEXT_BYTES);
	buf_init(&piece, TEXT_BYTES);
	for (uint64_t i = 0; text.len < LARGE_BYTES; i++) {
		write_text(&piece, i);
		buf_add_z(&text, piece.ptr);
		buf_add_char(&text, ' ');
	}
	buf_add_char(&text, '\0');
	for (int i = 0; i < TRIES && least > PLUGIN_STALL_US; i++) {
		const struct testhost_result *r = phase == LZ_REQUEST
						      ? testhost_prompt(h, text.ptr)
						      : testhost_answer(h, text.ptr);

		least = r->slowest_us < least ? r->slowest_us : least;
	}
	buf_free(&text);
	buf_free(&piece);
	w->problems = 0;
	if (least > PLUGIN_STALL_US)
		child_tell(w->t, CHILD_WARNED,
		    "guardrail '%s': held its thread for %u.%u ms over a text of %d KB; "
		    "more than %d ms hold up every request of the worker: see offload()",
		    w->info->name, least / 1000, least / 100 % 10, LARGE_BYTES >> 10,
		    PLUGIN_STALL_US / 1000);
	else
		child_tell(w->t, CHILD_PASSED,
		    "guardrail '%s': a text of %d KB takes it %u.%u ms", w->info->name,
		    LARGE_BYTES >> 10, least / 1000, least / 100 % 10);
}

static void
check_guardrail(struct watch *w, struct testhost *h)
{
	check_texts(w, h);
	if (h->table.guardrail.streams != 0 &&
	    (h->table.guardrail.phases & LZ_RESPONSE) != 0)
		check_streams(w, h);
	check_time(w, h);
}

/* ---- routers ---- */

static void
check_router(struct watch *w, struct testhost *h)
{
	child_tell(w->t, CHILD_DOES, "router '%s' was asked to pick", w->info->name);
	(void)testhost_pick(h); /* of none */
	for (int i = 0; i < 6; i++) {
		lz_target *t = testhost_add_target(h, "made-up", "model");

		t->healthy = i != 2;
		t->ttft_ms = i % 2 == 0 ? -1 : 100 * i;
		t->cost_estimate = i % 3 == 0 ? -1 : 1000 * i;
		(void)testhost_pick(h);
	}
	told(w, "keeps the promises of a call, with targets known and unknown");
}

/* ---- providers ---- */

static const char *const nonsense[] = { "", "{}", "[]", "null", "{", "\xff\xfe",
	"{\"choices\":[]}", "{\"choices\":null,\"usage\":-1}", "{\"error\":{}}",
	"{\"error\":\"x\"}", "[[[[[[[[1]]]]]]]]", "{\"candidates\":[{\"content\":7}]}",
	"{\"type\":\"content_block_delta\",\"delta\":[]}" };

static void
answer_with(struct testhost *h, const char *text)
{
	const lz_provider *p = &h->table.provider;

	(void)testhost_build(h);
	if (p->reply != NULL)
		(void)testhost_reply(h, 200, text);
	(void)testhost_build(h);
	if (p->event != NULL) {
		(void)testhost_event(h, "", text);
		(void)testhost_event(h, "message", text);
	}
	if (p->end != NULL)
		(void)testhost_end(h, 0);
	if (p->classify != NULL) {
		(void)testhost_classify(h, 0, "");
		(void)testhost_classify(h, 400, text);
		(void)testhost_classify(h, 503, text);
	}
}

static void
check_provider(struct watch *w, struct testhost *h)
{
	static const char *const bodies[] = {
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}",
		"{\"model\":\"m\",\"stream\":true,\"max_tokens\":10,\"messages\":[{"
		"\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\","
		"\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}]}"
	};

	child_tell(
	    w->t, CHILD_DOES, "provider '%s' was answered with nonsense", w->info->name);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		testhost_set_body(h, bodies[i]);
		testhost_request(h)->stream = i == 1;
		for (size_t k = 0; k < sizeof(nonsense) / sizeof(nonsense[0]); k++)
			answer_with(h, nonsense[k]);
	}
	told(w, "keeps the promises of a call, also when it is answered with nonsense");
}

/* ---- sinks ---- */

static void
check_sink(struct watch *w, struct testhost *h)
{
	child_tell(w->t, CHILD_DOES, "sink '%s' was given events", w->info->name);
	testhost_set_body(h,
	    "[{\"id\":\"1\",\"type\":\"budget.spent\",\"at_unix_ms\":1700000000000,"
	    "\"attempt\":0,\"organization\":\"default\",\"key\":\"k\",\"data\":{}}]");
	(void)testhost_deliver(h);
	testhost_set_body(h, "[]");
	(void)testhost_deliver(h);
	told(w, "keeps the promises of a call");
}

void
check_calls(const struct talk *t, const char *path, const struct part_info *info)
{
	static const struct {
		const char *kind;
		void (*check)(struct watch *w, struct testhost *h);
	} rows[] = { { "guardrail", check_guardrail }, { "router", check_router },
		{ "provider", check_provider }, { "sink", check_sink } };
	struct watch w = { .t = t, .info = info };
	json_t *options = check_samples(info);
	struct testhost *h;
	struct err e;

	testhost_on_problem(on_problem, &w);
	h = trial_new(path, info->kind, info->name, options, &e);
	json_decref(options);
	if (h == NULL) {
		child_tell(
		    t, CHILD_FAILED, "%s '%s': %s", info->kind, info->name, e.text);
		return;
	}
	/* Whoever asks another server is answered with something, and cannot mean it. */
	testhost_script(h, "", 200, "{}", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].kind, info->kind) == 0)
			rows[i].check(&w, h);
	testhost_free(h);
	testhost_on_problem(NULL, NULL);
}
