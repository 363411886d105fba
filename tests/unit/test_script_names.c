/* test_script_names.c - names that are not there: said when a script is loaded, with
 * file, line and the nearest one; and never of a name that is there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "script_fixture.h"

/* Behind CHECK()'s first two lines the body begins on the third. */
static void
a_name_that_is_not_there_is_said_when_the_script_is_loaded(void **state)
{
	static const struct {
		const char *source, *wanted;
	} cases[] = {
		{ CHECK("return latenza.blokc('a')"),
		    "test.lua:3: latenza has no 'blokc'; did you mean latenza.block?" },
		{ CHECK("if false then\nlatenza.json.decoed('x')\nend"),
		    "test.lua:4: latenza.json has no 'decoed'; did you mean "
		    "latenza.json.decode?" },
		{ CHECK("return latenza:pas()"), "did you mean latenza.pass?" },
		{ CHECK("return latenza.frobnicate()"),
		    "test.lua:3: latenza has no 'frobnicate'" },
		{ CHECK("return latenza.test.case"),
		    "test.lua:3: latenza has no 'test'; only NAME_test.lua has it" },
		{ CHECK("return string.fromat('x')"),
		    "test.lua:3: string has no 'fromat'; did you mean string.format?" },
		{ CHECK("return math.random()"),
		    "math has no 'random'; write latenza.random()" },
		{ CHECK("return utf8.length('x')"), "utf8 has no 'length'" },
		{ CHECK("local text = 'x'\nreturn txet"),
		    "test.lua:4: 'txet' is not declared; did you mean text?" },
		{ "local function digits_of(s) return #s end\n" CHECK(
		      "return digit_of('1')"),
		    "test.lua:4: 'digit_of' is not declared; did you mean digits_of?" },
		{ CHECK("return tosting(1)"), "did you mean tostring?" },
		{ CHECK("if req then local found = 1 end\nreturn found"),
		    "test.lua:4: 'found' is not declared; write: local found" },
		{ CHECK("print('x')"),
		    "test.lua:3: 'print' is not declared; write latenza.log.info(...)" },
		{ CHECK("return os.time()"), "'os' is not declared; the time is" },
		{ CHECK("pcall(function() return io end)"), "'io' is not declared;" },
		{ CHECK("count = 1"), "'count' is not declared; write: local count" },
		{ CHECK("local count = 1\ncuont = 2"),
		    "test.lua:4: 'cuont' is not declared; did you mean count?" },
		{ CHECK("function helper() end"), "'helper' is not declared; write:" },
		{ CHECK("string = nil"),
		    "'string' cannot be written to; write: local string" },
		{ CHECK("_ENV.x = 1"), "'x' is not declared" },
		/* The first of them by line, though an inner function comes first. */
		{ "local a = one\n" CHECK("return two"), "test.lua:1: 'one'" },
		{ "local t = function() return two end\n" CHECK("return one"),
		    "test.lua:1: 'two'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *said = fixture_refused(cases[i].source);

		if (strstr(said, cases[i].wanted) == NULL ||
		    strncmp(said, "test.lua:", 9) != 0)
			fail_msg("\"%s\", wanted \"%s\"", said, cases[i].wanted);
	}
}

static void
a_name_that_is_there_is_none_that_is_not(void **state)
{
	static const char *const bodies[] = {
		"local print = latenza.log.info print('x')",
		"local os = { time = latenza.time } return os.time(), os.clock",
		"local t = { count = 1, os = 2 } return t.count + t.os, t.missing",
		"for i, word in ipairs({ 'a' }) do local _ = i, word end",
		"local function again(n) return n > 0 and again(n - 1) end again(2)",
		"local function with(_ENV) return anything end with({ anything = 1 })",
		"do local _ENV = { f = 1 } f = f + 1 end",
		"local s = ('x'):rep(3) return s:sub(1, 2), (s .. 'y'):upper()",
		"goto done ::done:: return latenza.json.null, math.huge, math.pi",
		"return utf8.charpattern, _VERSION, string.rep, table.unpack",
		/* Which of the two it is, is not known before it runs. */
		"local mine = { own = 1 } return (mine or string).own",
		"local mine = { own = 1 } return (mine.own and mine or latenza).own",
		"local json = latenza.json return json.decode('[1]')[1].x",
	};
	char source[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		(void)snprintf(source, sizeof(source), CHECK("do %s end"), bodies[i]);
		/* What a `return` gives is of no matter: the body is loaded only. */
		script_unref(fixture_load(source));
	}
}

/* More constants than an instruction can name: these are found when they run. */
static void
what_is_not_recognised_fails_when_it_runs(void **state)
{
	static char source[20000];
	size_t n = (size_t)snprintf(source, sizeof(source), "local t = {");

	(void)state;
	for (int i = 0; i < 400; i++)
		n += (size_t)snprintf(source + n, sizeof(source) - n, "'text %d', ", i);
	(void)snprintf(
	    source + n, sizeof(source) - n, "}\nreturn latenza.blokc, #t, cuont");
	assert_non_null(strstr(fixture_refused(source),
	    "test.lua:2: latenza has no 'blokc'; did you mean latenza.block?"));
	(void)snprintf(source + n, sizeof(source) - n, "}\nreturn cuont");
	assert_non_null(
	    strstr(fixture_refused(source), "test.lua:2: 'cuont' is not declared"));
}

/* Lines are kept as differences, with a whole one now and then and where a step is large.
 */
static void
the_line_is_right_wherever_it_is(void **state)
{
	static char source[60000];
	char wanted[100];

	(void)state;
	for (int gap = 0; gap < 4; gap++) {
		size_t n = (size_t)snprintf(source, sizeof(source), "local t = 0\n");
		int line = 2;

		for (; line < 500; line++)
			n += (size_t)snprintf(
			    source + n, sizeof(source) - n, "t = t + %d\n", line % 7);
		for (int i = 0; i < gap * 150; i++, line++)
			source[n++] = '\n';
		(void)snprintf(source + n, sizeof(source) - n, "return nowhere");
		(void)snprintf(wanted, sizeof(wanted),
		    "test.lua:%d: 'nowhere' is not declared; write: local nowhere", line);
		assert_string_equal(fixture_refused(source), wanted);
	}
}

static void
modules_are_looked_through_too(void **state)
{
	struct script_module module = { lz_strz("helper"),
		lz_strz("local h = {}\nfunction h.f() return tostrng(1) end\nreturn h") };
	struct script_source q = { .file = "test.lua",
		.text = lz_strz("local h = require('helper')\n" CHECK("return h.f()")),
		.module = &module,
		.module_count = 1 };
	struct err e = { "" };

	(void)state;
	assert_null(script_load(&q, &e));
	assert_string_equal(
	    e.text, "helper.lua:2: 'tostrng' is not declared; did you mean tostring?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_name_that_is_not_there_is_said_when_the_script_is_loaded),
		cmocka_unit_test(a_name_that_is_there_is_none_that_is_not),
		cmocka_unit_test(what_is_not_recognised_fails_when_it_runs),
		cmocka_unit_test(the_line_is_right_wherever_it_is),
		cmocka_unit_test(modules_are_looked_through_too),
	};

	json_start();
	return cmocka_run_group_tests_name("script names", tests, NULL, NULL);
}
