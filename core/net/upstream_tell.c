/* upstream_tell.c - tells users what libcurl's callbacks gathered, outside of libcurl.
 *
 * Calls with something to tell stand in one list. While a user's callback runs,
 * u->current is its call; the callback may cancel any call, and u->current is NULL then
 * if it was its own. Gathering buffers are held only while they hold something.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include "base/mem.h"

/* Gathering buffers. Only calls with something untold hold one, so a stream at rest costs
 * none. */

void
upstream_borrow(struct upstream *u, struct buf *b, size_t max_bytes)
{
	buf_init(b, max_bytes);
	if (u->spares == 0)
		return;
	*b = u->spare[--u->spares];
	b->max_bytes = max_bytes;
}

void
upstream_give_back(struct upstream *u, struct buf *b)
{
	buf_reset(b);
	if (b->ptr != NULL && u->spares < SPARE_BUFFERS && b->cap <= SPARE_BYTES)
		u->spare[u->spares++] = *b;
	else
		buf_free(b);
	*b = (struct buf){ 0 };
}

/* The list of those with something to tell. */

void
upstream_ready(struct upstream_call *c)
{
	struct upstream *u = c->u;

	if (c->is_ready)
		return;
	c->is_ready = true;
	c->ready_prev = u->ready_last;
	c->ready_next = NULL;
	*(c->ready_prev != NULL ? &c->ready_prev->ready_next : &u->ready_first) = c;
	u->ready_last = c;
}

void
upstream_unready(struct upstream_call *c)
{
	struct upstream *u = c->u;

	if (!c->is_ready)
		return;
	c->is_ready = false;
	*(c->ready_prev != NULL ? &c->ready_prev->ready_next : &u->ready_first) =
	    c->ready_next;
	*(c->ready_next != NULL ? &c->ready_next->ready_prev : &u->ready_last) =
	    c->ready_prev;
}

void
upstream_fail(struct upstream_call *c, enum upstream_end end, const char *why)
{
	if (c->has_failed || c->is_over)
		return;
	c->has_failed = true;
	c->failure = end;
	c->why = why;
	upstream_ready(c);
}

/* Telling. Each returns false when the call was cancelled by its own callback. */

static bool
tell_head(struct upstream_call *c)
{
	struct upstream *u = c->u;
	lz_header fields[UPSTREAM_FIELDS];
	size_t n = answer_fields(c, fields);
	struct buf head = c->head;

	c->has_head = false;
	if (!c->is_over)
		handle_sent(c);
	c->head = (struct buf){ 0 };
	c->ops->head(c->arg, c->status, fields, n);
	upstream_give_back(u, &head);
	return u->current == c;
}

static bool
tell_body(struct upstream_call *c)
{
	struct upstream *u = c->u;
	struct buf body = c->body;

	c->body = (struct buf){ 0 };
	c->ops->data(c->arg, buf_str(&body));
	upstream_give_back(u, &body);
	return u->current == c;
}

static void
tell_end(struct upstream_call *c)
{
	struct upstream_result r;

	answer_result(c, &r);
	c->is_ending = true;
	c->ops->done(c->arg, &r);
	upstream_release(c);
}

static void
tell(struct upstream_call *c)
{
	if (c->has_failed && !c->is_over)
		upstream_over(c, CURLE_ABORTED_BY_CALLBACK);
	upstream_unready(c);
	if (c->has_head && !tell_head(c))
		return;
	if (!c->is_paused && c->body.len > 0 && !tell_body(c))
		return;
	if (c->is_held && !c->is_paused)
		upstream_let_go(c);
	/* A user that is paused hears of a proper end only behind its last bytes, of a
	 * failure at once. */
	if (c->is_over && (c->body.len == 0 || c->has_failed))
		tell_end(c);
}

void
upstream_tell(struct upstream *u)
{
	if (u->is_telling)
		return;
	u->is_telling = true;
	while (u->ready_first != NULL) {
		u->current = u->ready_first;
		tell(u->current);
	}
	u->current = NULL;
	u->is_telling = false;
}

/* The end of a turn. */

static void on_turn_end(void *arg);

/* Its storage is in two queues that cannot be left: it goes when both have let go. */
void
upstream_free_if_dead(struct upstream *u)
{
	if (u->is_dead && !u->is_later && !u->is_posted)
		mem_free(u);
}

static void
on_next_turn(void *arg)
{
	struct upstream *u = arg;

	u->is_posted = false;
	upstream_kick(u);
	upstream_free_if_dead(u);
}

static void
on_turn_end(void *arg)
{
	struct upstream *u = arg;

	u->is_later = false;
	if (u->is_dead) {
		upstream_free_if_dead(u);
		return;
	}
	u->is_turning = true;
	upstream_tell(u);
	shards_run_kicked(u);
	u->is_turning = false;
	if (u->kicked > 0 && !u->is_posted) {
		u->is_posted = true;
		loop_post(u->loop, &u->task, on_next_turn, u);
	}
}

void
upstream_kick(struct upstream *u)
{
	if (u->is_later || u->is_turning || u->is_dead)
		return;
	u->is_later = true;
	loop_later(u->loop, &u->later, on_turn_end, u);
}
