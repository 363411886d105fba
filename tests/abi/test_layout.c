/* test_layout.c - nothing that crosses the ABI moves without somebody noticing, and what
 * is new at the end of a struct is no harm.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include "base/json.h"
#include "base/str.h"
#include "plugin/registry.h"
#include "trial/trial.h"

#include <latenza/testhost.h>

#if UINTPTR_MAX == UINT64_MAX
#define SIZE(T, bytes) _Static_assert(sizeof(T) == (bytes), "the size of " #T);
#define AT(T, member, at)                                                                \
	_Static_assert(offsetof(T, member) == (at), #T "." #member " has moved");
#define IS(name, value) _Static_assert((name) == (value), #name " has changed");
#include "abi/layout.h"
#endif

static const char *const no_dirs[] = { NULL };

/* Every struct that a plugin gives has grown by members that we do not know. */
static void
a_newer_plugin_opens_and_its_known_parts_work(void **state)
{
	const char *path = fixture_compile("tests/abi/newer.c", "newer.so", "");
	const struct part_info *p;
	struct err e = { "" };
	struct part *part;

	(void)state;
	if (registry_open(lz_strz(path), STR_NONE, true, false, &e) != ST_OK)
		fail_msg("%s", e.text);
	p = part_get_ops()->find("router", STR_LIT("newer-second"), NULL);
	assert_non_null(p);
	assert_int_equal(p->option_count, 2);
	part = part_get_ops()->make(p, "x", NULL, "x", &e);
	if (part == NULL)
		fail_msg("%s", e.text);
	/* The second row lies where its stride says. */
	assert_int_equal(((const int64_t *)part->instance)[1], 2222);
	part_unref(part);
	assert_null(part_get_ops()->find("teleporter", STR_LIT("newer-first"), NULL));
}

static void
the_fake_host_takes_a_newer_plugin_too(void **state)
{
	struct err e = { "" };
	struct testhost *h =
	    trial_new(fixture_path("newer.so"), "router", "newer-second", NULL, &e);

	(void)state;
	if (h == NULL)
		fail_msg("%s", e.text);
	testhost_free(h);
}

static int
start(void **state)
{
	(void)state;
	json_start();
	fixture_start();
	registry_start(no_dirs);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	fixture_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newer_plugin_opens_and_its_known_parts_work),
		cmocka_unit_test(the_fake_host_takes_a_newer_plugin_too),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
