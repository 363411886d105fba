/* visit.h - one entry into one plugin component on behalf of one request: what `lz_call *` stands for.
 *
 * policy/ visits routers, call/ visits providers. A visit owns what the SDK promises to a call: alloc(), keep(), slot(),
 * JSON values, pending callouts, exactly one end. A component may answer LZ_PENDING; then `done` runs later, once, also
 * when the visit is cancelled (with LZ_E_GONE), never inside the call that started it. All [worker].
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_VISIT_H
#define PLUGIN_VISIT_H

#include <jansson.h>
#include "config/part.h"
#include "request/request.h"

struct visit; /* the same object as the SDK's struct lz_call */

/* result: LZ_OK, a decision, or LZ_E_*. */
typedef void visit_done_fn(void *arg, int32_t result);

/* ---- routers ---- */
/* Asks the router of r->router to order r->candidate[] (those not excluded): sets rank, score, why, and may lower
 * r->output_limit. LZ_PENDING: `done` follows. The deadline is the request's, at most 200 ms. */
int32_t visit_route(struct request *r, visit_done_fn *done, void *arg, struct visit **out);

/* ---- providers: one visit per attempt ---- */
struct visit_provider_ops {
	void (*emit)(void *arg, const json_t *j);	  /* lz->emit() */
	void (*usage)(void *arg, const lz_usage *u);	  /* lz->usage() */
};
/* Makes the visit of attempt `a`. lz->fail() is kept in the visit (visit_fault). NULL: out of memory. */
struct visit *visit_provider(struct request *r, struct attempt *a, const struct visit_provider_ops *ops, void *arg);
const lz_provider *visit_provider_table(const struct visit *v);
/* The provider's build(): out arrives with method and URL base. What it leaves empty is filled in by the caller as
 * OpenAI does it. LZ_PENDING: done follows. */
int32_t visit_build(struct visit *v, lz_http *out, visit_done_fn *done, void *arg);
int32_t visit_reply(struct visit *v, const lz_reply *r);
int32_t visit_event(struct visit *v, lz_str name, lz_str data);
int32_t visit_end(struct visit *v, int32_t clean);
int32_t visit_classify(struct visit *v, const lz_reply *r, lz_fault *io);
/* What lz->fail() said in the last call, or NULL. Texts live as long as the visit. */
const lz_fault *visit_fault(const struct visit *v);
/* Ends the visit: pending work is cancelled, `done` does not run any more for the caller, memory goes when the last
 * callout came home. NULL is fine. */
void visit_end_all(struct visit *v);

/* A local provider answers without a network: its build() leaves the URL "echo:" and calls back through reply/event …
 * is not part of the ABI; see plugins/echo/README.md for how echo does it with the SDK alone. */

#endif
