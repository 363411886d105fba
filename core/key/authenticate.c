/* authenticate.c - who is calling: exactly one secret, of a key that is in force, from an
 * address it allows.
 *
 * Runs before the body is read, so that a stranger costs a head and one or two hashes.
 * What is wrong with a known key is said plainly, because whoever sends its secret may
 * know; about an unknown one nothing is said but what can be seen in the text itself. No
 * sentence repeats the secret. A caller who fails here has no key: what it does is
 * counted, not traced.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/stage.h"

#include "base/metric.h"
#include "base/tell.h"
#include "key/address.h"

static const int64_t expiry_warning_ms = INT64_C(7) * 24 * 3600 * 1000;
static const int64_t last_used_step_ms =
    1000; /* so that busy keys do not write one cache line all the time */

/* The fields that may carry a secret, each in its own dialect. */
static const struct {
	const char *name;
	bool has_scheme;
} carriers[] = {
	{ "authorization", true },   /* OpenAI */
	{ "x-api-key", false },      /* Anthropic */
	{ "api-key", false },        /* Azure */
	{ "x-goog-api-key", false }, /* Google */
};

enum {
	CARRIERS = sizeof(carriers) / sizeof(carriers[0])
};

static enum step
refuse(struct request *r, const char *sentence)
{
	metric_add(METRIC_UNAUTHENTICATED, 1);
	return request_fail(r, FAULT_INVALID_KEY, NULL, "%s", sentence);
}

/* "Bearer SECRET" to SECRET; another scheme: absent. */
static lz_str
after_bearer(lz_str value)
{
	static const char scheme[] = "bearer";
	const size_t n = sizeof(scheme) - 1;

	if (value.len <= n || !str_is_nocase(str_cut(value, 0, n), scheme) ||
	    value.ptr[n] != ' ')
		return STR_NONE;
	return str_trim(str_cut(value, n, value.len));
}

static bool
is_text_of_a_secret(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return s.len > 0 && s.len <= KEYS_SECRET_BYTES;
}

/* The one secret that the head carries. NULL: found; else what is wrong. */
static const char *
find_secret(const struct request *r, lz_str *secret)
{
	const struct http_head *h = &r->x->head;
	unsigned count = 0, at = 0;

	for (unsigned i = 0; i < CARRIERS; i++) {
		unsigned n = http1_field_count(h, carriers[i].name);

		count += n;
		at = n > 0 ? i : at;
	}
	if (count == 0)
		return "no API key was sent; send it as 'Authorization: Bearer "
		       "lz_live_...'";
	if (count > 1)
		return "more than one credential was sent; send exactly one of "
		       "'authorization', "
		       "'x-api-key', 'api-key' and 'x-goog-api-key', once";
	*secret = request_header(r, carriers[at].name);
	if (carriers[at].has_scheme)
		*secret = after_bearer(*secret);
	if (secret->ptr == NULL)
		return "'authorization' is not of the scheme Bearer; send "
		       "'Authorization: Bearer "
		       "lz_live_...'";
	if (!is_text_of_a_secret(*secret))
		return "the API key is empty, too long or has characters that no key "
		       "has; copy it again";
	return NULL;
}

static const char *
unknown(lz_str secret)
{
	bool is_ours = str_starts(secret, "lz_live_") || str_starts(secret, "lz_test_");

	if (is_ours && !crypto_key_is_wellformed(secret))
		return "the API key is mistyped or cut off (its checksum is wrong); copy "
		       "it again";
	return "the API key is not known here; check that it is this gateway's, and was "
	       "not removed";
}

static void
warn_of_expiry(struct key *k, int64_t now)
{
	int64_t left = k->settings.expires_at_unix_ms - now;
	char when[25];

	if (left > expiry_warning_ms || atomic_exchange(&k->live->told_expiring, 1) != 0)
		return;
	clock_format(k->settings.expires_at_unix_ms, when);
	tell(TELL_KEY_EXPIRING, "key=%s expires_at=%s", k->id.ptr, when);
}

/* Is the key in force, for this caller? */
static enum step
check(struct request *r, struct key *k, int64_t now)
{
	const struct key_settings *s = &k->settings;
	struct net_addr client;
	char when[25];

	if (k->is_disabled)
		return refuse(r, "this API key is disabled");
	if (s->expires_at_unix_ms > 0 && now >= s->expires_at_unix_ms) {
		clock_format(s->expires_at_unix_ms, when);
		metric_add(METRIC_UNAUTHENTICATED, 1);
		return request_fail(
		    r, FAULT_INVALID_KEY, NULL, "this API key expired at %s", when);
	}
	if (s->ip_count > 0 && (!address_of_client(r, &client) ||
				   !address_is_in(&client, s->ip, s->ip_count)))
		return refuse(r, "this API key may not be used from your address");
	if (s->expires_at_unix_ms > 0)
		warn_of_expiry(k, now);
	return STEP_NEXT;
}

static void
note_use(struct key_live *live, int64_t now)
{
	if (now - atomic_load_explicit(&live->last_used_unix_ms, memory_order_relaxed) >=
	    last_used_step_ms)
		atomic_store_explicit(
		    &live->last_used_unix_ms, now, memory_order_relaxed);
}

enum step
key_authenticate(struct request *r, struct keys *keys)
{
	int64_t now = loop_now(r->worker->loop)->unix_ms;
	lz_str secret = STR_NONE;
	const char *wrong = find_secret(r, &secret);
	struct key *k;
	enum step s;

	if (wrong != NULL)
		return refuse(r, wrong);
	k = keys_find(keys, secret, now);
	if (k == NULL)
		return refuse(r, unknown(secret));
	s = check(r, k, now);
	if (s == STEP_NEXT)
		s = key_take(r, k);
	if (s != STEP_NEXT) {
		key_unref(k);
		return s;
	}
	note_use(k->live, now);
	return STEP_NEXT;
}
