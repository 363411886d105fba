/* traces.c - `latenza traces ...`: requests listed, followed, exported, forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/trace_view.h"

enum {
	PAGE = 500,
	FROM_THE_START = -1, /* after no row: in the order of rows, not of time */
	TAIL_PAUSE_MS = 500
};

/* The filter that the options ask for; owned. */
static json_t *
filter(const struct cli *c)
{
	static const char *const texts[] = { "key", "organization", "assistant", "model",
		"provider", "user", "session", "code", "metadata", "guardrail",
		"verdict" };
	json_t *args = json_object();

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (cli_text(c, texts[i]) != NULL)
			json_object_set_new(
			    args, texts[i], json_string(cli_text(c, texts[i])));
	if (cli_has(c, "since"))
		json_object_set_new(args, "since_unix_ms",
		    json_integer(clock_unix_ms() - cli_integer(c, "since", 0)));
	if (cli_has(c, "errors"))
		json_object_set_new(args, "errors", json_true());
	return args;
}

static json_t *
page(const struct cli *c, int64_t after)
{
	json_t *args = filter(c);

	json_object_set_new(args, "oldest_first", json_true());
	json_object_set_new(args, "after", json_integer(after));
	json_object_set_new(args, "limit", json_integer(PAGE));
	return args;
}

static void
add_row(struct out_table *t, const json_t *trace)
{
	char money[40], ms[40];
	const json_t *tokens = json_object_get(trace, "tokens");
	const char *code = out_text(trace, "code");

	out_cell(t, "%.19s", out_text(trace, "at"));
	out_cell(t, "%s", out_text(trace, "id"));
	out_cell(t, "%lld%s%s", (long long)json_get_int(trace, "status", 0),
	    *code == '-' ? "" : " ", *code == '-' ? "" : code);
	out_cell(t, "%s", out_text(trace, "key"));
	out_cell(t, "%s", out_text(trace, "model_asked"));
	out_cell(t, "%s/%s", out_text(trace, "provider"), out_text(trace, "model"));
	out_cell(t, "%lld", (long long)json_get_int(trace, "attempt_count", 0));
	out_cell(t, "%" PRId64 "/%" PRId64,
	    json_get_int(tokens, "input", 0) + json_get_int(tokens, "cache_read", 0) +
		json_get_int(tokens, "cache_write", 0),
	    json_get_int(tokens, "output", 0));
	out_cell(t, "%s", out_money(out_nano(trace, "cost_nano_eur"), money));
	out_cell(t, "%s", out_ms(out_real(trace, "total_ms"), ms));
}

int
traces_list_run(struct cli *c)
{
	static const char *const titles[] = { "TIME (UTC)", "ID", "STATUS", "KEY",
		"ASKED", "SERVED BY", ">TRIES", ">TOKENS", ">COST", ">TIME", NULL };
	json_t *args = filter(c), *result = NULL, *trace;
	struct out_table t;
	size_t i;
	int code;

	json_object_set_new(args, "limit", json_integer(cli_integer(c, "limit", 50)));
	code = backend_run(c, "traces.list", args, &result);
	if (code == CLI_DONE && c->wants_json) {
		out_json(json_object_get(result, "traces"));
	} else if (code == CLI_DONE) {
		out_table(&t, titles);
		json_array_foreach(json_object_get(result, "traces"), i, trace)
		    add_row(&t, trace);
		out_print(&t);
	}
	json_decref(result);
	return code;
}

/* ---- tail ---- */

/* " words=block", " pii=mask(monitor)": of guardrails that had something to say. */
static void
verdicts_of(const json_t *trace, char *out, size_t n)
{
	const json_t *v;
	size_t i, len = 0;

	*out = '\0';
	json_array_foreach(json_object_get(trace, "guardrails"), i, v)
	{
		const char *verdict = out_text(v, "verdict");
		bool is_monitor = strcmp(out_text(v, "mode"), "monitor") == 0;

		if (strcmp(verdict, "pass") == 0 || len >= n)
			continue;
		len += (size_t)snprintf(out + len, n - len, " %s=%s%s",
		    out_text(v, "guardrail"), verdict, is_monitor ? "(monitor)" : "");
	}
}

static void
print_line(const struct cli *c, const json_t *trace)
{
	char money[40], ms[40], line[800], safe[800], verdicts[300];
	int64_t status = json_get_int(trace, "status", 0);
	const char *code = out_text(trace, "code");

	if (c->wants_json) {
		out_json_line(stdout, trace);
		return;
	}
	verdicts_of(trace, verdicts, sizeof(verdicts));
	snprintf(line, sizeof(line), "%s %s -> %s/%s %s %s%s%s%s", out_text(trace, "id"),
	    out_text(trace, "key"), out_text(trace, "provider"), out_text(trace, "model"),
	    out_money(out_nano(trace, "cost_nano_eur"), money),
	    out_ms(out_real(trace, "total_ms"), ms), *code == '-' ? "" : " ",
	    *code == '-' ? "" : code, verdicts);
	printf("%.19s %s%lld%s %s\n", out_text(trace, "at"),
	    out_on(status < 300 ? OUT_GREEN : OUT_RED), (long long)status,
	    out_on(OUT_PLAIN), out_safe(line, 600, safe, sizeof(safe)));
}

/* Prints a page of traces and moves *after behind it. */
static void
print_page(const struct cli *c, const json_t *result, int64_t *after)
{
	const json_t *trace;
	size_t i;

	json_array_foreach(json_object_get(result, "traces"), i, trace)
	{
		print_line(c, trace);
		*after = json_get_int(trace, "row", *after);
	}
	fflush(stdout);
}

/* The newest row there is; FROM_THE_START when there is none. */
static int
newest_row(const struct cli *c, int64_t *row)
{
	json_t *args = json_object(), *result = NULL;
	int code;

	json_object_set_new(args, "limit", json_integer(1));
	code = backend_run(c, "traces.list", args, &result);
	*row = json_get_int(
	    json_array_get(json_object_get(result, "traces"), 0), "row", FROM_THE_START);
	json_decref(result);
	return code;
}

int
traces_tail_run(struct cli *c)
{
	const struct timespec pause = { .tv_nsec = TAIL_PAUSE_MS * 1000000L };
	json_t *result = NULL;
	int64_t after = FROM_THE_START;
	int code = CLI_DONE;

	if (!cli_has(c, "since"))
		code = newest_row(c, &after);
	while (code == CLI_DONE && !ferror(stdout)) {
		code = backend_run(c, "traces.list", page(c, after), &result);
		print_page(c, result, &after);
		json_decref(result);
		result = NULL;
		(void)nanosleep(&pause, NULL);
	}
	return code;
}

/* ---- export ---- */

/* One trace with what was said; listing does not carry that. */
static int
add_content(const struct cli *c, json_t *trace)
{
	static const char *const members[] = { "request", "answer", "candidates",
		"charges" };
	json_t *args = json_object(), *whole = NULL;
	int code;

	json_object_set(args, "id", json_object_get(trace, "id"));
	code = backend_run(c, "traces.show", args, &whole);
	for (size_t i = 0; code == CLI_DONE && i < 4; i++)
		json_object_set(trace, members[i], json_object_get(whole, members[i]));
	json_decref(whole);
	return code;
}

static int
export_to(const struct cli *c, FILE *out)
{
	int64_t after = FROM_THE_START;
	size_t rows, i;
	json_t *trace;
	int code;

	do {
		json_t *result = NULL;

		code = backend_run(c, "traces.list", page(c, after), &result);
		rows = json_array_size(json_object_get(result, "traces"));
		json_array_foreach(json_object_get(result, "traces"), i, trace)
		{
			after = json_get_int(trace, "row", after);
			if (code == CLI_DONE && cli_has(c, "content"))
				code = add_content(c, trace);
			json_object_del(trace, "row");
			out_json_line(out, trace);
		}
		json_decref(result);
	} while (code == CLI_DONE && rows == PAGE && !ferror(out));
	return code;
}

int
traces_export_run(struct cli *c)
{
	const char *to = cli_text(c, "to");
	FILE *out = to == NULL ? stdout : fopen(to, "wxe");
	int code;

	if (out == NULL) {
		out_error("%s: %s", to, strerror(errno));
		return CLI_FAILED;
	}
	code = export_to(c, out);
	if (out != stdout && fclose(out) != 0) {
		out_error("%s: %s", to, strerror(errno));
		code = CLI_FAILED;
	}
	return code;
}

/* ---- erase ---- */

int
traces_erase_run(struct cli *c)
{
	const char *user = cli_text(c, "user");
	json_t *args, *result = NULL;
	int code;

	if (user == NULL) {
		fprintf(stderr, "latenza: traces erase: whom? Give --user USER\n");
		return CLI_USAGE;
	}
	if (!cli_has(c, "yes")) {
		printf("This deletes every prompt and answer of user \"%s\", and empties "
		       "user, session "
		       "and metadata in their traces. What was spent stays. Add --yes to "
		       "do it.\n",
		    user);
		return CLI_USAGE;
	}
	args = json_object();
	json_object_set_new(args, "user", json_string(user));
	code = backend_run(c, "traces.erase", args, &result);
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		printf("%lld traces no longer say whose they were.\n",
		    (long long)json_get_int(result, "erased", 0));
	json_decref(result);
	return code;
}

/* ---- show ---- */

int
traces_show_run(struct cli *c)
{
	json_t *args = json_object(), *result = NULL;
	int code;

	json_object_set_new(args, "id", json_string(c->operand[0]));
	code = backend_run(c, "traces.show", args, &result);
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		trace_view(result, cli_has(c, "content"));
	json_decref(result);
	return code;
}
