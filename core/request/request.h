/* request.h - one request, from its first byte to its trace: what every stage reads and
 * writes.
 *
 * The stages (gateway/stages.c) are functions over this struct; rooms on the same floor
 * meet only here. All memory is the request's arena, all of it [worker].
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_REQUEST_H
#define REQUEST_REQUEST_H

#include <jansson.h>
#include "base/arena.h"
#include "base/jscan.h"
#include "request/fault.h"
#include "request/worker.h"
#include "store/record.h"
#include "store/verdict.h"

enum {
	REQUEST_ARENA_BYTES = 8 << 20,
	REQUEST_ATTEMPTS = 8, /* most attempts that routing.attempts may ask for */
	REQUEST_CANDIDATES = 1024
};

/* For request_ops.budget, beside LZ_OF_*: whosever. The second one looks at what is spent
 * alone, as if nothing were reserved. */
enum {
	REQUEST_ANY_BUDGET = 64,
	REQUEST_ANY_UNSPENT
};

/* What a stage says when it returns. */
enum step {
	STEP_NEXT,    /* go on with the next stage now */
	STEP_BARRIER, /* go on when the spool is written */
	STEP_WAIT,    /* the stage calls request_go_on() later */
	STEP_RETRY,   /* this attempt failed: settle it, go on with the next candidate */
	STEP_FAULT,   /* r->fault is set: settle, trace, answer */
	STEP_DONE /* the answer is complete but for its last bytes: settle, trace, send
		     them */
};

/* What is asked for: the routes that call providers. */
enum request_kind {
	REQUEST_CHAT,
	REQUEST_EMBEDDINGS,
	REQUEST_KINDS
};
struct request_kind_row {
	lz_str name;       /* as plugins and their routes call it: "chat" */
	lz_str path;       /* at a provider, behind its base_url */
	const char *model; /* what serves it: "a chat model" */
	const char *input; /* the member that is the prompt */
};

struct key;       /* key/keys.h */
struct key_terms; /* key/terms.h */
struct route;     /* gateway/routes.h */
struct visit;     /* plugin/visit.h */
struct asked;     /* gateway/asked.h */
struct guards;    /* guard/chain.h */
struct request;
struct attempt;

/* What the stages need of each other across the floor; filled in by gateway/. */
struct request_ops {
	void (*go_on)(struct request *r,
	    enum step s); /* from an event: continue the stage that said STEP_WAIT */
	/* The attempt is over, from an event: STEP_DONE, STEP_RETRY, STEP_FAULT. */
	void (*attempt_over)(struct request *r, struct attempt *a, enum step s);
	/* The client gets this attempt's answer: whoever else is under way is given up
	 * and settled. Said again, nothing happens. */
	void (*answers)(struct request *r, struct attempt *a);
	/* The first bytes of a stream are about to go out: the answer's head. */
	void (*begin_stream)(struct request *r);
	/* The running estimate of a stream nears its bound: more money for attempt
	 * r->attempt, from what is left. */
	bool (*top_up)(struct request *r, int64_t nano_eur);
	/* The budget of `scope` (LZ_OF_KEY ..., REQUEST_ANY_BUDGET) that has the least
	 * left, or the least unspent; out->scope says whose it is. false: none set. */
	bool (*budget)(struct request *r, uint32_t scope, lz_budget *out);
	/* Work of a request that is over came home: frees it, if nobody else holds it. */
	void (*let_go)(struct request *r);
};

/* Why a candidate is out; the trace and the refusal are made from it. */
enum exclusion {
	EXCLUDED_NOT,
	EXCLUDED_NOT_ALLOWED, /* model_allowlist */
	EXCLUDED_TEST,        /* a test key and a provider that is not test */
	EXCLUDED_UNPRICED,    /* a budget and no price */
	EXCLUDED_CAPABILITY,
	EXCLUDED_CONTEXT,
	EXCLUDED_BUDGET,  /* its bound does not fit what is left */
	EXCLUDED_HEALTH,  /* breaker open */
	EXCLUDED_KIND,    /* a chat request and an embedding model */
	EXCLUDED_ROUTER,  /* the router did not prefer it */
	EXCLUDED_TRIED,   /* failed already in this request */
	EXCLUDED_RETRIES, /* it fails, and retries there have used up their share */
	EXCLUSION_COUNT
};
const char *exclusion_name(enum exclusion x); /* "model_not_allowed", ... for traces */

struct candidate {
	const struct target *target;
	enum exclusion excluded;
	unsigned rank;          /* 1 is tried first; 0: not preferred */
	double score;           /* the router's */
	bool is_sticky;         /* this session was served here last */
	bool is_resting;        /* none of its provider's keys was ready when routed */
	lz_str why;             /* the router's word */
	int64_t bound_nano_eur; /* upper bound of an attempt here; -1: no price */
	int64_t input_nano_eur;
	int64_t estimate_nano_eur; /* what it will probably cost */
	int64_t output_bound;      /* tokens */
};

struct attempt {
	unsigned number; /* from 0 */
	struct candidate *candidate;
	const struct target *target;
	struct live *live;
	bool is_live; /* counted in flight there; see request_drop_attempt() */
	/* Its target's breaker is open, and everybody waits for this one. */
	bool is_probe;
	lz_str credential; /* the secret */
	unsigned credential_index;
	struct credential *credential_cell; /* NULL: the provider has no keys */
	int64_t bound_nano_eur, input_nano_eur, output_bound;
	void *reservation; /* key/'s; NULL: nothing held */
	bool is_open;      /* reserved and not settled */
	bool is_under_way; /* opened, and not over */
	bool was_sent;     /* something may have reached the provider */
	bool has_usage;
	bool lowers_output; /* a limit is sent upstream because a budget binds */
	int64_t began_us, sent_us, first_byte_us, first_token_us,
	    ended_us; /* monotonic; 0: not reached */
	/* The provider's HTTP status, or the one that an error inside a 200 stands for.
	 * 0: none */
	int status;
	int32_t blame;   /* LZ_UPSTREAM_* */
	const char *end; /* upstream_end_name() or "ok", for the trace */
	struct record_usage usage;
	int64_t cache_write_1h;  /* of usage.cache_write, what is kept for an hour */
	int64_t delivered_bytes; /* text that went to the client */
	int64_t delivered_events;
	uint8_t state;               /* enum charge_state once settled */
	int64_t cost_nano_eur;       /* once settled; -1 unpriced */
	lz_str message, code, param; /* the provider's error, fit for the caller */
	unsigned retry_after_ms;
	lz_str answered_model; /* as the provider said, if it is not the one asked for
				  and no dated form of it; absent otherwise */
	lz_str dropped; /* "seed,n": the caller's parameters that have no twin here */
	/* It failed; its target may be asked again from then on (monotonic). 0: not
	 * decided; INT64_MAX: not in this request. */
	int64_t again_us;
	void *call; /* call/'s own state */
};

/* Who asks, as other rooms, the trace and plugins may know it: never the secret. Borrowed
 * of the key, which the request holds. */
struct caller {
	lz_str key;             /* its id; absent: not authenticated */
	lz_str organization;    /* absent with the key */
	lz_str assistant;       /* absent: none */
	const json_t *metadata; /* of the key: a flat object of strings; or NULL */
	bool is_test;
};

struct request {
	struct worker *worker;
	struct exchange *x; /* NULL: the client left, or has its answer */
	const struct request_ops *ops;
	struct arena *arena;
	struct config *config; /* a reference */
	const struct route *route;
	enum request_kind kind;
	uint8_t id[RECORD_ID_BYTES];
	char id_hex[2 * RECORD_ID_BYTES + 1];
	struct moment began;
	int64_t read_us;   /* the body was complete */
	int64_t waited_us; /* spent waiting for providers: total minus this is overhead */
	unsigned stage;    /* row of the stage table */
	enum step waited_for;

	/* key */
	struct key *key;         /* a reference; NULL: not authenticated */
	struct key_terms *terms; /* with the key: what holds for it and above it */
	struct caller caller;    /* what of it others see */
	bool counts_in_flight;   /* of the key */
	int64_t tokens_held;     /* of the key's tokens_per_minute */
	bool shows_budget;       /* x-latenza-budget-remaining-eur */
	int64_t rate_limit, rate_remaining,
	    rate_reset_ms;        /* for x-ratelimit-*; -1: none */
	enum key_log log_content; /* settled: FULL, META or OFF */

	lz_str default_model; /* of its assistant, for a chat that names none */

	/* what the request says */
	struct buf body;
	const struct jscan
	    *scan; /* its members; never NULL. Only so many as `count` exist */
	lz_str model, user, session, metadata,
	    strategy_asked; /* metadata: flat JSON object text, merged */
	/* What of these two did not come in the body, and what plugins added. */
	lz_str user_header, metadata_headers, tags;
	bool is_stream, wants_usage_chunk, wants_latenza_usage;
	bool is_dry_run;       /* who would serve it is the answer; nobody is called */
	int64_t max_tokens;    /* -1: not given */
	int64_t choices;       /* n, 1 */
	uint32_t capabilities; /* LZ_CAN_* asked for */
	int64_t prompt_tokens; /* estimate */
	int64_t media_parts;   /* of messages: images, sounds, files */
	int64_t prompt_bound;  /* no provider counts more */
	bool may_cache_1h;     /* it may ask for that, where it costs more */
	int64_t inputs;        /* embeddings: texts, a vector for each */
	int64_t longest_input; /* of them, in tokens; at least so many */
	bool wants_base64;     /* vectors, instead of lists of numbers */
	int64_t deadline_us;   /* monotonic */
	const char *capability_param; /* the member that asks for the dearest capability,
					 for faults */

	/* guardrails */
	struct guards *guards; /* NULL: none holds */
	struct record_verdict *verdict;
	size_t verdict_count;
	lz_str refused_by;  /* the guardrail that refused request or answer */
	lz_str again_by;    /* the one that wanted the latest attempt */
	lz_str model_asked; /* before a guardrail chose another; absent: `model` */

	/* policy */
	lz_str strategy;          /* the one used */
	bool is_default_strategy; /* the file's: nobody nearer named one */
	const struct part *router;
	struct candidate *candidate; /* arena */
	size_t candidate_count;
	size_t candidates_left_out; /* unhealthy ones beside them that nobody looked at */
	uint64_t session_hash; /* of who is to be served where it was last; 0: nobody */
	struct visit *router_visit; /* while the router thinks */
	int64_t patience_us;        /* nobody was healthy: until then it is waited for
				       (monotonic); 0: it has not come to that */
	int64_t looking_us;         /* since when the next attempt is waited for */
	int64_t output_limit;       /* the least of key, router, ... ; -1 none */

	/* call */
	unsigned attempt_count;    /* begun, of `attempt` at the end */
	struct attempt *answering; /* the one that the client hears; NULL: not decided */
	unsigned calls;          /* attempts that wait for a provider, two when hedged */
	int64_t calls_since_us;  /* since when there is one */
	bool has_begun;          /* the client saw bytes: no failover any more */
	int64_t max_tokens_sent; /* x-latenza-max-tokens; -1: not lowered */

	/* answer */
	int answer_status;
	struct buf answer;           /* whole answers: held until the trace is written */
	struct buf answer_for_trace; /* without what only the client may see; empty: as
					`answer` */
	lz_str last_bytes;       /* streams: the last events but [DONE], held likewise */
	lz_str usage_chunk;      /* streams: data of the usage chunk, sent before [DONE];
				    absent: not asked for */
	bool ends_in_error;      /* the stream ended with an error object */
	bool is_cut;             /* ... or is to be cut */
	lz_str finish;           /* finish_reason */
	struct buf answer_text;  /* for the trace's content, JSON-escaped text as it came;
				    bounded */
	struct buf answer_tools; /* tool call deltas, comma separated JSON */

	/* fault */
	enum fault fault;
	lz_str fault_message, fault_param,
	    fault_code;         /* fault_code: instead of the row's */
	int fault_status;       /* instead of the row's; 0: the row's */
	unsigned retry_after_s; /* instead of the row's; 0: the row's */

	struct asked *asked; /* by a command, not by a client */

	struct loop_wait wait;
	struct loop_timer timer; /* the stage at hand's */
	struct loop_later later;
	unsigned
	    holds; /* who still needs the struct (work elsewhere that comes home later) */
	bool is_finished; /* its end has begun: settled, traced */
	bool is_done;     /* answered: freed when holds is 0 */

	bool is_scanned; /* by the pool; the next reading takes what it found */
	enum status scan_status;
	const char *scan_why; /* the sentence, when it was refused */

	struct attempt *attempt[REQUEST_ATTEMPTS]; /* arena */
};

/* Notes the fault and says STEP_FAULT. The message is copied. */
enum step request_fail(struct request *r, enum fault f, const char *param,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Continues the stage that said STEP_WAIT. Never call it from inside the stage function
 * itself. */
void request_go_on(struct request *r, enum step s);

/* Model names go into URLs of some providers: no controls, no dot segments, no empty
 * segments. */
bool request_model_is_sane(lz_str name);
/* Has a large body scanned off the loop: STEP_WAIT, or STEP_NEXT when the reading is to
 * scan it (scan.c). */
enum step request_scan(struct request *r);
/* The same of a body that was changed; `then` reads it, now or from an event: what it
 * says, or STEP_WAIT. */
enum step request_scan_for(struct request *r, enum step (*then)(struct request *r));
/* Copies what was found in the body into the arena; false: out of memory. */
bool request_keep_scan(struct request *r, const struct jscan *scan);
extern const struct jscan request_unscanned; /* no members */
/* Reads head and body: model, stream, limits, capabilities, metadata, user ... (read.c).
 * STEP_NEXT or STEP_FAULT. */
enum step request_read(struct request *r);
/* The same of a request for embeddings (read_embeddings.c). */
enum step request_read_embeddings(struct request *r);
/* Reads a body that was changed, whichever it is of. */
enum step request_read_again(struct request *r);
/* Whose a budget is, for sentences: "this key", "the organization 'acme'". */
lz_str request_owner(const struct request *r, uint32_t scope);
/* The row of r->kind. */
const struct request_kind_row *request_kind(const struct request *r);
/* Header value by lower-case name; STR_NONE: absent. */
lz_str request_header(const struct request *r, const char *name);
/* Is there memory for one more? REQUEST_ATTEMPTS must not be begun yet. */
bool request_may_add_attempt(struct request *r);
/* The next attempt, all zero but its number. It may be added. */
struct attempt *request_add_attempt(struct request *r);
/* The attempt that answers, or the latest; one must exist. */
struct attempt *request_attempt(struct request *r);
bool request_is_under_way(const struct request *r); /* any attempt */
/* A stream that nobody limited, of a model that reasons: what it thinks before it speaks
 * is seen, and paid, when its usage comes. */
bool request_may_think_unseen(const struct request *r, const struct model_facts *m);
/* Nothing was learnt of its target. Once it has ended, nothing happens. */
void request_drop_attempt(struct attempt *a);
/* Its answer has begun: if it probed, its target is well. */
void request_probe_answers(struct attempt *a);
/* The attempt that probed its target's breaker is over; nothing happens for others. */
void request_probe_ended(struct attempt *a, int64_t now_us, bool has_failed);
/* {"error":{…}} of the fault, into out. */
void request_fault_body(const struct request *r, struct buf *out);
/* The same without memory and without details: for when that has failed. A view into
 * room. */
enum {
	REQUEST_SHORT_BYTES = 200
};
lz_str request_fault_short(const struct request *r, char room[REQUEST_SHORT_BYTES]);

/* The struct as plugins see it (view.c); views into the request. */
void request_view(struct request *r, lz_request *out, uint32_t phase);
void request_view_target(
    const struct request *r, const struct candidate *c, lz_target *out);

#endif
