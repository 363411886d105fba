/* test_clock.c - clocks and names: nobody waits longer than was said.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* Clocks. */

static void
test_a_slow_answer_lives_as_long_as_its_reader_says_it_moves(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, drip, NULL);
	q = post(&b, url, "{}");
	q.idle_timeout_ms = 150;
	got_init(&g, &b);
	g.alive_left = 10;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "..........");
	assert_true(g.datas > 1);
	got_free(&g);

	got_init(&g, &b);
	g.alive_left = 1;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_IDLE_TIMEOUT);
	assert_int_equal(g.r.status, 200);
	assert_true(g.body.len > 0 && g.body.len < 10);
	got_free(&g);
	bench_close(&b);
}

static void
test_no_answer_in_time_is_a_first_byte_timeout(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, never_answer, NULL);
	q = post(&b, url, "{}");
	q.first_byte_timeout_ms = 60;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_FIRST_BYTE_TIMEOUT);
	assert_true(g.r.was_sent);
	assert_true(g.r.total_us >= 60000 && g.r.total_us < 5000000);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_connection_that_hangs_is_a_connect_timeout(void **state)
{
	struct full_port f;
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	full_port_open(&f);
	bench_open(&b, never_answer, NULL);
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", f.port));
	q.connect_timeout_ms = 80;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	assert_true(g.r.total_us >= 80000 && g.r.total_us < 5000000);
	got_free(&g);
	bench_close(&b);
	full_port_close(&f);
}

static void
test_the_total_limit_ends_an_answer_that_still_moves(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, drip, NULL);
	q = post(&b, url, "{}");
	q.total_timeout_ms = 100;
	q.idle_timeout_ms = 5000;
	got_init(&g, &b);
	g.alive_left = 100;
	send_call(&g, &q);
	bench_run(&b, 1);
	assert_end(&g, UPSTREAM_TOTAL_TIMEOUT);
	got_free(&g);
	bench_close(&b);
}

/* Names. */

static void
call_name(struct bench *b, struct got *g, const char *name, unsigned connect_ms)
{
	char url[64];
	struct upstream_request q = post(b, url, "{}");

	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "http://%s:%u/", name, b->p->port));
	q.connect_timeout_ms = connect_ms;
	call(b, g, &q);
}

static void
test_a_name_that_nobody_has_is_told_from_a_refusal(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	call_name(&b, &g, "nobody.test", 0);
	assert_end(&g, UPSTREAM_NO_NAME);
	assert_false(g.r.was_sent);
	got_free(&g);
	call_name(&b, &g, "one.test", 0);
	assert_end(&g, UPSTREAM_DONE);
	got_free(&g);
	bench_close(&b);
}

static void
test_a_second_address_is_tried_when_the_first_refuses(void **state)
{
	struct bench b;
	struct got g;
	unsigned i;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	for (i = 0; i < 3; i++) {
		call_name(&b, &g, "two.test", 2000);
		assert_end(&g, UPSTREAM_DONE);
		got_free(&g);
	}
	assert_int_equal(atomic_load(&b.p->lines), 1);
	bench_close(&b);
}

static void
test_a_slow_name_server_is_given_up_with_the_connect_limit(void **state)
{
	struct bench b;
	struct got g;

	(void)state;
	bench_open(&b, answer_text, NULL);
	b.p->text = ok_text;
	names_slow(700);
	call_name(&b, &g, "slow.test", 80);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	assert_true(g.r.total_us <
		    600000); /* and the loop did not wait for the resolver's thread */
	got_free(&g);
	nap_ms(800);
	names_slow(0);
	bench_close(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_slow_answer_lives_as_long_as_its_reader_says_it_moves),
		cmocka_unit_test(test_no_answer_in_time_is_a_first_byte_timeout),
		cmocka_unit_test(test_a_connection_that_hangs_is_a_connect_timeout),
		cmocka_unit_test(test_the_total_limit_ends_an_answer_that_still_moves),
		cmocka_unit_test(test_a_name_that_nobody_has_is_told_from_a_refusal),
		cmocka_unit_test(test_a_second_address_is_tried_when_the_first_refuses),
		cmocka_unit_test(
		    test_a_slow_name_server_is_given_up_with_the_connect_limit),
	};

	return run_suite("clock", tests, sizeof(tests) / sizeof(tests[0]));
}
