/* plugin_run.c - `latenza plugin run`: one component on one text, in a fake host, in a
 * process of its own; what it decides, finds and edits.
 *
 * No gateway and no network: http() is answered with --reply or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "config/options.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "trial/trial.h"

#include <latenza/testhost.h>

enum {
	RUN_MS = 20000,
	TEXT_BYTES = 4 << 20,
	SHOWN_BYTES = 4000
};

/* What the child is to do, and what became of it. */
struct run {
	struct cli *c;
	const struct part_info *info;
	struct testhost *h;
	json_t *problems;
	const char *text;
};

/* ---- which component ---- */

static const struct part_info *
find_component(const struct cli *c, const char *path, struct err *e)
{
	const char *kind = cli_text(c, "kind"), *name = cli_text(c, "component");
	const struct part_info *p, *found = NULL;
	unsigned count = 0;

	for (size_t i = 0; (p = part_get_ops()->at(i)) != NULL; i++) {
		if (strcmp(p->file, path) != 0 ||
		    (kind != NULL && strcmp(p->kind, kind) != 0) ||
		    (name != NULL && strcmp(p->name, name) != 0))
			continue;
		found = p;
		count++;
	}
	if (count == 0)
		(void)err_fail(e, ST_NOT_FOUND, "%s: offers no %s%s%s", path,
		    kind != NULL ? kind : "component", name != NULL ? " " : "",
		    name != NULL ? name : "");
	else if (count > 1)
		(void)err_fail(e, ST_INVALID,
		    "%s: offers %u components; --component says which one", path, count);
	return count == 1 ? found : NULL;
}

/* ---- running ---- */

static void
note_problem(void *arg, const char *sentence)
{
	(void)json_array_append_new(arg, json_string(sentence));
}

static void
run_guardrail(struct run *r, const struct testhost_result **out)
{
	const char *phase = cli_text(r->c, "phase"), *role = cli_text(r->c, "role");
	int64_t every = cli_integer(r->c, "stream-every", 0);
	bool is_answer = phase != NULL && strcmp(phase, "response") == 0;

	if (every > 0) {
		*out = testhost_stream_every(r->h, lz_strz(r->text), (size_t)every);
		return;
	}
	if (role == NULL)
		role = is_answer ? "assistant" : "user";
	testhost_add_text(r->h, role, r->text)->kind =
	    strcmp(role, "tool") == 0 ? LZ_TOOL_RESULT : LZ_PROSE;
	*out = testhost_check(r->h, is_answer ? LZ_RESPONSE : LZ_REQUEST);
}

static void
run_provider(struct run *r, const struct testhost_result **out)
{
	struct buf body;

	buf_init(&body, 2 * TEXT_BYTES);
	buf_add_z(&body, "{\"model\":\"test-model\",\"messages\":[{\"role\":");
	buf_add_json(
	    &body, lz_strz(cli_has(r->c, "role") ? cli_text(r->c, "role") : "user"));
	buf_add_z(&body, ",\"content\":");
	buf_add_json(&body, lz_strz(r->text));
	buf_add_z(&body, "}]}");
	buf_add_char(&body, '\0');
	testhost_set_body(r->h, body.ptr);
	buf_free(&body);
	*out = testhost_build(r->h);
}

/* ST_INVALID: this kind is not asked about a text. */
static enum status
run_component(struct run *r, const struct testhost_result **out, struct err *e)
{
	const char *kind = r->info->kind;

	if (strcmp(kind, "guardrail") == 0) {
		run_guardrail(r, out);
		return ST_OK;
	}
	if (strcmp(kind, "provider") == 0) {
		run_provider(r, out);
		return ST_OK;
	}
	return err_fail(e, ST_INVALID,
	    "%s %s: only a guardrail or a provider is asked about a text%s", kind,
	    r->info->name,
	    strcmp(kind, "router") == 0
		? "; `latenza route explain` shows what a router does"
		: "");
}

/* ---- what is shown ---- */

static const char *
verdict_name(const char *kind, int32_t verdict)
{
	static const char *const decisions[] = { "ok", "block", "flag", "pending",
		"reroute", "again", "answered", "as it came" };
	static const char *const errors[] = { "", "fails", "invalid", "no memory", "gone",
		"retry", "limit", "timeout", "stop" };

	if (verdict == LZ_OK && strcmp(kind, "guardrail") == 0)
		return "pass";
	if (verdict >= 0)
		return (size_t)verdict < sizeof(decisions) / sizeof(decisions[0])
			   ? decisions[verdict]
			   : "?";
	return (size_t)-verdict < sizeof(errors) / sizeof(errors[0]) ? errors[-verdict]
								     : "fails";
}

static json_t *
text_of(lz_str s)
{
	json_t *j = json_stringn(s.ptr != NULL ? s.ptr : "", s.len);

	return j != NULL ? j : json_string("(not UTF-8)");
}

static json_t *
texts_of(const lz_str *texts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, text_of(texts[i]));
	return list;
}

static json_t *
http_shown(const lz_http *q)
{
	json_t *j = json_object(), *headers = json_object();

	for (size_t i = 0; i < q->header_count; i++)
		(void)json_object_setn_new(headers, q->headers[i].name.ptr,
		    q->headers[i].name.len, text_of(q->headers[i].value));
	(void)json_object_set_new(j, "method", text_of(q->method));
	(void)json_object_set_new(j, "url", text_of(q->url));
	(void)json_object_set_new(j, "headers", headers);
	(void)json_object_set_new(j, "body", text_of(q->body));
	return j;
}

static json_t *
findings_shown(const struct testhost_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->finding_count; i++) {
		json_t *one = json_object();

		(void)json_object_set_new(one, "code", text_of(r->findings[i].code));
		(void)json_object_set_new(
		    one, "message", text_of(r->findings[i].message));
		(void)json_array_append_new(list, one);
	}
	return list;
}

/* owned */
static json_t *
shown(const struct run *run, const struct testhost_result *r)
{
	json_t *j = json_object(), *sent = json_array();

	(void)json_object_set_new(j, "kind", json_string(run->info->kind));
	(void)json_object_set_new(j, "component", json_string(run->info->name));
	(void)json_object_set_new(
	    j, "verdict", json_string(verdict_name(run->info->kind, r->verdict)));
	(void)json_object_set_new(j, "findings", findings_shown(r));
	(void)json_object_set_new(j, "texts", texts_of(r->texts, r->text_count));
	(void)json_object_set_new(j, "revealed", texts_of(r->revealed, r->text_count));
	(void)json_object_set_new(
	    j, "released_bytes", json_integer((json_int_t)r->released));
	if (r->http.method.ptr != NULL)
		(void)json_object_set_new(j, "http", http_shown(&r->http));
	for (size_t i = 0; i < r->sent_count; i++)
		(void)json_array_append_new(sent, http_shown(&r->sent[i]));
	(void)json_object_set_new(j, "callouts", sent);
	(void)json_object_set_new(j, "calls", json_integer(r->entries));
	(void)json_object_set_new(j, "slowest_us", json_integer(r->slowest_us));
	(void)json_object_set_new(j, "elapsed_ms", json_integer(r->elapsed_ms));
	(void)json_object_set(j, "problems", run->problems);
	return j;
}

static void
print_line(const char *title, const char *text)
{
	char safe[SHOWN_BYTES];

	printf("  %-9s %s\n", title, out_safe(text, SHOWN_BYTES, safe, sizeof(safe)));
}

static void
print_http(const char *title, const json_t *http)
{
	char line[SHOWN_BYTES];
	const char *name;
	json_t *value;

	(void)snprintf(
	    line, sizeof(line), "%s %s", out_text(http, "method"), out_text(http, "url"));
	print_line(title, line);
	json_object_foreach(json_object_get(http, "headers"), name, value)
	{
		(void)snprintf(
		    line, sizeof(line), "%s: %s", name, json_string_value(value));
		print_line("", line);
	}
	print_line("body", out_text(http, "body"));
}

static void
print_result(const json_t *j)
{
	char line[SHOWN_BYTES];
	const json_t *one;
	size_t i;

	printf("%s %s: %s%s%s\n", out_text(j, "kind"), out_text(j, "component"),
	    out_on(OUT_BOLD), out_text(j, "verdict"), out_on(OUT_PLAIN));
	json_array_foreach(json_object_get(j, "findings"), i, one)
	{
		(void)snprintf(line, sizeof(line), "%s  %s", out_text(one, "code"),
		    out_text(one, "message"));
		print_line("finding", line);
	}
	json_array_foreach(json_object_get(j, "texts"), i, one)
	    print_line("text", json_string_value(one));
	if (!json_equal(json_object_get(j, "texts"), json_object_get(j, "revealed")))
		json_array_foreach(json_object_get(j, "revealed"), i, one)
		    print_line("caller", json_string_value(one));
	if (json_object_get(j, "http") != NULL)
		print_http("sends", json_object_get(j, "http"));
	json_array_foreach(json_object_get(j, "callouts"), i, one)
	    print_http("callout", one);
	(void)snprintf(line, sizeof(line),
	    "%lld calls, the slowest %lld us; %lld ms of waiting",
	    (long long)json_get_int(j, "calls", 0),
	    (long long)json_get_int(j, "slowest_us", 0),
	    (long long)json_get_int(j, "elapsed_ms", 0));
	print_line("time", line);
	json_array_foreach(json_object_get(j, "problems"), i, one)
	    print_line("problem", json_string_value(one));
}

/* ---- in the child ---- */

static enum status
open_and_run(struct run *r, struct err *e)
{
	const struct testhost_result *result = NULL;
	char path[4096];
	json_t *options, *j;
	enum status st;

	st = registry_path(lz_strz(r->c->operand[0]), path, sizeof(path), e);
	if (st == ST_OK)
		st = registry_open(lz_strz(path), STR_NONE, false, true, e);
	if (st != ST_OK)
		return st;
	r->info = find_component(r->c, path, e);
	if (r->info == NULL)
		return ST_INVALID;
	options = cli_typed_options(
	    r->c, r->info->options, r->info->option_count, r->info->option_size);
	r->h = trial_new(path, r->info->kind, r->info->name, options, e);
	json_decref(options);
	if (r->h == NULL)
		return ST_INVALID;
	if (cli_has(r->c, "reply"))
		testhost_script(r->h, "", 200, cli_text(r->c, "reply"), 0);
	st = run_component(r, &result, e);
	if (st == ST_OK) {
		j = shown(r, result);
		if (r->c->wants_json)
			out_json(j);
		else
			print_result(j);
		json_decref(j);
	}
	if (st == ST_OK && result->verdict < 0)
		st = err_fail(e, ST_INVALID, "%s: %s", r->info->name,
		    verdict_name(r->info->kind, result->verdict));
	testhost_free(r->h);
	return st;
}

static void
work(const struct talk *t, const void *arg)
{
	struct run r = *(const struct run *)arg;
	struct err e = { "" };
	enum status st;

	child_tell(t, CHILD_DOES, "it was run");
	r.problems = json_array();
	testhost_on_problem(note_problem, r.problems);
	st = open_and_run(&r, &e);
	if (json_array_size(r.problems) > 0)
		child_tell(t, CHILD_FAILED, "%s: %s", r.info->name,
		    json_string_value(json_array_get(r.problems, 0)));
	else if (st != ST_OK)
		child_tell(t, CHILD_FAILED, "%s", e.text);
	(void)fflush(stdout);
}

static void
say(void *arg, enum child_mark mark, const char *sentence)
{
	(void)arg;
	if (mark == CHILD_FAILED)
		out_error("%s", sentence);
}

static bool
is_one_of(const char *word, const char *const *list)
{
	while (*list != NULL && strcmp(word, *list) != 0)
		list++;
	return *list != NULL;
}

/* false: said */
static bool
are_options_right(const struct cli *c)
{
	static const char *const phases[] = { "request", "response", NULL };
	static const char *const roles[] = { "system", "user", "assistant", "tool",
		NULL };
	const char *phase = cli_text(c, "phase"), *role = cli_text(c, "role");

	if (!cli_has(c, "text"))
		out_error("--text: is missing; the text that the component is to see, or "
			  "`-` for standard input");
	else if (phase != NULL && !is_one_of(phase, phases))
		out_error("--phase: \"%.60s\" is not request or response", phase);
	else if (role != NULL && !is_one_of(role, roles))
		out_error(
		    "--role: \"%.60s\" is not system, user, assistant or tool", role);
	else if (cli_integer(c, "stream-every", 1) < 1)
		out_error("--stream-every: 1 or more bytes");
	else if (cli_has(c, "stream-every") && phase != NULL &&
		 strcmp(phase, "request") == 0)
		out_error("--stream-every: only an answer is streamed");
	else
		return true;
	return false;
}

int
plugin_run_run(struct cli *c)
{
	const char *given = cli_text(c, "text");
	struct run r = { .c = c };
	struct err e = { "" };
	struct buf text;
	int failures;

	if (!are_options_right(c))
		return CLI_USAGE;
	buf_init(&text, TEXT_BYTES);
	if (strcmp(given, "-") != 0)
		buf_add_z(&text, given);
	else if (input_file("-", &text, &e) != ST_OK)
		return backend_fail(&e, CLI_FAILED);
	buf_add_char(&text, '\0');
	r.text = text.ptr;
	if (text.failed || !str_is_utf8(lz_strn(text.ptr, text.len - 1))) {
		out_error("--text: is not UTF-8, or more than 4 MiB");
		buf_free(&text);
		return CLI_USAGE;
	}
	failures = child_run(work, &r, RUN_MS, say, NULL);
	buf_free(&text);
	return failures == 0 ? CLI_DONE : CLI_FAILED;
}
