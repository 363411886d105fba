/* test_parse.c - argv against the table of commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "cli/command.h"

enum {
	WORDS = 24
};

/* What was said to standard error meanwhile. */
static char said[4000];

static int
parse(struct cli *c, const char *const *words)
{
	char *argv[WORDS];
	int argc = 0, was = dup(STDERR_FILENO), code;
	FILE *heard = tmpfile();

	assert_non_null(heard);
	for (; words[argc] != NULL; argc++) {
		assert_true(argc < WORDS - 1);
		argv[argc] = strdup(words[argc]);
	}
	argv[argc] = NULL;
	fflush(stderr);
	assert_true(dup2(fileno(heard), STDERR_FILENO) >= 0);
	*c = (struct cli){ 0 };
	code = cli_parse(c, argc, argv);
	fflush(stderr);
	assert_true(dup2(was, STDERR_FILENO) >= 0);
	close(was);
	rewind(heard);
	said[fread(said, 1, sizeof(said) - 1, heard)] = '\0';
	fclose(heard);
	/* Operands point into argv, which lives as long as a process: the tests look at
	 * copies. */
	for (int i = 0; i < argc; i++) {
		bool is_operand = false;

		for (unsigned k = 0; k < c->operand_count; k++)
			is_operand = is_operand || c->operand[k] == argv[i];
		if (!is_operand)
			free(argv[i]);
	}
	return code;
}

static void
forget(struct cli *c)
{
	for (unsigned i = 0; i < c->operand_count; i++)
		free((char *)(uintptr_t)c->operand[i]);
	json_decref(c->options);
}

#define PARSE(c, ...) parse(c, (const char *const[]){ "latenza", __VA_ARGS__, NULL })

static void
assert_refused(int code, const char *words)
{
	assert_int_equal(code, CLI_USAGE);
	if (strstr(said, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", said, words);
}

static void
options_are_read_by_their_kind(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "key", "create", "--name", "A b", "--rate-limit=120",
			     "--budget-monthly-eur", "0.5", "--model-allowlist", "a,b",
			     "--model-allowlist", "c", "--metadata", "x=1", "--metadata",
			     "y=a=b", "--test", "-ojson"),
	    CLI_DONE);
	assert_string_equal(c.command->name, "key create");
	assert_string_equal(cli_text(&c, "name"), "A b");
	assert_int_equal(cli_integer(&c, "rate-limit", -1), 120);
	assert_int_equal(
	    json_array_size(json_object_get(c.options, "model-allowlist")), 3);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(c.options, "metadata"), "y")),
	    "a=b");
	assert_true(cli_has(&c, "test"));
	assert_true(c.wants_json);
	forget(&c);
}

/* The last would win, and nobody would know. */
static void
an_option_with_one_value_is_given_once(void **state)
{
	static const char *const twice[][10] = {
		{ "latenza", "key", "create", "--name", "a", "--name", "b", NULL },
		{ "latenza", "key", "create", "--rate-limit", "5", "--rate-limit=5",
		    NULL },
		{ "latenza", "key", "list", "-o", "json", "--output", "text", NULL },
		{ "latenza", "key", "roll", "x", "--keep-old", "1h", "--keep-old", "2h",
		    NULL },
	};
	static const char *const names[] = {
		"--name:", "--rate-limit:", "--output:", "--keep-old:"
	};
	static const char *const lists[] = { "latenza", "key", "create", "--metadata",
		"a=1", "--metadata", "b=2", "--allowed-ips", "10.0.0.1", "--allowed-ips",
		"10.0.0.2", "--test", "--test", NULL };
	struct cli c;

	(void)state;
	for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
		assert_int_equal(parse(&c, twice[i]), CLI_USAGE);
		assert_non_null(strstr(said, names[i]));
		assert_non_null(strstr(said, "twice"));
		forget(&c);
	}
	assert_int_equal(parse(&c, lists), CLI_DONE);
	assert_int_equal(json_object_size(json_object_get(c.options, "metadata")), 2);
	assert_int_equal(json_array_size(json_object_get(c.options, "allowed-ips")), 2);
	forget(&c);
}

static void
a_limit_may_be_unlimited(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(
	    PARSE(&c, "key", "create", "--rate-limit", "unlimited"), CLI_DONE);
	assert_string_equal(cli_text(&c, "rate-limit"), "unlimited");
	forget(&c);
}

static void
a_duration_becomes_milliseconds(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "traces", "list", "--since", "2h"), CLI_DONE);
	assert_int_equal(cli_integer(&c, "since", 0), 7200000);
	forget(&c);
}

static void
what_follows_two_dashes_is_an_operand(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "key", "show", "--", "--odd"), CLI_DONE);
	assert_int_equal(c.operand_count, 1);
	assert_string_equal(c.operand[0], "--odd");
	forget(&c);
}

static void
a_dash_alone_is_an_operand(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "key", "show", "-"), CLI_DONE);
	assert_string_equal(c.operand[0], "-");
	forget(&c);
}

static void
a_slip_is_answered_with_what_was_meant(void **state)
{
	struct cli c;

	(void)state;
	assert_refused(PARSE(&c, "key", "lst"), "did you mean \"key list\"?");
	forget(&c);
	assert_refused(PARSE(&c, "srve"), "did you mean \"serve\"?");
	forget(&c);
	assert_refused(
	    PARSE(&c, "key", "create", "--nmae", "x"), "did you mean \"--name\"?");
	forget(&c);
}

static void
nothing_is_guessed_far_away(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "xylophone"), CLI_USAGE);
	assert_null(strstr(said, "did you mean"));
	forget(&c);
}

static void
nonsense_is_refused_by_name(void **state)
{
	struct cli c;

	(void)state;
	assert_refused(PARSE(&c, "key", "create", "--rate-limit", "12x"), "--rate-limit");
	forget(&c);
	assert_refused(PARSE(&c, "key", "create", "--rate-limit"), "needs a value");
	forget(&c);
	assert_refused(PARSE(&c, "key", "create", "--rate-limit", "99999999999999999999"),
	    "--rate-limit");
	forget(&c);
	assert_refused(
	    PARSE(&c, "key", "create", "--budget-monthly-eur", "nan"), "--budget");
	forget(&c);
	assert_refused(PARSE(&c, "key", "create", "--test=yes"), "takes no value");
	forget(&c);
	assert_refused(PARSE(&c, "key", "create", "--metadata", "=x"), "NAME=VALUE");
	forget(&c);
	assert_refused(PARSE(&c, "key", "create", "--name", "\xff"), "--name");
	forget(&c);
	assert_refused(PARSE(&c, "traces", "list", "--since", "soon"), "--since");
	forget(&c);
	assert_refused(PARSE(&c, "key", "list", "-o", "xml"), "--output");
	forget(&c);
	assert_refused(PARSE(&c, "key", "list", "extra"), "\"extra\"");
	forget(&c);
	assert_refused(PARSE(&c, "key", "show"), "ID");
	forget(&c);
	assert_refused(PARSE(&c, "key", "list", "-x"), "\"-x\"");
	forget(&c);
}

static void
help_needs_no_operands(void **state)
{
	struct cli c;

	(void)state;
	assert_int_equal(PARSE(&c, "key", "show", "--help"), CLI_DONE);
	assert_true(cli_has(&c, "help"));
	forget(&c);
}

/* The table itself: names are unique, no letter or name stands twice in a row. */
static void
every_row_of_the_table_is_sound(void **state)
{
	size_t count;
	const struct cli_command *rows = cli_commands(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		unsigned char seen[128] = { 0 };
		const struct cli_option *lists[] = { rows[i].options, cli_common };

		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(rows[i].name, rows[k].name);
		for (size_t l = 0; l < 2; l++)
			for (const struct cli_option *o = lists[l]; o->name != NULL;
			     o++) {
				assert_true(
				    o->letter == 0 || seen[(unsigned)o->letter]++ == 0);
				assert_non_null(o->help);
				assert_int_equal(
				    o->kind == OPTION_SWITCH, o->value == NULL);
			}
		assert_non_null(rows[i].run);
		assert_true(
		    rows[i].least <= rows[i].most && rows[i].most <= CLI_OPERANDS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_read_by_their_kind),
		cmocka_unit_test(an_option_with_one_value_is_given_once),
		cmocka_unit_test(a_limit_may_be_unlimited),
		cmocka_unit_test(a_duration_becomes_milliseconds),
		cmocka_unit_test(what_follows_two_dashes_is_an_operand),
		cmocka_unit_test(a_dash_alone_is_an_operand),
		cmocka_unit_test(a_slip_is_answered_with_what_was_meant),
		cmocka_unit_test(nothing_is_guessed_far_away),
		cmocka_unit_test(nonsense_is_refused_by_name),
		cmocka_unit_test(help_needs_no_operands),
		cmocka_unit_test(every_row_of_the_table_is_sound),
	};

	json_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
