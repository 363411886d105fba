/* trace_view.c - one request's way through the gateway, drawn so that a person sees where
 * time and money went.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/trace_view.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/out.h"

enum {
	BAR_COLUMNS = 40,
	TEXT_COLUMNS = 300, /* of a prompt or answer, when not shown whole */
	UNRANKED_ROWS = 12  /* of candidates that are out */
};

static void
heading(const char *what, const char *sum)
{
	printf("\n%s%-58s%s%12s\n", out_on(OUT_BOLD), what, out_on(OUT_PLAIN), sum);
}

static void
field(const char *name, const char *value)
{
	char safe[600];

	if (strcmp(value, "-") != 0)
		printf("  %s%-10s%s %s\n", out_on(OUT_DIM), name, out_on(OUT_PLAIN),
		    out_safe(value, 400, safe, sizeof(safe)));
}

/* A value of any kind as one field. */
static void
field_tree(const char *name, const json_t *value)
{
	char *text;

	if (value == NULL || json_is_null(value))
		return;
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text != NULL)
		field(name, text);
	mem_free(text);
}

/* ---- head ---- */

static void
view_head(const json_t *t)
{
	int64_t status = json_get_int(t, "status", 0);
	const json_t *flag, *flags = json_object_get(t, "flags");
	char served[300], outcome[300];
	size_t i;

	printf("%s%s%s  %s\n", out_on(OUT_BOLD), out_text(t, "id"), out_on(OUT_PLAIN),
	    out_text(t, "at"));
	snprintf(outcome, sizeof(outcome), "%lld %s", (long long)status,
	    status == 200 ? out_text(t, "finish_reason") : out_text(t, "code"));
	printf("  %s%-10s %s%s", out_on(OUT_DIM), "outcome", out_on(OUT_PLAIN),
	    out_on(status < 300 ? OUT_GREEN : OUT_RED));
	printf("%s%s", outcome, out_on(OUT_PLAIN));
	json_array_foreach(flags, i, flag) printf(", %s", json_string_value(flag));
	putchar('\n');
	snprintf(served, sizeof(served), "%s/%s", out_text(t, "provider"),
	    out_text(t, "model"));
	field("key", out_text(t, "key"));
	field("user", out_text(t, "user"));
	field("session", out_text(t, "session"));
	field_tree("metadata", json_object_get(t, "metadata"));
	field("asked for", out_text(t, "model_asked"));
	field("served by", strcmp(served, "-/-") == 0 ? "-" : served);
	field("strategy", out_text(t, "strategy"));
}

/* ---- time ---- */

static void
repeat(const char *what, int n)
{
	while (n-- > 0)
		fputs(what, stdout);
}

/* `ms` of `total` in columns, rounded by `up`; a trace may say anything. */
static int
columns_of(double ms, double total, double up)
{
	double columns = total > 0 ? ms / total * BAR_COLUMNS + up : 0;

	if (!(columns > 0))
		return 0;
	return columns < BAR_COLUMNS ? (int)columns : BAR_COLUMNS;
}

/* A bar from `at` to `at + ms` of `total`; something that took time at all is seen. */
static void
draw_bar(double at, double ms, double total)
{
	int from = columns_of(at, total, 0), n = columns_of(ms, total, 0.5);

	if (from >= BAR_COLUMNS)
		from = BAR_COLUMNS - 1;
	if (n > BAR_COLUMNS - from)
		n = BAR_COLUMNS - from;
	repeat(" ", from);
	repeat(n == 0 ? "\xe2\x96\x8f" : "\xe2\x96\x88", n == 0 ? 1 : n);
	repeat(" ", BAR_COLUMNS - from - (n == 0 ? 1 : n));
}

static void
time_row(const char *name, double at, double ms, double total, const char *note)
{
	char text[40], safe[300];

	printf("  %-12s", name);
	draw_bar(at, ms, total);
	printf(" %12s  %s%s%s\n", out_ms(ms, text), out_on(OUT_DIM),
	    out_safe(note, 200, safe, sizeof(safe)), out_on(OUT_PLAIN));
}

static void
attempt_note(const json_t *a, char *out, size_t n)
{
	char ttft[40], first[80] = "";
	double ttft_ms = out_real(a, "ttft_ms");
	int64_t status = json_get_int(a, "status", 0);
	bool has_error = json_object_get(a, "error") != NULL;
	const char *credential = json_string_value(json_object_get(a, "credential"));
	char answered[24] = "", key[40] = "";

	if (ttft_ms > 0)
		snprintf(first, sizeof(first), ", first token after %s",
		    out_ms(ttft_ms, ttft));
	if (status > 0)
		snprintf(answered, sizeof(answered), " %lld", (long long)status);
	if (credential != NULL)
		snprintf(key, sizeof(key), " key %s", credential);
	snprintf(out, n, "%s/%s%s%s %s%s%s%s", out_text(a, "provider"),
	    out_text(a, "model"), key, answered, out_text(a, "end"), first,
	    has_error ? ": " : "", has_error ? out_text(a, "error") : "");
}

/* Attempts stand where they were sent; those of traces that do not say so yet follow each
 * other. What is left of the whole is the gateway's own and the client's. */
static void
view_time(const json_t *t)
{
	const json_t *attempts = json_object_get(t, "attempts"), *a;
	double total = out_real(t, "total_ms"), overhead = out_real(t, "overhead_ms"),
	       at = 0;
	char text[40], note[600], name[40];
	size_t i;

	heading("Where time went", out_ms(total, text));
	time_row("gateway", 0, overhead < 0 ? 0 : overhead, total, "key, policy, trace");
	at = overhead < 0 ? 0 : overhead;
	json_array_foreach(attempts, i, a)
	{
		double ms = out_real(a, "ms"), begin = out_real(a, "at_ms");

		attempt_note(a, note, sizeof(note));
		snprintf(name, sizeof(name), "attempt %zu", i + 1);
		time_row(name, begin >= 0 ? begin : at, ms < 0 ? 0 : ms, total, note);
		at += ms < 0 ? 0 : ms;
	}
}

/* ---- guardrails ---- */

static void
view_verdict(const json_t *v)
{
	const char *verdict = out_text(v, "verdict");
	bool is_bad = strcmp(verdict, "block") == 0 || strcmp(verdict, "error") == 0;
	const json_t *codes = json_object_get(v, "codes"), *code;
	char line[300] = "", ms[40], safe[300];
	enum out_style style = OUT_YELLOW;
	size_t i, len = 0;

	json_array_foreach(codes, i, code)
	{
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s",
		    i > 0 ? ", " : "", json_string_value(code));
		if (len >= sizeof(line))
			break;
	}
	if (strcmp(verdict, "pass") == 0)
		style = OUT_GREEN;
	else if (is_bad)
		style = OUT_RED;
	printf("  %-24.60s %-9s %s%-8s%s %12s  %s%s%s%s\n", out_text(v, "guardrail"),
	    out_text(v, "phase"), out_on(style), verdict, out_on(OUT_PLAIN),
	    out_ms(out_real(v, "ms"), ms), out_on(OUT_DIM),
	    strcmp(out_text(v, "mode"), "monitor") == 0 ? "(monitor) " : "",
	    out_safe(line, 200, safe, sizeof(safe)), out_on(OUT_PLAIN));
}

void
trace_view_guardrails(const json_t *t)
{
	const json_t *list = json_object_get(t, "guardrails"), *v;
	char count[40];
	size_t i;

	if (json_array_size(list) == 0)
		return;
	snprintf(count, sizeof(count), "%zu", json_array_size(list));
	heading("What guardrails said", count);
	json_array_foreach(list, i, v) view_verdict(v);
}

/* ---- candidates ---- */

static void
view_candidate(const json_t *c)
{
	const char *excluded = json_string_value(json_object_get(c, "excluded"));
	const char *why = json_string_value(json_object_get(c, "why"));
	char line[600], safe[600], score[40] = "", rank[12] = "-";
	int64_t more = json_get_int(c, "more", 0);

	if (more > 0) {
		printf("  %s%lld more: %s%s\n", out_on(OUT_DIM), (long long)more,
		    excluded != NULL ? out_safe(excluded, 40, safe, sizeof(safe)) : "",
		    out_on(OUT_PLAIN));
		return;
	}
	if (json_get_int(c, "rank", 0) > 0)
		snprintf(
		    rank, sizeof(rank), "%lld", (long long)json_get_int(c, "rank", 0));
	if (excluded == NULL && json_is_number(json_object_get(c, "score")))
		snprintf(score, sizeof(score), "score %.4g", out_real(c, "score"));
	snprintf(line, sizeof(line), "%s  %-40.40s  %s%s%s", rank, out_text(c, "model"),
	    excluded != NULL ? excluded : score, why != NULL && *why != '\0' ? ": " : "",
	    why != NULL ? why : "");
	printf("  %s%-12.12s%s %s\n", excluded != NULL ? out_on(OUT_DIM) : "",
	    out_text(c, "provider"), out_on(OUT_PLAIN),
	    out_safe(line, 200, safe, sizeof(safe)));
}

/* Those who may serve, in their order. */
static void
view_ranked(const json_t *list)
{
	const json_t *c;
	size_t i;

	for (size_t rank = 1; rank <= json_array_size(list); rank++)
		json_array_foreach(list, i, c)
		{
			if (json_get_int(c, "rank", 0) == (json_int_t)rank)
				view_candidate(c);
		}
}

/* The others; of a long list the first ones, and how many there are. */
static void
view_unranked(const json_t *list)
{
	size_t i, shown = 0, left = 0;
	const json_t *c;

	json_array_foreach(list, i, c)
	{
		if (json_get_int(c, "rank", 0) > 0)
			continue;
		if (shown < UNRANKED_ROWS)
			view_candidate(c);
		left += shown == UNRANKED_ROWS;
		shown += shown < UNRANKED_ROWS;
	}
	if (left > 0)
		printf("  and %zu more; -o json shows them\n", left);
}

void
trace_view_candidates(const json_t *t)
{
	const json_t *list = json_object_get(t, "candidates");
	char count[40];

	if (json_array_size(list) == 0)
		return;
	snprintf(count, sizeof(count), "%zu", json_array_size(list));
	heading("Who could serve it", count);
	view_ranked(list);
	view_unranked(list);
}

/* ---- money ---- */

/* "tokens" of one kind at a price, where there are any. */
static void
token_line(const char *kind, int64_t tokens, const json_t *charge, const char *price)
{
	int64_t pico = out_nano(charge, price);

	if (tokens == 0)
		return;
	if (pico < 0)
		printf("      %-12s %10lld tokens, no price\n", kind, (long long)tokens);
	else
		printf("      %-12s %10lld tokens at $%g per million\n", kind,
		    (long long)tokens, (double)pico / 1e6);
}

static void
view_charge(const json_t *c)
{
	const json_t *tokens = json_object_get(c, "tokens");
	int64_t rate = out_nano(c, "nano_eur_per_usd");
	char money[40], who[200], safe[200];

	snprintf(who, sizeof(who), "attempt %lld  %s/%s  %s",
	    (long long)json_get_int(c, "attempt", 0) + 1, out_text(c, "provider"),
	    out_text(c, "model"), out_text(c, "state"));
	printf("  %-56s%12s\n", out_safe(who, 56, safe, sizeof(safe)),
	    out_money(out_nano(c, "cost_nano_eur"), money));
	token_line("input", json_get_int(tokens, "input", 0), c, "price_input_pico_usd");
	token_line("cache read", json_get_int(tokens, "cache_read", 0), c,
	    "price_cache_read_pico_usd");
	token_line("cache write", json_get_int(tokens, "cache_write", 0), c,
	    "price_cache_write_pico_usd");
	token_line(
	    "output", json_get_int(tokens, "output", 0), c, "price_output_pico_usd");
	if (json_get_int(tokens, "reasoning", 0) > 0)
		printf("      of these %lld for reasoning\n",
		    (long long)json_get_int(tokens, "reasoning", 0));
	if (rate > 0 && out_nano(c, "cost_nano_eur") > 0)
		printf("      at %g EUR per USD of %s\n", (double)rate / 1e9,
		    out_text(c, "fx_date"));
}

static void
view_money(const json_t *t)
{
	const json_t *charges = json_object_get(t, "charges"), *c;
	char money[40];
	size_t i;

	heading("Where money went", out_money(out_nano(t, "cost_nano_eur"), money));
	json_array_foreach(charges, i, c) view_charge(c);
	if (json_array_size(charges) == 0)
		printf("  nothing was charged\n");
}

/* ---- what was said ---- */

static void
print_lines(const char *text, unsigned columns)
{
	char *safe = mem_alloc(4 * (size_t)columns + 8);

	if (safe == NULL)
		return;
	out_safe(text, columns, safe, 4 * (size_t)columns + 8);
	printf("%s%s\n", safe, strlen(text) > strlen(safe) ? "\xe2\x80\xa6" : "");
	mem_free(safe);
}

static void
view_text(const char *who, const json_t *content, bool is_whole)
{
	char *dumped = NULL;
	const char *text = json_string_value(content);

	if (text == NULL && content != NULL && !json_is_null(content))
		text = dumped = json_dumps(content, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text != NULL) {
		printf("  %s%-10s%s ", out_on(OUT_DIM), who, out_on(OUT_PLAIN));
		print_lines(text, is_whole ? (unsigned)strlen(text) : TEXT_COLUMNS);
	}
	mem_free(dumped);
}

/* A whole answer is the provider's object, a streamed one a message put together again.
 */
static const json_t *
answer_message(const json_t *answer)
{
	const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
	const json_t *message = json_object_get(choice, "message");

	return message != NULL ? message : answer;
}

static void
view_content(const json_t *t, bool is_whole)
{
	const json_t *request = json_object_get(t, "request"),
		     *answer = json_object_get(t, "answer");
	const json_t *message, *said;
	size_t i;

	heading("What was said", "");
	if ((request == NULL || json_is_null(request)) &&
	    (answer == NULL || json_is_null(answer))) {
		printf("  not kept\n");
		return;
	}
	json_array_foreach(json_object_get(request, "messages"), i, message) view_text(
	    out_text(message, "role"), json_object_get(message, "content"), is_whole);
	said = answer_message(answer);
	if (said == NULL)
		return;
	view_text("answer", json_object_get(said, "content"), is_whole);
	view_text("tools", json_object_get(said, "tool_calls"), is_whole);
	view_text("tools", json_object_get(said, "tool_call_chunks"), is_whole);
}

void
trace_view(const json_t *trace, bool with_content)
{
	view_head(trace);
	view_time(trace);
	trace_view_guardrails(trace);
	trace_view_candidates(trace);
	view_money(trace);
	view_content(trace, with_content);
}
