/* sticky.c - the table of sessions.
 *
 * A session hashes to one slot; whoever comes last has it. Two words are written without
 * a lock: torn ones match no session, or send one request to another target than its
 * last, which is what would happen without the table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/sticky.h"

#include <stdatomic.h>

enum {
	SLOTS = 1 << 15 /* power of two; 512 KB, of which only used pages exist */
};

static struct slot {
	_Atomic uint64_t session_and_target; /* 32 bits of each hash */
	_Atomic int64_t at_us;
} slot[SLOTS];

static const uint64_t basis = 14695981039346656037u, prime = 1099511628211u;

static uint64_t
hash(uint64_t h, lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * prime;
	return (h ^ 0xff) * prime; /* where one text ends, the next begins */
}

uint64_t
sticky_session(const struct request *r)
{
	lz_str name = r->session;
	const struct jscan_member *m = jscan_find(r->scan, "prompt_cache_key");
	uint64_t h;

	if (name.len == 0 && m != NULL && m->type == JSCAN_STRING)
		name = m->value;
	if (name.len == 0)
		return 0;
	h = hash(hash(hash(basis, r->caller.key), r->model), name);
	return h != 0 ? h : 1;
}

static uint64_t
entry(uint64_t session, const struct target *t)
{
	uint64_t target = hash(hash(basis, t->provider->name), t->upstream_model);

	return (session & 0xffffffff00000000u) | (target & 0xffffffffu);
}

void
sticky_set(uint64_t session, const struct target *t, int64_t now_us)
{
	struct slot *s = &slot[session % SLOTS];

	atomic_store_explicit(
	    &s->session_and_target, entry(session, t), memory_order_relaxed);
	atomic_store_explicit(&s->at_us, now_us, memory_order_relaxed);
}

bool
sticky_is_at(uint64_t session, const struct target *t, int64_t now_us, int64_t ms)
{
	const struct slot *s = &slot[session % SLOTS];

	return atomic_load_explicit(&s->session_and_target, memory_order_relaxed) ==
		   entry(session, t) &&
	       now_us - atomic_load_explicit(&s->at_us, memory_order_relaxed) < ms * 1000;
}
