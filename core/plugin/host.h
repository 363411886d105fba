/* host.h - what the files of plugin/ share: opened plugins, their components, and the
 * insides of a visit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "net/loop.h"
#include "net/pool.h"
#include "plugin/visit.h"

enum {
	PLUGIN_NAME_BYTES = 64,  /* of plugins, components and metrics */
	PLUGIN_TEXT_BYTES = 400, /* of other fixed texts: versions, summaries */
	PLUGIN_STALL_US =
	    5000, /* a call that holds a worker for longer is counted and told */
	PLUGIN_PROBE_MS = 2000,        /* what a child process gets to open one */
	VISIT_MEMORY_BYTES = 64 << 20, /* lz->alloc(), lz->keep(): each */
	VISIT_VALUES = 1 << 20,        /* JSON values one call may hold */
	VISIT_OPS = 64,     /* callouts, offloads, timers of one call under way at once */
	VISIT_POSTS = 1024, /* posted to one call and not run yet */
	VISIT_REASONS = 16,
	OFFER_REASON_BYTES = 1000,
	VISIT_TREE_BYTES = 65536, /* larger bodies are parsed off the loop */
	VISIT_ROUTE_MS = 200
};

/* ---- opened plugins (registry.c, open.c) ---- */

struct component {
	struct part_info info; /* first: part_info.component is the struct itself */
	struct plugin *plugin;
	struct offered *offered; /* NULL: of a file */
	lz_component self;       /* as the plugin gave it, cut or filled up to our size */
	union {
		lz_provider provider;
		lz_router router;
		lz_guardrail guardrail;
		lz_sink sink;
		lz_site site;
	} table;
};

struct plugin {
	struct plugin *next;
	char *path; /* absolute */
	dev_t dev;
	ino_t ino;
	int64_t changed_ns;
	int fd; /* kept open: the loader knows the file as /proc/self/fd/N, so N is not to
		   be reused */
	void *handle;
	lz_host host; /* its own copy: `impl` says who calls */
	const lz_plugin *self;
	char name[PLUGIN_NAME_BYTES + 1];
	struct component *component;
	size_t component_count;
	_Atomic uint64_t stalls, stalled_us;
	_Atomic int64_t stall_told_us;
};

struct open_request {
	const char *path;
	lz_str sha256;               /* hex; absent: unchecked */
	bool is_strict;              /* owner and mode refuse; else they warn */
	bool is_probed;              /* try it in a child process first */
	bool is_quiet;               /* no log lines: this is the child */
	const struct plugin *opened; /* names that are taken */
};
/* Checks and opens one file. owned by the process: there is no way back. [main] */
enum status open_plugin(
    const struct open_request *q, struct plugin **out, struct err *e) MUST_CHECK;
/* The checks before anything of the file runs: owner, mode, kind, ELF head, hash. *fd is
 * owned. (file.c) */
enum status file_check(const struct open_request *q, int *fd, struct err *e) MUST_CHECK;
/* Runs open_plugin() in a child with a time limit. ST_OK: it lived and agreed. (probe.c)
 */
enum status probe_plugin(const struct open_request *q, struct err *e) MUST_CHECK;
/* The same checks of a component that was handed over; out is filled in. */
enum status open_component(const lz_component *given, struct plugin *p,
    struct component *out, struct err *e) MUST_CHECK;
/* A fixed text of a plugin: there, not empty, not too long, UTF-8 without control
 * characters. */
bool plugin_text_is_sane(const char *s, size_t max);
bool plugin_name_is_sane(const char *s); /* letters, digits and . _ -; at most 64 */
struct plugin *registry_plugins(void);
void registry_add(struct plugin *p); /* taken: it stays */
/* An instance of an offered component begins; and it was made, or it ended. (offered.c)
 */
void offered_seat(struct offered *o, void *instance);
void offered_ref(struct offered *o);
void offered_unref(struct offered *o);
/* Makes and destroys an instance, without the registry's order. (registry.c) */
struct part *part_make(const struct part_info *info, const char *name,
    const json_t *options, const char *where, struct err *e);
void part_destroy(struct part *p);

/* ---- the table that plugins call (host.c) ---- */
void host_fill(lz_host *out, struct plugin *p);
/* Who is being called on this thread, for calls that carry no lz_call. Returns who was
 * before. */
const struct plugin *host_enter(const struct plugin *p);
void host_leave(const struct plugin *before);

/* ---- a plugin's own metrics (meter.c) ---- */
uint32_t meter_add(const char *plugin, int32_t kind, const char *name,
    const char *help);                         /* 0: refused. [main] */
void meter_observe(uint32_t id, double value); /* [any] */
void meter_print(struct buf *out);
/* A call of a plugin held the thread for so long. [any] */
void meter_stall(const struct plugin *p, const char *component, int64_t us);

/* ---- memory of a call (memory.c) ---- */
enum owned_kind {
	OWNED_BYTES,
	OWNED_MADE, /* JSON made for the plugin: its own to write into */
	OWNED_KEPT  /* JSON that lost its place; may still be looked at */
};
struct owned {
	void *p;
	enum owned_kind kind;
};
struct memory {
	struct arena *arena; /* NULL until asked for */
	struct owned *owned;
	size_t count, room;
};
void *memory_alloc(struct memory *m, size_t n);
/* What is handed over is taken, also when these fail. */
bool memory_own_json(struct memory *m, json_t *j, enum owned_kind kind);
bool memory_own(struct memory *m, void *p); /* of mem_alloc() */
bool memory_has_made(const struct memory *m, const json_t *j);
static inline bool
memory_is_unused(const struct memory *m)
{
	return m->arena == NULL && m->owned == NULL;
}
void memory_free(struct memory *m); /* and leaves it as new */
/* The same of one that most calls do not use. */
static inline void
memory_reset(struct memory *m)
{
	if (!memory_is_unused(m))
		memory_free(m);
}

/* ---- a visit ---- */
enum op_kind {
	OP_HTTP,
	OP_OFFLOAD,
	OP_AFTER,
	OP_POST,
	OP_PARSE /* the host's own: the body becomes a tree */
};

struct op; /* later.c */

struct preference {
	size_t target; /* index into targets */
	double score;
	lz_str why;
};

struct visit {
	struct request *r;
	struct attempt *attempt; /* providers */
	const struct component *component;
	void *self;
	struct loop *loop;
	struct memory keep;    /* until the visit ends; build()'s calls too */
	struct memory scratch; /* until the call is over */
	struct memory *now;    /* where lz->alloc() goes at present */
	unsigned calls;        /* entries so far: a late post belongs to its own */
	void *slot;
	bool is_slot_shown;
	bool is_used; /* its component has used its lz_call, or waits; or the host made
			 something for it */
	pthread_t thread;            /* the worker's */
	unsigned depth;              /* functions of the plugin on the stack */
	int64_t entered_us, left_us; /* the last time; left_us < entered_us: inside */
	const struct plugin *before; /* who was being called on this thread */

	/* what is shown */
	const struct buf *document;      /* the body at hand; NULL: none */
	const struct visit_check *check; /* guardrails: the one under way, or the last */
	struct texts *texts;             /* its; NULL: not asked for yet */
	bool lacks_texts;                /* something of them could not be shown */
	uint32_t phase;
	bool is_chosen_shown;
	lz_target *target; /* routers: made when asked for */
	struct candidate **candidate;
	size_t target_count;
	bool has_targets, lacks_targets;
	json_t *body, *edit;
	json_t *tool_calls; /* guardrails: of the check under way; NULL: not asked for */

	/* what was said */
	lz_str limit_name;
	size_t left_out_count;
	lz_str reason_code, reason_message;
	unsigned reasons;
	struct visit_reason *reason; /* guardrails: all of them, in `said` */
	struct memory said;          /* guardrails: until the next check */
	struct preference *preference;
	size_t preference_count;
	int64_t output_limit; /* -1: not lowered */

	/* later */
	int32_t (*first)(struct visit *v); /* enters pick() or build() */
	int32_t (*judge)(
	    struct visit *v, int32_t result); /* the decision as the caller gets it */
	lz_http *http;                        /* build()'s */
	visit_done_fn *done;
	const struct visit_provider_ops *ops;
	void *done_arg, *ops_arg;
	bool is_pending; /* the call said LZ_PENDING; done is owed */
	/* of this call, and side by side, so that they are cleared together */
	bool is_closed;  /* it is over: nothing new may be asked for */
	bool has_result; /* lz->finish() was called */
	bool has_fault;
	bool is_shown; /* the request is in `shown` */
	int32_t result;
	bool is_paused;   /* callbacks wait */
	uint64_t turns;   /* of callbacks that had to wait */
	bool is_over;     /* visit_end_all() was called */
	bool is_ending;   /* ... and is at work */
	bool is_settling; /* later_node is on its way */
	struct op *op;    /* under way */
	unsigned op_count;
	lz_token token;
	bool took_token;
	bool is_outliving; /* visit_end_all() returned and it is still here */
	unsigned posts;    /* posted and not home; guarded by the tokens' lock */
	struct loop_timer deadline;

	/* Written before they are read: visit_new() leaves them as they are. */
	struct loop_later later_node;
	lz_request shown;
	lz_target chosen;
	lz_str left_out[VISIT_LEFT_OUT];
	lz_fault fault;
};

static inline struct visit *
visit_behind(lz_call *c)
{
	return (struct visit *)(void *)c;
}

/* The same for what its component asks for there: all of that comes through here, so a
 * visit that is not used has nothing to be looked after. */
static inline struct visit *
visit_of(lz_call *c)
{
	struct visit *v = visit_behind(c);

	if (v != NULL && !v->is_used)
		v->is_used = true;
	return v;
}

/* The visit, if the caller is on its worker's thread; else NULL, and a line in the log.
 */
struct visit *visit_here(lz_call *c);

/* A new one, with nothing entered yet; NULL: out of memory. */
struct visit *visit_new(struct request *r, const struct part *part);
/* Enters v->first as a call of its own, whose alloc() lasts as `memory` does, after what
 * `needs` (LZ_NEEDS_*) says is built. The result is v->judge's; LZ_PENDING: v->done
 * follows. */
int32_t visit_start(
    struct visit *v, uint32_t phase, struct memory *memory, uint32_t needs);
/* The end of a call that was begun and entered by who calls this, as visit_start() ends
 * it. */
int32_t visit_came_back(struct visit *v, int32_t result);
/* The caller ended the visit from inside its own call: it is still on the stack, and so
 * may the request be. LZ_E_GONE. */
int32_t visit_ended_inside(struct visit *v);
/* Of visit_close(): timers, callouts, tokens, memory. */
void visit_end_what_was_asked_for(struct visit *v);
/* Answers LZ_E_TIMEOUT for a pending call when it has not by then; the request's own
 * deadline, if it still counts, is earlier. */
void visit_set_deadline(struct visit *v, unsigned ms);
/* An error, OK, or one of the decisions (a bit for each LZ_*): as it is. Else it is
 * logged, and LZ_E_FAIL. */
int32_t visit_judge(const struct visit *v, int32_t result, uint32_t decisions);

/* After visit_leave(): ends what is over. v may be gone when it returns. */
void visit_settle(struct visit *v);
/* The same at the end of this turn. */
void visit_settle_later(struct visit *v);
/* The body as a tree, edited or not; made at once when it is small. NULL: not JSON, too
 * large, out of memory. */
json_t *visit_body(struct visit *v);
json_t *visit_edit(struct visit *v);
/* The body cannot be a tree: the caller's fault, said as such. LZ_E_INVALID. */
/* A deep copy, whole; NULL: out of memory, and json_ran_dry() says so. */
json_t *visit_copy(const json_t *j);
int32_t visit_unreadable(struct visit *v, const struct err *why);
/* A fault as a plugin said it, made safe: known numbers, texts copied. out may be said.
 */
void offer_take_fault(struct visit *v, const lz_fault *said, lz_fault *out);
void offer_fill(lz_host *h);
/* A copy, cut at a character; absent when memory is out, or it is no UTF-8. */
lz_str offer_keep_text(struct memory *m, lz_str s, size_t max);

/* ---- guardrails (check.c) ---- */
void check_fill(lz_host *h);
void check_reason(struct visit *v, lz_str code, lz_str message);
bool check_has_edits(const struct visit *v); /* of texts */

/* ---- work that comes home later (later.c, token.c) ---- */
int32_t later_http(lz_call *c, const lz_http *q, lz_reply_fn *fn, void *ud);
int32_t later_offload(lz_call *c, lz_task_fn *work, lz_call_fn *fn, void *ud);
int32_t later_after(lz_call *c, uint32_t ms, lz_call_fn *fn, void *ud);
/* Parses r's body in the pool, then calls v->first. */
int32_t later_parse(struct visit *v, bool wants_body, bool wants_edit);
/* Calls back what came home while v was paused. visit_settle() is the caller's. */
void later_go_on(struct visit *v);
/* Cancels what can be; what a pool thread holds comes home by itself. */
void later_cancel(struct visit *v);
/* fn runs on v's loop with `error`, or LZ_E_GONE if v is over by then. */
struct op *later_post_new(struct visit *v, lz_call_fn *fn, void *ud);
void later_post_run(struct op *o);
lz_token token_take(lz_call *c);
void token_release(struct visit *v);
int32_t token_post(lz_token t, lz_call_fn *fn, void *ud);
bool token_is_awaited(struct visit *v); /* a thread may still post, or has posted */
void token_post_home(struct visit *v);

/* ---- JSON (value.c) ---- */
void value_fill(lz_host *h);
void value_forget(void); /* what json_item() remembers is stale from here on */

/* ---- counters for all workers (shared.c) ---- */
int64_t shared_add(lz_str key, int64_t by, uint32_t ttl_s);

#endif
