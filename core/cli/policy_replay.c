/* policy_replay.c - `latenza policy replay`: what a script would have made of requests
 * that were served, from their traces. No provider is called.
 *
 * A router is shown the candidates of the trace's table, with the bounds that the
 * catalogue's prices gave them then. What another choice would have cost is of
 * policy_costs.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/policy.h"

enum {
	PAGE = 200,
	EXAMPLES = 5,
	DAY_MS = 86400000
};

enum outcome {
	BLOCKED,
	FLAGGED,
	MASKED,
	REROUTED,
	REORDERED,
	FAILED,
	OUTCOMES
};
static const char *const outcome_names[] = { "blocked", "flagged", "masked", "rerouted",
	"reordered", "failed" };

struct replay {
	struct cli *c;
	struct script *s;
	struct policy_opening opening;
	json_t *options;
	unsigned seen, without_content, unchanged;
	unsigned count[OUTCOMES];
	unsigned last[OUTCOMES]; /* a trace counts once, in prompt and answer */
	json_t *example[OUTCOMES];
	struct policy_costs costs;
	int code; /* of what was asked of the gateway meanwhile */
};

static void
note(struct replay *r, enum outcome o, const json_t *trace)
{
	if (r->last[o] == r->seen)
		return;
	r->last[o] = r->seen;
	r->count[o]++;
	if (json_array_size(r->example[o]) < EXAMPLES)
		json_array_append(r->example[o], json_object_get(trace, "id"));
}

/* ---- routers ---- */

static void
add_costs(struct replay *r, const json_t *trace, const json_t *whom)
{
	if (!policy_costs_add(&r->costs, r->c, trace, whom))
		r->code = CLI_FAILED;
}

static bool
compare_order(
    struct replay *r, const json_t *trace, const json_t *targets, const json_t *told)
{
	const json_t *chosen = json_object_get(told, "chosen");
	size_t n = json_array_size(chosen), first;
	bool is_same = n == json_array_size(targets);

	for (size_t i = 0; i < n && is_same; i++)
		is_same = json_integer_value(json_array_get(chosen, i)) == (json_int_t)i;
	if (is_same || n == 0)
		return false;
	first = (size_t)json_integer_value(json_array_get(chosen, 0));
	note(r, first == 0 ? REORDERED : REROUTED, trace);
	if (first != 0) {
		json_t *ranked = policy_ranked_of(trace);

		add_costs(r, trace, json_array_get(ranked, first));
		json_decref(ranked);
	}
	return true;
}

/* ---- one trace ---- */

static bool
is_masked(const json_t *document, const json_t *told)
{
	const json_t *after = json_object_get(told, "texts"), *one;
	size_t i;

	json_array_foreach(json_object_get(document, "texts"), i,
	    one) if (!json_equal(json_object_get(one, "text"),
			 json_array_get(after, i))) return true;
	return false;
}

/* Was something changed? */
static bool
judge(struct replay *r, const json_t *trace, const json_t *document, const json_t *told)
{
	const char *verdict = out_text(told, "verdict");

	if (strcmp(verdict, "error") == 0)
		note(r, FAILED, trace);
	else if (strcmp(verdict, "block") == 0)
		note(r, BLOCKED, trace);
	else if (strcmp(verdict, "use_model") == 0) {
		json_t *whom = json_object();

		note(r, REROUTED, trace);
		json_object_set(whom, "model", json_object_get(told, "code"));
		add_costs(r, trace, whom);
		json_decref(whom);
	} else if (policy_is_router(r->s))
		return compare_order(
		    r, trace, json_object_get(document, "targets"), told);
	else if (is_masked(document, told))
		note(r, MASKED, trace);
	else if (strcmp(verdict, "flag") == 0)
		note(r, FLAGGED, trace);
	else
		return false;
	return true;
}

/* false: e, about the script or its options. */
static bool
visit(struct replay *r, const json_t *trace, bool is_answer, bool *is_changed,
    struct err *e)
{
	struct err none = { "" };
	json_t *document = policy_document_of_trace(trace, is_answer, &none), *told;
	struct fake *f;

	if (document == NULL)
		return true;
	json_object_set(document, "options", r->options);
	f = policy_fake(&r->opening);
	told = f != NULL ? fake_visit(f, r->s, document, e) : NULL;
	if (told != NULL && judge(r, trace, document, told))
		*is_changed = true;
	fake_free(f);
	json_decref(document);
	json_decref(told);
	return told != NULL;
}

static bool
replay_trace(struct replay *r, const json_t *trace, struct err *e)
{
	const lz_component *part = script_component(r->s);
	uint32_t phases = policy_is_router(r->s)
			      ? LZ_REQUEST
			      : ((const lz_guardrail *)part->vtable)->phases;
	bool is_changed = false, is_fine = true;

	r->seen++;
	if (!json_is_object(json_object_get(trace, "request")) &&
	    !json_is_object(json_object_get(trace, "answer"))) {
		r->without_content++;
		return true;
	}
	if (phases & LZ_REQUEST)
		is_fine = visit(r, trace, false, &is_changed, e);
	/* Where the request is refused there is no answer. */
	if (is_fine && (phases & LZ_RESPONSE) && r->last[BLOCKED] != r->seen &&
	    r->last[FAILED] != r->seen)
		is_fine = visit(r, trace, true, &is_changed, e);
	r->unchanged += !is_changed;
	return is_fine;
}

/* ---- all of them ---- */

static json_t *
page_of(const struct cli *c, int64_t since, int64_t after)
{
	json_t *args = json_pack("{s:b, s:I, s:I, s:I}", "oldest_first", 1, "after",
	    (json_int_t)after, "limit", (json_int_t)PAGE, "since_unix_ms",
	    (json_int_t)since);

	if (cli_has(c, "key"))
		json_object_set_new(args, "key", json_string(cli_text(c, "key")));
	return args;
}

static int
replay_one(struct replay *r, const json_t *row)
{
	json_t *args = json_object(), *trace = NULL;
	struct err e = { "" };
	int code;

	json_object_set(args, "id", json_object_get(row, "id"));
	code = backend_run(r->c, "traces.show", args, &trace);
	if (code == CLI_DONE && !replay_trace(r, trace, &e))
		code = backend_fail(&e, CLI_FAILED);
	json_decref(trace);
	return code == CLI_DONE ? r->code : code;
}

static int
replay_all(struct replay *r)
{
	int64_t since = clock_unix_ms() - cli_integer(r->c, "since", DAY_MS);
	int64_t after = -1;
	size_t rows, i;
	int code;

	do {
		json_t *result = NULL, *row;

		code = backend_run(
		    r->c, "traces.list", page_of(r->c, since, after), &result);
		rows = json_array_size(json_object_get(result, "traces"));
		json_array_foreach(json_object_get(result, "traces"), i, row)
		{
			after = json_get_int(row, "row", after);
			if (code == CLI_DONE)
				code = replay_one(r, row);
		}
		json_decref(result);
	} while (code == CLI_DONE && rows == PAGE);
	return code;
}

static void
tell_replay(const struct replay *r)
{
	json_t *j = json_pack("{s:i, s:i, s:i}", "traces", (int)r->seen,
	    "without_content", (int)r->without_content, "unchanged", (int)r->unchanged);
	const json_t *id;
	size_t i;

	for (int o = 0; o < OUTCOMES; o++)
		json_object_set_new(j, outcome_names[o],
		    json_pack("{s:i, s:O}", "count", (int)r->count[o], "examples",
			r->example[o]));
	json_object_set_new(j, "cost", policy_costs_json(&r->costs));
	if (r->c->wants_json) {
		out_json(j);
		json_decref(j);
		return;
	}
	json_decref(j);
	printf("%u traces, %u of them without content; %u would be as they were\n",
	    r->seen, r->without_content, r->unchanged);
	for (int o = 0; o < OUTCOMES; o++) {
		if (r->count[o] == 0)
			continue;
		printf("  %-10s %u, as", outcome_names[o], r->count[o]);
		json_array_foreach(r->example[o], i, id)
		    printf(" %s", json_string_value(id));
		printf("\n");
	}
	policy_costs_print(&r->costs);
}

int
policy_replay_run(struct cli *c)
{
	struct replay r = { .c = c, .code = CLI_DONE };
	const lz_component *part;
	struct err e = { "" };
	int code;

	r.s = policy_open(c, c->operand[0], &r.opening, &e);
	if (r.s == NULL)
		return backend_fail(&e, r.opening.code);
	part = script_component(r.s);
	r.options =
	    cli_typed_options(c, part->options, part->option_count, part->option_size);
	for (int o = 0; o < OUTCOMES; o++)
		r.example[o] = json_array();
	code = replay_all(&r);
	if (code == CLI_DONE)
		tell_replay(&r);
	for (int o = 0; o < OUTCOMES; o++)
		json_decref(r.example[o]);
	json_decref(r.options);
	script_unref(r.s);
	return code;
}
