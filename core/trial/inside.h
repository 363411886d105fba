/* inside.h - what the files of testhost/ share: a host, one call of its component, and
 * the memory that a call was shown.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIAL_INSIDE_H
#define TRIAL_INSIDE_H

#include "base/fold.h"
#include "plugin/host.h"

#include <latenza/testhost.h>

/* ---- problems (testhost.c) ---- */

/* A promise was broken. h may be NULL. [any] */
void trial_problem(const struct testhost *h, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- memory that ends with a call (region.c) ---- */

/* Pages that are made unreadable when the call is over, and stay mapped for a while, so
 * that whoever kept a pointer into them is found. One thread at a time. */
struct region {
	struct chunk *chunk;
	size_t used; /* bytes handed out */
};
/* Zeroed, aligned for anything; NULL when out of memory or above the SDK's limit. */
void *trial_region_alloc(struct region *g, size_t n);
/* A copy that ends where reading ends: the byte behind it is on a page of its own that
 * cannot be read. Absent and empty stay so. Aborts when out of memory. */
lz_str trial_region_show(struct region *g, lz_str s);
/* A copy of a short text, followed by a byte that is no NUL. */
lz_str trial_region_copy(struct region *g, lz_str s);
void trial_region_retire(struct region *g); /* its memory is unreadable from here on */
void trial_region_watch(void); /* who touches such memory is told what it was */

/* ---- growing lists ---- */

/* Room for one more of `size` bytes behind count; aborts when out of memory. */
void *trial_list_room(void *items, size_t count, size_t size);
#define LIST_ADD(list, count, item)                                                      \
	((list) = trial_list_room((list), (count), sizeof(*(list))),                     \
	    (list)[(count)++] = (item))

/* ---- a host ---- */

struct pair {
	char *name, *value;
};
struct script {
	char *url, *body;
	int32_t status, error;
	uint32_t delay_ms;
	bool is_used;
};
struct gauge {
	char *name;
	int32_t kind;
	double value;
};
struct edit {
	size_t text, from, to;
	lz_str with;
	bool is_reveal;
};

/* What is gathered during one call, and becomes the result. */
struct said {
	struct arena *memory; /* of texts in here */
	struct testhost_result result;
	struct testhost_finding *findings;
	struct testhost_preference *preferences;
	lz_http *sent;
	lz_str *texts, *revealed, *emitted, *dropped;
	struct edit *edits;
	size_t edit_count;
	lz_str left_out[VISIT_LEFT_OUT];
	size_t left_out_count;
};

struct testhost {
	struct testhost *next; /* of all that live */
	void *library;         /* never closed: threads of its own may run */
	const lz_plugin *plugin;
	lz_component component;
	union {
		lz_provider provider;
		lz_router router;
		lz_guardrail guardrail;
		lz_sink sink;
	} table;
	void *self;
	struct arena *memory; /* of the options */
	json_t *option_values;

	lz_request request; /* template */
	lz_text *texts;     /* the texts to be shown */
	size_t text_count;
	lz_target **targets;
	size_t target_count;
	struct pair *headers, *metadata, *tags;
	size_t header_count, metadata_count, tag_count;
	lz_budget budget[3];
	char *credential, *body, *calls;
	struct script *scripts;
	size_t script_count;
	int64_t leaves_after_ms;

	int64_t now_ms; /* the virtual clock */
	struct buf log;
	struct gauge *gauges;
	size_t gauge_count;

	struct region keep;
	void *slot;
	struct said said;
	struct trial *call; /* under way */
};

/* ---- one call ---- */

struct later;
struct trial {
	struct visit
	    visit; /* first: what the functions of plugin/value.c know of a call */
	struct testhost *h;
	struct memory scratch; /* JSON of this call */
	struct region region;
	pthread_t thread;
	lz_request request;
	lz_text *texts;
	size_t text_count;
	size_t *hold;      /* per text; SIZE_MAX: not said */
	struct fold *fold; /* per text: its plain form */
	lz_target *targets;
	json_t *body, *edit, *calls;
	bool is_building;
	unsigned depth;
	bool has_result, took_token, heard_post;
	int32_t result;
	uint32_t retry_after_ms;
	lz_token token;
	struct later *later; /* under way */
	unsigned later_count;
	int64_t began_ms;
};

static inline struct trial *
trial_of(lz_call *c)
{
	return (struct trial *)(void *)c;
}
/* The call, if it is under way and this is its thread; else a problem that names the
 * function, and NULL. */
struct trial *trial_here(lz_call *c, const char *function);

/* Begins a call: what the plugin may ask for is there, nothing was said yet. (call.c) */
struct trial *trial_begin(struct testhost *h, uint32_t phase, uint32_t deadline_ms);
/* What first() returned, brought to its end: a pending call is carried on until it has
 * its result. A decision for which `allowed` (a bit per decision) has none is a problem.
 */
int32_t trial_run(struct trial *c, int32_t (*first)(struct trial *c, void *arg),
    void *arg, unsigned allowed);
void trial_end(struct trial *c);
/* An entry into the component: from here its time counts. */
int64_t trial_enter(struct trial *c);
void trial_leave(struct trial *c, int64_t entered_us);

/* Forgets what the last call said. (call.c) */
void trial_forget(struct testhost *h);
const struct testhost_result *trial_result(struct testhost *h, int32_t verdict);
lz_str trial_copy(struct testhost *h, lz_str s);

/* The table of functions. (table.c, later.c, guardrail.c, provider.c, router.c) */
const lz_host *trial_table(void);
void trial_fill_later(lz_host *t);
void trial_fill_guardrail(lz_host *t);
void trial_fill_router(lz_host *t);
void trial_fill_provider(lz_host *t);
/* Carries the pending call on until it has its result. (later.c) */
void trial_carry_on(struct trial *c);
void trial_cancel(struct trial *c);
/* Gives the call its token. */
void trial_name(struct trial *c);

/* The host whose component runs on this thread, or ran last. */
struct testhost *trial_now(void);
void trial_is_now(struct testhost *h);

#endif
