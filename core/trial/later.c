/* later.c - what a call waits for: scripted replies, work on another thread, timers,
 * posts; in the order of the virtual clock, and each called back exactly once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

enum {
	POST_WAIT_S = 5 /* of real time, for a thread that owes a post */
};

struct later {
	struct later *next;
	enum op_kind kind;
	int64_t due_ms;
	struct script *script; /* NULL: none answers it */
	bool is_late;          /* the callout's own time is over first */
	lz_reply_fn *replied;
	lz_call_fn *called;
	lz_task_fn *work;
	void *ud;
};

/* ---- asking ---- */

static struct later *
add(struct trial *c, enum op_kind kind, int64_t ms, void *ud)
{
	struct later *l, **at = &c->later;

	if (c->later_count >= VISIT_OPS)
		return NULL;
	l = mem_zalloc(sizeof(*l));
	if (l == NULL)
		abort();
	l->kind = kind;
	l->due_ms = c->h->now_ms + ms;
	l->ud = ud;
	while (*at != NULL && (*at)->due_ms <= l->due_ms)
		at = &(*at)->next;
	l->next = *at;
	*at = l;
	c->later_count++;
	return l;
}

static bool
may_ask(struct trial *c, const char *function, bool has_callback)
{
	if (c == NULL)
		return false;
	if (!has_callback)
		trial_problem(c->h, "%s() without a callback", function);
	else if (c->has_result)
		trial_problem(c->h, "%s() after finish()", function);
	return has_callback && !c->has_result;
}

/* The first for the URL that was not used yet, else the last. */
static struct script *
script_for(struct testhost *h, lz_str url)
{
	struct script *found = NULL;

	for (size_t i = 0; i < h->script_count; i++) {
		struct script *s = &h->scripts[i];

		if (!str_starts(url, s->url))
			continue;
		found = s;
		if (!s->is_used)
			break;
	}
	if (found != NULL)
		found->is_used = true;
	return found;
}

static lz_http
sent_copy(struct testhost *h, const lz_http *q)
{
	lz_header *head =
	    arena_alloc(h->said.memory, (q->header_count + 1) * sizeof(*head));
	lz_http copy = { .size = sizeof(copy) };

	if (head == NULL)
		abort();
	for (size_t i = 0; i < q->header_count; i++)
		head[i] = lz_head(trial_copy(h, q->headers[i].name),
		    trial_copy(h, q->headers[i].value));
	copy.timeout_ms = q->timeout_ms;
	copy.method = trial_copy(h, q->method);
	copy.url = trial_copy(h, q->url);
	copy.body = trial_copy(h, q->body);
	copy.headers = head;
	copy.header_count = q->header_count;
	return copy;
}

static int32_t
host_http(lz_call *lc, const lz_http *q, lz_reply_fn *fn, void *ud)
{
	struct trial *c = trial_here(lc, "http");
	struct testhost *h;
	struct script *s;
	struct later *l;
	uint32_t delay_ms;
	bool is_late;

	if (!may_ask(c, "http", fn != NULL))
		return LZ_E_INVALID;
	h = c->h;
	if (q->size < sizeof(*q) || q->method.len == 0 || q->url.len == 0) {
		trial_problem(
		    h, "http() without size, method or url; start from lz_http_to()");
		return LZ_E_INVALID;
	}
	s = script_for(h, q->url);
	if (s == NULL)
		trial_problem(
		    h, "http() asks for %.*s, and no script answers it", STR_ARG(q->url));
	delay_ms = s != NULL ? s->delay_ms : 0;
	is_late = q->timeout_ms > 0 && delay_ms > q->timeout_ms;
	l = add(c, OP_HTTP, is_late ? q->timeout_ms : delay_ms, ud);
	if (l == NULL)
		return LZ_E_LIMIT;
	l->is_late = is_late;
	l->script = s;
	l->replied = fn;
	LIST_ADD(h->said.sent, h->said.result.sent_count, sent_copy(h, q));
	return LZ_OK;
}

static int32_t
host_offload(lz_call *lc, lz_task_fn *work, lz_call_fn *fn, void *ud)
{
	struct trial *c = trial_here(lc, "offload");
	struct later *l;

	if (!may_ask(c, "offload", work != NULL && fn != NULL))
		return LZ_E_INVALID;
	l = add(c, OP_OFFLOAD, 0, ud);
	if (l == NULL)
		return LZ_E_LIMIT;
	l->work = work;
	l->called = fn;
	return LZ_OK;
}

static int32_t
host_after(lz_call *lc, uint32_t ms, lz_call_fn *fn, void *ud)
{
	struct trial *c = trial_here(lc, "after");
	struct later *l;

	if (!may_ask(c, "after", fn != NULL))
		return LZ_E_INVALID;
	l = add(c, OP_AFTER, ms, ud);
	if (l == NULL)
		return LZ_E_LIMIT;
	l->called = fn;
	return LZ_OK;
}

static int32_t
host_finish(lz_call *lc, int32_t result)
{
	struct trial *c = trial_here(lc, "finish");

	if (c == NULL)
		return LZ_E_INVALID;
	if (c->has_result) {
		if (c->result != LZ_E_GONE && c->result != LZ_E_TIMEOUT)
			trial_problem(c->h, "finish() twice for one call");
		return LZ_E_GONE;
	}
	c->has_result = true;
	c->result = result;
	return LZ_OK;
}

/* ---- tokens and posts ---- */

struct post {
	struct post *next;
	lz_token token;
	lz_call_fn *fn;
	void *ud;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct post *posts, **last_post = &posts; /* of the call that is under way */
static lz_token live, tokens;
static unsigned post_count;

static lz_token
host_token(lz_call *lc)
{
	struct trial *c = trial_here(lc, "token");

	if (c == NULL)
		return 0;
	c->took_token = true;
	return c->token;
}

static int32_t
host_post(lz_token t, lz_call_fn *fn, void *ud)
{
	struct post *p = mem_zalloc(sizeof(*p));
	int32_t result = LZ_OK;

	if (p == NULL || fn == NULL) {
		if (fn == NULL)
			trial_problem(trial_now(), "post() without a callback");
		mem_free(p);
		return LZ_E_INVALID;
	}
	*p = (struct post){ .token = t, .fn = fn, .ud = ud };
	(void)pthread_mutex_lock(&lock);
	if (t == 0 || t != live)
		result = LZ_E_GONE;
	else if (post_count >= VISIT_POSTS)
		result = LZ_E_LIMIT;
	if (result == LZ_OK) {
		*last_post = p;
		last_post = &p->next;
		post_count++;
		(void)pthread_cond_signal(&arrived);
	}
	(void)pthread_mutex_unlock(&lock);
	if (result != LZ_OK)
		mem_free(p);
	return result;
}

void
trial_name(struct trial *c)
{
	(void)pthread_mutex_lock(&lock);
	c->token = live = ++tokens;
	(void)pthread_mutex_unlock(&lock);
}

static struct post *
take_post(void)
{
	struct post *p;

	(void)pthread_mutex_lock(&lock);
	p = posts;
	if (p != NULL && (posts = p->next) == NULL)
		last_post = &posts;
	post_count -= p != NULL;
	(void)pthread_mutex_unlock(&lock);
	return p;
}

/* A thread owes a post, and nothing else is under way. false: none came. */
static bool
wait_for_post(void)
{
	struct timespec until;
	bool is_there;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += POST_WAIT_S;
	(void)pthread_mutex_lock(&lock);
	while (
	    posts == NULL && pthread_cond_timedwait(&arrived, &lock, &until) != ETIMEDOUT)
		;
	is_there = posts != NULL;
	(void)pthread_mutex_unlock(&lock);
	return is_there;
}

static void
run_post(struct trial *c, struct post *p, int32_t error)
{
	int64_t entered = trial_enter(c);

	p->fn((lz_call *)(void *)c, error, p->ud);
	trial_leave(c, entered);
	mem_free(p);
}

/* ---- calling back ---- */

static void
run_reply(struct trial *c, const struct later *l, int32_t error)
{
	const struct script *s = l->script;
	lz_header type = lz_head(STR_LIT("content-type"), STR_LIT("application/json"));
	lz_reply r = { .size = sizeof(r), .error = error, .headers = &type };

	if (error == LZ_OK && s == NULL)
		r.error = LZ_E_FAIL;
	else if (error == LZ_OK)
		r.error = l->is_late ? LZ_E_TIMEOUT : s->error;
	if (r.error == LZ_OK) {
		r.status = s->status;
		r.body = trial_region_show(&c->region, lz_strz(s->body));
		r.header_count = 1;
		r.elapsed_ms = s->delay_ms;
	}
	l->replied((lz_call *)(void *)c, &r, l->ud);
}

static void *
run_work(void *arg)
{
	struct later *l = arg;

	l->work(l->ud);
	return NULL;
}

/* The work runs on a thread of its own, so that what may not be called there is found. */
static void
do_work(struct later *l)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_work, l) != 0)
		abort();
	(void)pthread_join(thread, NULL);
}

static void
call_back(struct trial *c, int32_t error)
{
	struct later *l = c->later;
	int64_t entered;

	c->later = l->next;
	c->later_count--;
	if (l->kind == OP_OFFLOAD && error == LZ_OK)
		do_work(l);
	entered = trial_enter(c);
	if (l->kind == OP_HTTP)
		run_reply(c, l, error);
	else
		l->called((lz_call *)(void *)c, error, l->ud);
	trial_leave(c, entered);
	mem_free(l);
}

static void
end_with(struct trial *c, int32_t result)
{
	c->has_result = true;
	c->result = result;
}

/* When the call ends by itself, and how. */
static int64_t
ends_at(const struct trial *c, int32_t *result)
{
	int64_t deadline = c->began_ms + c->request.deadline_ms;
	int64_t leaves = c->began_ms + c->h->leaves_after_ms;

	*result = LZ_E_TIMEOUT;
	if (c->h->leaves_after_ms < 0 || leaves >= deadline)
		return deadline;
	*result = LZ_E_GONE;
	return leaves;
}

static void
step(struct trial *c)
{
	int32_t result;
	int64_t end = ends_at(c, &result);
	struct post *p = take_post();

	if (p != NULL) {
		run_post(c, p, LZ_OK);
	} else if (c->took_token && !c->heard_post && wait_for_post()) {
		c->heard_post = true; /* the clock stands while a thread is at work */
	} else if (c->later != NULL && c->later->due_ms <= end) {
		if (c->h->now_ms < c->later->due_ms)
			c->h->now_ms = c->later->due_ms;
		call_back(c, LZ_OK);
	} else if (c->later != NULL) {
		c->h->now_ms = end;
		end_with(c, result);
	} else if (!c->took_token) {
		trial_problem(
		    c->h, "LZ_PENDING, and nothing under way that could finish it");
		end_with(c, LZ_E_FAIL);
	} else if (!wait_for_post()) {
		trial_problem(c->h,
		    "LZ_PENDING, a token was taken, and nothing was posted for "
		    "%d s",
		    POST_WAIT_S);
		end_with(c, LZ_E_FAIL);
	}
}

void
trial_carry_on(struct trial *c)
{
	while (!c->has_result)
		step(c);
}

void
trial_cancel(struct trial *c)
{
	struct post *p;

	if (!c->has_result && c->later != NULL)
		end_with(c, LZ_E_GONE); /* the function did not wait for it */
	while (c->later != NULL)
		call_back(c, LZ_E_GONE);
	(void)pthread_mutex_lock(&lock);
	live = 0;
	(void)pthread_mutex_unlock(&lock);
	while ((p = take_post()) != NULL)
		run_post(c, p, LZ_E_GONE);
}

void
trial_fill_later(lz_host *t)
{
	t->http = host_http;
	t->offload = host_offload;
	t->after = host_after;
	t->finish = host_finish;
	t->token = host_token;
	t->post = host_post;
}
