/* storm.c - a guardrail that never answers at once: a timer, work in the pool, a thread
 * of its own that posts, or nothing in time. It counts what it asked for and what it
 * heard of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <latenza/plugin.h>

enum {
	POSTERS = 8,
	QUEUE = 4096
};

struct storm {
	lz_str report;      /* a file: what was asked for and heard, at the end */
	int32_t is_patient; /* nothing comes in time, and nothing ends it */
};

static uint32_t asked, heard, twice;
static atomic_ulong total_asked, total_heard, total_twice;
static atomic_uint turn;

/* What waits for one answer; its own memory, so that a second one is seen. Kept in a
 * list, so that no leak checker takes it for lost. */
struct wait {
	atomic_uint answers;
	int is_last; /* it ends the call */
	struct wait *next;
};

static _Atomic(struct wait *) all;

static struct wait *
new_wait(void)
{
	struct wait *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->is_last = 1;
	w->next = atomic_load(&all);
	while (!atomic_compare_exchange_weak(&all, &w->next, w))
		;
	return w;
}

static void
note_answer(struct wait *w)
{
	int is_first = atomic_fetch_add(&w->answers, 1) == 0;

	(void)atomic_fetch_add(is_first ? &total_heard : &total_twice, 1);
	lz->observe(is_first ? heard : twice, 1);
}

static void
answered(lz_call *c, int32_t error, void *ud)
{
	struct wait *w = ud;

	note_answer(w);
	if (error == LZ_OK && w->is_last)
		(void)lz->finish(c, LZ_OK);
}

static void
work(void *ud)
{
	(void)ud;
	usleep(500);
}

/* ---- eight threads of its own that post ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct {
	lz_token token;
	struct wait *wait;
} queue[QUEUE];
static unsigned first, last;

static void *
post_for_ever(void *arg)
{
	(void)arg;
	for (;;) {
		lz_token token;
		struct wait *w;

		(void)pthread_mutex_lock(&lock);
		while (first == last)
			(void)pthread_cond_wait(&more, &lock);
		token = queue[first % QUEUE].token;
		w = queue[first % QUEUE].wait;
		first++;
		(void)pthread_mutex_unlock(&lock);
		usleep(300);
		if (lz->post(token, answered, w) < 0) /* then it hears it here */
			note_answer(w);
	}
	return NULL;
}

static int32_t
post_later(lz_call *c, struct wait *w)
{
	int32_t result = LZ_E_LIMIT;

	(void)pthread_mutex_lock(&lock);
	if (last - first < QUEUE) {
		queue[last % QUEUE].token = lz->token(c);
		queue[last % QUEUE].wait = w;
		last++;
		result = LZ_OK;
		(void)pthread_cond_signal(&more);
	}
	(void)pthread_mutex_unlock(&lock);
	return result;
}

/* ---- the guardrail ---- */

static int32_t
ask(lz_call *c, unsigned how, struct wait *w)
{
	switch (how % 4) {
	case 0:
		return lz->after(c, 1 + how % 40, answered, w);
	case 1:
		return lz->offload(c, work, answered, w);
	case 2:
		return post_later(c, w);
	default:
		w->is_last = 0; /* the deadline is first */
		return lz->after(c, 600000, answered, w);
	}
}

static int32_t
check(void *self, lz_call *c)
{
	const struct storm *s = self;
	unsigned how = atomic_fetch_add(&turn, 1);

	/* Two at once: whatever comes second is cancelled with the call. */
	for (int i = 0; i < 2; i++) {
		struct wait *w = new_wait();

		if (w == NULL)
			return LZ_E_NOMEM;
		/* In one of sixteen calls nothing comes before the deadline. */
		if (ask(c,
			s->is_patient   ? 3
			: how % 16 == 3 ? how
					: how + (unsigned)i * 5,
			w) == LZ_OK) {
			(void)atomic_fetch_add(&total_asked, 1);
			lz->observe(asked, 1);
		} else if (i == 0)
			return LZ_OK; /* the pool's queue is bounded */
	}
	return LZ_PENDING;
}

static int32_t
init(void *self, char *err, size_t err_len)
{
	static int is_started;

	(void)self;
	(void)err;
	(void)err_len;
	asked = lz->metric(LZ_COUNTER, "asked", "Answers that are owed");
	heard = lz->metric(LZ_COUNTER, "heard", "Answers that came");
	twice = lz->metric(LZ_COUNTER, "twice", "Answers that came again");
	for (int i = 0; i < POSTERS && !is_started; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, post_for_ever, NULL) != 0)
			return LZ_E_FAIL;
		(void)pthread_detach(thread);
	}
	is_started = 1;
	return LZ_OK;
}

/* [main] At the gateway's end, when nothing runs any more. */
static void
fini(void *self)
{
	const struct storm *s = self;
	char path[4096];
	FILE *f;

	if (s->report.len == 0)
		return;
	(void)snprintf(path, sizeof(path), "%.*s", (int)s->report.len, s->report.ptr);
	f = fopen(path, "w");
	if (f == NULL)
		return;
	(void)fprintf(f, "%lu %lu %lu\n", atomic_load(&total_asked),
	    atomic_load(&total_heard), atomic_load(&total_twice));
	(void)fclose(f);
}

static const lz_option options[] = {
	LZ_OPT_TEXT(struct storm, report, "", NULL,
	    "a file: what was asked for, heard, and heard twice, at the end"),
	LZ_OPT_BOOL(struct storm, is_patient, "false", "nothing comes before the end"),
};
static const lz_guardrail guardrail = { .size = sizeof(guardrail),
	.phases = LZ_REQUEST,
	.needs = LZ_NEEDS_TEXTS,
	.check = check };
static const lz_component parts[] = { { .kind = LZ_GUARDRAIL,
    .name = "storm",
    .summary = "Never answers at once",
    .vtable = &guardrail,
    LZ_OPTIONS_OF(options),
    .instance_size = sizeof(struct storm),
    .init = init,
    .fini = fini } };
LZ_PLUGIN("test.storm", "1.0.0", "MIT", parts)
