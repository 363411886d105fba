/* test_keys.c - keys are found by their secret, change under readers, and come back with
 * what they had.
 *
 * LATENZA_BENCH=100000 says what that many keys cost.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "key/keys.h"

static const uint8_t pepper[32] = "not so secret, but long enough!";
static const int64_t far = INT64_C(1) << 60;
static struct ledger *ledger;
static struct keys *keys;

static int
set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	ledger = ledger_new();
	keys = ledger != NULL ? keys_new(pepper, ledger, NULL, 0) : NULL;
	return keys == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	mem_set_fault(NULL, NULL);
	keys_free(keys);
	ledger_free(ledger);
	return 0;
}

static json_t *
settings(const char *text)
{
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(text), &e);

	if (j == NULL)
		fail_msg("%s", e.text);
	return j;
}

/* A key known by the HMAC of `secret`. */
static enum status
put(const char *id, const char *secret, const char *text, struct err *e)
{
	json_t *j = settings(text);
	uint8_t hash[CRYPTO_HASH_BYTES];
	struct key_wanted w = { .id = lz_strz(id), .settings = j, .hash = hash };
	enum status st;

	keys_hash(pepper, lz_strz(secret), hash);
	st = keys_put(keys, &w, e);
	json_decref(j);
	return st;
}

static enum status
put_imported(const char *id, const char *secret, struct err *e)
{
	json_t *j = settings("{}");
	uint8_t sha256[CRYPTO_HASH_BYTES];
	struct key_wanted w = { .id = lz_strz(id), .settings = j, .sha256 = sha256 };
	enum status st;

	crypto_sha256(lz_strz(secret), sha256);
	st = keys_put(keys, &w, e);
	json_decref(j);
	return st;
}

/* Whose secret is it? "": nobody's. */
static const char *
whose(const char *secret, int64_t now)
{
	static char id[KEYS_ID_BYTES + 1];
	struct key *k = keys_find(keys, lz_strz(secret), now);

	id[0] = '\0';
	if (k != NULL)
		memcpy(id, k->id.ptr, k->id.len + 1);
	key_unref(k);
	return id;
}

static void
a_key_is_found_by_its_secret_and_by_nothing_else(void **state)
{
	struct err e;
	char minted[CRYPTO_KEY_CHARS + 1];

	(void)state;
	crypto_key_mint(false, minted);
	assert_int_equal(put("minted", minted, "{}", &e), ST_OK);
	assert_int_equal(put("own", "a secret of the file's own", "{}", &e), ST_OK);
	assert_int_equal(put_imported("imported", "sk-from-elsewhere", &e), ST_OK);
	assert_string_equal(whose(minted, 0), "minted");
	assert_string_equal(whose("a secret of the file's own", 0), "own");
	assert_string_equal(whose("sk-from-elsewhere", 0), "imported");
	minted[20] ^= 1;
	assert_string_equal(whose(minted, 0), "");
	assert_string_equal(whose("", 0), "");
	assert_string_equal(whose("own", 0), "");
	assert_int_equal(keys_count(keys), 3);
}

static void
the_stored_hash_is_no_secret_itself(void **state)
{
	uint8_t hash[CRYPTO_HASH_BYTES];
	char hex[2 * CRYPTO_HASH_BYTES + 1];
	struct err e;
	struct key *k;

	(void)state;
	assert_int_equal(put("a", "secret", "{}", &e), ST_OK);
	assert_int_equal(put_imported("b", "other", &e), ST_OK);
	keys_hash(pepper, lz_strz("secret"), hash);
	crypto_hex(hash, sizeof(hash), hex);
	assert_string_equal(whose(hex, 0), "");
	k = keys_find(keys, lz_strn((const char *)hash, sizeof(hash)), 0);
	assert_null(k);
}

static void
a_secret_longer_than_any_is_nobodys(void **state)
{
	static char secret[KEYS_SECRET_BYTES + 2];
	struct err e;

	(void)state;
	memset(secret, 'x', KEYS_SECRET_BYTES);
	assert_int_equal(put("a", secret, "{}", &e), ST_OK);
	assert_string_equal(whose(secret, 0), "a");
	secret[KEYS_SECRET_BYTES] = 'x';
	assert_string_equal(whose(secret, 0), "");
}

static void
the_old_secret_of_a_rolled_key_works_until_its_time(void **state)
{
	uint8_t hash[CRYPTO_HASH_BYTES], old[CRYPTO_HASH_BYTES];
	json_t *j = settings("{}");
	struct key_wanted w = { .id = STR_LIT("a"),
		.settings = j,
		.hash = hash,
		.old_hash = old,
		.old_until_unix_ms = 1000 };
	struct err e;

	(void)state;
	assert_int_equal(put("a", "first", "{}", &e), ST_OK);
	keys_hash(pepper, STR_LIT("first"), old);
	keys_hash(pepper, STR_LIT("second"), hash);
	assert_int_equal(keys_put(keys, &w, &e), ST_OK);
	assert_string_equal(whose("first", 999), "a");
	assert_string_equal(whose("first", 1000), "");
	assert_string_equal(whose("second", 999), "a");
	assert_string_equal(whose("second", far), "a");
	w.old_hash = NULL;
	assert_int_equal(keys_put(keys, &w, &e), ST_OK);
	assert_string_equal(whose("first", 0), "");
	json_decref(j);
}

static void
an_imported_key_becomes_ours_when_it_is_rolled(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(put_imported("a", "theirs", &e), ST_OK);
	assert_int_equal(put("a", "ours", "{}", &e), ST_OK);
	assert_string_equal(whose("theirs", 0), "");
	assert_string_equal(whose("ours", 0), "a");
	assert_int_equal(keys_count(keys), 1);
}

static void
a_secret_belongs_to_one_key(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(put("a", "secret", "{}", &e), ST_OK);
	assert_int_equal(put("b", "secret", "{}", &e), ST_EXISTS);
	assert_string_equal(
	    e.text, "key b: has the same secret as key a; a secret belongs to one key");
	assert_int_equal(
	    put_imported("c", "secret", &e), ST_OK); /* another hash: nobody can tell */
	assert_int_equal(put_imported("d", "secret", &e), ST_EXISTS);
	assert_int_equal(keys_count(keys), 2);
	assert_int_equal(keys_remove(keys, STR_LIT("a")), ST_OK);
	assert_int_equal(put("b", "secret", "{}", &e), ST_OK);
	assert_string_equal(whose("secret", 0), "b");
}

static void
a_refused_change_leaves_the_key_as_it_was(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(
	    put("a", "secret", "{\"rate_limit\":5,\"budget_monthly_eur\":1}", &e), ST_OK);
	assert_int_equal(
	    put("a", "secret", "{\"rate_limit\":\"often\"}", &e), ST_INVALID);
	assert_non_null(strstr(e.text, "keys.a"));
	assert_int_equal(keys_get(keys, STR_LIT("a"))->settings.rate_limit, 5);
	assert_string_equal(whose("secret", 0), "a");
	assert_int_equal(put("", "other", "{}", &e), ST_INVALID);
	assert_int_equal(keys_count(keys), 1);
}

static void
settings_are_copies(void **state)
{
	static const char text[] =
	    "{\"name\":\"Production "
	    "backend\",\"routing_strategy\":\"balanced\",\"rate_limit\":120,"
	    "\"model_allowlist\":[\"gpt-4o\",\"claude-*\"],\"metadata\":{\"team\":"
	    "\"red\"},"
	    "\"allowed_ips\":[\"10.0.0.0/8\"]}";
	const struct key *k;
	struct err e;

	(void)state;
	assert_int_equal(put("a", "secret", text, &e), ST_OK);
	assert_int_equal(
	    put("b", "other", "{\"name\":\"overwrites the scratch memory\"}", &e), ST_OK);
	k = keys_get(keys, STR_LIT("a"));
	assert_true(str_is(k->settings.name, "Production backend"));
	assert_true(str_is(k->settings.routing_strategy, "balanced"));
	assert_int_equal(k->settings.allow_count, 2);
	assert_true(str_is(k->settings.allow[0], "gpt-4o"));
	assert_true(str_is(k->settings.allow[1], "claude-*"));
	assert_true(str_is(json_get_str(k->settings.metadata, "team"), "red"));
	assert_int_equal(k->settings.ip_count, 1);
	assert_false(keys_get(keys, STR_LIT("b"))->settings.has_allowlist);
	assert_null(keys_get(keys, STR_LIT("b"))->settings.metadata);
}

static void
live_state_outlives_settings_and_even_the_key(void **state)
{
	struct key_live *live;
	struct err e;

	(void)state;
	assert_int_equal(put("a", "secret", "{\"rate_limit\":1}", &e), ST_OK);
	live = keys_get(keys, STR_LIT("a"))->live;
	atomic_store(&live->in_flight, 7);
	assert_int_equal(put("a", "secret", "{\"rate_limit\":2}", &e), ST_OK);
	assert_ptr_equal(keys_get(keys, STR_LIT("a"))->live, live);
	assert_int_equal(keys_remove(keys, STR_LIT("a")), ST_OK);
	assert_int_equal(keys_remove(keys, STR_LIT("a")), ST_NOT_FOUND);
	assert_null(keys_get(keys, STR_LIT("a")));
	assert_string_equal(whose("secret", 0), "");
	assert_int_equal(put("a", "secret", "{}", &e), ST_OK);
	assert_ptr_equal(keys_get(keys, STR_LIT("a"))->live, live);
	assert_int_equal(atomic_load(&live->in_flight), 7);
}

static void
a_request_keeps_the_settings_it_began_with(void **state)
{
	struct key *k;
	struct err e;

	(void)state;
	assert_int_equal(put("a", "secret", "{\"rate_limit\":1}", &e), ST_OK);
	k = keys_find(keys, STR_LIT("secret"), 0);
	assert_int_equal(put("a", "secret", "{\"rate_limit\":2}", &e), ST_OK);
	assert_int_equal(keys_remove(keys, STR_LIT("a")), ST_OK);
	assert_int_equal(k->settings.rate_limit, 1);
	key_unref(k);
	key_unref(NULL);
}

static struct budget_view
budget(const char *scope, enum key_period kind)
{
	struct budget_view v;

	ledger_view(
	    ledger_budget(ledger, lz_strz(scope), kind, NULL), clock_unix_ms(), &v);
	return v;
}

static void
budgets_are_made_changed_and_lifted_with_the_settings(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(put("a", "secret",
			     "{\"budget_monthly_eur\":250,\"budgets\":[{\"period\":"
			     "\"day\",\"eur\":20}]}",
			     &e),
	    ST_OK);
	assert_int_equal(keys_get(keys, STR_LIT("a"))->budget_count, 2);
	assert_int_equal(
	    budget("key:a", PERIOD_MONTH).limit_nano_eur, INT64_C(250000000000));
	assert_int_equal(
	    budget("key:a", PERIOD_DAY).limit_nano_eur, INT64_C(20000000000));
	assert_int_equal(put("a", "secret", "{\"budget_monthly_eur\":300}", &e), ST_OK);
	assert_int_equal(keys_get(keys, STR_LIT("a"))->budget_count, 1);
	assert_int_equal(
	    budget("key:a", PERIOD_MONTH).limit_nano_eur, INT64_C(300000000000));
	assert_int_equal(budget("key:a", PERIOD_DAY).limit_nano_eur, -1);
	assert_int_equal(
	    put("a", "secret", "{\"budget_monthly_eur\":\"unlimited\"}", &e), ST_OK);
	assert_int_equal(keys_get(keys, STR_LIT("a"))->budget_count, 0);
	assert_int_equal(budget("key:a", PERIOD_MONTH).limit_nano_eur, -1);
}

static void
a_test_key_spends_play_money(void **state)
{
	uint8_t hash[CRYPTO_HASH_BYTES];
	json_t *j = settings("{\"budget_monthly_eur\":1}");
	struct key_wanted w = {
		.id = STR_LIT("a"), .settings = j, .hash = hash, .is_test = true
	};
	struct err e;

	(void)state;
	keys_hash(pepper, STR_LIT("secret"), hash);
	assert_int_equal(keys_put(keys, &w, &e), ST_OK);
	assert_int_equal(budget("test:a", PERIOD_MONTH).limit_nano_eur, 1000000000);
	assert_int_equal(budget("key:a", PERIOD_MONTH).limit_nano_eur, -1);
	json_decref(j);
}

static bool
note_id(void *arg, const struct key *key)
{
	char *notes = arg;

	strcat(notes, key->id.ptr);
	return strcmp(key->id.ptr, "m") != 0;
}

static void
keys_are_listed_by_id_until_told_to_stop(void **state)
{
	static const char *const ids[] = { "q", "b", "z", "m", "a" };
	char notes[20] = "";
	struct err e;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(put(ids[i], ids[i], "{}", &e), ST_OK);
	assert_int_equal(keys_remove(keys, STR_LIT("a")), ST_OK);
	keys_each(keys, note_id, notes);
	assert_string_equal(notes, "bm");
}

static int
count_down(size_t n, void *arg)
{
	int *left = arg;

	(void)n;
	return (*left)-- == 0;
}

static bool
count_key(void *arg, const struct key *k)
{
	unsigned *n = arg;

	(void)k;
	return ++*n < 4;
}

static void
without_memory_to_sort_them_keys_are_listed_as_they_come(void **state)
{
	unsigned n = 0;
	int left = 0;
	struct err e;

	(void)state;
	assert_int_equal(put("b", "first", "{}", &e), ST_OK);
	assert_int_equal(put("a", "second", "{}", &e), ST_OK);
	mem_set_fault(count_down, &left);
	keys_each(keys, count_key, &n);
	mem_set_fault(NULL, NULL);
	assert_int_equal(left, -1);
	assert_int_equal(n, 2);
	for (char id[] = "c"; id[0] < 'h'; id[0]++)
		assert_int_equal(put(id, id, "{}", &e), ST_OK);
	n = 0;
	left = 0;
	mem_set_fault(count_down, &left);
	keys_each(keys, count_key, &n);
	mem_set_fault(NULL, NULL);
	assert_int_equal(n, 4); /* until told to stop */
}

static void
thousands_of_keys_come_and_go_and_are_all_found(void **state)
{
	char id[20], secret[40];
	struct err e;

	(void)state;
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 3000; i++) {
			snprintf(id, sizeof(id), "key-%d", i);
			snprintf(secret, sizeof(secret), "secret-%d-%d", i, round);
			assert_int_equal(put(id, secret, "{}", &e), ST_OK);
		}
		for (int i = 0; i < 3000; i++) {
			snprintf(id, sizeof(id), "key-%d", i);
			snprintf(secret, sizeof(secret), "secret-%d-%d", i, round);
			assert_string_equal(whose(secret, 0), id);
			snprintf(secret, sizeof(secret), "secret-%d-%d", i, round - 1);
			assert_string_equal(whose(secret, 0), "");
		}
	}
	assert_int_equal(keys_count(keys), 3000);
	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof(id), "key-%d", i);
		assert_int_equal(keys_remove(keys, lz_strz(id)), ST_OK);
	}
	assert_int_equal(keys_count(keys), 0);
}

static void
without_memory_a_put_changes_nothing(void **state)
{
	struct err e;
	enum status st = ST_NOMEM;
	int n = 0;

	(void)state;
	assert_int_equal(put("a", "first", "{\"rate_limit\":1}", &e), ST_OK);
	for (; st != ST_OK; n++) {
		int left = n;
		json_t *j =
		    settings("{\"metadata\":{\"a\":\"b\"},\"budget_monthly_eur\":1}");
		uint8_t hash[CRYPTO_HASH_BYTES];
		struct key_wanted w = { .id = STR_LIT("b"), .settings = j, .hash = hash };

		keys_hash(pepper, STR_LIT("other"), hash);
		mem_set_fault(count_down, &left);
		st = keys_put(keys, &w, &e);
		mem_set_fault(NULL, NULL);
		json_decref(j);
		assert_string_equal(whose("first", 0), "a");
		assert_string_equal(whose("other", 0), st == ST_OK ? "b" : "");
		assert_int_equal(keys_count(keys), st == ST_OK ? 2 : 1);
	}
	assert_true(n > 3);
}

static int
fail_one_in_nine(size_t n, void *arg)
{
	unsigned *x = arg;

	(void)n;
	*x = *x * 1103515245u + 12345u;
	return (*x >> 16) % 9 == 0;
}

/* Tables grow and keys change meanwhile; who is refused keeps the secret of before. */
static void
keys_put_where_memory_is_scarce_are_whole_or_as_they_were(void **state)
{
	char id[20], secret[40], before[40];
	unsigned x = 1, refused = 0;
	struct err e;

	(void)state;
	for (int i = 0; i < 600; i++) {
		json_t *j = settings("{\"organization\":\"o\",\"assistant\":\"a\","
				     "\"budget_monthly_eur\":1}");
		uint8_t hash[CRYPTO_HASH_BYTES];
		struct key_wanted w = { .settings = j, .hash = hash };
		enum status st;

		snprintf(id, sizeof(id), "key-%d", i % 200);
		snprintf(before, sizeof(before), "secret-%d", i - 200);
		snprintf(secret, sizeof(secret), "secret-%d", i);
		w.id = lz_strz(id);
		keys_hash(pepper, lz_strz(secret), hash);
		do {
			mem_set_fault(fail_one_in_nine, &x);
			st = keys_put(keys, &w, &e);
			mem_set_fault(NULL, NULL);
			assert_true(st == ST_OK || st == ST_NOMEM);
			assert_string_equal(whose(secret, 0), st == ST_OK ? id : "");
			assert_string_equal(
			    whose(before, 0), st != ST_OK && i >= 200 ? id : "");
			refused += st != ST_OK;
		} while (st != ST_OK);
		json_decref(j);
	}
	assert_int_equal(keys_count(keys), 200);
	for (int i = 400; i < 600; i++) {
		const struct key *k;

		snprintf(secret, sizeof(secret), "secret-%d", i);
		snprintf(id, sizeof(id), "key-%d", i - 400);
		assert_string_equal(whose(secret, 0), id);
		k = keys_get(keys, lz_strz(id));
		assert_non_null(k);
		assert_int_equal(k->budget_count, 1);
	}
	assert_true(refused > 100);
}

static void
keys_that_lack_memory_at_their_start_are_none(void **state)
{
	struct keys *other = NULL;
	int k;

	(void)state;
	for (k = 0; other == NULL; k++) {
		int left = k;

		mem_set_fault(count_down, &left);
		other = keys_new(pepper, ledger, NULL, 0);
		mem_set_fault(NULL, NULL);
	}
	keys_free(other);
	assert_true(k > 5);
}

/* ---- readers ---- */

enum {
	LOOPS = 2,
	CHANGES = 4000,
	STABLE = 50
};

static struct reader {
	struct loop *loop;
	pthread_t thread;
	struct loop_timer timer;
	uint64_t found, lost;
	unsigned turn;
} reader[LOOPS];
static atomic_bool is_over;

static void
look(void *arg)
{
	struct reader *r = arg;
	char secret[40];

	for (int i = 0; i < 20; i++) {
		struct key *k;

		snprintf(secret, sizeof(secret), "stable-%u", r->turn++ % STABLE);
		k = keys_find(keys, lz_strz(secret), 0);
		r->found += k != NULL && k->settings.rate_limit >= 0;
		r->lost += k == NULL;
		key_unref(k);
	}
	if (atomic_load(&is_over))
		loop_stop(r->loop);
	else
		must(loop_timer_set(r->loop, &r->timer, 0, look, r) == ST_OK);
}

static void *
run_reader(void *arg)
{
	struct reader *r = arg;

	must(loop_timer_set(r->loop, &r->timer, 0, look, r) == ST_OK);
	loop_run(r->loop);
	return NULL;
}

static void
change_for_a_while(void)
{
	char id[40], secret[40], text[40];
	struct err e;

	for (int i = 0; i < CHANGES; i++) {
		/* A key that is looked for changes its settings; others come and go, so
		 * that the table grows. */
		snprintf(secret, sizeof(secret), "stable-%d", i % STABLE);
		snprintf(text, sizeof(text), "{\"rate_limit\":%d}", i);
		assert_int_equal(put(secret, secret, text, &e), ST_OK);
		snprintf(id, sizeof(id), "guest-%d", i);
		assert_int_equal(put(id, id, "{}", &e), ST_OK);
		if (i % 3 == 0)
			assert_int_equal(keys_remove(keys, lz_strz(id)), ST_OK);
	}
}

static void
readers_on_their_loops_never_miss_a_key_that_changes(void **state)
{
	struct loop *loops[LOOPS];
	char secret[40];
	struct err e;

	(void)state;
	keys_free(keys);
	memset(reader, 0, sizeof(reader));
	atomic_store(&is_over, false);
	for (int i = 0; i < LOOPS; i++)
		loops[i] = reader[i].loop = loop_new(&e);
	keys = keys_new(pepper, ledger, loops, LOOPS);
	for (int i = 0; i < STABLE; i++) {
		snprintf(secret, sizeof(secret), "stable-%d", i);
		assert_int_equal(put(secret, secret, "{\"rate_limit\":0}", &e), ST_OK);
	}
	for (int i = 0; i < LOOPS; i++)
		assert_int_equal(
		    pthread_create(&reader[i].thread, NULL, run_reader, &reader[i]), 0);
	change_for_a_while();
	atomic_store(&is_over, true);
	for (int i = 0; i < LOOPS; i++) {
		pthread_join(reader[i].thread, NULL);
		assert_true(reader[i].found > 0);
		assert_int_equal(reader[i].lost, 0);
	}
	keys_free(keys); /* in the middle of a round */
	keys = NULL;
	for (int i = 0; i < LOOPS; i++)
		loop_free(loops[i]);
}

/* ---- what it costs ---- */

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
measure(int n)
{
	json_t *j = settings(
	    "{\"name\":\"Production backend\",\"rate_limit\":120,"
	    "\"routing_strategy\":\"balanced\",\"model_allowlist\":[\"gpt-4o\","
	    "\"claude-3-5-sonnet\"],\"budget_monthly_eur\":250,\"budget_alert_pct\":80}");
	uint8_t hash[CRYPTO_HASH_BYTES];
	char id[40];
	double load, find, before = cpu_seconds();
	size_t bytes = mallinfo2().uordblks;
	struct err e;

	for (int i = 0; i < n; i++) {
		struct key_wanted w = { .settings = j, .hash = hash };

		snprintf(id, sizeof(id), "key-%d", i);
		keys_hash(pepper, lz_strz(id), hash);
		w.id = lz_strz(id);
		assert_int_equal(keys_put(keys, &w, &e), ST_OK);
	}
	load = cpu_seconds() - before;
	bytes = mallinfo2().uordblks - bytes;
	before = cpu_seconds();
	for (int i = 0; i < n; i++) {
		snprintf(
		    id, sizeof(id), "key-%d", (int)((unsigned)i * 7919u % (unsigned)n));
		key_unref(keys_find(keys, lz_strz(id), 0));
	}
	find = cpu_seconds() - before;
	print_message("%d keys: %.3f s of CPU to hash and load, %.2f us to find one, %zu "
		      "bytes each\n",
	    n, load, find / n * 1e6, bytes / (size_t)n);
	json_decref(j);
}

static void
many_keys_cost_what_the_manual_says(void **state)
{
	const char *n = getenv("LATENZA_BENCH");

	(void)state;
	if (n == NULL)
		skip();
	measure(atoi(n));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_found_by_its_secret_and_by_nothing_else),
		TEST(the_stored_hash_is_no_secret_itself),
		TEST(a_secret_longer_than_any_is_nobodys),
		TEST(the_old_secret_of_a_rolled_key_works_until_its_time),
		TEST(an_imported_key_becomes_ours_when_it_is_rolled),
		TEST(a_secret_belongs_to_one_key),
		TEST(a_refused_change_leaves_the_key_as_it_was),
		TEST(settings_are_copies),
		TEST(live_state_outlives_settings_and_even_the_key),
		TEST(a_request_keeps_the_settings_it_began_with),
		TEST(budgets_are_made_changed_and_lifted_with_the_settings),
		TEST(a_test_key_spends_play_money),
		TEST(keys_are_listed_by_id_until_told_to_stop),
		TEST(without_memory_to_sort_them_keys_are_listed_as_they_come),
		TEST(thousands_of_keys_come_and_go_and_are_all_found),
		TEST(without_memory_a_put_changes_nothing),
		TEST(keys_put_where_memory_is_scarce_are_whole_or_as_they_were),
		TEST(keys_that_lack_memory_at_their_start_are_none),
		TEST(readers_on_their_loops_never_miss_a_key_that_changes),
		TEST(many_keys_cost_what_the_manual_says),
	};

	json_start();
	loop_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
