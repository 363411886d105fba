/* latenza/testhost.h - a fake host for tests of plugins: what the gateway promises a component, without
 * a gateway.
 *
 *     cc -o test_mine test_mine.c mine.c $(pkg-config --cflags --libs latenza-testhost) && ./test_mine
 *
 *     struct testhost *h = testhost_new(NULL, "my-guard", "{\"action\":\"block\"}");
 *     const struct testhost_result *r = testhost_prompt(h, "my card is 4111 1111 1111 1111");
 *     assert(r->verdict == LZ_BLOCK);
 *     assert(testhost_cuts(h, "pay 4111 1111 1111 1111 now", "4111 1111 1111 1111", 1000, 1) == 0);
 *     testhost_free(h);
 *
 * The component is the real one; the host is a table of functions that keeps time by a virtual clock,
 * answers http() from a script, and is stricter than the gateway where a gateway must be patient:
 *
 * - What a call was shown, and alloc(), is unmapped when the call is over: a pointer that was kept ends
 *   the test where it is used. Texts end at a page that cannot be read, and no text ends in a NUL.
 * - A broken promise is a problem: one sentence that names the plugin. finish() twice, LZ_PENDING with
 *   nothing under way, a host function from the wrong thread or with a call that is over, an edit that
 *   overlaps another or lies in what is out already, a result that its kind does not know, an http()
 *   that no script answers, ... A problem ends the test (abort()), unless testhost_on_problem() says
 *   otherwise.
 *
 * Results, and all that they point at, live until the next call with the same host. Texts that you give
 * are copied. One thread at a time, unless said otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LATENZA_TESTHOST_H
#define LATENZA_TESTHOST_H

#include <latenza/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct testhost;

/* ---- an instance ------------------------------------------------------------------------- */

/* Makes an instance of a component: options read by its rows, then init().
 * file: a plugin's .so; NULL: the plugin that is linked into this program. component: its name; NULL:
 * the only one. options: a JSON object; NULL: all defaults. A plugin that cannot be opened, or options
 * that are refused, are a problem; NULL then, if that did not end the test. owned: testhost_free() */
struct testhost *testhost_new(const char *file, const char *component, const char *options);
void testhost_free(struct testhost *h); /* fini(); NULL is fine */
/* The sentence with which these options are refused; NULL: they are taken. Lives until the next call. */
const char *testhost_refusal(const char *file, const char *component, const char *options);

/* Problems go to fn instead of ending the test; NULL: as before. fn may be called on any thread. */
void testhost_on_problem(void (*fn)(void *arg, const char *sentence), void *arg);

/* ---- what a call is shown ---------------------------------------------------------------- */

/* The request, to be changed as the test likes: phase, attempt, deadline, key, ... Texts must stay. */
lz_request *testhost_request(struct testhost *h);
void testhost_set_header(struct testhost *h, const char *name, const char *value);
void testhost_set_metadata(struct testhost *h, const char *key, const char *value);
void testhost_set_budget(struct testhost *h, uint32_t scope, int64_t limit, int64_t spent);
void testhost_set_credential(struct testhost *h, const char *credential); /* providers; else "sk-test" */
/* raw(), body() and edit(): a provider's request, a guardrail's request or answer, a sink's events. */
void testhost_set_body(struct testhost *h, const char *json);
/* A new request: slot() and keep() start anew, texts and targets are gone, the rest stays. */
void testhost_begin(struct testhost *h);

/* ---- what a call led to ------------------------------------------------------------------ */

struct testhost_finding { lz_str code, message; };     /* lz->reason() */
struct testhost_preference { size_t target; double score; lz_str why; };

struct testhost_result {
    int32_t verdict;               /* LZ_OK, a decision, LZ_E_*; of a stream: BLOCK or an error ends it, FLAG stays */
    size_t finding_count;
    const struct testhost_finding *findings;           /* the same one is there once */
    int64_t output_limit;          /* limit_output(); < 0: not lowered */

    /* guardrails: the texts after the edits, in their order; of a stream one: what the caller received */
    size_t text_count;
    const lz_str *texts;
    const lz_str *revealed;        /* the same for the caller's eyes: reveal() too */
    size_t released;               /* stream: bytes of the text as it was given that had gone out at the verdict */
    size_t most_held;              /* stream: most bytes that were kept back at once */

    /* routers */
    size_t preference_count;
    const struct testhost_preference *preferences;

    /* providers: what goes upstream after build(), what was emit()ted as JSON texts, ... */
    lz_http http;
    size_t emitted_count;
    const lz_str *emitted;
    lz_usage usage;
    lz_fault fault;                /* fail(), classify(); upstream LZ_UPSTREAM_OK: none */
    size_t dropped_count;
    const lz_str *dropped;         /* dropped() */
    lz_str limit_as;               /* limit_as() */

    /* callouts that were sent, in their order */
    size_t sent_count;
    const lz_http *sent;

    uint32_t entries;              /* functions of the component that ran: calls and callbacks */
    uint32_t slowest_us;           /* real time of the slowest; more than 5,000 is told in a gateway */
    int64_t elapsed_ms;            /* of the virtual clock */
};

/* The first finding's code is this one, or one of them is. */
int testhost_found(const struct testhost_result *r, const char *code);

/* ---- guardrails -------------------------------------------------------------------------- */

/* Adds a text to what testhost_check() shows, prose of its role in a message of its own; the result may be
 * changed: kind, message, choice, name. Its texts must stay until the check. */
lz_text *testhost_add_text(struct testhost *h, const char *role, const char *text);
/* The tool calls of a stream that testhost_check() shows: a list as lz->tool_calls() gives it. Those of a whole answer are
 * found in its body; a stream has none, so what testhost_set_body() said is forgotten, and the other way round. */
void testhost_set_calls(struct testhost *h, const char *json);
/* Asks the guardrail about the texts that were added, whole. phase: LZ_REQUEST, LZ_RESPONSE. */
const struct testhost_result *testhost_check(struct testhost *h, uint32_t phase);
/* The same with one text: a user's prompt; an assistant's whole answer. */
const struct testhost_result *testhost_prompt(struct testhost *h, const char *text);
const struct testhost_result *testhost_answer(struct testhost *h, const char *text);

/* An answer that grows: as it arrives with the cuts at these bytes, every n bytes, or at random ones. Cuts inside
 * a character move behind it. */
const struct testhost_result *testhost_stream(
    struct testhost *h, lz_str text, const size_t *cuts, size_t cut_count);
const struct testhost_result *testhost_stream_every(struct testhost *h, lz_str text, size_t n);
const struct testhost_result *testhost_stream_random(struct testhost *h, lz_str text, uint64_t seed);
/* Cuts the text in every way of 1 to 8 bytes and in `splits` random ways: verdict, codes and what the caller receives
 * must be those of the whole text. secret: no byte of its first occurrence in the text may have gone out when the
 * stream is blocked, and it may not be in what the caller receives; NULL: not looked at. A difference is a
 * problem that shows the cuts. Returns how many ways differed. */
size_t testhost_cuts(struct testhost *h, const char *text, const char *secret, size_t splits, uint64_t seed);

/* ---- routers ----------------------------------------------------------------------------- */

/* Adds a healthy target without a price or averages; to be changed as the test likes. */
lz_target *testhost_add_target(struct testhost *h, const char *provider, const char *model);
const struct testhost_result *testhost_pick(struct testhost *h);

/* ---- providers: one attempt from build() to end() ------------------------------------------ */

/* Begins an attempt. `http` of the result is what the gateway would send: what build() left as it came is filled in.
 * The target is the first that was added, or one of provider "test". */
const struct testhost_result *testhost_build(struct testhost *h);
const struct testhost_result *testhost_reply(struct testhost *h, int32_t status, const char *body);
const struct testhost_result *testhost_event(struct testhost *h, const char *name, const char *data);
const struct testhost_result *testhost_end(struct testhost *h, int32_t clean);
const struct testhost_result *testhost_classify(struct testhost *h, int32_t status, const char *body);
/* The value of a header that would be sent; absent: there is none. */
lz_str testhost_header(const lz_http *q, const char *name);

/* ---- sinks ------------------------------------------------------------------------------- */

/* Delivers the events of testhost_set_body(), a JSON array. */
const struct testhost_result *testhost_deliver(struct testhost *h);

/* ---- what happens meanwhile -------------------------------------------------------------- */

/* Scripts the reply to http(): of the scripts whose url is the beginning of the one asked for, the first that was not
 * used yet serves, then the last one again. It arrives after delay_ms. */
void testhost_script(struct testhost *h, const char *url, int32_t status, const char *body, uint32_t delay_ms);
void testhost_script_error(struct testhost *h, const char *url, int32_t error, uint32_t delay_ms); /* LZ_E_* */
/* The caller hangs up after so long of each call: LZ_E_GONE. Below 0: never, which is so at first. */
void testhost_leave_after(struct testhost *h, int64_t ms);
/* The clock moves on by itself while a call waits; between calls by this. Starts at 1,700,000,000,000. */
void testhost_advance(struct testhost *h, int64_t ms);
int64_t testhost_now_unix_ms(const struct testhost *h);
/* All that was observed of a metric, summed; of a gauge the last. 0: never, or unknown. */
double testhost_metric(const struct testhost *h, const char *name);
/* The last value of a tag; absent: never set. */
lz_str testhost_tag(const struct testhost *h, const char *key);
/* Lines that were logged, "warn: text" each, with a newline. */
const char *testhost_log(const struct testhost *h);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
