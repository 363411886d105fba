/* test_script_api.c - the API of scripts: streams cut anywhere, routers, JSON, the
 * network, and the files under sdk/lua, which are made from its table.
 *
 * LATENZA_UPDATE=1 writes those files anew.
 *
 * SPDX-License-Identifier: MIT
 */
#include "script_fixture.h"

#include "lua/docs.h"
#include "match_twin.h"

/* ---- streams ---- */

static const char redact[] =
    "local kinds = {\n"
    "  { tag = 'EMAIL', pattern = '[%w._%%+-]+@[%w-]+%.[%w.-]*%w' },\n"
    "  { tag = 'CARD', pattern = '%d[%d -]+%d', valid = function(s) return "
    "latenza.luhn(s, 13, 19) end },\n"
    "  { tag = 'WORD', pattern = '%f[%w]sec%w*%f[^%w]' },\n"
    "}\n"
    "return { kind = 'guardrail', name = 'redact', on = { 'request', 'response' },\n"
    "check = function(req)\n"
    "  local seen = req.slot\n"
    "  seen.n = seen.n or 0\n"
    "  for _, part in ipairs(req.texts) do\n"
    "    for _, kind in ipairs(kinds) do\n"
    "      part:replace(kind.pattern, function(found)\n"
    "        if kind.valid and not kind.valid(found) then return nil end\n"
    "        if not seen[found] then\n"
    "          seen.n = seen.n + 1\n"
    "          seen[found] = ('[%s_%d]'):format(kind.tag, seen.n)\n"
    "        end\n"
    "        return seen[found]\n"
    "      end)\n"
    "    end\n"
    "  end\n"
    "  return latenza.pass()\n"
    "end }\n";

static json_t *
document(const char *text, const char *phase)
{
	return json_pack("{s:s, s:s}", "text", text, "phase", phase);
}

static json_t *
visit_document(struct script *s, json_t *d)
{
	struct fake *f = fake_new(fixture_host());
	struct err e = { "" };
	json_t *told;

	value_forget();
	told = fake_visit(f, s, d, &e);
	if (told == NULL)
		fail_msg("%s", e.text);
	json_decref(d);
	fake_free(f);
	return told;
}

static void
assert_cut_alike(struct script *s, const char *text, json_t *cuts, const char *whole)
{
	json_t *d = document(text, "response"), *told;

	(void)json_object_set_new(d, "stream_cuts", cuts);
	told = visit_document(s, json_incref(d));
	if (strcmp(fixture_member(told, "text"), whole) != 0) {
		char *shown = json_dumps(cuts, 0);

		fail_msg("\"%s\" cut at %s is \"%s\", whole \"%s\" (%s)", text, shown,
		    fixture_member(told, "text"), whole, fixture_member(told, "error"));
	}
	json_decref(told);
	json_decref(d);
}

static unsigned
below(unsigned n)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

static void
a_stream_cut_anywhere_is_the_whole_text(void **state)
{
	static const char *const texts[] = {
		"anna@mail.example.com pays with 4111 1111 1111 1111.",
		"secret, insecure, sector 7; 4111-1111-1111-1111 5500 0000 0000 0004",
		"\xc3\xa9t\xc3\xa9@x.org, a@b.c a@b. a@ @b.c bob@a.b.c.d@e.f sec",
		"no match here at all, only words and 12 34 numbers 5", "x@y.zz",
		"1234567812345670secret@mail.de1111222233334444", ""
	};
	struct script *s = fixture_load(redact);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *told = visit_document(s, document(texts[i], "response"));
		const char *whole = fixture_member(told, "text");
		unsigned len = (unsigned)strlen(texts[i]);

		assert_string_equal(fixture_member(told, "verdict"), "pass");
		for (unsigned every = 1; every < 10; every++) {
			json_t *cuts = json_array();

			for (unsigned at = every; at < len; at += every)
				(void)json_array_append_new(cuts, json_integer(at));
			assert_cut_alike(s, texts[i], cuts, whole);
		}
		for (int round = 0; round < 100; round++) {
			json_t *cuts = json_array();

			for (unsigned at = 0; at < len; at += below(7))
				(void)json_array_append_new(cuts, json_integer(at));
			assert_cut_alike(s, texts[i], cuts, whole);
		}
		json_decref(told);
	}
	script_unref(s);
}

static void
what_was_replaced_is_not_looked_at_again(void **state)
{
	(void)state;
	assert_tells(CHECK("local p = req.texts[1]\n"
			   "assert(p:replace('b+', '<%0>') == 1 and p:replace('[<>abc]', "
			   "'x') == 2)\n"
			   "return latenza.pass()"),
	    "{\"text\":\"abbc\"}", "text", "x<bb>x");
	assert_tells(CHECK("req.texts[1]:edit(2, 3, 'X') return latenza.pass()"),
	    "{\"text\":\"abcd\"}", "text", "aXd");
	assert_fails(CHECK("req.texts[1]:edit(1, 1, 'X') req.texts[1]:edit(1, 1, 'Y') "
			   "return latenza.pass()"),
	    "overlaps another");
	assert_fails(CHECK("req.texts[1]:edit(2, 9, 'X')"), "no such byte");
	assert_tells(
	    CHECK("req.texts[1]:replace('(%a)(%d)', '%2%1') return latenza.pass()"),
	    "{\"text\":\"a1b2\"}", "text", "1a2b");
	assert_tells(
	    CHECK("req.texts[1]:replace('%a+', { cat = 'dog' }) return latenza.pass()"),
	    "{\"text\":\"a cat sat\"}", "text", "a dog sat");
	assert_tells(CHECK("req.texts[1]:replace('^a', 'b') return latenza.pass()"),
	    "{\"text\":\"aa\"}", "text", "ba");
}

/* A script that is tested with the fake host is refused nothing more by the gateway. */
static void
what_the_gateway_would_not_take_is_said_with_its_line(void **state)
{
	(void)state;
	assert_fails(CHECK("req.texts[1]:edit(1, 1, '\\xff')"),
	    "test.lua:3: the new text is not UTF-8");
	assert_fails(CHECK("req.texts[1]:replace('%a+', '\\xc3')"),
	    "test.lua:3: the new text is not UTF-8");
	for (int i = 0; i < 2; i++) {
		static const char *const source[] = {
			CHECK("req.texts[1]:replace('\\xa9', 'e')"),
			CHECK("req.texts[1]:edit(1, 1, 'e')")
		};
		json_t *told = fixture_run(source[i], "{\"text\":\"\xc3\xa9t\"}");

		assert_non_null(strstr(fixture_member(told, "error"),
		    i == 0 ? "test.lua:3: bytes 2 to 2 cut a character"
			   : "test.lua:3: bytes 1 to 1 cut a character"));
		json_decref(told);
	}
	for (int i = 0; i < 2; i++) {
		json_t *told = fixture_run(
		    i == 0 ? CHECK("req.body.n = 1 req.texts[1]:edit(1, 1, 'x')")
			   : CHECK("req.texts[1]:edit(1, 1, 'x') req.body.n = 1"),
		    "{\"text\":\"a\",\"body\":{}}");

		assert_non_null(strstr(fixture_member(told, "error"),
		    "test.lua:3: one check edits req.body or texts, not both"));
		json_decref(told);
	}
}

static void
nothing_of_a_blocked_word_leaves_a_stream(void **state)
{
	static const char source[] = CHECK(
	    "for _, p in ipairs(req.texts) do\n"
	    "  if p.text:find('forbidden') then return latenza.block('word', 'no') end\n"
	    "end return latenza.pass()");

	(void)state;
	for (int every = 1; every < 12; every++) {
		char d[200];

		(void)snprintf(d, sizeof(d),
		    "{\"text\":\"this has a forbidden word in "
		    "it\",\"phase\":\"response\",\"stream_every\":%d}",
		    every);
		json_t *told = fixture_run(source, d);

		assert_string_equal(fixture_member(told, "verdict"), "block");
		assert_null(strstr(fixture_member(told, "text"), "f"));
		json_decref(told);
	}
}

/* ---- string.gsub() and gmatch() beside the stock ones ---- */

/* Both run this: all ways of replacing, and what gmatch and match find. */
static const char all_ways[] =
    "local function all(s, p)\n"
    "  local out = {}\n"
    "  local function try(f, ...)\n"
    "    local r = { pcall(f, ...) }\n"
    "    for i, v in ipairs(r) do out[#out + 1] = tostring(v) end\n"
    "  end\n"
    "  try(string.gsub, s, p, '<%0>') try(string.gsub, s, p, '%1%%', 2)\n"
    "  try(string.gsub, s, p, function(a, b) if a ~= '' then return a .. tostring(b) end "
    "end)\n"
    "  try(string.gsub, s, p, { a = 'A', b = false }) try(string.match, s, p) "
    "try(string.find, s, p, -3)\n"
    "  try(function() for a, b in string.gmatch(s, p) do out[#out + 1] = a .. ':' .. "
    "tostring(b) end end)\n"
    "  local bytes = {}\n"
    "  for i, text in ipairs(out) do bytes[i] = text:gsub('[^ -~]', function(c) return "
    "'\\\\' .. c:byte() end) end\n"
    "  return table.concat(bytes, '|')\n"
    "end\n";

static json_t *
random_pairs(size_t n)
{
	json_t *pairs = json_array();
	char pattern[TWIN_PATTERN_MAX], text[TWIN_TEXT_MAX];

	while (json_array_size(pairs) < n) {
		lz_str p = lz_strn(pattern, twin_pattern(pattern)),
		       t = lz_strn(text, twin_text(text));
		struct buf out;
		bool is_short;

		buf_init(&out, 1 << 16);
		is_short = twin_ours(t, p, &out);
		buf_free(&out);
		/* What JSON can carry, and the stock library ends. */
		if (is_short && str_is_utf8(p) && str_is_utf8(t) && str_find(t, '\0') < 0)
			(void)json_array_append_new(
			    pairs, json_pack("{s:s%, s:s%}", "p", p.ptr, p.len, "t",
				       t.ptr, t.len));
	}
	return pairs;
}

/* "test.lua:9: " and its like differ, and so does a function's name. */
static const char *
stock_answer(lua_State *L, const json_t *pair)
{
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	lua_pushstring(L, json_string_value(json_object_get(pair, "t")));
	lua_pushstring(L, json_string_value(json_object_get(pair, "p")));
	assert_int_equal(lua_pcall(L, 2, 1, 0), LUA_OK);
	return lua_tostring(L, -1);
}

static void
replacing_is_that_of_the_stock_library(void **state)
{
	enum {
		AT_ONCE = 20,
		TIMES = 100
	};
	char source[3000];
	lua_State *L = twin_open();
	struct script *s;

	(void)state;
	(void)snprintf(source, sizeof(source), "%s%s", all_ways,
	    CHECK("req.body.out = latenza.json.array()\n"
		  "for i, pair in ipairs(req.body.pairs) do req.body.out[i] = "
		  "all(pair.t, pair.p) end\n"
		  "return latenza.pass()"));
	s = fixture_load(source);
	(void)snprintf(source, sizeof(source), "%sreturn all", all_ways);
	assert_int_equal(luaL_loadbuffer(L, source, strlen(source), "@test.lua"), LUA_OK);
	assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_OK);
	for (int i = 0; i < TIMES; i++) {
		json_t *pairs = random_pairs(AT_ONCE), *told, *pair;
		size_t k;

		told = visit_document(
		    s, json_pack("{s:{s:o, s:[]}}", "body", "pairs", pairs, "out"));
		if (strcmp(fixture_member(told, "verdict"), "pass") != 0)
			fail_msg("%s", fixture_member(told, "error"));
		pairs = json_object_get(json_object_get(told, "body"), "pairs");
		json_array_foreach(pairs, k, pair)
		{
			const char *ours = json_string_value(json_array_get(
			    json_object_get(json_object_get(told, "body"), "out"), k));
			const char *stock = stock_answer(L, pair);

			if (ours == NULL || strcmp(ours, stock) != 0)
				fail_msg("\"%s\" of \"%s\":\n%s\nstock:\n%s",
				    json_string_value(json_object_get(pair, "p")),
				    json_string_value(json_object_get(pair, "t")),
				    ours != NULL ? ours : "(none)", stock);
		}
		json_decref(told);
	}
	script_unref(s);
	lua_close(L);
}

/* ---- routers ---- */

#define TARGETS                                                                          \
	"{\"targets\":[{\"provider\":\"p\",\"model\":\"a\",\"cost_eur\":0.3},"           \
	"{\"provider\":\"p\",\"model\":\"b\",\"cost_eur\":0.1},"                         \
	"{\"provider\":\"q\",\"model\":\"c\",\"cost_eur\":0.2,\"error_rate\":0.5}]}"

static void
assert_order(const char *body, const char *wanted)
{
	json_t *told = fixture_run(body, TARGETS);
	char *order = json_dumps(json_object_get(told, "order"), JSON_COMPACT);

	if (strcmp(order, wanted) != 0)
		fail_msg(
		    "%s, wanted %s; %s", order, wanted, fixture_member(told, "error"));
	free(order);
	json_decref(told);
}

static void
a_router_puts_targets_in_order(void **state)
{
	(void)state;
	assert_order(PICK("return targets"), "[\"p/a\",\"p/b\",\"q/c\"]");
	assert_order(
	    PICK("return { targets:of('c'), targets:of('none'), targets:of('p/b') }"),
	    "[\"q/c\",\"p/b\"]");
	assert_order(PICK("return { targets:of('none'), targets[1] }"), "[\"p/a\"]");
	assert_order(PICK("return targets:sorted(function(a, b) return a.cost_eur < "
			  "b.cost_eur end)"),
	    "[\"p/b\",\"q/c\",\"p/a\"]");
	assert_order(PICK("local t = {} for _, x in ipairs(targets) do if x.error_rate < "
			  "0.1 then t[#t + 1] = x end end\n"
			  "assert(#targets == 3 and targets[1] == targets:of('a') and "
			  "targets[4] == nil)\n"
			  "return t"),
	    "[\"p/a\",\"p/b\"]");
	assert_order(PICK("return {}"), "[]");
	assert_tells(
	    PICK("return latenza.block('no', 'budget')"), TARGETS, "verdict", "block");
	assert_fails(PICK("return { 5 }"), "something is no target");
	assert_fails(PICK("return req.texts"), "texts are a guardrail's");
	assert_fails(
	    PICK("return latenza.flag('a', 'b')"), "latenza.flag is a guardrail's");
}

/* ---- JSON ---- */

static void
json_comes_through_without_loss(void **state)
{
	static const char body[] = "{\"big\":9007199254740993,\"one\":1,\"real\":1.0,"
				   "\"none\":null,\"list\":[],\"map\":{},"
				   "\"a/b\":{\"~\":[1,{\"x\":\"\\ud83d\\ude00\"}]}}";
	char d[600];
	json_t *told;
	char *out;

	(void)state;
	(void)snprintf(d, sizeof(d), "{\"body\":%s}", body);
	told = fixture_run(
	    CHECK("local b = req.body\n"
		  "assert(b.big == 9007199254740993 and math.type(b.one) == 'integer')\n"
		  "assert(math.type(b.real) == 'float' and b.none == latenza.json.null "
		  "and b.nothing == nil)\n"
		  "assert(#b.list == 0 and b['a/b']['~'][2].x == '\\u{1F600}')\n"
		  "local names = {} for k in pairs(b) do names[#names + 1] = k end\n"
		  "assert(table.concat(names, ' ') == 'big one real none list map a/b')\n"
		  "local t = latenza.json.decode(latenza.json.encode(b))\n"
		  "assert(t.big == 9007199254740993 and latenza.json.encode(t.list) == "
		  "'[]')\n"
		  "assert(latenza.json.encode(t.map) == '{}' and latenza.json.encode({}) "
		  "== '{}')\n"
		  "assert(latenza.json.encode(latenza.json.array()) == '[]')\n"
		  "assert(latenza.json.encode({ 1, 2.5, 'x', true, latenza.json.null }) "
		  "== '[1,2.5,\"x\",true,null]')\n"
		  "b.added = { b.list, b.none } b['a/b']['~'][1] = 2 b.one = nil\n"
		  "assert(b['a/b']['~'][1] == 2 and b.one == nil and #b.added == 2)\n"
		  "return latenza.pass()"),
	    d);
	assert_string_equal(fixture_member(told, "verdict"), "pass");
	out = json_dumps(json_object_get(told, "body"), JSON_COMPACT | JSON_ENSURE_ASCII);
	assert_string_equal(out,
	    "{\"big\":9007199254740993,\"real\":1.0,\"none\":null,\"list\":[],\"map\":{},"
	    "\"a/b\":{\"~\":[2,{\"x\":\"\\uD83D\\uDE00\"}]},\"added\":[[],null]}");
	free(out);
	json_decref(told);
	assert_fails(
	    CHECK("return latenza.json.decode('{\"a\":1,\"a\":2}')"), "not JSON");
	assert_fails(CHECK("return latenza.json.decode('\"\\\\ud800\"')"), "not JSON");
	assert_fails(CHECK("return latenza.json.encode({ a = 1, 2 })"),
	    "neither a list nor an object");
	assert_fails(CHECK("return latenza.json.encode('\\xff')"), "not UTF-8");
	assert_fails(CHECK("return latenza.json.encode(0/0)"), "no number for");
}

/* ---- the network ---- */

#define FINANCE                                                                          \
	"\"http\":{\"https://finance.internal/api/"                                      \
	"x\":{\"status\":200,\"body\":\"{\\\"ok\\\":true}\"}}"

static void
a_script_calls_what_is_granted_and_nothing_else(void **state)
{
	static const char *const refused[] = { "https://finance.internal/apis",
		"https://finance.internal/", "http://finance.internal/api/x",
		"https://finance.internal:444/api/x",
		"https://finance.internal.evil.org/api/x",
		"https://finance.internal@evil.org/api/x",
		"https://evil.org/https://finance.internal/api",
		"https://finance.internal/api/../secret",
		"https://finance.internal/api/%2e%2e/secret",
		"https://finance.internal/api/..%2fsecret",
		"https://finance.internal/api\\\\..\\\\x", "file:///etc/passwd",
		"https://finance.internal/api/x#y", "https://finance.internal /api/x",
		"https://evil.org?https://finance.internal/api" };

	(void)state;
	assert_tells(
	    CHECK("local r, err = latenza.http.get('https://FINANCE.internal:443/api/x', "
		  "{ timeout_ms = 300 })\n"
		  "return latenza.block(tostring(r), err)"),
	    "{" FINANCE "}", "message", "the server cannot be reached");
	assert_tells(
	    CHECK("local r = latenza.http.post('https://finance.internal/api/x', { a = 1 "
		  "})\n"
		  "assert(r.status == 200 and latenza.json.decode(r.body).ok == true)\n"
		  "local all = pcall(function() for i = 1, 3 do "
		  "assert(latenza.http.get('https://finance.internal/api/x')) end end)\n"
		  "local none, err = latenza.http.get('https://finance.internal/api/x')\n"
		  "return latenza.block(tostring(all), err)"),
	    "{" FINANCE "}", "message", "too many calls in this visit");
	assert_tells(
	    CHECK("local s = ('abc'):gsub('b', function() return "
		  "latenza.http.get('https://finance.internal/api/x').status .. '' end)\n"
		  "local t = { 2, 1 } table.sort(t, function(a, b) "
		  "latenza.http.get('https://finance.internal/api/x') return a < b end)\n"
		  "return latenza.block(s, t[1] .. '')"),
	    "{" FINANCE "}", "code", "a200c");
	assert_fails(CHECK("local t = setmetatable({}, { __tostring = function() return "
			   "latenza.http.get('https://finance.internal/api/x') end })\n"
			   "return tostring(t)"),
	    "latenza.http.get cannot be called inside a metamethod");
	assert_fails(CHECK("latenza.http.get('https://finance.internal/api/x', { timeout "
			   "= 5 })"),
	    "a call has no option 'timeout'; timeout_ms and headers are all");
	assert_fails(CHECK("latenza.http.get('https://finance.internal/api/x', { "
			   "timeout_ms = 'soon' })"),
	    "(timeout_ms is 1 to 600000)");
	assert_fails(CHECK("latenza.http.get('https://finance.internal/api/x', { "
			   "headers = 5 })"),
	    "(headers are texts by name)");
	assert_fails(CHECK("latenza.http.get('https://finance.internal/api/x', { "
			   "headers = { a = 'b\\r\\nc: d' } })"),
	    "a header holds a line break");
	/* Behind one address there may be others, and what is granted is this one. */
	assert_fails(CHECK("latenza.http.get('https://finance.internal/api/x', { "
			   "headers = { Host = 'other.internal' } })"),
	    "the header 'Host' is the address's, which is granted");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char source[400];

		(void)snprintf(source, sizeof(source),
		    CHECK("return latenza.http.get('%s')"), refused[i]);
		assert_fails(source, "latenza.http.get: ");
	}
}

/* ---- services ---- */

static void
small_services(void **state)
{
	(void)state;
	assert_tells(
	    CHECK(
		"local h = latenza.hash01('canary', 'user-1')\n"
		"assert(h == latenza.hash01('canary', 'user-1') and h >= 0 and h < 1)\n"
		"assert(latenza.hash01('a', 'bc') ~= latenza.hash01('ab', 'c'))\n"
		"assert(latenza.luhn('4111 1111-1111 1111', 13, 19) and not "
		"latenza.luhn('4111111111111112', 13, 19))\n"
		"assert(latenza.plain('na\xc3\xafve \xd1\x80 \\u{1d400}') == 'naive p A' "
		"and latenza.plain('') == '')\n"
		"assert(not latenza.luhn('4111x1111', 1, 19) and latenza.time() == "
		"1700000000)\n"
		"assert(latenza.shared.get('k') == 0 and latenza.shared.add('k', 2, "
		"60) == 2 and latenza.shared.get('k') == 2)\n"
		"assert(latenza.shared.add('k', math.maxinteger, 60) == 2)\n"
		"local r = latenza.random() assert(r >= 0 and r < 1)\n"
		"latenza.count('hits') latenza.count('hits', 2) "
		"latenza.log.info('fine')\n"
		"assert(not pcall(latenza.count, 'mis' .. 'ses'))\n"
		"local b = latenza.budget('organization') assert(b.limit_eur == 10 and "
		"b.spent_eur == 2.5)\n"
		"assert(latenza.budget('key') == nil)\n"
		"req:limit_output(100) req.tags.side = 'x'\n"
		"return latenza.pass()"),
	    "{\"now\":1700000000,\"budgets\":{\"organization\":{\"limit_eur\":10,\"spent_"
	    "eur\":2.5}}}",
	    "verdict", "pass");
	assert_fails(CHECK("req.tags.side = {}"),
	    "a tag is a text, a number or a boolean, not table");
	assert_fails(
	    CHECK("req.tags.side = ('x'):rep(513)"), "a name has 1 to 64 bytes, a text");
	assert_fails(CHECK("for i = 1, 65 do req.tags['t' .. i] = i end"),
	    "the request has too many tags");
	/* The number is a promise: canaries must not move with a release. */
	assert_tells(
	    CHECK("return latenza.block(('%.12f'):format(latenza.hash01('canary', "
		  "'user-1')), 'm')"),
	    "{}", "code", "0.107255329346");
}

static void
neighbours_are_served_between_two_slices(void **state)
{
	static const char source[] =
	    CHECK("local n = 0 for i = 1, 500000 do n = n + 1 end\n"
		  "local s = ('x'):rep(2000):gsub('x', 'y') return latenza.pass()");
	struct script *s = fixture_load(source);
	json_t *told = fixture_visit(s, "{}");

	(void)state;
	assert_string_equal(fixture_member(told, "verdict"), "pass");
	assert_true(json_integer_value(json_object_get(told, "turns")) >= 2);
	json_decref(told);
	script_unref(s);
}

/* ---- tests beside scripts ---- */

struct heard {
	char text[2000];
};

static void
hear(void *arg, const char *name, const char *why)
{
	struct heard *h = arg;
	size_t n = strlen(h->text);

	(void)snprintf(
	    h->text + n, sizeof(h->text) - n, "%s: %s\n", name, why != NULL ? why : "ok");
}

static enum status
run_cases(const char *source, struct heard *h, unsigned *failed, struct err *e)
{
	struct script_source q = { .file = "redact_test.lua", .text = lz_strz(source) };
	struct script *s[2] = { fixture_load(redact),
		fixture_load(PICK("return { targets:of('b') }")) };
	enum status st;

	h->text[0] = '\0';
	value_forget();
	st = script_test(&q, s, 2, fixture_host(), hear, h, failed, e);
	script_unref(s[0]);
	script_unref(s[1]);
	return st;
}

static void
cases_of_a_test_run_in_the_same_sandbox(void **state)
{
	static const char source[] =
	    "local t = latenza.test\n"
	    "t.case('addresses keep their identity', function()\n"
	    "  local out = t.guardrail('redact', { text = 'a@x.org, b@y.org, a@x.org' "
	    "})\n"
	    "  t.equal(out.text, '[EMAIL_1], [EMAIL_2], [EMAIL_1]')\n"
	    "end)\n"
	    "t.case('a stream is the whole text', function()\n"
	    "  local text = 'anna@mail.example.com pays with 4111 1111 1111 1111.'\n"
	    "  local whole = t.guardrail('redact', { text = text, phase = 'response' "
	    "}).text\n"
	    "  for every = 1, 9 do\n"
	    "    t.equal(t.guardrail('redact', { text = text, phase = 'response', "
	    "stream_every = every }).text, whole)\n"
	    "  end\n"
	    "end)\n"
	    "t.case('a router', function()\n"
	    "  local out = t.router('test', { targets = { { provider = 'p', model = 'a' "
	    "}, { provider = 'p', model = 'b' } } })\n"
	    "  t.equal(out.order, { 'p/b' })\n"
	    "end)\n"
	    "t.case('this fails', function() t.equal({ a = 1 }, { a = 2 }) end)\n"
	    "t.case('this never ends', function() while true do end end)\n"
	    "t.case('no such script', function() t.guardrail('none', {}) end)\n"
	    "t.case('a typing mistake', function() t.guardrail('redact', { txet = 'x' }) "
	    "end)\n"
	    "t.case('no network', function() latenza.http.get('https://x.org/') end)\n"
	    "t.case('no way out', function() local e = _ENV return e.os end)\n";
	struct err e = { "" };
	struct heard h;
	unsigned failed = 0;

	(void)state;
	assert_int_equal(run_cases(source, &h, &failed, &e), ST_OK);
	assert_string_equal(h.text,
	    "addresses keep their identity: ok\n"
	    "a stream is the whole text: ok\n"
	    "a router: ok\n"
	    "this fails: redact_test.lua:17: got {\"a\":1}, wanted {\"a\":2}\n"
	    "this never ends: redact_test.lua:18: the script takes too long: its budget "
	    "of steps is spent\n"
	    "no such script: redact_test.lua:19: there is no guardrail 'none' among the "
	    "scripts that are tested\n"
	    "a typing mistake: redact_test.lua:20: there is no 'txet'; did you mean "
	    "'text'?\n"
	    "no network: redact_test.lua:21: latenza.http.get: a test calls nobody; http "
	    "= { [URL] = { status =, body = } } "
	    "answers the script\n"
	    "no way out: redact_test.lua:22: 'os' is not declared; the time is "
	    "latenza.time()\n");
	assert_int_equal(failed, 6);
	assert_int_equal(run_cases("return 1", &h, &failed, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "redact_test.lua: has no case"));
	assert_int_equal(
	    run_cases("local t = latenza.test\nt.case(", &h, &failed, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "redact_test.lua:2:"));
	/* A policy has no tests in it. */
	assert_fails(CHECK("local api = { latenza } return api[1].test.case"),
	    "latenza has no 'test'; only NAME_test.lua has it");
}

/* ---- the files ---- */

static void
assert_file(const char *name, void (*write)(struct buf *b))
{
	const char *top = getenv("srcdir");
	char path[4096], *text;
	struct buf b;
	FILE *f;
	size_t n;

	buf_init(&b, 1 << 20);
	write(&b);
	(void)snprintf(
	    path, sizeof(path), "%s/sdk/lua/%s", top != NULL ? top : ".", name);
	if (getenv("LATENZA_UPDATE") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(b.ptr, 1, b.len, f), b.len);
		(void)fclose(f);
	}
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s is not there; LATENZA_UPDATE=1 makes it", path);
	text = calloc(1, b.len + 2);
	n = fread(text, 1, b.len + 1, f);
	(void)fclose(f);
	if (n != b.len || memcmp(text, b.ptr, n) != 0)
		fail_msg(
		    "%s is not what core/lua/api.c says; LATENZA_UPDATE=1 writes it anew",
		    path);
	free(text);
	buf_free(&b);
}

static void
the_files_under_sdk_are_those_of_the_table(void **state)
{
	(void)state;
	assert_file("latenza.d.lua", docs_stub);
	assert_file("README.md", docs_reference);
	assert_file("luacheckrc", docs_luacheck);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_cut_anywhere_is_the_whole_text),
		cmocka_unit_test(what_was_replaced_is_not_looked_at_again),
		cmocka_unit_test(what_the_gateway_would_not_take_is_said_with_its_line),
		cmocka_unit_test(nothing_of_a_blocked_word_leaves_a_stream),
		cmocka_unit_test(replacing_is_that_of_the_stock_library),
		cmocka_unit_test(a_router_puts_targets_in_order),
		cmocka_unit_test(json_comes_through_without_loss),
		cmocka_unit_test(a_script_calls_what_is_granted_and_nothing_else),
		cmocka_unit_test(small_services),
		cmocka_unit_test(neighbours_are_served_between_two_slices),
		cmocka_unit_test(cases_of_a_test_run_in_the_same_sandbox),
		cmocka_unit_test(the_files_under_sdk_are_those_of_the_table),
	};

	json_start();
	return cmocka_run_group_tests_name("script_api", tests, NULL, NULL);
}
