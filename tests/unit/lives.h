/* lives.h - requests as workers live through them, and what a database must say of them
 * afterwards.
 *
 * Who drives them notes of each request how far it surely came, and how far it may have
 * come; judge() holds the database against that. A request's cost and whether it fails
 * over are set when it begins.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_LIVES_H
#define TESTS_LIVES_H

#include "store_fixture.h"

#include <stdatomic.h>

#include "store/spool.h"
#include "store/storage.h"

enum {
	REQUESTS = 200000, /* of all lives of a test */
	LIVES = 16         /* of one worker at a time */
};

/* How far a request came. */
enum known {
	NOTHING,
	RESERVED, /* attempt 0 is flushed */
	FAILED,   /* attempt 0 is settled as uncertain for FAILED_COST, attempt 1 is not
		     reserved yet */
	AGAIN,    /* attempt 1 is flushed */
	DONE      /* settled, traced */
};

enum {
	INPUT_COST = 700, /* of make_reserve() */
	FAILED_COST = 300
};

struct notes {
	_Atomic uint64_t next;           /* number of the next request */
	_Atomic uint8_t known[REQUESTS]; /* enum known: what was flushed */
	uint8_t most[REQUESTS];          /* enum known: what may have been */
	uint8_t cost[REQUESTS]; /* of the last attempt; set before it is settled */
	uint8_t has_two[REQUESTS];
};

static struct notes *notes;

static inline uint32_t
dice(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % sides;
}

/* A request that lives for some turns. */
struct life {
	uint64_t number;
	unsigned turns; /* until its next step */
	uint8_t step;   /* enum known */
};

/* The next request. */
static inline void
life_begin(struct life *l, uint32_t *seed)
{
	l->number = atomic_fetch_add(&notes->next, 1);
	must(l->number < REQUESTS);
	l->step = NOTHING;
	notes->cost[l->number] = (uint8_t)dice(seed, 256);
	notes->has_two[l->number] = dice(seed, 5) == 0;
	notes->most[l->number] = DONE;
}

/* Appends what comes next; how far the request is when that is flushed. */
static inline enum known
step_request(struct spool *s, struct life *l)
{
	uint8_t attempt = l->step == AGAIN ? 1 : 0;
	struct record_reserve r = make_reserve(l->number, l->step == FAILED ? 1 : 0);
	struct record_settle c = make_settle(l->number, attempt, notes->cost[l->number]);
	struct record_trace t =
	    make_trace(l->number, (uint8_t)(attempt + 1), c.cost_nano_eur);

	if (l->step == NOTHING || l->step == FAILED) {
		must(spool_reserve(s, &r) == ST_OK);
		return l->step == NOTHING ? RESERVED : AGAIN;
	}
	if (l->step == RESERVED && notes->has_two[l->number]) {
		c.state = CHARGE_UNCERTAIN;
		c.cost_nano_eur = FAILED_COST;
		must(spool_settle(s, &c) == ST_OK);
		return FAILED;
	}
	if (attempt == 1)
		t.cost_nano_eur += FAILED_COST;
	must(spool_settle(s, &c) == ST_OK);
	must(spool_trace(s, &t) == ST_OK);
	return DONE;
}
/* What the database says of one request. */
struct found {
	int charges;
	int64_t cost[2];
	uint8_t state[2];
};

static inline bool
find_charge(void *arg, const struct record_settle *c)
{
	struct found *f = arg;

	assert_true(c->attempt < 2);
	f->charges++;
	f->cost[c->attempt] = c->cost_nano_eur;
	f->state[c->attempt] = c->state;
	return true;
}

static inline bool
is_charged(const struct found *f, int attempt, uint8_t state, int64_t cost)
{
	return f->state[attempt] == state && f->cost[attempt] == cost;
}

static inline int64_t
spent(struct db *d)
{
	int64_t nano;

	assert_int_equal(
	    db_spend_get(d, test_scopes[0].scope, test_scopes[0].period, &nano, NULL),
	    ST_OK);
	return nano;
}

/* How far the request came by what the database says; NOTHING to DONE. A crash settles
 * what was reserved. */
static inline enum known
how_far(uint64_t n, const struct found *f, const struct db_trace *t)
{
	bool is_interrupted = (t->t.flags & TRACE_INTERRUPTED) != 0;
	int last = notes->has_two[n] ? 1 : 0;

	assert_int_equal(t->t.cost_nano_eur, f->cost[0] + f->cost[1]);
	if (!is_interrupted) {
		assert_true(is_charged(f, last, CHARGE_ACTUAL, notes->cost[n]));
		assert_int_equal(f->charges, last + 1);
		return DONE;
	}
	assert_true(str_is(t->t.code, "interrupted"));
	assert_int_equal(t->t.attempts, f->charges);
	/* settled, but the trace of the same flush was torn off */
	if (f->state[last] == CHARGE_ACTUAL) {
		assert_true(is_charged(f, last, CHARGE_ACTUAL, notes->cost[n]));
		return AGAIN;
	}
	if (f->charges == 2) {
		assert_true(is_charged(f, 0, CHARGE_UNCERTAIN, FAILED_COST));
		assert_true(is_charged(f, 1, CHARGE_UNCERTAIN, INPUT_COST));
		return AGAIN;
	}
	if (is_charged(f, 0, CHARGE_UNCERTAIN, FAILED_COST))
		return FAILED;
	assert_true(is_charged(f, 0, CHARGE_UNCERTAIN, INPUT_COST));
	return RESERVED;
}

struct verdict {
	struct db *d;
	uint64_t requests;
	int64_t cost;
	unsigned by_end[DONE + 1];
	uint8_t *seen;
};

static inline bool
judge_trace(void *arg, const struct db_trace *t)
{
	struct verdict *v = arg;
	struct found f = { 0 };
	uint64_t n = 0;
	enum known end;
	struct err e;

	for (int i = 0; i < 8; i++)
		n = n << 8 | t->t.trace_id[8 + i];
	assert_true(n < v->requests);
	assert_false(v->seen[n]);
	v->seen[n] = 1;
	assert_int_equal(db_charge_each(v->d, t->t.trace_id, find_charge, &f, &e), ST_OK);
	end = how_far(n, &f, t);
	/* never less than what was flushed; one flush more may have been on its way */
	assert_in_range(end, atomic_load(&notes->known[n]), notes->most[n]);
	v->cost += f.cost[0] + f.cost[1];
	v->by_end[end]++;
	return true;
}

/* Every request of every life, against what was noted; and the sums. */
static inline void
judge(struct db *d, struct verdict *v)
{
	struct db_trace_filter all = { .limit = INT64_MAX };
	struct db_check check;
	struct err e;

	*v = (struct verdict){ .d = d, .requests = atomic_load(&notes->next) };
	v->seen = calloc(1, REQUESTS);
	assert_int_equal(db_trace_each(d, &all, judge_trace, v, &e), ST_OK);
	for (uint64_t n = 0; n < v->requests; n++)
		assert_true(v->seen[n] || atomic_load(&notes->known[n]) == NOTHING);
	assert_int_equal(db_check(d, &check, &e), ST_OK);
	assert_string_equal(check.first_problem, "");
	assert_int_equal(check.open_reservations, 0);
	assert_int_equal(spent(d), v->cost);
	free(v->seen);
}
#endif
