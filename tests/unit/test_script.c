/* test_script.c - scripts in their sandbox: what they see, what they cannot do, and how
 * what takes too much ends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "script_fixture.h"

#include <malloc.h>

#include "base/clock.h"

/* ---- loading ---- */

static void
what_is_wrong_with_a_script_is_said_with_its_place(void **state)
{
	static const struct {
		const char *source, *wanted;
	} cases[] = {
		{ "return {\n kind = 'router'\n name = 'x' }",
		    "test.lua:3: '}' expected" },
		{ "local x = nil\nreturn x.y",
		    "test.lua:2: attempt to index a nil value (local 'x')" },
		{ "_ENV['x' .. 1] = 1",
		    "test.lua:1: the environment of a script (write: local NAME) "
		    "is read-only" },
		{ "", "the script returns nothing; end it with return { kind" },
		{ "return 5", "the script returns a number; end it" },
		{ "return { kind = 5 }", "kind is a number; write kind" },
		{ "return {}", "kind is missing; write kind" },
		{ "return { kind = 'sink', name = 'x' }",
		    "kind is \"sink\"; it must be" },
		{ "return { kind = 'router', name = 'A b', pick = function() end }",
		    "name is \"A b\"" },
		{ "return { kind = 'router', name = 'a', check = function() end }",
		    "has 'check', which a router" },
		{ "return { kind = 'router', name = 'a', pikc = function() end }",
		    "'pikc'; did you mean 'pick'?" },
		{ "return { kind = 'router', name = 'a' }",
		    "pick is missing; a router has" },
		{ "return { kind = 'guardrail', name = 'a', check = function() end }",
		    "on is missing; write on" },
		{ "return { kind = 'guardrail', name = 'a', on = {}, check = function() "
		  "end }",
		    "on is empty" },
		{ "return { kind = 'guardrail', name = 'a', on = { 'reply' }, check = "
		  "function() end }",
		    "no phase" },
		{ "while true do end", "takes too long" },
		{ "local t = {} for i = 1, 1e9 do t[i] = i end", "too much memory" },
		{ "return latenza.time()", "only while a request is judged" },
		{ "\033Lua", "attempt to load a binary chunk" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *said = fixture_refused(cases[i].source);

		if (strstr(said, cases[i].wanted) == NULL ||
		    strncmp(said, "test.lua", 8) != 0)
			fail_msg("\"%s\", wanted \"%s\"", said, cases[i].wanted);
	}
}

static void
assert_option_refused(const char *option, const char *wanted)
{
	char source[600];
	const char *said;

	(void)snprintf(source, sizeof(source),
	    "return { kind = 'router', name = 'a', pick = function() end,\noptions = "
	    "{\nshare = %s } }",
	    option);
	said = fixture_refused(source);
	if (strstr(said, wanted) == NULL ||
	    strncmp(said, "test.lua:3: option share: ", 26) != 0)
		fail_msg("\"%s\", wanted \"%s\"", said, wanted);
}

static void
each_nonsense_in_an_option_has_its_sentence(void **state)
{
	(void)state;
	assert_option_refused("5", "is a number; write { type");
	assert_option_refused("{}", "type is missing; it must be boolean");
	assert_option_refused("{ type = 'float' }", "type is \"float\"; it must be");
	assert_option_refused(
	    "{ type = 'number', default = 'x' }", "default is a string; write a number");
	assert_option_refused(
	    "{ type = 'integer', default = 1.5 }", "write a whole number");
	assert_option_refused("{ type = 'number', minimum = 2, maximum = 1 }",
	    "minimum 2 is above maximum 1");
	assert_option_refused(
	    "{ type = 'number', minimum = 0, maximum = 1, default = 5 }",
	    "default 5 is not within");
	assert_option_refused("{ type = 'string', enum = { 'a', 'b' }, default = 'c' }",
	    "default \"c\" is not in enum");
	assert_option_refused(
	    "{ type = 'string', format = 'email' }", "no format \"email\"");
	assert_option_refused("{ type = 'string', format = 'uri', default = 'x' }",
	    "default \"x\" is no URL");
	assert_option_refused(
	    "{ type = 'array', items = { type = 'number' } }", "items are texts");
	assert_option_refused("{ type = 'boolean', defualt = true }",
	    "no 'defualt'; did you mean 'default'?");
	assert_option_refused(
	    "{ type = 'boolean', optional = 1 }", "optional is a number; write true");
}

static void
options_arrive_as_what_they_are(void **state)
{
	static const char source[] =
	    "return { kind = 'guardrail', name = 'a', on = { 'request' }, options = {\n"
	    "flag = { type = 'boolean', default = true }, many = { type = 'integer', "
	    "default = 7 },\n"
	    "share = { type = 'number', minimum = 0, maximum = 1, default = 0.25 },\n"
	    "word = { type = 'string', default = '' }, none = { type = 'string', "
	    "optional = true },\n"
	    "nothing = { type = 'integer', optional = true }, unsure = { type = "
	    "'boolean', optional = true },\n"
	    "mode = { type = 'string', enum = { 'soft', 'hard' }, default = 'hard' },\n"
	    "words = { type = 'array', items = { type = 'string' }, default = { 'a', 'b' "
	    "} },\n"
	    "map = { type = 'object', default = { x = { 1, 2 } } } },\n"
	    "check = function(req, o)\n"
	    "  local function is(a, b) if a ~= b then error('an option is wrong') end "
	    "end\n"
	    "  is(o.flag, true) is(o.many, 7) is(math.type(o.many), 'integer') "
	    "is(o.share, 0.25) is(o.word, '')\n"
	    "  is(o.none, nil) is(o.nothing, nil) is(o.unsure, nil) is(o.mode, 'hard')\n"
	    "  is(table.concat(o.words, ','), 'a,b') is(#o.words, 2) is(o.map.x[2], 2)\n"
	    "  is(pcall(function() o.flag = false end), false) is(pcall(rawset, o, "
	    "'flag', 1), false)\n"
	    "  is(pcall(table.insert, o.words, 'c'), false)\n"
	    "  return latenza.pass()\nend }";

	(void)state;
	assert_tells(source, "{}", "verdict", "pass");
	assert_tells(CHECK("return latenza.block(options.x or 'none', 'm')"), "{}",
	    "code", "none");
}

/* ---- what a script sees ---- */

static void
a_request_is_seen_and_read_only(void **state)
{
	(void)state;
	assert_tells(CHECK("local h = req.headers['X-Side'] .. req.metadata.a .. "
			   "req.key_metadata.b\n"
			   "return latenza.block(req.model .. '/' .. req.user .. '/' .. "
			   "req.phase, h)"),
	    "{\"model\":\"m\",\"user\":\"u\",\"headers\":{\"x-side\":\"1\"},\"metadata\":"
	    "{\"a\":\"2\"},"
	    "\"key_metadata\":{\"b\":\"3\"}}",
	    "code", "m/u/request");
	assert_tells(CHECK("req.tags.side = 5 return latenza.flag('a', 'b')"), "{}",
	    "verdict", "flag");
	assert_fails(
	    CHECK("return req.modle"), "a request has no 'modle'; did you mean model?");
	assert_fails(CHECK("req.model = 'x'"), "a request is read-only");
	assert_fails(CHECK("local api = { latenza } return api[1].blokc('a')"),
	    "latenza has no 'blokc'; did you mean latenza.block?");
	assert_fails(
	    CHECK(""), "check() returned nothing; end with return latenza.pass()");
	assert_fails(CHECK("return true"), "check() returned a boolean");
	assert_fails(PICK("return 5"), "pick() returned something else than a table");
}

static void
an_error_is_told_with_its_place_and_without_the_prompt(void **state)
{
	(void)state;
	assert_fails(CHECK("local x\nreturn x.y"),
	    "test.lua:4: attempt to index a nil value (local 'x')");
	assert_fails(CHECK("error('no such model')"), "test.lua:3: no such model");
	assert_fails(CHECK("error('prompt: ' .. req.texts[1].text)"),
	    "test.lua:3: error() with a text that was made while it ran");
	assert_fails(
	    CHECK("assert(nil, 'x' .. req.texts[1].text)"), "which is not shown");
	assert_fails(CHECK("error(req.texts[1].text .. ': x', 0)"),
	    "test.lua: error() with a text");
	assert_fails(CHECK("return req['x' .. req.texts[1].text]"),
	    "test.lua:3: a request has no '...'");
	assert_fails(CHECK("error({})"), "the script raised a table");
	assert_fails(CHECK("error(setmetatable({}, { __tostring = function() while true "
			   "do end end }))"),
	    "the script raised a table");
}

static void
the_slot_lives_as_long_as_the_request(void **state)
{
	/* Each piece of a stream is a visit of its own. */
	(void)state;
	assert_tells(
	    CHECK("local s = req.slot\n"
		  "s.n = (s.n or 0) + 1 s.list = s.list or { 'x', { deep = 1.5 }, "
		  "latenza.json.null }\n"
		  "assert(s.list[2].deep == 1.5 and s.list[3] == latenza.json.null)\n"
		  "if s.n == 5 then return latenza.block('five', 'times') end\n"
		  "return latenza.pass()"),
	    "{\"text\":\"abcdefghij\",\"phase\":\"response\",\"stream_every\":2}", "code",
	    "five");
	assert_fails(CHECK("req.slot.f = function() end return latenza.pass()"),
	    "req.slot holds a function");
	assert_fails(
	    CHECK("req.slot.t = req.slot return latenza.pass()"), "tables in tables");
	assert_fails(CHECK("req.slot.t = ('x'):rep(70000) return latenza.pass()"),
	    "more than 64 KiB");
}

/* ---- the way out ---- */

static void
there_is_no_way_out_of_the_sandbox(void **state)
{
	static const char *const gone[] = { "load", "loadstring", "loadfile", "dofile",
		"xpcall", "collectgarbage", "coroutine", "debug", "io", "os", "package",
		"print", "warn", "_G", "newproxy", "setfenv" };
	static const char *const refused[] = { "rawset(string, 'rep', 1)",
		"string.rep = 1", "latenza.pass = 1", "rawset(latenza, 'pass', 1)",
		"latenza.http.get = 1", "setmetatable(string, {})",
		"setmetatable(_ENV, {})", "rawset(_ENV, 'x', 1)",
		"local e = _ENV e.x = 1", "setmetatable({}, { __gc = function() end })",
		"setmetatable({}, { __mode = 'k' })", "table.insert(string, 1)",
		"table.move({ 1 }, 1, 1, 1, math)", "table.sort(latenza)",
		"getmetatable('').__index = 1", "require('../x')", "require('x\\0y')",
		"require('io')", "local s = { string } s[1].dump(function() end)",
		"string.format('%p', {})", "('x'):dump()", "string.format('%10p', 'x')",
		"string.format('%%%-5p', 'x')", "local m = { math } m[1].randomseed(1)",
		"req.texts.x = 1", "req.texts[1].text = 'x'", "rawset(req, 'x', 1)",
		"rawset(options, 'x', 1)", "next(req)", "rawlen(req)",
		"latenza.json.array(string)", "req.body.x = 1" };
	char source[500];

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		(void)snprintf(
		    source, sizeof(source), CHECK("local e = _ENV return e.%s"), gone[i]);
		assert_fails(source, "is not declared");
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		(void)snprintf(source, sizeof(source),
		    CHECK("local ok = pcall(function() %s end) return "
			  "latenza.block(tostring(ok), 'm')"),
		    refused[i]);
		json_t *told =
		    fixture_run(source, "{\"text\":\"a\",\"phase\":\"response\"}");

		if (strcmp(fixture_member(told, "code"), "false") != 0)
			fail_msg("%s: %s %s", refused[i], fixture_member(told, "code"),
			    fixture_member(told, "error"));
		json_decref(told);
	}
}

static void
no_address_is_shown(void **state)
{
	(void)state;
	assert_tells(
	    CHECK("local s = tostring({}) .. tostring(_ENV['print' .. '_'] or pcall) .. "
		  "string.format('%s', {}) .. "
		  "tostring(req)\nreturn latenza.block('x' .. s, 'm')"),
	    "{}", "error", "test.lua:3: '...' is not declared; write: local NAME");
	assert_tells(CHECK("return latenza.block('c' .. #string.format('%%p%5s', 'x'), "
			   "'m')"),
	    "{}", "code", "c7");
	assert_tells(
	    CHECK(
		"local s = tostring({}) .. tostring(pcall) .. string.format('%s', {}) .. "
		"tostring(req)\nreturn latenza.block('x' .. s, 'm')"),
	    "{}", "code", "xtablefunctiontablerequest");
}

static void
metatables_are_as_they_were_when_they_were_set(void **state)
{
	(void)state;
	assert_tells(
	    CHECK("local mt = { __index = { a = 1 }, __call = function() return 2 end }\n"
		  "local t = setmetatable({}, mt)\n"
		  "assert(t.a == 1 and t() == 2 and getmetatable(t) == mt)\n"
		  "mt.__mode = 'k' mt.__gc = function() end\n"
		  "assert(getmetatable('x') == nil and getmetatable(string) == false)\n"
		  "local c <close> = setmetatable({}, { __close = function() "
		  "req.tags.closed = '1' end })\n"
		  "return latenza.pass()"),
	    "{}", "verdict", "pass");
}

static void
a_handle_of_another_request_is_of_no_use(void **state)
{
	struct script *s = fixture_load(
	    "local kept\n" CHECK("if kept then return latenza.pass(), kept.model end\n"
				 "kept = req return latenza.pass()"));
	json_t *told = fixture_visit(s, "{}");

	(void)state;
	assert_string_equal(fixture_member(told, "verdict"), "pass");
	json_decref(told);
	told = fixture_visit(s, "{}");
	assert_non_null(
	    strstr(fixture_member(told, "error"), "belongs to a request that is over"));
	json_decref(told);
	script_unref(s);
}

/* ---- bombs ---- */

/* Each takes longer than anybody waits if nothing stops it. Steps decide, not the clock.
 */
static void
bombs_are_stopped_whatever_they_are_hidden_in(void **state)
{
	static const struct {
		const char *body, *wanted;
	} bombs[] = {
		{ "while true do end", "takes too long" },
		{ "while true do pcall(function() while true do end end) end",
		    "takes too long" },
		{ "local x <close> = setmetatable({}, { __close = function() while true "
		  "do end end })\n"
		  "while true do end",
		    "takes too long" },
		{ "pcall(function() local x <close> = setmetatable({}, { __close = "
		  "function() while true do end end })"
		  " while true do end end) while true do end",
		    "takes too long" },
		{ "table.sort({ 1, 2, 3 }, function() while true do end end)",
		    "takes too long" },
		{ "(('x'):rep(10)):gsub('x', function() while true do end end)",
		    "takes too long" },
		{ "req.texts[1]:replace('a', function() while true do end end)",
		    "takes too long" },
		{ "return setmetatable({}, { __index = function() while true do end end "
		  "}).x",
		    "takes too long" },
		{ "return tostring(setmetatable({}, { __tostring = function() while true "
		  "do end end }))",
		    "takes too long" },
		{ "for _ in setmetatable({}, { __call = function() return 1 end }) do "
		  "end",
		    "takes too long" },
		{ "for _ in pairs(setmetatable({}, { __pairs = function() while true do "
		  "end end })) do end",
		    "takes too long" },
		{ "local function f() return f() end return f()", "takes too long" },
		{ "return (('a'):rep(80)):find(('a-'):rep(4) .. 'b')", " too " },
		{ "return (('a'):rep(200)):find(('a*'):rep(20) .. 'b')", " too " },
		{ "return (('a'):rep(200000)):gsub('a.*b', '')", "takes too long" },
		{ "for _ in (('a'):rep(100000)):gmatch('(.-)%1b') do end", " too " },
		{ "return (('('):rep(100000)):find('%b()')", " too " },
		{ "return (('x'):rep(500000)):find('x.-z.-z')", " too " },
		{ "req.texts[1]:replace(('a-'):rep(2000) .. 'b', 'x')", " too " },
		{ "return (('x'):rep(1000)):find(('x?'):rep(300) .. ('x'):rep(300))",
		    "pattern too" },
		{ "table.move({}, 1, 1e8, 2)", "too many elements" },
		{ "table.concat({}, 'x', 1, 1e8)", "too many elements" },
		{ "return table.unpack({}, 1, 1e7)", "too many results" },
		{ "return string.byte(('x'):rep(1e5), 1, -1)", "slice too long" },
		{ "local s = ('<'):rep(1e6) for _ = 1, 50 do s:packsize() end",
		    "takes too long" },
		{ "return ('x'):rep(1e9)", "resulting string too large" },
		{ "return ('x'):rep(1e9, ('y'):rep(1e5))", "resulting string too large" },
		{ "return ('x'):rep(math.maxinteger)", "resulting string too large" },
		{ "local s = 'x' while true do s = s .. s end",
		    "longer than a script may have it" },
		{ "local s = ('x'):rep(1e6) while true do local t = s .. 'y' end",
		    "takes too long" },
		{ "local t = {} while true do t[#t + 1] = {} end", "too much memory" },
		{ "local t = {} while true do t = { t, function() return t end } end",
		    "too much memory" },
		{ "local t = {} pcall(function() while true do t[#t + 1] = {} end end) "
		  "while true do end",
		    "too much memory" },
		{ "local t = {} while true do pcall(function() t[#t + 1] = "
		  "('x'):rep(1e6) .. #t end) end",
		    "too much memory" },
		{ "local function f() return 1 + f() end return f()", "too much memory" },
		{ "local function f() return pcall(f) end return f()", "" },
		{ "local t = {} for i = 1, 6e4 do t[#t + 1] = 'k' .. i end "
		  "table.concat(t, ('x'):rep(1e5))",
		    "resulting string too large" },
		{ "return latenza.json.decode(('['):rep(100000) .. (']'):rep(100000))",
		    "not JSON" },
		{ "return latenza.json.decode('[' .. ('[],'):rep(300000) .. '1]')",
		    "too" },
		{ "local t = {} t[1] = t return latenza.json.encode(t)",
		    "nested too deeply" },
		{ "return string.format(('%s'):rep(2000), table.unpack({}, 1, 2000))",
		    "" },
		{ "local l = {} local s = ('x'):rep(1e6) for i = 1, 1e4 do l[i] = s end "
		  "table.sort(l)",
		    "takes too long" },
	};

	(void)state;
	log_set_level(LOG_LEVEL_ERROR + 1);
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		const struct script_limits *most = fixture_limits();
		char source[1000];
		struct script *s;
		json_t *told;

		(void)snprintf(source, sizeof(source), CHECK("%s"), bombs[i].body);
		s = fixture_load(source);
		told = fixture_visit(s,
		    "{\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}");
		/* Whoever had to be stopped had no more than a slice beyond the visit's.
		 */
		assert_true(
		    script_cost(s).steps <= most->visit_steps + most->slice_steps);
		script_unref(s);
		if (strcmp(fixture_member(told, "verdict"), "error") != 0 ||
		    strstr(fixture_member(told, "error"), bombs[i].wanted) == NULL)
			fail_msg("%s\n%s: %s; wanted %s", bombs[i].body,
			    fixture_member(told, "verdict"),
			    fixture_member(told, "error"), bombs[i].wanted);
		json_decref(told);
	}
	log_set_level(LOG_LEVEL_INFO);
}

/* Comparing long strings is one instruction each: no count tells what it costs. */
static void
the_watchdog_ends_what_steps_do_not_explain(void **state)
{
	static const char source[] =
	    CHECK("local a, b = ('x'):rep(1e6), ('x'):rep(1e6 - 1) .. 'x'\n"
		  "while a == b do end return latenza.pass()");
	struct script_limits limits = script_limits_usual;
	int64_t before = clock_mono_us();
	struct err e = { "" };
	struct script *s;
	json_t *told;

	(void)state;
	limits.visit_steps *=
	    1000; /* the watchdog's slices are as large: they are spent first */
	limits.slice_steps *= 1000;
	limits.wall_ms = 3600000;
	s = fixture_load_with(source, &limits, NULL, &e);
	assert_non_null(s);
	told = fixture_visit(s, "{}");
	assert_non_null(strstr(fixture_member(told, "error"), "takes too long"));
	assert_true(clock_mono_us() - before < INT64_C(60000000));
	json_decref(told);
	script_unref(s);
}

/* What a script that was stopped leaves behind: nothing. */
/* What is allocated from malloc(); 0 where a sanitizer takes its place. */
static size_t
allocated(void)
{
	struct mallinfo2 now = mallinfo2();

	return now.uordblks + now.hblkhd;
}

static void
after_memory_ran_out_the_script_goes_on_in_a_new_state(void **state)
{
	struct script *s = fixture_load(CHECK("if req.model == 'bomb' then local t = {} "
					      "while true do t[#t + 1] = {} end end\n"
					      "return latenza.pass()"));
	json_t *told = fixture_visit(s, "{}");
	size_t before;

	(void)state;
	json_decref(told);
	before = allocated();
	for (int i = 0; i < 3; i++) {
		told = fixture_visit(s, "{\"model\":\"bomb\"}");
		assert_string_equal(fixture_member(told, "verdict"), "error");
		json_decref(told);
		told = fixture_visit(s, "{}");
		assert_string_equal(fixture_member(told, "verdict"), "pass");
		json_decref(told);
		assert_true(allocated() < before + (1 << 20));
	}
	script_unref(s);
}

static void
five_stops_within_a_minute_switch_a_script_off(void **state)
{
	struct script *s =
	    fixture_load(CHECK("if req.model == 'bomb' then while true do end end\n"
			       "return latenza.pass()"));
	json_t *told;

	(void)state;
	for (int i = 0; i < SCRIPT_STOPS; i++) {
		assert_false(script_is_off(s));
		told = fixture_visit(s, "{\"model\":\"bomb\"}");
		json_decref(told);
	}
	assert_true(script_is_off(s));
	told = fixture_visit(s, "{}");
	assert_string_equal(fixture_member(told, "verdict"), "error");
	json_decref(told);
	script_unref(s);
}

static void
the_same_script_takes_the_same_steps(void **state)
{
	static const char source[] = CHECK(
	    "local n = 0 for w in req.texts[1].text:gmatch('%a+') do n = n + #w end\n"
	    "local ok = pcall(function() while true do n = n + 1 end end)\n"
	    "return latenza.pass()");
	json_t *told = fixture_run(source, "{\"text\":\"some words\"}");

	(void)state;
	assert_string_equal(fixture_member(told, "verdict"), "error");
	json_decref(told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_with_a_script_is_said_with_its_place),
		cmocka_unit_test(each_nonsense_in_an_option_has_its_sentence),
		cmocka_unit_test(options_arrive_as_what_they_are),
		cmocka_unit_test(a_request_is_seen_and_read_only),
		cmocka_unit_test(an_error_is_told_with_its_place_and_without_the_prompt),
		cmocka_unit_test(the_slot_lives_as_long_as_the_request),
		cmocka_unit_test(there_is_no_way_out_of_the_sandbox),
		cmocka_unit_test(no_address_is_shown),
		cmocka_unit_test(metatables_are_as_they_were_when_they_were_set),
		cmocka_unit_test(a_handle_of_another_request_is_of_no_use),
		cmocka_unit_test(bombs_are_stopped_whatever_they_are_hidden_in),
		cmocka_unit_test(the_watchdog_ends_what_steps_do_not_explain),
		cmocka_unit_test(after_memory_ran_out_the_script_goes_on_in_a_new_state),
		cmocka_unit_test(five_stops_within_a_minute_switch_a_script_off),
		cmocka_unit_test(the_same_script_takes_the_same_steps),
	};

	json_start();
	return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}
