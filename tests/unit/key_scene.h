/* key_scene.h - a request before and after its call, for the tests of key/: requests are
 * made by hand; loop, spool, ledger and keys are the real ones, and what went into the
 * spool is read back.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_KEY_SCENE_H
#define TESTS_KEY_SCENE_H

#include "store_fixture.h"

#include <errno.h>
#include <time.h>

#include "base/json.h"
#include "base/metric.h"
#include "key/stage.h"
#include "store/db.h"
#include "told.h"

static const uint8_t pepper[32] = "not so secret, but long enough!";
static const int64_t start_ms = INT64_C(1792540800000); /* 2026-10-21T00:00:00Z */
static int64_t now_ms;

static struct ledger *ledger;
static struct keys *keys;
static struct loop *loop;
static struct worker worker;
static struct config config;
static struct provider provider;
static struct model_facts model;
static struct target target;
static struct candidate candidate;
static struct exchange exchange;
static struct http_field exchange_field[HTTP_FIELDS];
static struct request request;
static struct request *const r = &request;

/* ---- the stage ---- */

static inline void
read_clock(struct moment *m)
{
	*m = (struct moment){ .mono_us = now_ms * 1000, .unix_ms = now_ms };
}

static inline void
stop(void *arg)
{
	loop_stop(arg);
}

static inline void
go_to(int64_t unix_ms)
{
	struct loop_task task;

	now_ms = unix_ms;
	loop_post(loop, &task, stop, loop);
	loop_run(loop);
	assert_int_equal(loop_now(loop)->unix_ms, unix_ms);
}

static inline void
new_request(void)
{
	if (request.arena != NULL) {
		key_let_go(&request);
		arena_free(request.arena);
	}
	request = (struct request){
		.worker = &worker,
		.x = &exchange,
		.arena = arena_new(REQUEST_ARENA_BYTES),
		.config = &config,
		.began = *loop_now(loop),
		.max_tokens = -1,
		.choices = 1,
		.prompt_tokens = 100,
		.prompt_bound = 400,
		.rate_limit = 77,
		.model = STR_LIT("gpt-4o"),
		.id = { 1, 2, 3 },
		.id_hex = "010203",
	};
	memset(&exchange, 0, sizeof(exchange));
	exchange.head.field = exchange_field;
	assert_int_equal(
	    net_addr_parse(STR_LIT("192.0.2.7:4711"), &exchange.peer, NULL), ST_OK);
}

static inline struct spool *
open_spool(const char *dir)
{
	struct spool_options o = {
		.dir = dir, .boot = 7, .segment_bytes = 1 << 20, .buffer_bytes = 1 << 20
	};
	struct err e;
	struct spool *s = spool_open(&o, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

static inline int
set_up(void **state)
{
	static char dir[512];
	struct err e;

	if (fixture_set_up(state) != 0)
		return 1;
	setenv("TZ", "UTC", 1);
	tzset();
	now_ms = start_ms;
	clock_set_source(read_clock);
	told_start();
	(void)snprintf(dir, sizeof(dir), "%s", test_dir);
	loop = loop_new(&e);
	ledger = ledger_new();
	keys = keys_new(pepper, ledger, &loop, 1);
	worker = (struct worker){ .loop = loop, .spool = open_spool(dir) };
	provider = (struct provider){ .name = STR_LIT("openai") };
	/* 1,000 and 4,000 nano-euro a token */
	model = (struct model_facts){ .id = STR_LIT("gpt-4o"),
		.context_window = 10000,
		.price_input = 1000000,
		.price_output = 4000000,
		.price_cache_read = 500000,
		.price_cache_write = -1 };
	config = (struct config){ .fx_nano_eur_per_usd = 1000000000,
		.fx_date = STR_LIT("2026-11-20"),
		.log_content = LOG_CONTENT_FULL,
		.ledger_uncertain = DB_UNCERTAIN_INPUT };
	target = (struct target){ .provider = &provider, .model = &model };
	candidate = (struct candidate){ .target = &target };
	request.arena = NULL;
	go_to(start_ms);
	new_request();
	return 0;
}

static inline int
tear_down(void **state)
{
	key_let_go(&request);
	arena_free(request.arena);
	spool_close(worker.spool);
	keys_free(keys);
	loop_free(loop);
	ledger_free(ledger);
	told_stop();
	return fixture_tear_down(state);
}

static inline void
put_key(
    const char *id, const char *secret, const char *text, bool is_test, bool is_disabled)
{
	uint8_t hash[CRYPTO_HASH_BYTES];
	struct err e = { "" };
	json_t *j = json_parse(lz_strz(text), &e);
	struct key_wanted w = { .id = lz_strz(id),
		.settings = j,
		.hash = hash,
		.is_test = is_test,
		.is_disabled = is_disabled };

	keys_hash(pepper, lz_strz(secret), hash);
	if (j == NULL || keys_put(keys, &w, &e) != ST_OK)
		fail_msg("%s", e.text);
	json_decref(j);
}

static inline void
field(const char *name, const char *value)
{
	struct http_head *h = &exchange.head;

	h->field[h->field_count++] = (struct http_field){ lz_strz(name), lz_strz(value) };
}

static inline enum step
enter(const char *text)
{
	put_key("a", "sesame", text, false, false);
	new_request();
	field("authorization", "Bearer sesame");
	return key_authenticate(r, keys);
}

/* A request under a key of these settings, let in. */
static inline void
entered(const char *text)
{
	assert_int_equal(enter(text), STEP_NEXT);
}

static inline void
assert_fault(enum step s, enum fault f, const char *says)
{
	const char *said =
	    r->fault_message.ptr != NULL ? r->fault_message.ptr : "(nothing)";

	assert_int_equal(s, STEP_FAULT);
	assert_int_equal(r->fault, f);
	if (strstr(said, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", said, says);
}

static inline struct attempt *
new_attempt(int64_t bound, int64_t input)
{
	struct attempt *a;

	assert_true(request_may_add_attempt(r));
	a = request_add_attempt(r);
	*a = (struct attempt){ .number = a->number,
		.candidate = &candidate,
		.target = &target,
		.bound_nano_eur = bound,
		.input_nano_eur = input,
		.output_bound = 500,
		.cost_nano_eur = -1 };
	return a;
}

static inline struct attempt *
reserved(int64_t bound, int64_t input)
{
	struct attempt *a = new_attempt(bound, input);

	assert_int_equal(key_reserve(r), STEP_BARRIER);
	assert_true(a->is_open);
	return a;
}

static inline struct budget_view
month(const char *scope)
{
	struct budget_view v;

	ledger_view(
	    ledger_budget(ledger, lz_strz(scope), PERIOD_MONTH, NULL), now_ms, &v);
	return v;
}

/* The last record of the spool, after a flush. Views live until the next call. */
static inline struct record
last_record(void)
{
	static char bytes[1 << 16];
	struct record rec, last = { .type = 0 };
	char name[SEGMENT_NAME_BYTES];
	struct segment segment;
	size_t at = 0, n, used;
	uint64_t end;
	uint32_t seq;
	FILE *f;

	spool_retry(worker.spool);
	assert_int_equal(spool_flush(worker.spool), ST_OK);
	spool_position(worker.spool, &seq, &end);
	spool_segment(worker.spool, seq, &segment);
	segment_name(&segment, name);
	f = fopen(in_dir(name), "r");
	assert_non_null(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	while (at < n && record_get(lz_strn(bytes + at, n - at), &rec, &used) == ST_OK) {
		last = rec;
		at += used;
	}
	assert_int_equal(at, n);
	return last;
}

#endif
