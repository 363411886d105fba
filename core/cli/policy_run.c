/* policy_run.c - `latenza policy run` and `bench`: one script on one text, body or trace,
 * in a fake host: what it decides, and what that costs.
 *
 * Nothing is sent anywhere: what a script asks of the network is not reached.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/policy.h"

enum {
	SHOWN_BYTES = 4000,
	BENCH_VISITS = 2000,
	BENCH_MOST = 1000000,
	HOST_VISITS = 500 /* with one fake host, which keeps what it was shown */
};

/* ---- a trace ---- */

/* The stored request or answer of a trace, as a document. NULL: said, *code. */
static json_t *
document_of_trace(struct cli *c, const struct script *s, int *code)
{
	const char *phase = cli_text(c, "phase");
	bool is_answer = phase != NULL && strcmp(phase, "response") == 0;
	json_t *args = json_object(), *trace = NULL, *document = NULL;
	struct err e = { "" };

	if (cli_has(c, "text") || cli_has(c, "body") || cli_has(c, "stream-every")) {
		out_error("--trace: is all that it sees; leave --text, --body and "
			  "--stream-every out");
		json_decref(args);
		*code = CLI_USAGE;
		return NULL;
	}
	if (policy_is_router(s) && is_answer) {
		out_error("--phase: a router sees requests only");
		json_decref(args);
		*code = CLI_USAGE;
		return NULL;
	}
	json_object_set_new(args, "id", json_string(cli_text(c, "trace")));
	*code = backend_run(c, "traces.show", args, &trace);
	if (*code == CLI_DONE)
		document = policy_document_of_trace(trace, is_answer, &e);
	if (*code == CLI_DONE && document == NULL) {
		out_error("%s", e.text);
		*code = CLI_FAILED;
	}
	json_decref(trace);
	if (document != NULL)
		*code = policy_add_choices(c, s, document);
	if (*code == CLI_DONE)
		return document;
	json_decref(document);
	return NULL;
}

/* ---- telling ---- */

static void
print_line(const char *title, const char *text)
{
	char safe[SHOWN_BYTES];

	printf("  %-8s %s\n", title, out_safe(text, SHOWN_BYTES / 4, safe, sizeof(safe)));
}

static void
print_list(const char *title, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (json_is_string(one))
	    print_line(title, json_string_value(one));
}

static void
print_edits(const json_t *list)
{
	char line[SHOWN_BYTES];
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		(void)snprintf(line, sizeof(line), "text %lld, bytes %lld to %lld: %s",
		    (long long)json_get_int(one, "text", 0) + 1,
		    (long long)json_get_int(one, "from", 0),
		    (long long)json_get_int(one, "to", 0), out_text(one, "with"));
		print_line("edit", line);
	}
}

static void
print_told(const struct script *s, const struct policy_opening *o, const json_t *told)
{
	char line[SHOWN_BYTES];
	const char *name;
	json_t *value;

	printf("%s %s: %s%s%s\n", policy_is_router(s) ? "router" : "guardrail",
	    script_component(s)->name, out_on(OUT_BOLD), out_text(told, "verdict"),
	    out_on(OUT_PLAIN));
	if (json_object_get(told, "code") != NULL) {
		(void)snprintf(line, sizeof(line), "%s  %s", out_text(told, "code"),
		    out_text(told, "message"));
		print_line("finding", line);
	}
	if (json_is_string(json_object_get(told, "error")))
		print_line("error", out_text(told, "error"));
	print_edits(json_object_get(told, "edits"));
	print_list("text", json_object_get(told, "texts"));
	print_list("order", json_object_get(told, "order"));
	json_object_foreach(json_object_get(told, "tags"), name, value)
	{
		(void)snprintf(line, sizeof(line), "%s=%s", name,
		    json_is_string(value) ? json_string_value(value) : "?");
		print_line("tag", line);
	}
	print_list("log", json_object_get(told, "log"));
	(void)snprintf(line, sizeof(line), "%lld steps, %lld us, %lld KiB at most",
	    (long long)json_get_int(told, "steps", 0),
	    (long long)json_get_int(told, "time_us", 0),
	    (long long)json_get_int(told, "peak_bytes", 0) / 1024);
	print_line("cost", line);
	policy_limits_print(o, line, sizeof(line));
	print_line("limits", line);
}

static void
add_cost(json_t *told, const struct script *s, const struct fake *f)
{
	struct script_cost cost = script_cost(s);

	json_object_set_new(told, "steps", json_integer((json_int_t)cost.steps));
	json_object_set_new(told, "time_us", json_integer(fake_spent_ns(f) / 1000));
	json_object_set_new(
	    told, "peak_bytes", json_integer((json_int_t)cost.peak_bytes));
}

/* owned; NULL: e */
static json_t *
visit_once(struct script *s, const struct policy_opening *o, const json_t *document,
    struct err *e)
{
	struct fake *f = policy_fake(o);
	json_t *told = NULL;

	if (f == NULL)
		(void)err_fail(e, ST_NOMEM, "out of memory");
	else
		told = fake_visit(f, s, document, e);
	if (told != NULL)
		add_cost(told, s, f);
	fake_free(f);
	return told;
}

/* Both open a script and find out what it is to see. */
static struct script *
open_script(struct cli *c, struct policy_opening *o, json_t **document, int *code)
{
	struct err e = { "" };
	struct script *s = policy_open(c, c->operand[0], o, &e);

	if (s == NULL) {
		*code = backend_fail(&e, o->code);
		return NULL;
	}
	*document = cli_has(c, "trace") ? document_of_trace(c, s, code)
					: policy_document(c, s, code);
	if (*document != NULL)
		return s;
	script_unref(s);
	return NULL;
}

int
policy_run_run(struct cli *c)
{
	struct policy_opening opening = { .wrong = NULL };
	json_t *document, *told;
	struct err e = { "" };
	int code = CLI_DONE;
	struct script *s = open_script(c, &opening, &document, &code);

	if (s == NULL)
		return code;
	told = visit_once(s, &opening, document, &e);
	if (told != NULL)
		json_object_set_new(told, "limits", policy_limits_json(&opening));
	if (told == NULL)
		code = backend_fail(&e, CLI_FAILED);
	else if (c->wants_json)
		out_json(told);
	else
		print_told(s, &opening, told);
	if (told != NULL && strcmp(out_text(told, "verdict"), "error") == 0)
		code = CLI_FAILED;
	json_decref(told);
	json_decref(document);
	script_unref(s);
	return code;
}

/* ---- bench ---- */

static int
by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Fills in the time of each visit. false: e */
static bool
time_visits(struct script *s, const struct policy_opening *o, const json_t *document,
    int64_t *ns, size_t n, struct err *e)
{
	struct fake *f = NULL;
	int64_t before = 0;
	json_t *told = json_null();

	for (size_t i = 0; i < n && told != NULL; i++) {
		if (i % HOST_VISITS == 0) {
			fake_free(f);
			f = policy_fake(o);
			before = 0;
		}
		if (f == NULL) {
			(void)err_fail(e, ST_NOMEM, "out of memory");
			return false;
		}
		told = fake_visit(f, s, document, e);
		ns[i] = fake_spent_ns(f) - before;
		before = fake_spent_ns(f);
		if (told != NULL && json_get_int(told, "result", 0) < 0) {
			(void)err_fail(e, ST_INVALID, "visit %zu failed: %s", i + 1,
			    out_text(told, "error"));
			json_decref(told);
			told = NULL;
		}
		json_decref(told);
	}
	fake_free(f);
	return told != NULL;
}

static void
tell_bench(const struct cli *c, const struct script *s, const struct policy_opening *o,
    const int64_t *ns, size_t n, uint64_t steps)
{
	struct script_cost cost = script_cost(s);
	char limits[POLICY_PATH_BYTES];
	json_t *j = json_pack("{s:I, s:I, s:f, s:f, s:I, s:o}", "visits", (json_int_t)n,
	    "steps", (json_int_t)((cost.steps - steps) / n), "median_us",
	    (double)ns[n / 2] / 1000, "p99_us", (double)ns[n - 1 - n / 100] / 1000,
	    "peak_bytes", (json_int_t)cost.peak_bytes, "limits", policy_limits_json(o));

	policy_limits_print(o, limits, sizeof(limits));
	if (c->wants_json)
		out_json(j);
	else
		printf("%s: %lld steps a visit, %.1f us (99 of 100: %.1f us), %lld KiB "
		       "at most, %zu visits\nlimits: %s\n",
		    script_component(s)->name, (long long)json_get_int(j, "steps", 0),
		    out_real(j, "median_us"), out_real(j, "p99_us"),
		    (long long)json_get_int(j, "peak_bytes", 0) / 1024, n, limits);
	json_decref(j);
}

int
policy_bench_run(struct cli *c)
{
	int64_t visits = cli_integer(c, "visits", BENCH_VISITS), *ns;
	struct policy_opening opening = { .wrong = NULL };
	json_t *document;
	struct err e = { "" };
	int code = CLI_DONE;
	struct script *s;
	uint64_t steps;

	if (visits < 1 || visits > BENCH_MOST) {
		out_error("--visits: 1 to %d", BENCH_MOST);
		return CLI_USAGE;
	}
	s = open_script(c, &opening, &document, &code);
	if (s == NULL)
		return code;
	ns = mem_zalloc((size_t)visits * sizeof(*ns));
	steps = script_cost(s).steps;
	if (ns == NULL)
		(void)err_fail(&e, ST_NOMEM, "out of memory");
	if (ns == NULL || !time_visits(s, &opening, document, ns, (size_t)visits, &e)) {
		code = backend_fail(&e, CLI_FAILED);
	} else {
		qsort(ns, (size_t)visits, sizeof(*ns), by_size);
		tell_bench(c, s, &opening, ns, (size_t)visits, steps);
	}
	mem_free(ns);
	json_decref(document);
	script_unref(s);
	return code;
}
