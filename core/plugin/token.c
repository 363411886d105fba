/* token.c - names for calls that are safe to keep: a slot and a generation instead of a
 * pointer.
 *
 * A thread of a plugin's own may post at any moment, also when the call is long over. The
 * token says which call is meant or that it is gone; a pointer could not. One lock, held
 * for a few instructions, taken only by those who use tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>

#include "base/mem.h"
#include "plugin/host.h"

enum {
	TOKENS = 65536
}; /* calls at once that wait for a thread; a power of two */

struct slot {
	struct visit *v; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* index + 1 */
};

/* Process-wide, because a token is all that a foreign thread has. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static uint32_t slot_count, first_free;

static bool
grow(void)
{
	uint32_t more = slot_count == 0 ? 64 : slot_count * 2;
	struct slot *s =
	    slot_count >= TOKENS ? NULL : mem_realloc(slots, more * sizeof(*s));

	if (s == NULL)
		return false;
	slots = s;
	for (uint32_t i = slot_count; i < more; i++)
		slots[i] = (struct slot){ NULL, 1, i + 1 < more ? i + 2 : 0 };
	first_free = slot_count + 1;
	slot_count = more;
	return true;
}

lz_token
token_take(lz_call *c)
{
	struct visit *v = visit_here(c);

	if (v == NULL || v->is_closed || v->is_over)
		return 0;
	if (v->token != 0)
		return v->token;
	v->took_token = true;
	(void)pthread_mutex_lock(&lock);
	if (first_free != 0 || grow()) {
		uint32_t i = first_free - 1;

		first_free = slots[i].next_free;
		slots[i].v = v;
		v->token = (uint64_t)slots[i].generation << 32 | (i + 1);
	}
	(void)pthread_mutex_unlock(&lock);
	return v->token;
}

/* With the lock held. NULL: gone. */
static struct slot *
slot_of(lz_token t)
{
	uint32_t i = (uint32_t)t;

	if (i == 0 || i > slot_count || slots[i - 1].generation != (uint32_t)(t >> 32) ||
	    slots[i - 1].v == NULL)
		return NULL;
	return &slots[i - 1];
}

void
token_release(struct visit *v)
{
	struct slot *s;

	if (v->token == 0)
		return;
	(void)pthread_mutex_lock(&lock);
	s = slot_of(v->token);
	if (s != NULL) {
		s->v = NULL;
		s->generation++;
		s->next_free = first_free;
		first_free = (uint32_t)(s - slots) + 1;
	}
	(void)pthread_mutex_unlock(&lock);
	v->token = 0;
}

/* The visit cannot end while the lock is held, and not be freed before what was posted
 * came home. */
int32_t
token_post(lz_token t, lz_call_fn *fn, void *ud)
{
	int32_t result = LZ_E_GONE;
	struct slot *s;

	if (fn == NULL)
		return LZ_E_INVALID;
	(void)pthread_mutex_lock(&lock);
	s = slot_of(t);
	if (s != NULL && s->v->posts >= VISIT_POSTS) {
		result = LZ_E_LIMIT;
	} else if (s != NULL) {
		struct op *o = later_post_new(s->v, fn, ud);

		result = o != NULL ? LZ_OK : LZ_E_NOMEM;
		if (o != NULL) {
			s->v->posts++;
			later_post_run(o);
		}
	}
	(void)pthread_mutex_unlock(&lock);
	return result;
}

bool
token_is_awaited(struct visit *v)
{
	bool is_posted;

	if (v->token != 0 || !v->took_token)
		return v->token != 0;
	(void)pthread_mutex_lock(&lock);
	is_posted = v->posts > 0;
	(void)pthread_mutex_unlock(&lock);
	return is_posted;
}

void
token_post_home(struct visit *v)
{
	(void)pthread_mutex_lock(&lock);
	v->posts--;
	(void)pthread_mutex_unlock(&lock);
}
