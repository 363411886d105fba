/* test_ledger_workers.c - four workers' threads reserve, top up and settle on the same
 * keys, while keys are reloaded, days end, and what they write is moved into the
 * database.
 *
 * Every thread has a loop, a spool and requests of its own, as a worker has; the main
 * thread does what the gateway's main and storage threads do. No attempt costs more than
 * it reserved, so spent and reserved may never pass the limit, whoever looks.
 * LATENZA_ROUNDS=20 plays twenty times as long; to be run with -fsanitize=thread after a
 * change of key/.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <pthread.h>
#include <time.h>

#include "base/json.h"
#include "key/stage.h"
#include "store/mover.h"
#include "trace/trace.h"

enum {
	WORKERS = 4,
	KEYS = 2,
	ROUNDS = 8000,
	TURN_EVERY = 32,
	FLUSH_EVERY = 8,
	INPUT_NANO = 1000, /* a token */
	OUTPUT_NANO = 4000
};

static const uint8_t pepper[32] = "not so secret, but long enough!";
static const int64_t start_ms = INT64_C(1793318400000); /* 2026-10-30T00:00:00Z */
static const char *const secrets[KEYS] = { "sesame", "simsim" };
static const int64_t month_nano[KEYS] = { INT64_C(90000000), INT64_C(30000000) };
static const int64_t day_nano = INT64_C(4000000);
/* Less than the keys have together; and less than the first key, which alone serves it.
 */
static const int64_t organization_nano = INT64_C(100000000);
static const int64_t assistant_day_nano = INT64_C(3500000);

static _Atomic int64_t now_ms, charged[KEYS], attempts, refused;
static _Atomic unsigned running;
static struct ledger *ledger;
static struct keys *keys;
static struct config config;
static struct provider provider;
static struct model_facts model;
static struct target target;
static struct candidate candidate;

struct thread {
	struct worker worker;
	struct request r;
	struct exchange x;
	unsigned seed, rounds;
	uint64_t number;
	pthread_t id;
};
static struct thread thread[WORKERS];

static void
read_clock(struct moment *m)
{
	int64_t now = atomic_load(&now_ms);

	*m = (struct moment){ .mono_us = now * 1000, .unix_ms = now };
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
turn(struct loop *l)
{
	struct loop_task task;

	loop_post(l, &task, stop, l);
	loop_run(l);
}

/* ---- a worker ---- */

static void
begin(struct thread *t, unsigned key)
{
	struct request *r = &t->r;
	struct arena *arena = r->arena;
	struct key *found;

	arena_reset(arena);
	*r = (struct request){ .arena = arena,
		.worker = &t->worker,
		.x = &t->x,
		.config = &config,
		.began = *loop_now(t->worker.loop),
		.max_tokens = -1,
		.choices = 1,
		.prompt_tokens = 100,
		.prompt_bound = 400,
		.model = STR_LIT("gpt-4o") };
	make_id(r->id, t->worker.number, t->number++);
	found = keys_find(keys, lz_strz(secrets[key]), r->began.unix_ms);
	must(found != NULL && key_take(r, found) == STEP_NEXT);
}

/* Never more than it holds. */
static void
end_attempt(struct thread *t, struct attempt *a)
{
	unsigned how = (unsigned)rand_r(&t->seed) % 8;
	int64_t most = a->bound_nano_eur / (INPUT_NANO + OUTPUT_NANO) / 4;

	a->was_sent = how != 0;
	a->end = how < 2 ? "failed" : "ok";
	a->status = how == 1 ? 502 : how == 0 ? 0 : 200;
	a->has_usage = how > 1;
	if (a->has_usage)
		a->usage = (struct record_usage){ .input = most, .output = most };
	key_settle(&t->r, a);
	must(!a->is_open && a->cost_nano_eur <= a->bound_nano_eur);
}

static bool
try_attempt(struct thread *t, unsigned key)
{
	struct request *r = &t->r;
	struct attempt *a;
	int64_t bound = 20000 + rand_r(&t->seed) % 400000;

	must(request_may_add_attempt(r));
	a = request_add_attempt(r);
	*a = (struct attempt){ .number = a->number,
		.candidate = &candidate,
		.target = &target,
		.bound_nano_eur = bound,
		.input_nano_eur = bound / 10,
		.output_bound = 500,
		.cost_nano_eur = -1 };
	if (key_reserve(r) != STEP_BARRIER) {
		r->attempt_count--;
		atomic_fetch_add(&refused, 1);
		return false;
	}
	if (t->number % FLUSH_EVERY == 0)
		must(spool_flush(t->worker.spool) == ST_OK);
	if (rand_r(&t->seed) % 4 == 0)
		(void)key_top_up(r, bound / 2);
	end_attempt(t, a);
	atomic_fetch_add(&attempts, 1);
	atomic_fetch_add(&charged[key], a->cost_nano_eur);
	return a->status != 200;
}

static void
one_request(struct thread *t)
{
	unsigned key = (unsigned)rand_r(&t->seed) % KEYS;
	struct record_trace trace;

	begin(t, key);
	if (key_admit(&t->r) == STEP_NEXT)
		while (try_attempt(t, key) && t->r.attempt_count < REQUEST_ATTEMPTS)
			;
	trace_record(&t->r, &trace);
	must(spool_trace(t->worker.spool, &trace) == ST_OK);
	key_release(&t->r);
	key_let_go(&t->r);
}

static void *
work(void *arg)
{
	struct thread *t = arg;

	for (unsigned i = 0; i < t->rounds; i++) {
		one_request(t);
		if (i % TURN_EVERY == 0)
			turn(t->worker.loop);
		if (rand_r(&t->seed) % 60 == 0)
			atomic_fetch_add(&now_ms, INT64_C(86400000));
	}
	must(spool_flush(t->worker.spool) == ST_OK);
	atomic_fetch_sub(&running, 1);
	/* What main publishes waits for a turn of every loop. */
	while (atomic_load(&running) > 0)
		turn(t->worker.loop);
	return NULL;
}

/* ---- main ---- */

static void
put_key(unsigned key, unsigned version)
{
	uint8_t hash[CRYPTO_HASH_BYTES];
	char text[300], euro[2][32];
	struct err e = { "" };
	json_t *settings;
	struct key_wanted w = { .id = key == 0 ? STR_LIT("one") : STR_LIT("two"),
		.hash = hash };

	(void)snprintf(euro[0], sizeof(euro[0]), "0.%09lld", (long long)month_nano[key]);
	(void)snprintf(euro[1], sizeof(euro[1]), "0.%09lld", (long long)day_nano);
	(void)snprintf(text, sizeof(text),
	    "{\"name\":\"v%u\",\"budget_monthly_eur\":%s,\"budgets\":[{\"period\":"
	    "\"day\",\"eur\":%s}],\"organization\":\"acme\"%s}",
	    version, euro[0], euro[1], key == 0 ? ",\"assistant\":\"bot\"" : "");
	settings = json_parse(lz_strz(text), &e);
	w.settings = settings;
	keys_hash(pepper, lz_strz(secrets[key]), hash);
	if (settings == NULL || keys_put(keys, &w, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(settings);
}

/* The organisation of both keys, or the first one's assistant. */
static void
put_profile(bool is_assistant, unsigned version)
{
	char text[200];
	struct err e = { "" };
	struct profile_wanted w = { .organization = STR_LIT("acme"),
		.assistant = is_assistant ? STR_LIT("bot") : STR_NONE };
	json_t *settings;

	(void)snprintf(text, sizeof(text),
	    "{\"name\":\"v%u\",\"budgets\":[{\"period\":\"%s\",\"eur\":0.%09lld}]}",
	    version, is_assistant ? "day" : "month",
	    (long long)(is_assistant ? assistant_day_nano : organization_nano));
	settings = json_parse(lz_strz(text), &e);
	w.settings = settings;
	if (settings == NULL || profiles_put(keys_profiles(keys), &w, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(settings);
}

static struct budget *
budget_of(unsigned key, enum key_period kind)
{
	return ledger_budget(
	    ledger, key == 0 ? STR_LIT("key:one") : STR_LIT("key:two"), kind, NULL);
}

static void
look(unsigned key, enum key_period kind, int64_t limit)
{
	struct budget_view v;

	ledger_view(budget_of(key, kind), atomic_load(&now_ms), &v);
	assert_int_equal(v.limit_nano_eur, limit);
	assert_true(v.spent_nano_eur + v.reserved_nano_eur <= limit);
}

static void
open_worker(struct thread *t, unsigned number, unsigned rounds)
{
	struct spool_options o = { .dir = test_dir,
		.worker = number,
		.boot = 1,
		.segment_bytes = 256 << 10,
		.buffer_bytes = 8 << 20 };
	struct err e = { "" };

	t->worker = (struct worker){ .number = number, .loop = loop_new(&e) };
	t->worker.spool = spool_open(&o, &e);
	t->r.arena = arena_new(REQUEST_ARENA_BYTES);
	t->seed = number + 1;
	t->rounds = rounds;
	assert_non_null(t->worker.loop);
	assert_non_null(t->worker.spool);
	assert_non_null(t->r.arena);
}

struct sums {
	int64_t spent[KEYS][PERIOD_KINDS], organization, assistant;
};

static bool
add_spend(void *arg, lz_str scope, lz_str period, int64_t spent)
{
	struct sums *s = arg;
	unsigned key = str_is(scope, "key:one") ? 0 : 1;

	if (str_is(scope, "org:acme")) {
		s->organization += spent;
		assert_true(spent <= organization_nano);
		return true;
	}
	if (str_is(scope, "assistant:acme/bot")) {
		s->assistant += spent;
		assert_true(spent <= assistant_day_nano);
		return true;
	}
	s->spent[key][str_starts(period, "day:") ? PERIOD_DAY : PERIOD_MONTH] += spent;
	assert_true(spent <= (str_starts(period, "day:") ? day_nano : month_nano[key]));
	return true;
}

static void
check_books(struct db *db)
{
	struct sums s = { .spent = { { 0 } } };
	struct db_check check;
	struct err e = { "" };

	assert_int_equal(db_spend_each(db, add_spend, &s, &e), ST_OK);
	for (unsigned key = 0; key < KEYS; key++) {
		assert_int_equal(s.spent[key][PERIOD_DAY], atomic_load(&charged[key]));
		assert_int_equal(s.spent[key][PERIOD_MONTH], atomic_load(&charged[key]));
	}
	assert_int_equal(
	    s.organization, atomic_load(&charged[0]) + atomic_load(&charged[1]));
	assert_int_equal(s.assistant, atomic_load(&charged[0]));
	assert_int_equal(db_check(db, &check, &e), ST_OK);
	assert_string_equal(check.first_problem, "");
	assert_int_equal(check.open_reservations, 0);
	assert_int_equal(check.spend_differs, 0);
	assert_int_equal(check.charges, atomic_load(&attempts));
	assert_int_equal(check.traces, (int64_t)WORKERS * thread[0].rounds);
}

/* As long as anybody works: moves, reloads, looks. */
static void
attend(struct mover *m)
{
	struct err e = { "" };
	bool more;

	for (unsigned version = 0; atomic_load(&running) > 0; version++) {
		assert_int_equal(mover_step(m, &more, &e), ST_OK);
		put_key(version % KEYS, version);
		put_profile(version % 2 == 0, version);
		for (unsigned key = 0; key < KEYS; key++) {
			look(key, PERIOD_MONTH, month_nano[key]);
			look(key, PERIOD_DAY, day_nano);
		}
	}
}

static void
workers_on_the_same_keys_leave_the_books_in_order(void **state)
{
	const char *times = getenv("LATENZA_ROUNDS");
	unsigned rounds = ROUNDS * (times != NULL ? (unsigned)atoi(times) : 1);
	struct loop *loops[WORKERS];
	struct spool *spools[WORKERS];
	struct mover mover = { .dir = test_dir };
	struct err e = { "" };
	bool more = true;

	(void)state;
	ledger = ledger_new();
	for (unsigned i = 0; i < WORKERS; i++) {
		open_worker(&thread[i], i, rounds);
		loops[i] = thread[i].worker.loop;
		spools[i] = thread[i].worker.spool;
	}
	keys = keys_new(pepper, ledger, loops, WORKERS);
	put_profile(false, 0);
	put_profile(true, 0);
	for (unsigned key = 0; key < KEYS; key++)
		put_key(key, 0);
	mover.db = db_open(in_dir("latenza.db"), DB_CREATE, &e);
	assert_non_null(mover.db);
	assert_int_equal(mover_open(&mover, spools, WORKERS, &e), ST_OK);
	atomic_store(&running, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(
		    pthread_create(&thread[i].id, NULL, work, &thread[i]), 0);
	attend(&mover);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i].id, NULL);
	assert_int_equal(ledger_reserved_total(ledger), 0);
	while (more)
		assert_int_equal(mover_step(&mover, &more, &e), ST_OK);
	assert_int_equal(mover_finish(&mover, &e), ST_OK);
	mover_close(&mover);
	check_books(mover.db);
	print_message("%lld attempts, %lld refusals, %lld days\n",
	    (long long)atomic_load(&attempts), (long long)atomic_load(&refused),
	    (long long)(atomic_load(&now_ms) - start_ms) / 86400000);
	assert_true(atomic_load(&refused) > 0 && atomic_load(&attempts) > rounds);
	db_close(mover.db);
	keys_free(keys);
	for (unsigned i = 0; i < WORKERS; i++) {
		spool_close(spools[i]);
		loop_free(loops[i]);
		arena_free(thread[i].r.arena);
	}
	ledger_free(ledger);
}

static int
set_up(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	atomic_store(&now_ms, start_ms);
	clock_set_source(read_clock);
	provider = (struct provider){ .name = STR_LIT("openai") };
	model = (struct model_facts){ .id = STR_LIT("gpt-4o"),
		.context_window = 10000,
		.price_input = INPUT_NANO * 1000,
		.price_output = OUTPUT_NANO * 1000,
		.price_cache_read = -1,
		.price_cache_write = -1 };
	config = (struct config){ .fx_nano_eur_per_usd = 1000000000,
		.fx_date = STR_LIT("2026-11-20") };
	target = (struct target){ .provider = &provider, .model = &model };
	candidate = (struct candidate){ .target = &target };
	return fixture_set_up(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    workers_on_the_same_keys_leave_the_books_in_order, set_up,
		    fixture_tear_down),
	};

	json_start();
	loop_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
