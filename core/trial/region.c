/* region.c - memory of a call that cannot be read once the call is over.
 *
 * What a plugin was shown lives in pages of its own. They become unreadable when the call
 * ends and stay mapped for a while, so that their addresses are not given to others: a
 * pointer that was kept ends the test where it is used, with a sentence.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/inside.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	CHUNK_BYTES = 16 << 10,
	RETIRED = 256, /* chunks of a kind that stay unreadable */
	ALIGN = 16,
	NO_NUL = 0xa5 /* what stands behind a text */
};

struct chunk {
	struct chunk *next;
	char *pages;
	size_t len, used; /* len: without the guard */
	bool is_guarded;
};

/* What is over, oldest at `next`. Most calls take the two usual kinds of chunk, whose
 * pages are taken again once their time is over; all others are given back. */
struct ring {
	struct chunk chunk[RETIRED];
	unsigned next;
};
static struct ring usual[2], others;

static size_t
page_bytes(void)
{
	static size_t bytes;

	if (bytes == 0)
		bytes = (size_t)sysconf(_SC_PAGESIZE);
	return bytes;
}

static struct ring *
ring_of(size_t len, bool is_guarded)
{
	if (is_guarded)
		return len == page_bytes() ? &usual[1] : &others;
	return len == CHUNK_BYTES ? &usual[0] : &others;
}

/* false: there is none whose time is over. */
static bool
take_again(struct chunk *k)
{
	struct ring *r = ring_of(k->len, k->is_guarded);
	struct chunk *old = &r->chunk[r->next];

	if (r == &others || old->pages == NULL ||
	    mprotect(old->pages, old->len, PROT_READ | PROT_WRITE) != 0)
		return false;
	k->pages = old->pages;
	memset(k->pages + old->len - old->used, 0, old->is_guarded ? old->used : 0);
	memset(k->pages, 0, old->is_guarded ? 0 : old->used);
	old->pages = NULL;
	return true;
}

static bool
map(struct chunk *k)
{
	size_t guard = k->is_guarded ? page_bytes() : 0;

	k->pages = mmap(NULL, k->len + guard, PROT_READ | PROT_WRITE,
	    /* cppcheck-suppress invalidFunctionArg ; 2.10 knows no -1 for nothing */
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (k->pages == MAP_FAILED)
		return false;
	if (guard > 0)
		(void)mprotect(k->pages + k->len, guard, PROT_NONE);
	return true;
}

/* At least n bytes of whole pages; guarded: the page behind them cannot be read. */
static struct chunk *
chunk_new(struct region *g, size_t n, bool is_guarded)
{
	size_t page = page_bytes();
	struct chunk *k = mem_zalloc(sizeof(*k));

	if (k == NULL)
		return NULL;
	k->len = (n + page - 1) / page * page;
	k->is_guarded = is_guarded;
	if (!take_again(k) && !map(k)) {
		mem_free(k);
		return NULL;
	}
	k->next = g->chunk;
	g->chunk = k;
	return k;
}

void *
trial_region_alloc(struct region *g, size_t n)
{
	size_t need = (n + ALIGN - 1) / ALIGN * ALIGN;
	struct chunk *k = g->chunk;
	void *p;

	while (k != NULL && k->is_guarded)
		k = k->next;
	if (n > VISIT_MEMORY_BYTES || g->used + need > VISIT_MEMORY_BYTES)
		return NULL;
	if (k == NULL || k->len - k->used < need)
		k = chunk_new(g, need > CHUNK_BYTES ? need : CHUNK_BYTES, false);
	if (k == NULL)
		return NULL;
	p = k->pages + k->used;
	k->used += need;
	g->used += need;
	return p;
}

lz_str
trial_region_show(struct region *g, lz_str s)
{
	struct chunk *k;
	char *end;

	if (s.len == 0)
		return s.ptr == NULL ? s : trial_region_copy(g, s);
	k = chunk_new(g, s.len, true);
	if (k == NULL)
		abort();
	k->used = s.len;
	end = k->pages + k->len;
	memcpy(end - s.len, s.ptr, s.len);
	return lz_strn(end - s.len, s.len);
}

lz_str
trial_region_copy(struct region *g, lz_str s)
{
	char *p;

	if (s.ptr == NULL)
		return s;
	p = trial_region_alloc(g, s.len + 1);
	if (p == NULL)
		abort();
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	p[s.len] = (char)NO_NUL;
	return lz_strn(p, s.len);
}

static void
retire(const struct chunk *k)
{
	struct ring *r = ring_of(k->len, k->is_guarded);
	struct chunk *old = &r->chunk[r->next];

	if (old->pages != NULL)
		(void)munmap(old->pages, old->len + (old->is_guarded ? page_bytes() : 0));
	*old = *k;
	r->next = (r->next + 1) % RETIRED;
	(void)mprotect(k->pages, k->len, PROT_NONE);
}

void
trial_region_retire(struct region *g)
{
	struct chunk *k = g->chunk, *next;

	for (; k != NULL; k = next) {
		next = k->next;
		retire(k);
		mem_free(k);
	}
	*g = (struct region){ 0 };
}

/* ---- telling what was touched ---- */

static struct sigaction before;

static bool
is_in(const struct ring *r, const char *p)
{
	for (size_t i = 0; i < RETIRED; i++)
		if (r->chunk[i].pages != NULL && p >= r->chunk[i].pages &&
		    p < r->chunk[i].pages + r->chunk[i].len)
			return true;
	return false;
}

static bool
is_retired(const char *p)
{
	return is_in(&usual[0], p) || is_in(&usual[1], p) || is_in(&others, p);
}

static void
on_fault(int signal, siginfo_t *info, void *context)
{
	static const char sentence[] =
	    "testhost: memory of a call that is over was used: what the host shows and "
	    "alloc() end with the call, keep() with the request\n";

	(void)context;
	if (is_retired(info->si_addr))
		(void)!write(STDERR_FILENO, sentence, sizeof(sentence) - 1);
	/* The access is made again, and meets whoever was there before. */
	(void)sigaction(signal, &before, NULL);
}

void
trial_region_watch(void)
{
	struct sigaction now, mine = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_sigaction == on_fault)
		return;
	before = now;
	(void)sigemptyset(&mine.sa_mask);
	(void)sigaction(SIGSEGV, &mine, NULL);
}
