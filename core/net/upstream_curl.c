/* upstream_curl.c - the door of upstream.h: a call's life, and its clocks.
 *
 * A call is in libcurl's hands until upstream_over(), then waits to be told of
 * (upstream_tell.c), and then rests with its handle until the next one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include "base/mem.h"

enum {
	DEFAULT_IDLE_MS = 60000,
	DEFAULT_SHARD_ACTIVE = 256,
	DEFAULT_MAX_IDLE = 512,
	DEFAULT_CONNECT_MS = 10000
};

/* libcurl's allocator. It has one word for "no memory" and "this header line is too
 * long", so we remember which. */

static _Thread_local bool ran_dry;

static void *
noted(void *p)
{
	if (p == NULL)
		ran_dry = true;
	return p;
}

static void *
curl_alloc(size_t n)
{
	return noted(mem_alloc(n));
}

static void *
curl_realloc(void *p, size_t n)
{
	return noted(mem_realloc(p, n));
}

static void *
curl_calloc(size_t count, size_t n)
{
	return noted(mem_calloc(count, n));
}

static char *
curl_strdup(const char *s)
{
	return noted(mem_strdup(s));
}

bool
upstream_ran_dry(void)
{
	bool was = ran_dry;

	ran_dry = false;
	return was;
}

enum status
upstream_start(struct err *e)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_alloc, mem_free, curl_realloc,
		curl_strdup, curl_calloc) != CURLE_OK)
		return err_fail(e, ST_NOMEM, "libcurl: could not be initialised");
	return ST_OK;
}

const char *
upstream_end_name(enum upstream_end end)
{
	static const char *const names[] = {
		[UPSTREAM_DONE] = "done",
		[UPSTREAM_NO_NAME] = "name_not_found",
		[UPSTREAM_REFUSED] = "connection_refused",
		[UPSTREAM_TLS] = "tls_failed",
		[UPSTREAM_STALE] = "connection_stale",
		[UPSTREAM_RESET] = "connection_reset",
		[UPSTREAM_CONNECT_TIMEOUT] = "connect_timeout",
		[UPSTREAM_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
		[UPSTREAM_IDLE_TIMEOUT] = "idle_timeout",
		[UPSTREAM_TOTAL_TIMEOUT] = "total_timeout",
		[UPSTREAM_BAD] = "bad_answer",
		[UPSTREAM_TOO_LARGE] = "answer_too_large",
		[UPSTREAM_NOMEM] = "out_of_memory",
	};

	return (size_t)end < sizeof(names) / sizeof(names[0]) ? names[end] : "unknown";
}

int64_t
upstream_now_us(const struct upstream *u)
{
	return loop_now(u->loop)->mono_us;
}

static void
stop_clocks(struct upstream_call *c)
{
	loop_timer_cancel(c->u->loop, &c->phase_timer);
	loop_timer_cancel(c->u->loop, &c->total_timer);
}

void
upstream_over(struct upstream_call *c, CURLcode code)
{
	/* 7.88.1 calls a header line of more than 100 KB "out of memory". */
	if (code == CURLE_OUT_OF_MEMORY && !upstream_ran_dry() &&
	    c->phase == PHASE_FIRST_BYTE)
		upstream_fail(c, UPSTREAM_BAD, "the answer's head has an endless line");
	c->code = code;
	c->is_over = true;
	shard_remove(c);
	stop_clocks(c);
	upstream_ready(c);
}

/* Clocks. Progress only notes the time; the timer looks at it when it fires, and sets
 * itself to the rest. */

static void
on_phase_limit(void *arg)
{
	static const struct {
		enum upstream_end end;
		const char *why;
	} late[] = {
		[PHASE_CONNECT] = { UPSTREAM_CONNECT_TIMEOUT, "no connection in time" },
		[PHASE_FIRST_BYTE] = { UPSTREAM_FIRST_BYTE_TIMEOUT, "no answer in time" },
		[PHASE_BODY] = { UPSTREAM_IDLE_TIMEOUT, "the answer fell silent" },
	};
	struct upstream_call *c = arg;
	int64_t left = c->moved_us + c->limit_us[c->phase] - upstream_now_us(c->u);

	if (c->phase == PHASE_BODY && c->is_paused)
		return; /* the silence is ours */
	if (left > 0 &&
	    loop_timer_set(c->u->loop, &c->phase_timer, left, on_phase_limit, c) == ST_OK)
		return;
	upstream_fail(c, late[c->phase].end, late[c->phase].why);
	upstream_tell(c->u);
}

static void
on_total_limit(void *arg)
{
	struct upstream_call *c = arg;

	upstream_fail(c, UPSTREAM_TOTAL_TIMEOUT, "the answer did not end in time");
	upstream_tell(c->u);
}

static bool
set_clock(struct upstream_call *c, struct loop_timer *t, int64_t us, loop_fn *fn)
{
	if (us <= 0) {
		loop_timer_cancel(c->u->loop, t);
		return true;
	}
	if (loop_timer_set(c->u->loop, t, us, fn, c) == ST_OK)
		return true;
	upstream_fail(c, UPSTREAM_NOMEM, "out of memory for a timer");
	return false;
}

bool
upstream_enter(struct upstream_call *c, enum call_phase phase)
{
	c->phase = phase;
	c->moved_us = upstream_now_us(c->u);
	return set_clock(c, &c->phase_timer, c->limit_us[phase], on_phase_limit);
}

/* A call's life. */

static struct upstream_call *
call_new(struct upstream *u)
{
	struct upstream_call *c = u->resting;
	struct handle h;

	if (c != NULL) {
		u->resting = c->next;
		u->rests--;
		h = c->h;
		memset(c, 0, sizeof(*c));
		c->h = h;
		c->u = u;
		return c;
	}
	c = mem_zalloc(sizeof(*c));
	if (c == NULL)
		return NULL;
	c->u = u;
	if (handle_open(c) == ST_OK)
		return c;
	handle_close(&c->h);
	mem_free(c);
	return NULL;
}

static void
call_link(struct upstream_call *c)
{
	struct upstream *u = c->u;

	c->next = u->calls;
	if (c->next != NULL)
		c->next->prev = c;
	u->calls = c;
	u->active++;
}

static void
call_unlink(struct upstream_call *c)
{
	struct upstream *u = c->u;

	*(c->prev != NULL ? &c->prev->next : &u->calls) = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	u->active--;
}

/* From any state: out of libcurl, out of every list, to rest. */
void
upstream_release(struct upstream_call *c)
{
	struct upstream *u = c->u;

	shard_remove(c);
	stop_clocks(c);
	upstream_unready(c);
	call_unlink(c);
	upstream_give_back(u, &c->head);
	upstream_give_back(u, &c->body);
	origin_unref(u, c->origin);
	handle_rest(&c->h);
	if (u->rests < u->o.shard_active) {
		c->next = u->resting;
		u->resting = c;
		u->rests++;
		return;
	}
	handle_close(&c->h);
	mem_free(c);
}

/* FNV-1a: a hint for finding connections, no more. */
static uint64_t
hash_more(uint64_t hash, lz_str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t
origin_hash(const struct upstream_request *q)
{
	uint64_t hash = hash_more(0xcbf29ce484222325u, url_origin(q->url));

	if (q->proxy != NULL)
		hash = hash_more(hash * 31, lz_strz(q->proxy));
	return q->wants_http2 ? hash * 33 : hash;
}

static enum status
call_begin(struct upstream_call *c, const struct upstream_request *q, struct err *e)
{
	unsigned connect_ms =
	    q->connect_timeout_ms > 0 ? q->connect_timeout_ms : DEFAULT_CONNECT_MS;
	enum status st = handle_prepare(c, q, e);

	if (st != ST_OK)
		return st;
	c->max_answer_bytes = q->max_answer_bytes;
	c->limit_us[PHASE_CONNECT] = (int64_t)connect_ms * 1000;
	c->limit_us[PHASE_FIRST_BYTE] = (int64_t)q->first_byte_timeout_ms * 1000;
	c->limit_us[PHASE_BODY] = (int64_t)q->idle_timeout_ms * 1000;
	c->began_us = upstream_now_us(c->u);
	c->connected_us = c->head_us = -1;
	c->origin = origin_get(c->u, origin_hash(q), q->wants_http2 && c->is_tls);
	if (c->origin == NULL || !upstream_enter(c, PHASE_CONNECT) ||
	    !set_clock(c, &c->total_timer, (int64_t)q->total_timeout_ms * 1000,
		on_total_limit) ||
	    shard_add(c) != ST_OK)
		return err_fail(e, ST_NOMEM, "upstream call: out of memory");
	return ST_OK;
}

struct upstream_call *
upstream_send(struct upstream *u, const struct upstream_request *q,
    const struct upstream_ops *ops, void *arg, struct err *e)
{
	struct upstream_call *c = call_new(u);

	if (c == NULL) {
		(void)err_fail(e, ST_NOMEM, "upstream call: out of memory");
		return NULL;
	}
	c->ops = ops;
	c->arg = arg;
	call_link(c);
	if (call_begin(c, q, e) == ST_OK)
		return c;
	upstream_release(c);
	return NULL;
}

void
upstream_cancel(struct upstream_call *c)
{
	if (c == NULL || c->is_ending)
		return;
	if (c->u->current == c)
		c->u->current = NULL;
	upstream_release(c);
}

void
upstream_pause(struct upstream_call *c)
{
	if (c->is_paused || c->is_ending)
		return;
	c->is_paused = true;
	/* Refused while there is no connection yet; then the first piece of body is what
	 * libcurl is paused by. Never with HTTP/2: 7.88.1 keeps the whole connection
	 * waiting for a paused stream, and turns in circles meanwhile. */
	if (!c->is_over && !c->origin->is_shared)
		(void)curl_easy_pause(c->h.easy, CURLPAUSE_RECV);
}

/* libcurl hands over here what it kept while it was paused, and forgets to fail the
 * transfer when that cannot be taken: the stream would go on with a hole. */
void
upstream_let_go(struct upstream_call *c)
{
	CURLcode rc;

	c->is_held = false;
	if (c->is_over)
		return;
	rc = curl_easy_pause(c->h.easy, CURLPAUSE_CONT);
	if (rc != CURLE_OK && rc != CURLE_BAD_FUNCTION_ARGUMENT)
		upstream_fail(
		    c, UPSTREAM_NOMEM, "the paused answer could not be taken up again");
}

void
upstream_resume(struct upstream_call *c)
{
	if (!c->is_paused || c->is_ending)
		return;
	c->is_paused = false;
	if (c->phase == PHASE_BODY && !c->is_over)
		(void)upstream_enter(c, PHASE_BODY);
	upstream_let_go(c);
	upstream_ready(c);
	upstream_kick(c->u);
}

void
upstream_alive(struct upstream_call *c)
{
	if (c->phase == PHASE_BODY)
		c->moved_us = upstream_now_us(c->u);
}

unsigned
upstream_active(const struct upstream *u)
{
	return u->active;
}

/* The engine's life. */

static CURLSH *
share_new(void)
{
	CURLSH *share = curl_share_init();
	CURLSHcode rc = CURLSHE_OK;

	if (share == NULL)
		return NULL;
	rc |= curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	rc |= curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	if (rc == CURLSHE_OK)
		return share;
	(void)curl_share_cleanup(share);
	return NULL;
}

struct upstream *
upstream_new(struct loop *l, const struct upstream_options *o, struct err *e)
{
	struct upstream *u = mem_zalloc(sizeof(*u));

	if (u != NULL)
		u->share = share_new();
	if (u == NULL || u->share == NULL) {
		(void)err_fail(e, ST_NOMEM, "upstream engine: out of memory");
		mem_free(u);
		return NULL;
	}
	u->loop = l;
	u->o = *o;
	if (u->o.idle_ms == 0)
		u->o.idle_ms = DEFAULT_IDLE_MS;
	if (u->o.shard_active == 0)
		u->o.shard_active = DEFAULT_SHARD_ACTIVE;
	if (u->o.max_idle == 0)
		u->o.max_idle = DEFAULT_MAX_IDLE;
	return u;
}

void
upstream_free(struct upstream *u)
{
	struct upstream_call *c;

	if (u == NULL)
		return;
	u->is_dead = true;
	while (u->calls != NULL)
		upstream_release(u->calls);
	while ((c = u->resting) != NULL) {
		u->resting = c->next;
		handle_close(&c->h);
		mem_free(c);
	}
	shards_free(u);
	(void)curl_share_cleanup(u->share);
	while (u->spares > 0)
		buf_free(&u->spare[--u->spares]);
	upstream_free_if_dead(u);
}
