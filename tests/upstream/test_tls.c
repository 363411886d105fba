/* test_tls.c - TLS: certificates, and what breaks under it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

static void
call_tls(struct tls *tls, const char *ca, const char *host, struct got *g)
{
	struct upstream_options o = { .ca_file = ca };
	struct upstream_request q;
	struct bench b;
	char url[64];

	bench_open_tls(&b, answer_text, &o, tls);
	b.p->text = ok_text;
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "https://%s:%u/", host, b.p->port));
	call(&b, g, &q);
	if (g->r.end == UPSTREAM_TLS)
		assert_int_equal(atomic_load(&b.p->requests), 0);
	bench_close(&b);
}

static void
test_a_certificate_that_is_not_trusted_ends_the_call_unsent(void **state)
{
	struct tls *tls = tls_new(false);
	struct got g;

	(void)state;
	need(CAN_TLS);
	call_tls(tls, tls_ca(tls), "one.test", &g);
	assert_end(&g, UPSTREAM_DONE);
	assert_body(&g, "ok");
	got_free(&g);
	call_tls(tls, NULL, "one.test", &g); /* not ours to trust */
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	call_tls(tls, tls_ca(tls), "other.test", &g); /* another name */
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	tls_free(tls);
}

static void
greet(struct line *l)
{
	say(l, l->p->text);
	wait_for_close(l);
}

static void
test_a_port_that_speaks_no_tls_is_a_tls_failure(void **state)
{
	struct bench b;
	struct got g;
	char url[64];
	struct upstream_request q;

	(void)state;
	bench_open(&b, wait_for_close, NULL);
	b.p->text = "220 mail ESMTP\r\n";
	q = post(&b, url, "{}");
	q.url = lz_strn(
	    url, (size_t)snprintf(url, sizeof(url), "https://127.0.0.1:%u/", b.p->port));
	q.connect_timeout_ms = 100;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_CONNECT_TIMEOUT);
	assert_false(g.r.was_sent);
	got_free(&g);
	b.p->script = greet;
	call(&b, &g, &q);
	assert_end(&g, UPSTREAM_TLS);
	assert_false(g.r.was_sent);
	got_free(&g);
	bench_close(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_certificate_that_is_not_trusted_ends_the_call_unsent),
		cmocka_unit_test(test_a_port_that_speaks_no_tls_is_a_tls_failure),
	};

	return run_suite("tls", tests, sizeof(tests) / sizeof(tests[0]));
}
