/* visit.h - one entry into one plugin component on behalf of one request: what `lz_call
 * *` stands for.
 *
 * policy/ visits routers, call/ visits providers, guard/ guardrails. A visit owns what
 * the SDK promises to a call: alloc(), keep(), slot(), JSON values, pending callouts,
 * exactly one end. A component may answer LZ_PENDING; then `done` runs later, once, never
 * inside the call that started it. All [worker].
 *
 * Whoever got a visit ends it with visit_end_all(), in any case and exactly once; from
 * inside `done`, emit() and usage() too. Until then r must live; work that a thread of
 * the pool cannot drop keeps r->holds above 0 for longer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_VISIT_H
#define PLUGIN_VISIT_H

#include <jansson.h>
#include "config/part.h"
#include "request/request.h"
#include "request/texts.h"

struct visit; /* the same object as the SDK's struct lz_call */

/* result: LZ_OK, a decision, or LZ_E_*. */
typedef void visit_done_fn(void *arg, int32_t result);

/* ---- routers ---- */
/* Asks the router of r->router to order r->candidate[] (those not excluded): sets rank,
 * score and why of those that it prefers, and may lower r->output_limit. LZ_OK, LZ_BLOCK
 * (see visit_reason()), LZ_PENDING: `done` follows; < 0: it failed or took longer than
 * 200 ms, which is logged, and no candidate was touched. *out is NULL only when memory
 * was out. */
int32_t visit_route(
    struct request *r, visit_done_fn *done, void *arg, struct visit **out);
/* What lz->reason() said last; absent: nothing. Lives as long as the visit. */
void visit_reason(const struct visit *v, lz_str *code, lz_str *message);

/* ---- providers: one visit per attempt ---- */
struct visit_provider_ops {
	/* lz->emit(); j is borrowed. LZ_OK; LZ_E_GONE: nothing more is taken. */
	int32_t (*emit)(void *arg, const json_t *j);
	void (*usage)(void *arg, const lz_usage *u); /* lz->usage() */
};
/* Makes the visit of attempt `a`. NULL: out of memory. */
struct visit *visit_provider(struct request *r, struct attempt *a,
    const struct visit_provider_ops *ops, void *arg);
/* Its table; a NULL member means that the host does it as OpenAI. */
const lz_provider *visit_provider_table(const struct visit *v);
/* The provider's build(): out arrives with method and URL base, and must stay until the
 * answer is here. What build leaves as it was is filled in by the caller as OpenAI does
 * it; what it set lives as long as the visit. LZ_OK, LZ_ANSWERED, LZ_PENDING: done
 * follows; < 0. A body of more than 64 KiB that build() wants as a tree is parsed in the
 * pool first. */
int32_t visit_build(struct visit *v, lz_http *out, visit_done_fn *done, void *arg);
/* What lz->limit_as() said in build(): the member that carries the output limit. Absent:
 * as the caller wrote it. */
lz_str visit_limit_name(const struct visit *v);
/* What lz->leave_out() named in build(): members of messages and of their tool calls that
 * this provider does not take. */
enum {
	VISIT_LEFT_OUT = 4
};
size_t visit_left_out(const struct visit *v, const lz_str **names);
/* LZ_OK or < 0; of a reply also LZ_AS_IT_CAME. LZ_E_GONE: the visit was ended from
 * inside the call. */
int32_t visit_reply(struct visit *v, const lz_reply *r);
int32_t visit_event(struct visit *v, lz_str name, lz_str data);
int32_t visit_end(struct visit *v, int32_t clean);
int32_t visit_classify(struct visit *v, const lz_reply *r, lz_fault *io);
/* What lz->fail() said in the last call, or NULL. Texts live as long as the visit. */
const lz_fault *visit_fault(const struct visit *v);

/* ---- guardrails: one visit per instance and request, one check after the other ---- */
struct visit_check {
	uint32_t phase;       /* LZ_REQUEST, LZ_RESPONSE */
	unsigned deadline_ms; /* of a check that says LZ_PENDING */
	int64_t now_us; /* what the clock said just now, so that it is not read again; 0:
			   nobody read it */
	const struct buf *document; /* what raw(), body(), edit() are about; NULL: a
				       stream runs, there is none. Borrowed until the
				       check is over */
	/* The texts to be shown, made when they are asked for; NULL: out of memory, and
	 * the check fails whatever it says. They stay until the check is over. */
	struct texts *(*texts)(void *arg);
	/* Of a stream: calls `each` for every tool call that is shown, complete, as
	 * {"tool_calls":[...]} or {"function_call":{...}}. false: out of memory. NULL:
	 * they are in the document, if there is one. */
	bool (*calls)(void *arg,
	    void (*each)(void *each_arg, uint32_t choice, lz_str delta), void *each_arg);
	visit_done_fn *done; /* after LZ_PENDING */
	void *arg;           /* of these three */
};
struct visit_reason {
	lz_str code, message;
};
const lz_guardrail *visit_guardrail_table(const struct part *part);
/* NULL: out of memory. The slot and keep() live until the visit is ended. */
struct visit *visit_guardrail(struct request *r, const struct part *part);
/* q is kept until the check is over. LZ_OK, LZ_BLOCK, LZ_FLAG, LZ_REROUTE (on a request),
 * LZ_AGAIN (on a document of an answer), LZ_PENDING: q->done follows; < 0: it failed.
 * What it asked for is in the texts, and: */
int32_t visit_check(struct visit *v, const struct visit_check *q);
/* Did the component use its lz_call since the visit was new? If not, there is nothing
 * that the functions below could tell. */
bool visit_is_used(const struct visit *v);
/* Of the last check, until the next: the document as it edited it (NULL: it did not), its
 * reasons, and the output limit that it asked for (-1: none). */
const json_t *visit_edited(const struct visit *v);
size_t visit_reasons(const struct visit *v, const struct visit_reason **out);
int64_t visit_output_limit(const struct visit *v);
/* No reasons, no limit, and no thread of the pool still works for it. */
bool visit_said_nothing(const struct visit *v);
/* ... and it keeps nothing for a check to come, nor has it shown its slot: it is as good
 * as a new one, and may be handed on to another guardrail of the request. */
bool visit_is_blank(const struct visit *v);
void visit_hand_on(struct visit *v, const struct part *part);
/* When the check's component was entered last, and left; 0: it was not. So that nobody
 * reads the clock once more. */
int64_t visit_entered_us(const struct visit *v);
int64_t visit_left_us(const struct visit *v);

/* While a visit is paused, no callback of what its component waits for runs: whoever
 * emits from callbacks stops. They run, in the order in which they would have, when it
 * goes on; `done` may run, and end the visit, before visit_go_on() returns. visit_pause()
 * also from inside emit(), visit_go_on() from events only. */
void visit_pause(struct visit *v);
void visit_go_on(struct visit *v);

/* Nobody waits for the check under way any more: it is closed, `done` does not run, and
 * the visit may be asked again. Nothing, where none is. */
void visit_abandon(struct visit *v);
/* Does a thread of the pool still work for a call that is over? It may look at whatever
 * that call was shown. */
bool visit_has_work(const struct visit *v);

/* Ends the visit: pending work is cancelled (its callbacks hear LZ_E_GONE, as a rule
 * before this returns), `done` does not run any more. NULL is fine. */
void visit_end_all(struct visit *v);
/* Called on the worker when r->holds fell to 0 behind the back of a request that
 * is_finished. [start] */
void visit_on_release(void (*released)(struct request *r));

#endif
