/* plain.c - large texts are found and folded by a thread of the pool.
 *
 * The plain form costs 1 ns for a byte of English, 10 to 40 where letters are not ASCII,
 * and 300 where one character becomes eighteen: 30 MiB would hold a worker up for
 * seconds. What is weighed is what the bytes may cost at worst, so that a long prompt in
 * English stays on the worker and the same length of another script does not.
 *
 * The job holds the request. A client that leaves, a deadline, an attempt that ends
 * meanwhile drop it: it then stops at the next text, and has no say when it comes home.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guard/plain.h"

#include <stdatomic.h>

#include "base/mem.h"

enum {
	MUCH_BYTES = 256 << 10,  /* of any kind */
	MUCH_FOREIGN = 16 << 10, /* beyond ASCII */
	ESCAPED_BYTES = 3        /* that \uXXXX may stand for */
};

struct plain_job {
	struct pool_job job;
	struct guards *all;
	struct document document; /* its texts are the list, whosever it is */
	bool is_found;
	atomic_bool is_dropped; /* read by the pool's thread */
	bool is_fine;
	plain_done_fn *done;
	void *arg;
};

/* ---- how much it is ---- */

#define EACH UINT64_C(0x0101010101010101) /* byte of a word */

/* How many bytes have their highest bit set, where nothing else is. */
static size_t
marked(uint64_t word)
{
	return (size_t)((word >> 7) * EACH >> 56);
}

/* Marks the bytes that are backslashes. */
static uint64_t
slashes(uint64_t word)
{
	uint64_t other = word ^ '\\' * EACH;

	return ~(((other & 0x7f * EACH) + 0x7f * EACH) | other) & 0x80 * EACH;
}

/* Bytes beyond ASCII, now or once they are decoded. */
static size_t
count_foreign(lz_str s)
{
	size_t n = 0, i = 0;

	for (uint64_t word; i + sizeof(word) <= s.len; i += sizeof(word)) {
		memcpy(&word, s.ptr + i, sizeof(word));
		n += marked(word & 0x80 * EACH) + ESCAPED_BYTES * marked(slashes(word));
	}
	for (; i < s.len; i++)
		n += (s.ptr[i] & 0x80) != 0 ? 1 : s.ptr[i] == '\\' ? ESCAPED_BYTES : 0;
	return n;
}

static bool
is_much(size_t bytes, size_t foreign)
{
	return bytes > MUCH_BYTES || foreign > MUCH_FOREIGN;
}

bool
plain_is_much_of(lz_str bytes)
{
	if (bytes.len * ESCAPED_BYTES <= MUCH_FOREIGN)
		return false;
	return is_much(bytes.len, bytes.len > MUCH_BYTES ? 0 : count_foreign(bytes));
}

bool
plain_is_much(const struct texts *t)
{
	size_t bytes = 0, foreign = 0;

	for (size_t i = 0; i < t->count; i++)
		bytes += t->item[i].has_plain ? 0 : t->item[i].shown.text.len;
	if (bytes <= MUCH_FOREIGN || bytes > MUCH_BYTES)
		return is_much(bytes, 0);
	for (size_t i = 0; i < t->count; i++)
		if (!t->item[i].has_plain)
			foreign += count_foreign(t->item[i].shown.text);
	return is_much(bytes, foreign);
}

/* ---- in the pool ---- */

static bool
is_dropped(struct plain_job *j)
{
	return atomic_load_explicit(&j->is_dropped, memory_order_relaxed);
}

static void
work(void *arg)
{
	struct plain_job *j = arg;
	struct document *d = &j->document;
	struct texts *t = &d->texts;

	if (is_dropped(j))
		return;
	if (!j->is_found && document_read(d, d->kind, d->bytes, t->arena) != ST_OK)
		return;
	for (size_t i = 0; i < t->count; i++)
		if (is_dropped(j) || !text_plain(t, &t->item[i]))
			return;
	j->is_fine = true;
}

static void
came_home(void *arg)
{
	struct plain_job *j = arg;
	struct guards *all = j->all;
	struct request *r = all->r;
	plain_done_fn *done = j->done;
	bool is_fine = j->is_fine, is_found = j->is_found;

	must(r->holds > 0 && all->folding > 0);
	r->holds--;
	all->folding--;
	if (done != NULL && is_fine && !is_found) {
		all->document = j->document;
		all->has_document = true;
	}
	arg = j->arg;
	mem_free(j);
	if (r->is_finished)
		r->ops->let_go(r);
	else if (done != NULL)
		done(arg, is_fine);
}

static struct plain_job *
send_off(struct guards *all, const struct document *d, bool is_found, plain_done_fn *done,
    void *arg)
{
	struct request *r = all->r;
	struct plain_job *j = mem_zalloc(sizeof(*j));

	if (j == NULL) {
		request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
		return NULL;
	}
	j->all = all;
	j->document = *d;
	j->is_found = is_found;
	j->done = done;
	j->arg = arg;
	j->job = (struct pool_job){
		.work = work, .home = came_home, .arg = j, .loop = r->worker->loop
	};
	if (pool_run(r->worker->pool, &j->job) != ST_OK) {
		mem_free(j);
		request_fail(r, FAULT_OVERLOADED, NULL,
		    "too many large texts wait to be shown to guardrails; try again");
		return NULL;
	}
	r->holds++;
	all->folding++;
	all->asked_us = all->came_us = 0; /* nobody has been asked yet */
	return j;
}

struct plain_job *
plain_texts(struct guards *all, const struct texts *t, plain_done_fn *done, void *arg)
{
	struct document d = { .texts = *t };

	return send_off(all, &d, true, done, arg);
}

struct plain_job *
plain_document(struct guards *all, enum document_kind kind, lz_str bytes, struct arena *a,
    plain_done_fn *done, void *arg)
{
	struct document d = { .kind = kind, .bytes = bytes, .texts = { .arena = a } };

	return send_off(all, &d, false, done, arg);
}

void
plain_drop(struct plain_job *j)
{
	if (j == NULL)
		return;
	atomic_store_explicit(&j->is_dropped, true, memory_order_relaxed);
	j->done = NULL;
}
