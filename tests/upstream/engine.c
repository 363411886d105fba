/* engine.c - the engines that keep the contract. A new one is a row here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

#include "net/upstream_curl.h"

static void
balance_libcurl(const struct upstream *u)
{
	const struct sock *s;
	const struct origin *o;
	unsigned i, k, idle = 0, counted = 0;

	for (s = u->idle_first; s != NULL; s = s->idle_next) {
		assert_null(s->users);
		idle++;
	}
	for (i = 0; i < u->shards; i++) {
		assert_int_equal(u->shard[i]->active, 0);
		counted += u->shard[i]->idle;
		for (k = 0; k < ORIGIN_BUCKETS; k++)
			for (o = u->origin[k]; o != NULL; o = o->next)
				assert_int_equal(o->waiting[i], 0);
	}
	assert_int_equal(counted, idle);
	assert_null(u->calls);
	assert_null(u->ready_first);
}

static const struct engine engines[] = {
	{ "libcurl", CAN_TLS | CAN_HTTP2 | CAN_PROXY, upstream_new, balance_libcurl },
};
const struct engine *engine = engines;

static int
start(void **state)
{
	struct err e;

	(void)state;
	(void)signal(SIGPIPE, SIG_DFL); /* nobody may need it ignored */
	return upstream_start(&e) == ST_OK ? 0 : -1;
}

int
run_suite(const char *name, const struct CMUnitTest *tests, size_t n)
{
	char group[80];
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		engine = &engines[i];
		(void)snprintf(group, sizeof(group), "%s: %s", engine->name, name);
		failed += _cmocka_run_group_tests(group, tests, n, start, NULL);
	}
	return failed;
}
