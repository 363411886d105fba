/* content.c - prompts and answers wait here for the storage thread.
 *
 * What is taken counts against the maximum until it is written, so that the maximum is
 * what the texts really use.
 *
 * Texts wait for a whole batch, megabytes under load. In the allocator they would lie
 * between a worker's small blocks, which should stay close together, and be freed by
 * another thread. So they are written one after the other into pages, which come back and
 * are used again; only what is large has an allocation of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/content.h"

#include "base/mem.h"

enum {
	RUNS = 32,
	PAGE_BYTES = 128 * 1024,
	LARGE_BYTES = PAGE_BYTES / 8,
	SPARE_PAGES = 32 /* kept for the next batch */
};

struct content_page {
	struct content_page *next;
	size_t used, items;
	_Alignas(struct content) char bytes[PAGE_BYTES];
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
	struct content_page *page;

	for (; c != NULL; c = next) {
		next = c->next;
		content_done(q, c);
	}
	mem_free(q->page);
	while ((page = q->spare) != NULL) {
		q->spare = page->next;
		mem_free(page);
	}
	must(pthread_mutex_destroy(&q->lock) == 0);
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

static void
copy(struct content *to, const struct content *c, struct content_page *page, size_t bytes)
{
	char *at = (char *)(to + 1);

	*to = *c;
	to->request = put_text(&at, c->request);
	to->answer = put_text(&at, c->answer);
	to->candidates = put_text(&at, c->candidates);
	to->page = page;
	to->bytes = bytes;
	to->next = NULL;
}

static void
enqueue(struct content_queue *q, struct content *c)
{
	*q->last = c;
	q->last = &c->next;
}

/* ---- with the lock ---- */

/* Takes n bytes of the maximum; false when they are not left. */
static bool
claim(struct content_queue *q, size_t n)
{
	if (n > q->max_bytes - q->bytes)
		return false;
	q->bytes += n;
	return true;
}

/* The page that is written to has room for so many bytes, or there is no memory. */
static bool
turn_page(struct content_queue *q, size_t bytes)
{
	struct content_page *page = q->page;

	if (page != NULL && bytes <= PAGE_BYTES - page->used)
		return true;
	page = q->spare;
	if (page != NULL) {
		q->spare = page->next;
		q->spares--;
	} else {
		page = mem_alloc(sizeof(*page));
	}
	if (page == NULL)
		return false;
	page->used = page->items = 0;
	q->page = page;
	return true;
}

static bool
offer_small(struct content_queue *q, const struct content *c, size_t bytes)
{
	const size_t align = _Alignof(struct content);
	struct content *to;

	if (!turn_page(q, bytes) || !claim(q, bytes))
		return false;
	to = (struct content *)(void *)(q->page->bytes + q->page->used);
	/* The last one may end off its page's end, where nothing follows. */
	q->page->used += (bytes + align - 1) & ~(align - 1);
	if (q->page->used > PAGE_BYTES)
		q->page->used = PAGE_BYTES;
	q->page->items++;
	copy(to, c, q->page, bytes);
	enqueue(q, to);
	return true;
}

/* One text of the page less. The page that is written to stays, to be begun anew: so no
 * page is turned that holds nothing. */
static void
leave_page(struct content_queue *q, struct content_page *page)
{
	if (--page->items > 0)
		return;
	page->used = 0;
	if (page == q->page)
		return;
	if (q->spares == SPARE_PAGES) {
		mem_free(page);
		return;
	}
	page->next = q->spare;
	q->spare = page;
	q->spares++;
}

/* ---- without ---- */

static void
lock(struct content_queue *q)
{
	must(pthread_mutex_lock(&q->lock) == 0);
}

static void
unlock(struct content_queue *q)
{
	must(pthread_mutex_unlock(&q->lock) == 0);
}

/* Copied outside the lock. */
static bool
offer_large(struct content_queue *q, const struct content *c, size_t bytes)
{
	struct content *to;
	bool fits;

	lock(q);
	fits = claim(q, bytes);
	unlock(q);
	if (!fits)
		return false;
	to = mem_alloc(bytes);
	if (to != NULL)
		copy(to, c, NULL, bytes);
	lock(q);
	if (to != NULL)
		enqueue(q, to);
	else
		q->bytes -= bytes;
	unlock(q);
	return to != NULL;
}

bool
content_offer(struct content_queue *q, const struct content *c)
{
	size_t bytes = sizeof(*c) + c->request.len + c->answer.len + c->candidates.len;
	bool is_taken;

	if (bytes >= LARGE_BYTES)
		return offer_large(q, c, bytes);
	lock(q);
	is_taken = offer_small(q, c, bytes);
	unlock(q);
	return is_taken;
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

	lock(q);
	all = q->first;
	q->first = NULL;
	q->last = &q->first;
	unlock(q);
	return sort(all);
}

void
content_done(struct content_queue *q, struct content *c)
{
	struct content_page *page = c->page;

	lock(q);
	q->bytes -= c->bytes;
	if (page != NULL)
		leave_page(q, page);
	unlock(q);
	if (page == NULL)
		mem_free(c);
}
