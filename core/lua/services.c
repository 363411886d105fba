/* services.c - latenza.*: verdicts, the network, counters, and the small things.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/fold.h"
#include "base/mem.h"
#include "lua/grants.h"
#include "lua/inside.h"

enum {
	HEADERS_MAX = 32,
	CODE_BYTES = 100,
	SHARED_KEY_BYTES = 100,
	PLAIN_STEPS = 8 /* of a byte: it may be one of many that fold slowly */
};

struct run *
run_with_call(lua_State *L, const char *what)
{
	struct run *r = run_of(L);

	if (r->c == NULL)
		(void)luaL_error(L,
		    "%s can be called only while a request is judged, not while the "
		    "script is loaded",
		    what);
	return r;
}

static lz_str
check_str(lua_State *L, int arg)
{
	lz_str s;

	s.ptr = luaL_checklstring(L, arg, &s.len);
	return s;
}

/* ---- verdicts ---- */

static int
verdict(lua_State *L, int32_t result)
{
	if (result != LZ_OK) {
		lz_str code = check_str(L, 1);

		(void)check_str(L, 2);
		luaL_argcheck(
		    L, code.len > 0 && code.len <= CODE_BYTES, 1, "1 to 100 bytes");
	}
	lua_settop(L, 2);
	(void)proxy_push(L, PROXY_VERDICT, (size_t)result);
	for (int i = 1; i <= 2; i++) {
		lua_pushvalue(L, i);
		(void)lua_setiuservalue(L, 3, i);
	}
	return 1;
}

/* The one that says nothing is made once. */
int
api_pass(lua_State *L)
{
	struct state *s = state_of(L);

	if (s->pass == LUA_NOREF) {
		lua_settop(L, 0);
		(void)verdict(L, LZ_OK);
		s->pass = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, s->pass);
	return 1;
}

int
api_block(lua_State *L)
{
	return verdict(L, LZ_BLOCK);
}

static void
check_guardrail(lua_State *L, const char *what)
{
	if (run_of(L)->state->script->is_router)
		(void)luaL_error(L, "%s is a guardrail's", what);
}

int
api_flag(lua_State *L)
{
	check_guardrail(L, "latenza.flag");
	return verdict(L, LZ_FLAG);
}

int
api_use_model(lua_State *L)
{
	check_guardrail(L, "latenza.use_model");
	return verdict(L, LZ_REROUTE);
}

/* ---- the network ---- */

static void
push_headers(lua_State *L, const lz_reply *reply)
{
	lua_createtable(L, 0, (int)reply->header_count);
	for (size_t i = 0; i < reply->header_count; i++) {
		push_text(L, reply->headers[i].name);
		push_text(L, reply->headers[i].value);
		lua_rawset(L, -3);
	}
}

static int
no_reply(lua_State *L, const char *why)
{
	lua_pushnil(L);
	lua_pushstring(L, why);
	return 2;
}

static int
http_done(lua_State *L, int status, lua_KContext ctx)
{
	struct run *r = run_of(L);
	const lz_reply *reply = r->reply;

	(void)status;
	(void)ctx;
	if (reply == NULL)
		return no_reply(L, "no answer");
	if (reply->error == LZ_E_TIMEOUT)
		return no_reply(L, "no answer in time");
	if (reply->error == LZ_E_LIMIT || reply->body.len > r->limits->reply_bytes)
		return no_reply(L, "the answer is too large");
	if (reply->error != LZ_OK)
		return no_reply(L, "the server cannot be reached");
	budget_charge_bytes(L, reply->body.len);
	lua_createtable(L, 0, 3);
	lua_pushinteger(L, reply->status);
	lua_setfield(L, -2, "status");
	push_text(L, reply->body);
	lua_setfield(L, -2, "body");
	push_headers(L, reply);
	lua_setfield(L, -2, "headers");
	return 1;
}

static void
check_option_names(lua_State *L, int arg)
{
	for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
								  : luaL_typename(L, -2);

		if (strcmp(name, "timeout_ms") != 0 && strcmp(name, "headers") != 0)
			(void)luaL_error(L,
			    "a call has no option '%s'; timeout_ms and headers are all",
			    name);
	}
}

static lz_str
header_part(lua_State *L, int arg)
{
	lz_str s = check_str(L, arg);

	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') ||
		    s.ptr[i] == 0x7f)
			(void)luaL_error(L, "a header holds a line break or another "
					    "control character");
	return s;
}

/* What a server goes by is the address that was granted. */
static lz_str
header_name(lua_State *L, int arg)
{
	lz_str name = header_part(L, arg);

	if (str_is_nocase(name, "host"))
		(void)luaL_error(
		    L, "the header '%s' is the address's, which is granted", name.ptr);
	return name;
}

/* { timeout_ms =, headers = } at arg. Names and values stay where they are: the host
 * copies. */
static void
read_options(lua_State *L, int arg, lz_http *q, lz_header *headers)
{
	lua_Integer ms = 0;

	if (lua_isnoneornil(L, arg))
		return;
	luaL_checktype(L, arg, LUA_TTABLE);
	check_option_names(L, arg);
	if (lua_getfield(L, arg, "timeout_ms") != LUA_TNIL) {
		ms = lua_tointeger(L, -1); /* 0: it is none */
		luaL_argcheck(
		    L, ms > 0 && ms <= 600000, arg, "timeout_ms is 1 to 600000");
	}
	if (ms > 0 && (uint32_t)ms < q->timeout_ms)
		q->timeout_ms = (uint32_t)ms;
	if (lua_getfield(L, arg, "headers") == LUA_TNIL)
		return;
	luaL_argcheck(L, lua_istable(L, -1), arg, "headers are texts by name");
	for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
			(void)luaL_error(L, "headers are texts by name");
		if (q->header_count == HEADERS_MAX)
			(void)luaL_error(
			    L, "too many headers; %d are the most", HEADERS_MAX);
		headers[q->header_count++] =
		    lz_head(header_name(L, -2), header_part(L, -1));
	}
	q->headers = headers;
}

static void
check_may_call(lua_State *L, struct run *r, const char *what, lz_str url)
{
	char why[200];

	if (r->state->script->is_test)
		(void)luaL_error(L,
		    "%s: a test calls nobody; http = { [URL] = { status =, body = } } "
		    "answers the script",
		    what);
	if (!lua_isyieldable(L))
		(void)luaL_error(L,
		    "%s cannot be called inside a metamethod or an iterator of a "
		    "library; call it before",
		    what);
	if (!r->self->calls_nobody &&
	    !grants_allow(r->state->script, url, why, sizeof(why)))
		(void)luaL_error(L, "%s: %s", what, why);
}

static int
call_out(lua_State *L, lz_http *q, int options, bool is_json)
{
	struct run *r = run_of(L);
	lz_header headers[HEADERS_MAX + 1];
	int32_t result;

	q->timeout_ms = run_time_left(r);
	read_options(L, options, q, headers);
	if (is_json && q->header_count <= HEADERS_MAX) {
		headers[q->header_count++] =
		    lz_head(STR_LIT("content-type"), STR_LIT("application/json"));
		q->headers = headers;
	}
	if (r->callouts >= r->limits->callouts)
		return no_reply(L, "too many calls in this visit");
	r->callouts++;
	result = r->lz->http(r->c, q, run_reply, r);
	if (result != LZ_OK)
		return no_reply(L,
		    result == LZ_E_LIMIT ? "too many calls" : "the call cannot be made");
	return run_wait(L, http_done);
}

int
api_http_get(lua_State *L)
{
	struct run *r = run_with_call(L, "latenza.http.get");
	lz_http q = lz_http_to("GET", check_str(L, 1));

	check_may_call(L, r, "latenza.http.get", q.url);
	return call_out(L, &q, 2, false);
}

int
api_http_post(lua_State *L)
{
	struct run *r = run_with_call(L, "latenza.http.post");
	lz_http q = lz_http_to("POST", check_str(L, 1));
	bool is_json = lua_type(L, 2) != LUA_TSTRING;

	check_may_call(L, r, "latenza.http.post", q.url);
	if (is_json) {
		luaL_argexpected(L,
		    lua_type(L, 2) == LUA_TTABLE || lua_type(L, 2) == LUA_TUSERDATA, 2,
		    "string or table");
		q.body = r->lz->json_text(r->c, values_json(L, 2));
		budget_charge(L, 1 + q.body.len / 2);
	} else {
		q.body = check_str(L, 2);
	}
	return call_out(L, &q, 3, is_json);
}

/* ---- budgets ---- */

static void
set_eur(lua_State *L, const char *name, int64_t nano)
{
	lua_pushnumber(L, (double)nano / 1e9);
	lua_setfield(L, -2, name);
}

int
api_budget(lua_State *L)
{
	static const char *const scopes[] = { [LZ_OF_KEY] = "key",
		[LZ_OF_ASSISTANT] = "assistant",
		[LZ_OF_ORGANIZATION] = "organization",
		NULL };
	struct run *r = run_with_call(L, "latenza.budget");
	lz_budget b = { .size = sizeof(b) };

	if (r->lz->budget(r->c, (uint32_t)luaL_checkoption(L, 1, NULL, scopes), &b) !=
	    LZ_OK) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 4);
	set_eur(L, "limit_eur", b.limit);
	set_eur(L, "spent_eur", b.spent);
	set_eur(L, "reserved_eur", b.reserved);
	lua_pushinteger(L, b.resets_at_unix);
	lua_setfield(L, -2, "resets_at");
	return 1;
}

/* ---- counters ---- */

/* "lua:NAME:key": scripts do not see each other's. */
static lz_str
shared_key(lua_State *L, char *room, size_t n)
{
	struct run *r = run_with_call(L, "latenza.shared");
	lz_str key = check_str(L, 1);
	int len;

	luaL_argcheck(L, key.len > 0 && key.len <= SHARED_KEY_BYTES, 1, "1 to 100 bytes");
	len = snprintf(room, n, "lua:%s:", r->state->script->component.name);
	memcpy(room + len, key.ptr, key.len);
	return lz_strn(room, (size_t)len + key.len);
}

int
api_shared_add(lua_State *L)
{
	char room[SCRIPT_NAME_BYTES + SHARED_KEY_BYTES + 16];
	lz_str key = shared_key(L, room, sizeof(room));
	lua_Integer by = luaL_checkinteger(L, 2), ttl_s = luaL_checkinteger(L, 3);

	luaL_argcheck(
	    L, ttl_s >= 0 && ttl_s <= 366 * 86400, 3, "0 to 366 days, in seconds");
	budget_charge(L, 50);
	lua_pushinteger(L, run_of(L)->lz->shared_add(key, by, (uint32_t)ttl_s));
	return 1;
}

int
api_shared_get(lua_State *L)
{
	char room[SCRIPT_NAME_BYTES + SHARED_KEY_BYTES + 16];
	lz_str key = shared_key(L, room, sizeof(room));

	budget_charge(L, 50);
	lua_pushinteger(L, run_of(L)->lz->shared_add(key, 0, 0));
	return 1;
}

int
api_count(lua_State *L)
{
	struct run *r = run_with_call(L, "latenza.count");
	const struct script *s = r->state->script;
	const char *name = luaL_checkstring(L, 1);
	double by = luaL_optnumber(L, 2, 1);

	for (size_t i = 0; i < s->counter_count; i++) {
		if (strcmp(s->counter[i].name, name) != 0)
			continue;
		luaL_argcheck(L, by >= 0, 2, "a counter does not go down");
		r->lz->observe(
		    atomic_load_explicit(&s->counter[i].id, memory_order_relaxed), by);
		return 0;
	}
	return luaL_error(L,
	    "latenza.count: '%s' is not a name that stands in the script; write "
	    "latenza.count(\"NAME\", 1)",
	    name);
}

/* ---- small things ---- */

/* 53 bits as a number in [0,1). */
static double
fraction_of(const uint8_t bytes[8])
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | bytes[i];
	return (double)(v >> 11) / 9007199254740992.0;
}

/* SHA-256 over each text with its length before it: {"a","bc"} is not {"ab","c"}. */
int
api_hash01(lua_State *L)
{
	uint8_t hash[CRYPTO_HASH_BYTES];
	luaL_Buffer b;
	lz_str all;
	int n = lua_gettop(L);

	luaL_argcheck(L, n > 0, 1, "a text is needed");
	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		lz_str s = check_str(L, i);
		char length[16];
		int len = snprintf(length, sizeof(length), "%zu:", s.len);

		luaL_addlstring(&b, length, (size_t)len);
		luaL_addlstring(&b, s.ptr, s.len);
	}
	luaL_pushresult(&b);
	all = check_str(L, -1);
	budget_charge(L, 20 + all.len / 4);
	crypto_sha256(all, hash);
	lua_pushnumber(L, fraction_of(hash));
	return 1;
}

/* Folded here and not by the host: a list is made when the script is loaded, and there is
 * no host yet. */
int
api_plain(lua_State *L)
{
	lz_str s = check_str(L, 1);
	luaL_Buffer b;
	size_t n;
	char *out;

	budget_charge(L, 1 + s.len * PLAIN_STEPS);
	n = fold_plain(s, NULL, 0);
	if (n == SIZE_MAX || n > run_of(L)->limits->string_bytes)
		return luaL_error(L, "latenza.plain(): the text is too long");
	budget_make_room(L, n);
	out = luaL_buffinitsize(L, &b, n);
	(void)fold_plain(s, out, n);
	luaL_pushresultsize(&b, n);
	return 1;
}

/* Digits; blanks and dashes between them do not count. */
int
api_luhn(lua_State *L)
{
	lz_str s = check_str(L, 1);
	lua_Integer least = luaL_checkinteger(L, 2), most = luaL_checkinteger(L, 3),
		    n = 0;
	unsigned sum = 0;
	bool is_valid = true;

	budget_charge(L, 1 + s.len / 4);
	for (size_t i = s.len; i > 0 && is_valid; i--) {
		char c = s.ptr[i - 1];
		unsigned d = (unsigned)(c - '0');

		if (c == ' ' || c == '-')
			continue;
		is_valid = c >= '0' && c <= '9';
		if (n++ % 2 == 1)
			d = d * 2 > 9 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	lua_pushboolean(L, is_valid && n >= least && n <= most && sum % 10 == 0);
	return 1;
}

int
api_time(lua_State *L)
{
	lua_pushinteger(L, run_with_call(L, "latenza.time")->lz->now_unix_ms() / 1000);
	return 1;
}

int
api_random(lua_State *L)
{
	uint8_t bytes[8];

	budget_charge(L, 50);
	run_with_call(L, "latenza.random")->lz->random(bytes, sizeof(bytes));
	lua_pushnumber(L, fraction_of(bytes));
	return 1;
}

static int
say(lua_State *L, int32_t level)
{
	struct run *r = run_with_call(L, "latenza.log");

	budget_charge(L, 200);
	run_log(r, level, luaL_checkstring(L, 1));
	return 0;
}

int
api_log_info(lua_State *L)
{
	return say(L, LZ_INFO);
}

int
api_log_warn(lua_State *L)
{
	return say(L, LZ_WARN);
}
