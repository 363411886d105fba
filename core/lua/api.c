/* api.c - the API of scripts, as one table: what is registered, what editors know
 * (sdk/lua/latenza.d.lua), the reference page (sdk/lua/README.md) and luacheck's table
 * (sdk/lua/luacheckrc) are made from it. A test compares the files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "lua/inside.h"

#define FIELD(class, name, type, id, help)                                               \
	{                                                                                \
		class, name, type, NULL, help, NULL, id                                  \
	}
#define CALL(group, name, args, type, fn, help)                                          \
	{                                                                                \
		group, name, type, args, help, fn, 0                                     \
	}

static const char http_options[] =
    "url: string -- below an address that the configuration grants\n"
    "opts: {timeout_ms?: integer, headers?: table<string,string>}? -- ";

#define HTTP_ANSWER                                                                      \
	"{status: integer, body: string, headers: table<string,string>}?, string?"

const struct api_row api_rows[] = {
	/* ---- what a script returns ---- */
	FIELD("Guardrail", "kind", "\"guardrail\"", 0, ""),
	FIELD("Guardrail", "name", "string", 0, "the configuration writes use: lua:NAME"),
	FIELD("Guardrail", "summary", "string?", 0, "one line"),
	FIELD("Guardrail", "on", "Phase[]", 0, "when it is asked"),
	FIELD("Guardrail", "overlap", "integer?", 0,
	    "bytes of a stream that stay back where replace() and hold() say nothing; "
	    "64"),
	FIELD("Guardrail", "options", "table<string, table>?", 0,
	    "each a JSON Schema, plus help and optional"),
	FIELD("Guardrail", "check", "fun(req: Request, options: table): Verdict", 0, ""),
	FIELD("Router", "kind", "\"router\"", 0, ""),
	FIELD("Router", "name", "string", 0, "the configuration writes use: lua:NAME"),
	FIELD("Router", "summary", "string?", 0, "one line"),
	FIELD("Router", "options", "table<string, table>?", 0,
	    "each a JSON Schema, plus help and optional"),
	FIELD("Router", "pick",
	    "fun(req: Request, targets: Targets, options: table): Target[]|Verdict", 0,
	    "the order in which targets are tried; who is not in it is not tried"),

	/* ---- the request ---- */
	FIELD("Request", "id", "string", FIELD_ID, ""),
	FIELD("Request", "phase", "Phase", FIELD_PHASE, ""),
	FIELD("Request", "stream", "boolean", FIELD_STREAM,
	    "the caller asked for a stream"),
	FIELD("Request", "route", "string", FIELD_ROUTE, "\"chat\", \"embeddings\", ..."),
	FIELD("Request", "model", "string", FIELD_MODEL, "as asked for"),
	FIELD("Request", "key", "string", FIELD_KEY, "its id, never the secret"),
	FIELD("Request", "assistant", "string?", FIELD_ASSISTANT, "id"),
	FIELD("Request", "organization", "string", FIELD_ORGANIZATION, "id"),
	FIELD("Request", "user", "string?", FIELD_USER, ""),
	FIELD("Request", "session", "string?", FIELD_SESSION, ""),
	FIELD("Request", "prompt_tokens", "integer", FIELD_PROMPT_TOKENS, "estimate"),
	FIELD("Request", "max_output_tokens", "integer?", FIELD_MAX_OUTPUT_TOKENS,
	    "nil: the caller set none"),
	FIELD("Request", "headers", "table<string,string>", FIELD_HEADERS,
	    "by name; never one that may carry a secret"),
	FIELD("Request", "metadata", "table<string,string>", FIELD_METADATA,
	    "the request's"),
	FIELD("Request", "key_metadata", "table<string,string>", FIELD_KEY_METADATA,
	    "the key's"),
	FIELD("Request", "tags", "table<string,string>", FIELD_TAGS,
	    "write: shown in the trace and its search"),
	FIELD("Request", "texts", "Text[]", FIELD_TEXTS,
	    "guardrails: prompts, answers, tool arguments and results"),
	FIELD("Request", "body", "table", FIELD_BODY,
	    "the JSON; guardrails on requests: assign to its members to edit it"),
	FIELD("Request", "slot", "table", FIELD_SLOT,
	    "yours, for the life of the request: texts, numbers, booleans and tables of "
	    "them, 64 KiB"),
	CALL("Request", "limit_output", "tokens: integer", "", api_limit_output,
	    "Lowers the limit of the answer; routers too."),

	/* ---- texts ---- */
	FIELD(
	    "Text", "role", "\"system\"|\"user\"|\"assistant\"|\"tool\"", FIELD_ROLE, ""),
	FIELD("Text", "kind",
	    "\"prose\"|\"tool_arguments\"|\"tool_result\"|\"reasoning\"", FIELD_KIND, ""),
	FIELD("Text", "name", "string?", FIELD_NAME, "the tool's name"),
	FIELD("Text", "text", "string", FIELD_TEXT,
	    "on a stream: what is out already, what is held, what is new"),
	FIELD("Text", "plain", "string", FIELD_PLAIN,
	    "normalised: NFKC, invisible characters out, confusables folded; to look for "
	    "words in, not to edit"),
	FIELD("Text", "seen", "integer", FIELD_SEEN,
	    "bytes that are out already: context, not editable"),
	FIELD("Text", "final", "boolean", FIELD_FINAL, "nothing follows"),
	CALL("Text", "replace",
	    "pattern: string -- a Lua pattern\n"
	    "by: string|table|fun(found: string, ...: string): string? -- the new text, "
	    "\"%1\" filled in; nil leaves the match",
	    "integer", api_text_replace,
	    "Replaces every match and says how many. What was replaced before is not "
	    "looked at again; empty matches are "
	    "passed over. On a stream a match that could still begin or grow at the end "
	    "is held back until it is certain."),
	CALL("Text", "edit",
	    "from: integer -- the first byte, from 1\nto: integer -- the last\nwith: "
	    "string",
	    "", api_text_edit, "Replaces bytes. Edits must not overlap."),
	CALL("Text", "hold", "from: integer", "", api_text_hold,
	    "On a stream: releases nothing from this byte on yet."),

	/* ---- targets ---- */
	CALL("Targets", "of", "model: string -- \"gpt-x\" or \"provider/gpt-x\"",
	    "Target?", api_targets_of,
	    "The target that serves the model, a healthy one if there is."),
	CALL("Targets", "sorted", "less: fun(a: Target, b: Target): boolean", "Target[]",
	    api_targets_sorted,
	    "A list of all of them in order; equal ones stay as listed."),
	FIELD("Target", "provider", "string", FIELD_PROVIDER, ""),
	FIELD("Target", "model", "string", FIELD_MODEL, "canonical id"),
	FIELD("Target", "region", "string?", FIELD_REGION, ""),
	FIELD("Target", "healthy", "boolean", FIELD_HEALTHY, ""),
	FIELD("Target", "capabilities", "table<string,boolean>", FIELD_CAPABILITIES,
	    "stream, tools, vision, schema, reason, audio, files"),
	FIELD("Target", "context_tokens", "integer", FIELD_CONTEXT_TOKENS, ""),
	FIELD("Target", "max_output_tokens", "integer", FIELD_MAX_OUTPUT_TOKENS, ""),
	FIELD("Target", "cost_eur", "number?", FIELD_COST_EUR,
	    "this request's estimate; nil: no price"),
	FIELD("Target", "quality", "number?", FIELD_QUALITY, "0..1"),
	FIELD("Target", "weight", "number", FIELD_WEIGHT, ""),
	FIELD("Target", "ttft_ms", "number?", FIELD_TTFT_MS,
	    "average of this request's mode; nil: not known yet"),
	FIELD("Target", "ms_per_token", "number?", FIELD_MS_PER_TOKEN, "likewise"),
	FIELD("Target", "error_rate", "number", FIELD_ERROR_RATE, "0..1"),
	FIELD("Target", "load", "number", FIELD_LOAD,
	    "0 idle .. 1 full; nobody measures it yet, so it is 0"),

	/* ---- verdicts ---- */
	CALL("latenza", "pass", "", "Verdict", api_pass, "Lets it pass."),
	CALL("latenza", "block",
	    "code: string -- machine-readable, as in \"pii.email\"\nmessage: string -- "
	    "shown to the caller",
	    "Verdict", api_block, "Refuses the request or the answer; routers too."),
	CALL("latenza", "flag", "code: string\nmessage: string", "Verdict", api_flag,
	    "Lets it pass and records a finding. Guardrails only."),
	CALL("latenza", "use_model", "model: string\nwhy: string", "Verdict",
	    api_use_model,
	    "Serves this request with that model instead. Guardrails on requests only."),

	/* ---- services ---- */
	CALL("latenza.http", "get", http_options, HTTP_ANSWER, api_http_get,
	    "Waits without blocking the worker. At most 4 calls a visit. nil and a "
	    "reason when no answer came."),
	CALL("latenza.http", "post",
	    "url: string -- below an address that the configuration grants\n"
	    "body: string|table -- a table is sent as JSON\n"
	    "opts: {timeout_ms?: integer, headers?: table<string,string>}? -- ",
	    HTTP_ANSWER, api_http_post, "The same with a body."),
	CALL("latenza", "budget", "scope: \"key\"|\"assistant\"|\"organization\"",
	    "{limit_eur: number, spent_eur: number, reserved_eur: number, resets_at: "
	    "integer}?",
	    api_budget, "nil: none is set."),
	CALL("latenza", "hash01", "...: string", "number", api_hash01,
	    "A stable number in [0,1) from texts: the same on every worker, host and "
	    "release."),
	CALL("latenza", "luhn",
	    "digits: string -- blanks and dashes do not count\nmin: integer\nmax: "
	    "integer",
	    "boolean", api_luhn,
	    "Are these min to max digits with a right check digit, as of a card?"),
	CALL("latenza", "plain", "text: string", "string", api_plain,
	    "The text as Text.plain has it: for words that are looked for there."),
	CALL("latenza", "time", "", "integer", api_time, "Unix seconds."),
	CALL("latenza", "random", "", "number", api_random, "In [0,1)."),
	CALL("latenza", "count",
	    "metric: string -- as it stands in the script: latenza.count(\"hits\")\nby: "
	    "number?",
	    "", api_count, "Counts in a metric of the script's own."),
	CALL("latenza.shared", "add",
	    "key: string\nby: integer\nttl_s: integer -- 0: for ever", "integer",
	    api_shared_add,
	    "Adds to a counter that all workers share, and says what it is now. It "
	    "begins again from 0 ttl_s after its "
	    "first addition."),
	CALL("latenza.shared", "get", "key: string", "integer", api_shared_get,
	    "What the counter is; 0: there is none."),
	CALL("latenza.json", "decode", "text: string", "any", api_json_decode,
	    "null is latenza.json.null; lists keep being lists; integers stay integers. "
	    "Raises what is no JSON."),
	CALL("latenza.json", "encode", "value: any", "string", api_json_encode,
	    "A table is a list if its keys are 1 to n."),
	CALL("latenza.json", "array", "list: table?", "table", api_json_array,
	    "Marks a table as a list, for an empty one."),
	CALL("latenza.log", "info", "text: string -- no prompts, no secrets", "",
	    api_log_info, "At most 60 lines a minute; more are counted."),
	CALL("latenza.log", "warn", "text: string", "", api_log_warn, "Likewise."),

	/* ---- NAME_test.lua ---- */
	CALL("latenza.test", "case", "name: string\nrun: fun()", "", api_test_case,
	    "Tests only (NAME_test.lua): one case. It fails by an error."),
	CALL("latenza.test", "equal", "got: any\nwanted: any", "", api_test_equal,
	    "Fails if they differ; tables by what is in them."),
	CALL("latenza.test", "guardrail",
	    "name: string\n"
	    "shown: table? -- text or texts, phase, options, stream_every, body, "
	    "headers, metadata, user, model, budgets, http, now, ...",
	    "table", api_test_guardrail,
	    "One visit of a guardrail: verdict, code, message, error, text, texts, tags, "
	    "body, calls, log."),
	CALL("latenza.test", "router",
	    "name: string\nshown: table? -- targets, and the same", "table",
	    api_test_router,
	    "One visit of a router: verdict, order (\"provider/model\"), output_limit, "
	    "tags, calls."),
};
const size_t api_row_count = sizeof(api_rows) / sizeof(api_rows[0]);

/* ---- registration ---- */

static void
add_group(lua_State *L, const char *group, const char *name)
{
	lua_newtable(L);
	for (size_t i = 0; i < api_row_count; i++) {
		if (strcmp(api_rows[i].where, group) != 0)
			continue;
		lua_pushcfunction(L, api_rows[i].fn);
		lua_setfield(L, -2, api_rows[i].name);
	}
	if (strcmp(name, "json") == 0) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)&values_null);
		lua_setfield(L, -2, "null");
	}
	if (strcmp(name, "latenza") == 0)
		return; /* the others go into it first */
	names_be_strict(L, group);
	sandbox_lock(L, group);
	lua_setfield(L, -2, name);
}

void
api_open(lua_State *L, int env)
{
	static const char *const groups[] = { "http", "shared", "json", "log", "test" };
	size_t count = sizeof(groups) / sizeof(groups[0]);

	if (!state_of(L)->script->is_test)
		count--; /* the last is for tests */
	proxy_open_request(L);
	proxy_open_texts(L);
	proxy_open_body(L);
	proxy_open_targets(L);
	add_group(L, "latenza", "latenza");
	for (size_t i = 0; i < count; i++) {
		char group[40];

		(void)snprintf(group, sizeof(group), "latenza.%s", groups[i]);
		add_group(L, group, groups[i]);
	}
	names_be_strict(L, "latenza");
	sandbox_lock(L, "latenza");
	lua_setfield(L, env, "latenza");
}
