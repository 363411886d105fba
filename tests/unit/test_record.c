/* test_record.c - the spool's records as bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include "base/crypto.h"

static struct buf bytes;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&bytes, 1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_free(&bytes);
	mem_set_fault(NULL, NULL);
	return 0;
}

static struct record
get_one(void)
{
	struct record r;
	size_t used;

	assert_int_equal(record_get(buf_str(&bytes), &r, &used), ST_OK);
	assert_int_equal(used, bytes.len);
	return r;
}

static void
assert_same(lz_str a, lz_str b)
{
	assert_true(str_eq(a, b));
	assert_int_equal(a.ptr == NULL, b.ptr == NULL);
}

static void
a_reservation_comes_back_as_it_was(void **state)
{
	struct record_reserve in = make_reserve(77, 3), *out;
	struct record r;

	(void)state;
	in.bound_nano_eur = INT64_MAX;
	in.input_nano_eur = INT64_MIN;
	assert_true(record_put_reserve(&bytes, &in));
	r = get_one();
	out = &r.reserve;
	assert_int_equal(r.type, RECORD_RESERVE);
	assert_memory_equal(out->trace_id, in.trace_id, RECORD_ID_BYTES);
	assert_int_equal(out->attempt, 3);
	assert_int_equal(out->at_unix_ms, in.at_unix_ms);
	assert_int_equal(out->bound_nano_eur, INT64_MAX);
	assert_int_equal(out->input_nano_eur, INT64_MIN);
	assert_same(out->key, in.key);
	assert_same(out->provider, in.provider);
	assert_same(out->model, in.model);
	assert_int_equal(out->scope_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_same(out->scope[i].scope, in.scope[i].scope);
		assert_same(out->scope[i].period, in.scope[i].period);
	}
}

static void
a_settlement_comes_back_as_it_was(void **state)
{
	struct record_settle in = make_settle(5, 255, -1), *out;
	struct record r;

	(void)state;
	in.fx_date = STR_NONE;
	in.provider = STR_LIT("");
	assert_true(record_put_settle(&bytes, &in));
	r = get_one();
	out = &r.settle;
	assert_int_equal(r.type, RECORD_SETTLE);
	assert_memory_equal(out->trace_id, in.trace_id, RECORD_ID_BYTES);
	assert_int_equal(out->attempt, 255);
	assert_int_equal(out->state, CHARGE_ACTUAL);
	assert_int_equal(out->at_unix_ms, in.at_unix_ms);
	assert_int_equal(out->cost_nano_eur, -1);
	assert_memory_equal(&out->usage, &in.usage, sizeof(in.usage));
	assert_int_equal(out->price_input, 2500000);
	assert_int_equal(out->price_cache_read, 1250000);
	assert_int_equal(out->price_cache_write, -1);
	assert_int_equal(out->price_output, 10000000);
	assert_int_equal(out->fx_nano, 920000000);
	assert_same(out->fx_date, STR_NONE);
	assert_same(out->provider, in.provider);
	assert_same(out->scope[1].period, in.scope[1].period);
}

static void
a_trace_comes_back_as_it_was(void **state)
{
	struct record_trace in = make_trace(9, 2, 4711), *out;
	struct record r;

	(void)state;
	in.code = STR_LIT("rate_limit_exceeded");
	in.flags = 0xffffffff;
	in.status = 499;
	in.verdicts = lz_strn("\x81\0\1g\0", 5);
	assert_true(record_put_trace(&bytes, &in));
	r = get_one();
	out = &r.trace;
	assert_int_equal(r.type, RECORD_TRACE);
	assert_memory_equal(out->trace_id, in.trace_id, RECORD_ID_BYTES);
	assert_int_equal(out->at_unix_ms, in.at_unix_ms);
	assert_int_equal(out->total_us, in.total_us);
	assert_int_equal(out->overhead_us, in.overhead_us);
	assert_int_equal(out->ttft_us, in.ttft_us);
	assert_int_equal(out->cost_nano_eur, 4711);
	assert_memory_equal(&out->usage, &in.usage, sizeof(in.usage));
	assert_int_equal(out->flags, 0xffffffff);
	assert_int_equal(out->status, 499);
	assert_int_equal(out->attempts, 2);
	assert_same(out->route, in.route);
	assert_same(out->code, in.code);
	assert_same(out->finish, in.finish);
	assert_same(out->key, in.key);
	assert_same(out->organization, in.organization);
	assert_same(out->assistant, STR_NONE);
	assert_same(out->user, in.user);
	assert_same(out->session, in.session);
	assert_same(out->model_asked, in.model_asked);
	assert_same(out->model, in.model);
	assert_same(out->provider, in.provider);
	assert_same(out->strategy, in.strategy);
	assert_same(out->metadata, in.metadata);
	assert_same(out->attempt_list, in.attempt_list);
	assert_same(out->guardrails, STR_NONE);
	assert_same(out->verdicts, in.verdicts);
}

/* The head that a body of n bytes has, written before it. */
static void
seal(char *record, size_t n)
{
	uint32_t sum = crypto_crc32c(0, record + 8, n);

	for (int i = 0; i < 4; i++) {
		record[i] = (char)(n >> (8 * i));
		record[4 + i] = (char)(sum >> (8 * i));
	}
}

/* Records of before end without the fields that they did not have. */
static void
a_trace_of_an_older_version_is_read(void **state)
{
	enum {
		HEAD = 8,
		NO_TEXT = 2
	};
	struct record_trace in = make_trace(9, 2, 4711);
	struct record r;

	(void)state;
	in.guardrails = STR_LIT("[{}]");
	for (unsigned missing = 0; missing <= 2; missing++) {
		buf_reset(&bytes);
		if (missing == 2)
			in.guardrails = STR_NONE;
		assert_true(record_put_trace(&bytes, &in));
		bytes.len -= (size_t)missing * NO_TEXT;
		seal(bytes.ptr, bytes.len - HEAD);
		r = get_one();
		assert_same(r.trace.guardrails, in.guardrails);
		assert_null(r.trace.verdicts.ptr);
		assert_same(r.trace.attempt_list, in.attempt_list);
	}
}

static void
a_raise_comes_back_as_it_was(void **state)
{
	struct record_raise in = { .attempt = 7, .bound_nano_eur = 4711 };
	struct record r;

	(void)state;
	make_id(in.trace_id, 5, 6);
	assert_true(record_put_raise(&bytes, &in));
	r = get_one();
	assert_int_equal(r.type, RECORD_RAISE);
	assert_memory_equal(r.raise.trace_id, in.trace_id, RECORD_ID_BYTES);
	assert_int_equal(r.raise.attempt, 7);
	assert_int_equal(r.raise.bound_nano_eur, 4711);
}

static void
what_stands_on_disk_is_the_same_on_every_machine(void **state)
{
	struct record_reserve r = {
		.attempt = 1,
		.at_unix_ms = 0x0102030405060708,
		.bound_nano_eur = 2,
		.input_nano_eur = -1,
		.key = { "k", 1 },
	};
	static const char body[] = "01"
				   "00000000000000000000000000000000"
				   "01"
				   "0807060504030201"
				   "0200000000000000"
				   "ffffffffffffffff"
				   "01006b"
				   "ffff"
				   "ffff"
				   "00";
	char hex[256];

	(void)state;
	assert_true(record_put_reserve(&bytes, &r));
	crypto_hex((const uint8_t *)bytes.ptr + 8, bytes.len - 8, hex);
	assert_string_equal(hex, body);
	crypto_hex((const uint8_t *)bytes.ptr, 4, hex);
	assert_string_equal(hex, "32000000");
}

static void
records_follow_each_other_in_one_buffer(void **state)
{
	struct record_reserve r = make_reserve(1, 0);
	struct record_settle s = make_settle(1, 0, 5);
	struct record_trace t = make_trace(1, 1, 5);
	static const enum record_type order[] = { RECORD_RESERVE, RECORD_SETTLE,
		RECORD_TRACE };
	struct record got;
	size_t used, peeked;
	lz_str rest;

	(void)state;
	assert_true(record_put_reserve(&bytes, &r));
	assert_true(record_put_settle(&bytes, &s));
	assert_true(record_put_trace(&bytes, &t));
	rest = buf_str(&bytes);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(record_peek(rest, &peeked), order[i]);
		assert_int_equal(record_get(rest, &got, &used), ST_OK);
		assert_int_equal(got.type, order[i]);
		assert_int_equal(used, peeked);
		rest = str_cut(rest, used, rest.len);
	}
	assert_int_equal(rest.len, 0);
}

static void
a_record_that_is_cut_off_says_that_more_may_come(void **state)
{
	struct record_trace t = make_trace(1, 1, 5);
	struct record got;
	size_t used;

	(void)state;
	assert_true(record_put_trace(&bytes, &t));
	for (size_t n = 0; n < bytes.len; n++)
		assert_int_equal(
		    record_get(lz_strn(bytes.ptr, n), &got, &used), ST_AGAIN);
}

static void
every_changed_bit_is_found(void **state)
{
	struct record_settle s = make_settle(1, 0, 5);
	struct record got;
	size_t used;

	(void)state;
	assert_true(record_put_settle(&bytes, &s));
	for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
		bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
		assert_int_not_equal(record_get(buf_str(&bytes), &got, &used), ST_OK);
		bytes.ptr[bit / 8] = (char)(bytes.ptr[bit / 8] ^ 1 << bit % 8);
	}
	assert_int_equal(record_get(buf_str(&bytes), &got, &used), ST_OK);
}

/* A body with a right checksum, to get past it. */
static enum status
get_forged(const uint8_t *body, size_t n)
{
	char record[256];
	struct record got;
	size_t used;

	memcpy(record + 8, body, n);
	seal(record, n);
	return record_get(lz_strn(record, 8 + n), &got, &used);
}

static void
a_body_that_lies_about_itself_is_refused(void **state)
{
	struct record_reserve r = { .key = { "k", 1 } };
	uint8_t body[256];
	size_t n;

	(void)state;
	assert_true(record_put_reserve(&bytes, &r));
	n = bytes.len - 8;
	memcpy(body, bytes.ptr + 8, n);
	assert_int_equal(get_forged(body, n), ST_OK);
	body[n] = 0;
	assert_int_equal(
	    get_forged(body, n + 1), ST_INVALID); /* bytes after the last field */
	assert_int_equal(
	    get_forged(body, n - 1), ST_INVALID); /* the last field is missing */
	body[n - 1] = RECORD_SCOPES + 1;
	assert_int_equal(get_forged(body, n), ST_INVALID); /* too many budgets */
	body[n - 1] = 1;
	assert_int_equal(get_forged(body, n), ST_INVALID); /* one that is not there */
	body[n - 1] = 0;
	body[n - 8] = 200; /* the key's length */
	assert_int_equal(get_forged(body, n), ST_INVALID);
	body[n - 8] = 1;
	body[0] = 9;
	assert_int_equal(get_forged(body, n), ST_INVALID); /* a type of the future */
	body[0] = 0;
	assert_int_equal(get_forged(body, n), ST_INVALID);
}

static void
zeros_are_no_record(void **state)
{
	char zeros[64] = { 0 };
	struct record got;
	size_t used;

	(void)state;
	assert_int_equal(
	    record_get(lz_strn(zeros, sizeof(zeros)), &got, &used), ST_INVALID);
}

static lz_str
filled(char *room, size_t n, char c)
{
	memset(room, c, n);
	return lz_strn(room, n);
}

static void
free_text_gives_way_before_a_trace_is_refused(void **state)
{
	static char room[5][60000];
	struct record_trace in = make_trace(1, 1, 5);
	struct record r;

	(void)state;
	in.metadata = filled(room[0], 6000, 'm');
	in.user = filled(room[1], 3000, 'u');
	assert_true(record_put_trace(&bytes, &in));
	r = get_one();
	assert_null(r.trace.metadata.ptr);
	assert_int_equal(r.trace.user.len, 3000);
	assert_same(r.trace.attempt_list, in.attempt_list);

	in.attempt_list = filled(room[2], 60000, '[');
	in.session = filled(room[3], 60000, 's');
	in.model_asked = filled(room[4], 60000, 'x');
	buf_reset(&bytes);
	assert_true(record_put_trace(&bytes, &in));
	r = get_one();
	assert_null(r.trace.attempt_list.ptr);
	assert_int_equal(r.trace.session.len, 256);
	assert_int_equal(r.trace.model_asked.len, 256);
	assert_int_equal(r.trace.user.len, 3000);
	assert_int_equal(r.trace.cost_nano_eur, 5);
}

static void
a_text_is_cut_between_characters(void **state)
{
	static char user[9000];
	struct record_trace in = make_trace(1, 1, 5);
	struct record r;

	(void)state;
	in.user = lz_strn(user, 8999);
	user[0] = 'a';
	for (size_t i = 1; i < 8999; i += 2)
		memcpy(user + i, "\xc3\xa9", 2);
	assert_true(record_put_trace(&bytes, &in));
	r = get_one();
	assert_int_equal(r.trace.user.len, 255);
	assert_true(str_is_utf8(r.trace.user));
}

static void
what_cannot_be_cut_is_refused_and_leaves_the_buffer_sound(void **state)
{
	static char room[70000];
	struct record_trace t = make_trace(1, 1, 5);
	struct record_reserve r = make_reserve(1, 0);
	struct record_settle s = make_settle(1, 0, 5);

	(void)state;
	t.key = r.key = s.model = filled(room, sizeof(room), 'k');
	assert_false(record_put_trace(&bytes, &t));
	assert_false(record_put_reserve(&bytes, &r));
	assert_false(record_put_settle(&bytes, &s));
	assert_int_equal(bytes.len, 0);
	assert_false(bytes.failed);
	r = make_reserve(1, 0);
	r.scope_count = RECORD_SCOPES + 1;
	assert_false(record_put_reserve(&bytes, &r));
	s = make_settle(1, 0, 5);
	s.state = 0;
	assert_false(record_put_settle(&bytes, &s));
	s = make_settle(1, 0, 5);
	assert_true(record_put_settle(&bytes, &s));
}

static void
a_full_buffer_takes_nothing_of_a_record(void **state)
{
	struct record_settle s = make_settle(1, 0, 5);
	struct buf small;

	(void)state;
	buf_init(&small, 100);
	assert_false(record_put_settle(&small, &s));
	assert_true(small.failed);
	assert_int_equal(small.len, 0);
	buf_free(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reservation_comes_back_as_it_was),
		TEST(a_settlement_comes_back_as_it_was),
		TEST(a_trace_comes_back_as_it_was),
		TEST(a_trace_of_an_older_version_is_read),
		TEST(a_raise_comes_back_as_it_was),
		TEST(what_stands_on_disk_is_the_same_on_every_machine),
		TEST(records_follow_each_other_in_one_buffer),
		TEST(a_record_that_is_cut_off_says_that_more_may_come),
		TEST(every_changed_bit_is_found),
		TEST(a_body_that_lies_about_itself_is_refused),
		TEST(zeros_are_no_record),
		TEST(free_text_gives_way_before_a_trace_is_refused),
		TEST(a_text_is_cut_between_characters),
		TEST(what_cannot_be_cut_is_refused_and_leaves_the_buffer_sound),
		TEST(a_full_buffer_takes_nothing_of_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
