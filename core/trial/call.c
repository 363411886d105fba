/* call.c - one call of a component: shown fresh copies, timed, carried on until it has
 * its result, and over.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

enum {
	OVER = 256, /* calls whose address stays taken, so that their use is found */
	SAID_BYTES = 256 << 20
};

static struct trial *over[OVER];
static size_t over_next;

void *
trial_list_room(void *items, size_t count, size_t size)
{
	/* Room doubles at powers of two; nothing else is remembered of it. */
	if ((count & (count - 1)) != 0 && count != 0)
		return items;
	items = mem_realloc(items, (count == 0 ? 1 : count * 2) * size);
	if (items == NULL)
		abort();
	return items;
}

/* ---- what was said ---- */

void
trial_forget(struct testhost *h)
{
	struct said *s = &h->said;

	mem_free(s->findings);
	mem_free(s->preferences);
	mem_free(s->sent);
	mem_free(s->texts);
	mem_free(s->revealed);
	mem_free(s->emitted);
	mem_free(s->dropped);
	mem_free(s->edits);
	arena_free(s->memory);
	*s = (struct said){ .memory = arena_new(SAID_BYTES) };
	s->result.output_limit = -1;
	if (s->memory == NULL)
		abort();
}

lz_str
trial_copy(struct testhost *h, lz_str s)
{
	lz_str copy;

	if (s.ptr == NULL)
		return s;
	copy = arena_copy(h->said.memory, s);
	if (copy.ptr == NULL)
		abort();
	return copy;
}

const struct testhost_result *
trial_result(struct testhost *h, int32_t verdict)
{
	struct said *s = &h->said;

	s->result.verdict = verdict;
	s->result.findings = s->findings;
	s->result.preferences = s->preferences;
	s->result.sent = s->sent;
	s->result.texts = s->texts;
	s->result.revealed = s->revealed;
	s->result.emitted = s->emitted;
	s->result.dropped = s->dropped;
	return &s->result;
}

/* ---- begin and end ---- */

static lz_str *const *
request_texts(lz_request *r, lz_str *room[8])
{
	room[0] = &r->id;
	room[1] = &r->route;
	room[2] = &r->model;
	room[3] = &r->key;
	room[4] = &r->assistant;
	room[5] = &r->organization;
	room[6] = &r->user;
	room[7] = &r->session;
	return room;
}

static void
show_request(struct trial *c, uint32_t phase, uint32_t deadline_ms)
{
	lz_str *room[8];

	c->request = c->h->request;
	c->request.phase = phase;
	if (c->request.deadline_ms == 0)
		c->request.deadline_ms = deadline_ms;
	for (size_t i = 0; i < 8; i++) {
		lz_str *s = request_texts(&c->request, room)[i];

		*s = trial_region_copy(&c->region, *s);
	}
}

struct trial *
trial_begin(struct testhost *h, uint32_t phase, uint32_t deadline_ms)
{
	struct trial *c = mem_zalloc(sizeof(*c));

	if (c == NULL)
		abort();
	c->h = h;
	c->visit.now = &c->scratch;
	c->thread = pthread_self();
	c->began_ms = h->now_ms;
	show_request(c, phase, deadline_ms);
	if (h->body != NULL)
		c->body = json_parse(lz_strz(h->body), NULL);
	trial_name(c);
	h->call = c;
	return c;
}

void
trial_end(struct trial *c)
{
	struct testhost *h = c->h;

	trial_cancel(c);
	h->said.result.elapsed_ms += h->now_ms - c->began_ms;
	h->call = NULL;
	json_decref(c->edit);
	json_decref(c->body);
	json_decref(c->calls);
	for (size_t i = 0; c->fold != NULL && i < c->text_count; i++)
		fold_free(&c->fold[i]);
	mem_free(c->fold);
	mem_free(c->hold);
	mem_free(c->visit.keep.owned);
	memory_reset(&c->scratch);
	trial_region_retire(&c->region);
	free(over[over_next]);
	over[over_next] = c; /* its address is nobody else's for a while */
	over_next = (over_next + 1) % OVER;
}

struct trial *
trial_here(lz_call *lc, const char *function)
{
	struct trial *c = trial_of(lc);
	struct testhost *h = trial_now();

	if (c == NULL) {
		trial_problem(h, "%s() without a call", function);
		return NULL;
	}
	for (size_t i = 0; i < OVER; i++) {
		if (over[i] == c) {
			trial_problem(c->h, "%s() with a call that is over", function);
			return NULL;
		}
	}
	if (!pthread_equal(c->thread, pthread_self())) {
		trial_problem(c->h,
		    "%s() from a thread that is not the call's own; only functions that "
		    "say [any] may be called there",
		    function);
		return NULL;
	}
	return c;
}

/* ---- running ---- */

int64_t
trial_enter(struct trial *c)
{
	trial_is_now(c->h);
	c->depth++;
	c->h->said.result.entries++;
	value_forget();
	return clock_mono_us();
}

void
trial_leave(struct trial *c, int64_t entered_us)
{
	int64_t took = clock_mono_us() - entered_us;

	c->depth--;
	if (took > c->h->said.result.slowest_us)
		c->h->said.result.slowest_us = (uint32_t)took;
}

int32_t
trial_run(struct trial *c, int32_t (*first)(struct trial *c, void *arg), void *arg,
    unsigned allowed)
{
	int64_t entered = trial_enter(c);
	int32_t result = first(c, arg);

	trial_leave(c, entered);
	if (result == LZ_PENDING && (allowed & 1U << LZ_PENDING) == 0) {
		trial_problem(c->h, "LZ_PENDING where the function may not wait");
		result = LZ_E_FAIL;
	} else if (result == LZ_PENDING) {
		trial_carry_on(c);
		result = c->result;
	} else if (c->has_result) {
		trial_problem(c->h, "finish() in a call that did not return LZ_PENDING");
	}
	if (result > 31 || result == LZ_PENDING ||
	    (result > 0 && (allowed & 1U << result) == 0)) {
		trial_problem(c->h, "%d is not a decision here", (int)result);
		result = LZ_E_FAIL;
	}
	return result;
}
