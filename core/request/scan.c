/* scan.c - a large body is scanned by a pool thread, so that nobody else's request waits
 * for it on the loop.
 *
 * A megabyte of brackets, numbers or nulls takes 2 to 3 ms. The job reads the request's
 * body, which stays as it is while the job holds the request, and writes what is its own.
 * A client that leaves meanwhile ends the request as ever; the job then comes home to one
 * that is over, and lets go of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/request.h"

enum {
	INLINE_BYTES = 256 * 1024 /* below, the way to the pool and back costs more */
};

const struct jscan request_unscanned;

/* Of the members there may be, a chat has a dozen: a stream lives long, and its request
 * with it. */
bool
request_keep_scan(struct request *r, const struct jscan *scan)
{
	size_t n = offsetof(struct jscan, member) + scan->count * sizeof(scan->member[0]);
	struct jscan *kept = arena_room(r->arena, n);

	if (kept == NULL)
		return false;
	memcpy(kept, scan, n);
	r->scan = kept;
	return true;
}

struct scanning {
	struct pool_job job;
	struct request *r;
	enum step (*then)(struct request *r);
	lz_str body;
	struct jscan scan;
	enum status st;
	struct err why;
};

static void
work(void *arg)
{
	struct scanning *s = arg;

	s->st = jscan_object(s->body, &s->scan, &s->why);
}

static void
came_home(void *arg)
{
	struct scanning *s = arg;
	struct request *r = s->r;

	must(r->holds > 0);
	r->holds--;
	if (r->is_finished) {
		r->ops->let_go(r);
		return;
	}
	if (s->st == ST_OK)
		r->scan = &s->scan;
	r->scan_status = s->st;
	r->scan_why = s->why.text;
	r->is_scanned = true;
	r->ops->go_on(r, s->then(r));
}

enum step
request_scan_for(struct request *r, enum step (*then)(struct request *r))
{
	struct scanning *s;

	if (r->body.len <= INLINE_BYTES || r->worker->pool == NULL)
		return then(r);
	s = arena_room(r->arena, sizeof *s);
	if (s == NULL)
		return then(r);
	s->r = r;
	s->then = then;
	s->body = buf_str(&r->body);
	s->job = (struct pool_job){
		.work = work, .home = came_home, .arg = s, .loop = r->worker->loop
	};
	if (pool_run(r->worker->pool, &s->job) != ST_OK)
		return then(r);
	r->holds++;
	return STEP_WAIT;
}

static enum step
next(struct request *r)
{
	(void)r;
	return STEP_NEXT;
}

enum step
request_scan(struct request *r)
{
	return request_scan_for(r, next);
}
