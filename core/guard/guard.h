/* guard.h - the guardrails of a request: which hold for it, and what comes of what they
 * say.
 *
 * Which: the file's that are on for all, then those that organisation, assistant and key
 * name, each once. A name that stands for nothing any more refuses the request: levels
 * only add, and a guardrail that was taken out of the file must not be a way around it.
 * On requests they are asked in this order, on answers in the reverse one.
 *
 * A guardrail that fails, or is too slow, is `on_error`'s. One in `mode: monitor` is
 * asked like any other, and nothing comes of it but its verdict. All [worker].
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "request/request.h"

struct guard_names {
	const lz_str *name;
	size_t count;
};

/* Registers the labels of latenza_guardrail_verdicts_total. [start] */
void guard_start(void);
/* The verdicts that there are: "pass", "flag", ... [any] */
const char *const *guard_verdicts(size_t *count);
/* Sets r->guards, NULL where none holds. STEP_NEXT, STEP_FAULT. */
enum step guard_choose(struct request *r, const struct guard_names *lists, size_t n);
/* The same of these alone, whatever else would hold: for who tries them. */
enum step guard_choose_only(struct request *r, const struct guard_names *names);
/* Does one of them look at requests, or at answers? phase: LZ_REQUEST, LZ_RESPONSE. */
bool guard_looks_at(const struct request *r, uint32_t phase);
/* Who wants to hear more of each check than the verdict that is left of it. */
struct guard_watch {
	/* A reason that was given; also why it failed, without a code. */
	void (*said)(
	    void *arg, const struct record_verdict *v, lz_str code, lz_str message);
	/* An edit that was asked for and that no later check asks for again; the
	 * document's as a tree: both absent. is_reveal: for the client alone. */
	void (*edited)(void *arg, const struct record_verdict *v, lz_str was, lz_str is,
	    bool is_reveal);
	void *arg;
};
/* After they were chosen; w is borrowed as long as r. */
void guard_watch(struct request *r, const struct guard_watch *w);
/* Asks them of the request. STEP_NEXT: r is as they left it, read anew where they
 * changed it; STEP_WAIT: ops->go_on() follows; STEP_FAULT. */
enum step guard_request(struct request *r);
/* Did one of them choose another model? Then the allowlist is asked again. */
bool guard_has_rerouted(const struct request *r);
/* Asks them of the whole answer, r->answer. STEP_DONE: it is as they left it; STEP_WAIT,
 * STEP_FAULT; STEP_RETRY: one more attempt, r->body says what for. */
enum step guard_answer(struct request *r);
/* Does anybody look at answers? */
bool guard_holds_answers(const struct request *r);
/* Have all that hold for the request let it, or its whole answer, pass? What they have
 * not is nobody's to keep: one that was refused before they were asked, or whose client
 * left meanwhile. Where none holds, or none looks at answers, they have. */
bool guard_has_judged(const struct request *r, const struct guard_names *lists, size_t n);
bool guard_has_judged_answer(const struct request *r);
/* Nobody waits any more: what they wait for is cancelled. */
void guard_cancel(struct request *r);
/* The request is over: their visits end. */
void guard_end(struct request *r);

/* The request's memory goes: so does what pool threads might have looked at. */
void guard_free(struct request *r);

/* ---- streams (stream.c) ---- */
struct guard_stream;
/* Where a piece of JSON belongs that passed as a whole. */
enum guard_place {
	GUARD_IN_DELTA,
	GUARD_IN_CHOICE,
	GUARD_IN_CHUNK
};
struct guard_stream_ops {
	/* Text of a channel that may go out; for_trace: what of it others may see. */
	void (*text)(
	    void *arg, unsigned choice, lz_str member, lz_str text, lz_str for_trace);
	/* The members of a piece, as a JSON object. */
	void (*piece)(void *arg, unsigned choice, enum guard_place place, lz_str object,
	    lz_str for_trace);
	/* What guard_stream_run() waited for has come: call it again. From an event. */
	void (*go_on)(void *arg);
};
/* NULL: out of memory. */
struct guard_stream *guard_stream_new(
    struct request *r, const struct guard_stream_ops *ops, void *arg);
void guard_stream_free(struct guard_stream *s); /* cancels, too; NULL is fine */
/* Text that came, of the delta's member, whose name is as written. false: out of memory,
 * or more of it waits than may. */
bool guard_stream_text(
    struct guard_stream *s, unsigned choice, lz_str member, lz_str text);
/* Is a string of that name a text that may grow from delta to delta? */
bool guard_stream_is_text(lz_str member);
/* Does a value look like a name, an id or a number? What does not is to be shown. */
bool guard_stream_is_name(lz_str value);
/* A whole object of members; scanned JSON, copied. false: likewise, or it has two
 * readings. */
bool guard_stream_piece(
    struct guard_stream *s, unsigned choice, enum guard_place place, lz_str object);
/* Nothing more comes for the choice. */
void guard_stream_final(struct guard_stream *s, unsigned choice);
/* Is anything of the choice still held? */
bool guard_stream_holds(const struct guard_stream *s, unsigned choice);
enum guard_run {
	GUARD_RAN,    /* what may go out has gone to ops */
	GUARD_WAITS,  /* ops->go_on() follows */
	GUARD_REFUSED /* r->fault says why; nothing more may go out */
};
/* Shows what came to all of them, in order. is_end: everything is final. */
enum guard_run guard_stream_run(struct guard_stream *s, bool is_end);

#endif
