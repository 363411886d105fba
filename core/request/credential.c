/* credential.c - the registry of keys' cells, their turns and their rests.
 *
 * As in live.c, a cell is found once per key and snapshot and remembered there; the lock
 * is taken only then. Cells are never freed: their number is the number of keys ever
 * used.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/credential.h"

#include <pthread.h>
#include <stdio.h>
#include "base/crypto.h"
#include "base/mem.h"
#include "base/tell.h"
#include "request/live.h"

enum {
	BUCKETS = 256 /* power of two */
};

/* How long a key rests: longer with each refusal in a row. What a provider says itself is
 * believed up to `most`. */
static const struct term {
	int32_t cause;
	bool is_probed; /* one request goes first when it is over */
	int64_t first_us, most_us;
} terms[] = {
	{ LZ_UPSTREAM_AUTH, true, 60 * 1000000LL, 900 * 1000000LL },
	{ LZ_UPSTREAM_QUOTA, true, 60 * 1000000LL, 900 * 1000000LL },
	{ LZ_UPSTREAM_RATE, false, 1000000LL, 60 * 1000000LL },
};
static const int64_t probe_us = 10 * 1000000LL; /* until another may go */

struct at_target {
	struct at_target *next;
	const struct live *live;
	struct credential_rest rest;
};

struct node {
	struct node *next;
	struct credential credential;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *bucket[BUCKETS];
static struct credential spare; /* shared by all when memory is out */

/* ---- the registry ---- */

void
credential_print(lz_str secret, char out[CREDENTIAL_PRINT_BYTES])
{
	static const char salt[] = "latenza credential";
	uint8_t hash[CRYPTO_HASH_BYTES];
	char hex[2 * CRYPTO_HASH_BYTES + 1];

	crypto_hmac(lz_strn(salt, sizeof(salt) - 1), secret, hash);
	crypto_hex(hash, sizeof(hash), hex);
	(void)snprintf(
	    out, CREDENTIAL_PRINT_BYTES, "%.*s", CREDENTIAL_PRINT_BYTES - 1, hex);
}

static unsigned
bucket_of(const char *print)
{
	unsigned h = 2166136261u;

	for (; *print != '\0'; print++)
		h = (h ^ (unsigned char)*print) * 16777619u;
	return h & (BUCKETS - 1);
}

static struct credential *
find(const struct provider *p, lz_str secret)
{
	char print[CREDENTIAL_PRINT_BYTES];
	struct node *n;
	unsigned h;

	credential_print(secret, print);
	h = bucket_of(print);
	pthread_mutex_lock(&lock);
	for (n = bucket[h]; n != NULL; n = n->next)
		if (strcmp(n->credential.print, print) == 0 &&
		    str_is(p->name, n->credential.provider))
			break;
	if (n == NULL && (n = mem_zalloc(sizeof *n)) != NULL) {
		(void)snprintf(n->credential.provider, sizeof n->credential.provider,
		    "%.*s", STR_ARG(p->name));
		memcpy(n->credential.print, print, sizeof print);
		n->next = bucket[h];
		bucket[h] = n;
	}
	pthread_mutex_unlock(&lock);
	return n != NULL ? &n->credential : &spare;
}

struct credential *
credential_of(const struct provider *p, size_t i)
{
	struct credential *c;

	if (p->credential == NULL)
		return find(p, p->api_keys[i]);
	c = atomic_load_explicit(&p->credential[i], memory_order_acquire);
	if (c != NULL)
		return c;
	c = find(p, p->api_keys[i]);
	if (c != &spare)
		atomic_store_explicit(&p->credential[i], c, memory_order_release);
	return c;
}

void
credential_each(void (*fn)(void *arg, struct credential *c), void *arg)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct node *n;

		pthread_mutex_lock(&lock);
		n = bucket[i];
		pthread_mutex_unlock(&lock);
		for (; n != NULL; n = n->next) /* nodes are only ever added, in front */
			fn(arg, &n->credential);
	}
}

/* ---- rests ---- */

static int64_t
until(const struct credential_rest *rest)
{
	return atomic_load_explicit(&rest->until_us, memory_order_relaxed);
}

static struct at_target *
first_rest(const struct credential *c)
{
	return atomic_load_explicit(&c->at_target, memory_order_acquire);
}

static struct credential_rest *
rest_at(const struct credential *c, const struct live *l)
{
	for (struct at_target *t = first_rest(c); t != NULL; t = t->next)
		if (t->live == l)
			return &t->rest;
	return NULL;
}

/* The same, made if there is none; NULL: out of memory. */
static struct credential_rest *
make_rest_at(struct credential *c, const struct live *l)
{
	struct credential_rest *rest;
	struct at_target *t;

	pthread_mutex_lock(&lock);
	rest = rest_at(c, l);
	if (rest == NULL && (t = mem_zalloc(sizeof *t)) != NULL) {
		t->next = first_rest(c);
		t->live = l;
		rest = &t->rest;
		atomic_store_explicit(&c->at_target, t, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return rest;
}

static bool
is_resting(const struct credential *c, const struct live *l, int64_t now_us)
{
	const struct credential_rest *rest;

	if (until(&c->rest) > now_us)
		return true;
	if (first_rest(c) == NULL)
		return false;
	rest = rest_at(c, l);
	return rest != NULL && until(rest) > now_us;
}

static const struct term *
term_of(int32_t cause)
{
	for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
		if (terms[i].cause == cause)
			return &terms[i];
	return NULL;
}

/* The rest is over: of those who meet it one goes first, and the others wait for what it
 * learns. false: it is another's. */
static bool
claim_one(struct credential_rest *rest, int64_t now_us)
{
	int64_t over = rest != NULL ? until(rest) : 0;
	const struct term *term;

	if (over == 0)
		return true;
	if (over > now_us)
		return false;
	term = term_of(atomic_load_explicit(&rest->cause, memory_order_relaxed));
	return term == NULL || !term->is_probed ||
	       atomic_compare_exchange_strong(&rest->until_us, &over, now_us + probe_us);
}

static bool
claim(struct credential *c, const struct live *l, int64_t now_us)
{
	return claim_one(&c->rest, now_us) && claim_one(rest_at(c, l), now_us);
}

static int64_t
at_most(int64_t us, int64_t most_us)
{
	return us < most_us ? us : most_us;
}

/* An attempt that was under way when the key was refused before says nothing new: fifty
 * of them are one refusal. true: this one is the first of its kind. */
static bool
begin_rest(struct credential_rest *rest, const struct attempt *a, int64_t now_us)
{
	const struct term *term = term_of(a->blame);
	int64_t said_us = (int64_t)a->retry_after_ms * 1000, us;
	uint32_t in_a_row = atomic_load_explicit(&rest->in_a_row, memory_order_relaxed);
	bool is_news = in_a_row == 0 || a->began_us >= atomic_load_explicit(&rest->at_us,
							   memory_order_relaxed);

	if (is_news)
		in_a_row = 1 + atomic_fetch_add_explicit(
				   &rest->in_a_row, 1, memory_order_relaxed);
	us =
	    at_most(term->first_us << (in_a_row > 10 ? 10 : in_a_row - 1), term->most_us);
	us = said_us > us ? at_most(said_us, term->most_us) : us;
	atomic_store_explicit(&rest->cause, a->blame, memory_order_relaxed);
	atomic_store_explicit(&rest->at_us, now_us, memory_order_relaxed);
	if (is_news || now_us + us > until(rest))
		atomic_store_explicit(&rest->until_us, now_us + us, memory_order_relaxed);
	return is_news && in_a_row == 1;
}

static void
end_rest(struct credential_rest *rest, const struct attempt *a)
{
	if (rest == NULL || until(rest) == 0 ||
	    a->began_us < atomic_load_explicit(&rest->at_us, memory_order_relaxed))
		return;
	atomic_store_explicit(&rest->in_a_row, 0, memory_order_relaxed);
	atomic_store_explicit(&rest->until_us, 0, memory_order_relaxed);
}

/* 403 may mean one model, and so may a rate. */
static bool
is_of_target(const struct attempt *a)
{
	return a->blame == LZ_UPSTREAM_RATE ||
	       (a->blame == LZ_UPSTREAM_AUTH && a->status != 401);
}

static void
note_refusal(struct credential *c, const struct attempt *a, int64_t now_us)
{
	struct credential_rest *rest =
	    is_of_target(a) ? make_rest_at(c, a->live) : &c->rest;
	bool is_rate = a->blame == LZ_UPSTREAM_RATE;

	atomic_fetch_add_explicit(
	    is_rate ? &c->limited : &c->refused, 1, memory_order_relaxed);
	if (rest != NULL && begin_rest(rest, a, now_us) && !is_rate)
		tell(TELL_PROVIDER_CREDENTIALS,
		    "target=%s credential=%s cause=%s status=%d", a->live->name, c->print,
		    a->blame == LZ_UPSTREAM_QUOTA ? "quota" : "refused", a->status);
}

void
credential_ended(const struct attempt *a, int64_t now_us)
{
	struct credential *c = a->credential_cell;

	if (c == NULL || c == &spare)
		return;
	if (term_of(a->blame) != NULL) {
		note_refusal(c, a, now_us);
	} else if (a->blame == LZ_UPSTREAM_OK) {
		end_rest(&c->rest, a);
		end_rest(rest_at(c, a->live), a);
	}
}

int64_t
credential_rests_until(const struct credential *c, int32_t *cause)
{
	const struct credential_rest *longest = &c->rest;

	for (const struct at_target *t = first_rest(c); t != NULL; t = t->next)
		if (until(&t->rest) > until(longest))
			longest = &t->rest;
	*cause = atomic_load_explicit(&longest->cause, memory_order_relaxed);
	return until(longest);
}

/* ---- turns ---- */

static bool
was_tried(const struct request *r, const struct target *t, size_t i)
{
	for (unsigned k = 0; k < r->attempt_count; k++)
		if (r->attempt[k]->target == t && r->attempt[k]->credential.ptr != NULL &&
		    r->attempt[k]->credential_index == i)
			return true;
	return false;
}

bool
credential_is_ready(const struct target *t, int64_t now_us)
{
	const struct provider *p = t->provider;
	const struct live *l = live_of(t);

	for (size_t i = 0; i < p->api_key_count; i++)
		if (!is_resting(credential_of(p, i), l, now_us))
			return true;
	return p->api_key_count == 0;
}

static bool
is_free(const struct request *r, const struct target *t, size_t i, int64_t now_us)
{
	return !was_tried(r, t, i) &&
	       !is_resting(credential_of(t->provider, i), live_of(t), now_us);
}

bool
credential_has_another(const struct request *r, const struct target *t, int64_t now_us)
{
	for (size_t i = 0; i < t->provider->api_key_count; i++)
		if (is_free(r, t, i, now_us))
			return true;
	return false;
}

/* The n-th of the free ones, from where the turn is; -1: none. */
static int
take_turn(const struct request *r, const struct target *t, int64_t now_us)
{
	struct live *l = live_of(t);
	size_t count = t->provider->api_key_count, free_count = 0;
	size_t skip;

	for (size_t i = 0; i < count; i++)
		free_count += is_free(r, t, i, now_us);
	if (free_count == 0)
		return -1;
	skip = atomic_fetch_add_explicit(&l->next_credential, 1, memory_order_relaxed) %
	       free_count;
	for (size_t i = 0; i < 2 * count; i++) {
		size_t at = i % count;

		if (!is_free(r, t, at, now_us) || (skip > 0 && skip-- > 0))
			continue;
		if (claim(credential_of(t->provider, at), l, now_us))
			return (int)at;
	}
	return -1;
}

/* All rest: the one that has rested most of its time. It is tried all the same, since to
 * refuse the caller unasked would be no better. */
static int
least_tired(const struct request *r, const struct target *t)
{
	const struct provider *p = t->provider;
	int64_t best_us = INT64_MAX;
	int best = 0;

	for (size_t i = 0; i < p->api_key_count; i++) {
		const struct credential *c = credential_of(p, i);
		const struct credential_rest *at = rest_at(c, live_of(t));
		int64_t us = until(&c->rest);

		if (at != NULL && until(at) > us)
			us = until(at);
		if (us < best_us && !was_tried(r, t, i)) {
			best_us = us;
			best = (int)i;
		}
	}
	return best;
}

void
credential_take(struct request *r, struct attempt *a, int64_t now_us)
{
	const struct provider *p = a->target->provider;
	int i = 0;

	a->credential = STR_NONE;
	if (p->api_key_count == 0)
		return;
	if (p->api_key_count > 1 && (i = take_turn(r, a->target, now_us)) < 0)
		i = least_tired(r, a->target);
	a->credential_index = (unsigned)i;
	a->credential = p->api_keys[i];
	a->credential_cell = credential_of(p, (size_t)i);
	atomic_fetch_add_explicit(&a->credential_cell->attempts, 1, memory_order_relaxed);
}
