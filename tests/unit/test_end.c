/* test_end.c - a gateway ends while others still tell [main] something.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store_fixture.h"

#include <sched.h>
#include <signal.h>

#include "base/crypto.h"
#include "base/json.h"
#include "cli/running.h"
#include "net/upstream.h"
#include "plugin/registry.h"
#include "request/fault.h"
#include "store/db.h"

static struct loop *loop;
static struct err e;
static unsigned heard;

static int
set_up(void **state)
{
	heard = 0;
	if (fixture_set_up(state) != 0)
		return 1;
	loop = loop_new(&e);
	return loop == NULL;
}

static void
hear(void *arg)
{
	(void)arg;
	heard++;
}

static const char *
configuration(void)
{
	static char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/latenza.yaml", test_dir);
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	(void)fprintf(
	    f, "listen: 127.0.0.1:0\nworkers: 2\nplugins: []\ndata: %s/data\n", test_dir);
	if (fclose(f) != 0)
		abort();
	return path;
}

/* The workers' word that they are empty is the gateway's own memory, and [main] did not
 * turn any more when it came. */
static void
a_worker_that_is_empty_late_is_heard_before_the_gateway_is_gone(void **state)
{
	struct config_options config = { .path = configuration() };
	struct gateway *g;

	(void)state;
	g = gateway_start(
	    &(struct gateway_options){ .config = &config, .loop = loop }, &e);
	if (g == NULL || gateway_serve(g, &e) != ST_OK)
		fail_msg("%s", e.text);
	gateway_drain(g, 60000, hear, NULL);
	gateway_stop(g);
	assert_int_equal(heard, 1);
	loop_free(loop);
	assert_int_equal(heard, 1);
}

static void
a_signal_that_comes_too_late_is_nobodys(void **state)
{
	struct signals *s = signals_start(loop, hear, hear, NULL);

	(void)state;
	assert_non_null(s);
	(void)kill(getpid(), SIGTERM);
	while (signals_ends(s) == 0)
		(void)sched_yield();
	signals_stop(s);
	loop_free(loop);
	assert_int_equal(heard, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_worker_that_is_empty_late_is_heard_before_the_gateway_is_gone),
		TEST(a_signal_that_comes_too_late_is_nobodys),
	};

	json_start();
	loop_start();
	fault_start();
	registry_start(registry_default_dirs(NULL));
	if (db_start(&e) != ST_OK || upstream_start(&e) != ST_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
