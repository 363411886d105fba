/* content.c - prompts and answers wait here for the storage thread.
 *
 * What is taken counts against the maximum until it is written, so that the maximum is
 * what the texts really use.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/content.h"

#include "base/mem.h"

enum {
	RUNS = 32
};

void
content_init(struct content_queue *q, size_t max_bytes)
{
	*q = (struct content_queue){ .max_bytes = max_bytes };
	q->last = &q->first;
	must(pthread_mutex_init(&q->lock, NULL) == 0);
}

void
content_free(struct content_queue *q)
{
	struct content *c = content_take(q), *next;

	for (; c != NULL; c = next) {
		next = c->next;
		mem_free(c);
	}
	must(pthread_mutex_destroy(&q->lock) == 0);
}

/* Takes n bytes of the maximum; false when they are not left. */
static bool
claim(struct content_queue *q, size_t n)
{
	bool fits;

	must(pthread_mutex_lock(&q->lock) == 0);
	fits = n <= q->max_bytes - q->bytes;
	if (fits)
		q->bytes += n;
	must(pthread_mutex_unlock(&q->lock) == 0);
	return fits;
}

static void
give_back(struct content_queue *q, size_t n)
{
	must(pthread_mutex_lock(&q->lock) == 0);
	q->bytes -= n;
	must(pthread_mutex_unlock(&q->lock) == 0);
}

static lz_str
put_text(char **at, lz_str s)
{
	char *p = *at;

	if (s.ptr == NULL)
		return s;
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	*at += s.len;
	return lz_strn(p, s.len);
}

/* The copying is done outside the lock. */
bool
content_offer(struct content_queue *q, const struct content *c)
{
	size_t bytes = sizeof(*c) + c->request.len + c->answer.len + c->candidates.len;
	struct content *copy;
	char *at;

	if (!claim(q, bytes))
		return false;
	copy = mem_alloc(bytes);
	if (copy == NULL) {
		give_back(q, bytes);
		return false;
	}
	*copy = *c;
	at = (char *)(copy + 1);
	copy->request = put_text(&at, c->request);
	copy->answer = put_text(&at, c->answer);
	copy->candidates = put_text(&at, c->candidates);
	copy->bytes = bytes;
	copy->next = NULL;
	must(pthread_mutex_lock(&q->lock) == 0);
	*q->last = copy;
	q->last = &copy->next;
	must(pthread_mutex_unlock(&q->lock) == 0);
	return true;
}

static struct content *
merge(struct content *a, struct content *b)
{
	struct content *all = NULL, **last = &all, **lower;

	while (a != NULL && b != NULL) {
		lower = memcmp(a->id, b->id, sizeof(a->id)) <= 0 ? &a : &b;
		*last = *lower;
		last = &(*lower)->next;
		*lower = *last;
	}
	*last = a != NULL ? a : b;
	return all;
}

/* By id: runs of one, two, four, ... are merged as they come, so that run[i] holds 2^i or
 * nothing. */
static struct content *
sort(struct content *all)
{
	struct content *run[RUNS] = { NULL }, *next;
	size_t i;

	for (; all != NULL; all = next) {
		next = all->next;
		all->next = NULL;
		for (i = 0; i + 1 < RUNS && run[i] != NULL; i++) {
			all = merge(run[i], all);
			run[i] = NULL;
		}
		run[i] = merge(run[i], all);
	}
	for (i = 0; i < RUNS; i++)
		all = merge(run[i], all);
	return all;
}

struct content *
content_take(struct content_queue *q)
{
	struct content *all;

	must(pthread_mutex_lock(&q->lock) == 0);
	all = q->first;
	q->first = NULL;
	q->last = &q->first;
	must(pthread_mutex_unlock(&q->lock) == 0);
	return sort(all);
}

void
content_done(struct content_queue *q, struct content *c)
{
	give_back(q, c->bytes);
	mem_free(c);
}
