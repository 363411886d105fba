/* test_registry.c - plugins are found by name or path, listed, and their components made
 * into parts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "trial/trial.h"

static const char *dirs[3];

static enum status
open_one(const char *name, struct err *e)
{
	struct part_want w = { .path = lz_strz(name) };

	return part_get_ops()->open(&w, 1, true, e);
}

static void
a_name_is_looked_for_in_the_directories_in_order(void **state)
{
	struct err e = { "" };

	(void)state;
	assert_int_equal(open_one("visit", &e), ST_OK);
	assert_int_equal(open_one("visit", &e), ST_OK); /* again: nothing happens */
	assert_int_equal(open_one("visitt", &e), ST_NOT_FOUND);
	assert_non_null(strstr(e.text, "plugin 'visitt' is in none of /nonexistent, "));
	assert_non_null(strstr(e.text, fixture_dir));
}

static void
a_name_that_is_none_is_refused(void **state)
{
	static const char *const names[] = {
		"", "a b", "..", "x\ny", "caf\xc3\xa9",
		"a-name-that-is-far-too-long-to-be-the-name-of-a-plugin-of-anybody-at-all"
	};
	struct err e = { "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_not_equal(open_one(names[i], &e), ST_OK);
	assert_non_null(strstr(e.text, "is no plugin's name"));
}

static void
components_are_listed_and_found_with_the_nearest_name(void **state)
{
	const struct part_ops *ops = part_get_ops();
	lz_str near = STR_NONE;

	(void)state;
	assert_non_null(ops->at(0));
	assert_string_equal(ops->at(0)->kind, "provider");
	assert_string_equal(ops->at(0)->plugin, "visit-test");
	assert_string_equal(ops->at(0)->version, "1.0.0");
	assert_true(ops->at(0)->has_host);
	assert_string_equal(ops->at(2)->kind, "router");
	assert_ptr_equal(ops->find("router", STR_LIT("acting"), &near), ops->at(2));
	assert_null(ops->find("router", STR_LIT("actnig"), &near));
	assert_true(lz_eq(near, "acting"));
	assert_null(ops->find("router", STR_LIT("something else"), &near));
	assert_null(near.ptr);
	assert_null(ops->find("sink", STR_LIT("acting"), NULL));
}

static void
kinds_without_a_host_are_listed_as_such(void **state)
{
	struct err e = { "" };
	const struct part_info *info;

	(void)state;
	assert_int_equal(registry_open(lz_strz(fixture_compile("examples/plugins/sink.c",
					   "sink.so", "-Wall -Wextra")),
			     STR_NONE, true, false, &e),
	    ST_OK);
	for (size_t i = 0; (info = part_get_ops()->at(i)) != NULL; i++)
		if (strcmp(info->kind, "sink") == 0)
			break;
	assert_non_null(info);
	assert_false(info->has_host);
}

static void
options_land_in_the_instance_and_errors_name_the_place(void **state)
{
	const struct part_ops *ops = part_get_ops();
	json_t *options = json_pack("{s:s}", "act", "answer");
	struct err e = { "" };
	struct part *p = ops->make(ops->at(0), "one", options, "providers.one", &e);
	int64_t fini = shared_add(STR_LIT("fini"), 0, 0);

	(void)state;
	assert_non_null(p);
	assert_string_equal(p->name, "one");
	assert_true(json_equal(p->options, options));
	assert_true(lz_eq(*(const lz_str *)p->instance, "answer"));
	part_ref(p);
	part_unref(p);
	assert_int_equal(shared_add(STR_LIT("fini"), 0, 0), fini);
	part_unref(p);
	assert_int_equal(shared_add(STR_LIT("fini"), 0, 0), fini + 1);
	json_object_set_new(options, "atc", json_true());
	assert_null(ops->make(ops->at(0), "one", options, "providers.one", &e));
	assert_non_null(strstr(e.text, "providers.one"));
	assert_non_null(strstr(e.text, "atc"));
	json_decref(options);
}

static void
count_file(void *arg, const char *path, const char *problem)
{
	int *n = arg;

	n[problem != NULL]++;
	assert_non_null(strstr(path, ".so"));
}

static void
files_in_the_directories_are_listed_with_what_is_wrong(void **state)
{
	int n[2] = { 0, 0 };
	FILE *f = fopen(fixture_path("broken.so"), "w");

	(void)state;
	assert_non_null(f);
	fputs("not a plugin", f);
	fclose(f);
	registry_each_file(count_file, n);
	assert_true(n[0] >= 1);
	assert_int_equal(n[1], 1);
}

/* How long a plugin takes is said of what was built to be shipped (e2e), not of this. */
static void
only_good(void *arg, enum child_mark mark, const char *what)
{
	bool is_slow =
	    mark == CHILD_WARNED && strstr(what, "held its thread for") != NULL;

	(void)arg;
	if (mark != CHILD_PASSED && !is_slow)
		fail_msg("%s", what);
}

static void
what_we_ship_and_show_passes_plugin_check_and_exports_one_symbol(void **state)
{
	static const char *const sources[] = { "plugins/openai/openai.c",
		"plugins/anthropic/*.c", "plugins/google/*.c", "plugins/mistral/*.c",
		"plugins/compatible/compatible.c", "plugins/echo/*.c",
		"plugins/cheapest/cheapest.c", "plugins/fastest/fastest.c",
		"plugins/balanced/balanced.c", "plugins/injection/*.c",
		"plugins/patterns/*.c", "plugins/limits/*.c",
		"plugins/hook/*.c plugins/ask/*.c",
		"plugins/moderation/*.c plugins/ask/*.c",
		"plugins/pii/*.c plugins/scan/*.c",
		"plugins/secrets/*.c plugins/scan/*.c", "plugins/schema/*.c",
		"plugins/quality/quality.c", "examples/plugins/provider.c",
		"examples/plugins/router.c", "examples/plugins/guardrail.c",
		"examples/plugins/sink.c", "examples/plugins/site.c",
		"examples/plugins/wordlist.c", "examples/plugins/vendor.c" };

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		const char *path = fixture_compile(sources[i], "checked.so",
		    "-D_GNU_SOURCE -Wall -Wextra "
		    "-Wl,-z,defs -lm -lpcre2-8");
		char command[2 * PATH_MAX];

		assert_int_equal(trial_check(path, only_good, NULL), 0);
		(void)snprintf(command, sizeof(command),
		    "test \"$(nm -D --defined-only '%s' | awk '{print $3}')\" = "
		    "latenza_plugin_v0",
		    path);
		assert_int_equal(system(command), 0);
	}
}

static void
the_default_directories_are_the_environments_then_the_installed(void **state)
{
	const char *const *d;
	size_t n = 0;

	(void)state;
	setenv("LATENZA_PLUGIN_PATH", "/one::/two:", 1);
	d = registry_default_dirs("latenza");
	assert_string_equal(d[0], "/one");
	assert_string_equal(d[1], "/two");
	while (d[n] != NULL)
		n++;
	assert_string_equal(d[n - 1], LATENZA_PLUGIN_DIR);
	for (size_t i = 0; i < n; i++)
		mem_free((char *)(uintptr_t)d[i]);
}

static int
start(void **state)
{
	(void)state;
	json_start();
	fixture_start();
	dirs[0] = "/nonexistent";
	dirs[1] = fixture_dir;
	registry_start(dirs);
	fixture_compile(
	    "tests/unit/visit_plugin.c", "visit.so", "-pthread -D_GNU_SOURCE");
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
		cmocka_unit_test(a_name_is_looked_for_in_the_directories_in_order),
		cmocka_unit_test(a_name_that_is_none_is_refused),
		cmocka_unit_test(components_are_listed_and_found_with_the_nearest_name),
		cmocka_unit_test(options_land_in_the_instance_and_errors_name_the_place),
		cmocka_unit_test(kinds_without_a_host_are_listed_as_such),
		cmocka_unit_test(files_in_the_directories_are_listed_with_what_is_wrong),
		cmocka_unit_test(
		    what_we_ship_and_show_passes_plugin_check_and_exports_one_symbol),
		cmocka_unit_test(
		    the_default_directories_are_the_environments_then_the_installed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
