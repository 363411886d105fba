/* guardrail.c - `latenza guardrail ...`: what each guardrail does and for whom, and what
 * they make of a text.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/alone.h"
#include "cli/backend.h"
#include "cli/guardrail.h"
#include "cli/out.h"

enum {
	TEXT_BYTES = 500000, /* as JSON it must fit into a command */
	LINE_BYTES = 4096,
	HOLDER_BYTES = 2000
};

/* ---- for whom it holds ---- */

static void
add_names(const json_t *row, const char *place, const char *each, struct buf *out)
{
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(row, place), i, name)
	{
		if (out->len > 0)
			buf_add_z(out, ", ");
		buf_addf(out, "%s %s", each, json_string_value(name));
	}
}

void
guardrail_holders(const json_t *row, struct buf *out)
{
	bool is_default = json_is_true(json_object_get(row, "default_on"));

	if (is_default)
		buf_add_z(out, "everything");
	add_names(row, "organizations", "organization", out);
	add_names(row, "assistants", "assistant", out);
	add_names(row, "keys", "key", out);
	if (out->len == 0)
		buf_add_z(out, "nobody");
}

const char *
guardrail_phases(const json_t *row)
{
	const json_t *on = json_object_get(row, "on");

	if (json_array_size(on) == 2)
		return "request, response";
	return json_array_size(on) == 1 ? json_string_value(json_array_get(on, 0)) : "-";
}

/* ---- list ---- */

static void
add_row(struct out_table *t, const json_t *row)
{
	char ms[40], room[HOLDER_BYTES];
	struct buf holders = {
		.ptr = room, .cap = sizeof(room), .max_bytes = sizeof(room) - 1
	};

	out_cell(t, "%s", out_text(row, "guardrail"));
	out_cell(t, "%s",
	    json_is_string(json_object_get(row, "component")) ? out_text(row, "component")
							      : "not configured");
	out_cell(t, "%s", guardrail_phases(row));
	out_cell(t, "%s", out_text(row, "on_error"));
	out_cell(t, "%s", out_text(row, "mode"));
	out_cell(t, "%s", out_ms(out_real(row, "deadline_ms"), ms));
	out_cell(t, "%s", out_text(row, "stream"));
	guardrail_holders(row, &holders);
	out_cell(t, "%.*s", (int)holders.len, holders.ptr);
}

int
guardrail_list_run(struct cli *c)
{
	static const char *const titles[] = { "GUARDRAIL", "COMPONENT", "ON", "ON ERROR",
		"MODE", ">DEADLINE", "STREAM", "HOLDS FOR", NULL };
	json_t *result = NULL, *row;
	struct out_table t;
	size_t i;
	int code = backend_run(c, "guardrail.list", json_object(), &result);

	if (code == CLI_DONE && c->wants_json) {
		out_json(json_object_get(result, "guardrails"));
	} else if (code == CLI_DONE) {
		out_table(&t, titles);
		json_array_foreach(json_object_get(result, "guardrails"), i, row)
		    add_row(&t, row);
		out_print(&t);
	}
	json_decref(result);
	return code;
}

/* ---- test: what is shown ---- */

/* A text of several lines, as safe as a terminal needs it. */
static void
print_text(const char *text, const char *margin)
{
	char line[LINE_BYTES], safe[LINE_BYTES];

	while (*text != '\0') {
		size_t n = strcspn(text, "\n"), shown = n;

		if (shown >= sizeof(line))
			shown = sizeof(line) - 1;
		memcpy(line, text, shown);
		line[shown] = '\0';
		printf("%s%s\n", margin, out_safe(line, LINE_BYTES, safe, sizeof(safe)));
		text += n + (text[n] == '\n');
	}
}

static void
print_document(const json_t *document)
{
	char *text = json_dumps(document, JSON_INDENT(2));

	if (text != NULL)
		print_text(text, "  ");
	mem_free(text);
}

static void
print_detail(const char *what, const char *a, const char *between, const char *b)
{
	char safe[2][600];

	printf("    %s%-7s%s %s%s%s\n", out_on(OUT_DIM), what, out_on(OUT_PLAIN),
	    out_safe(a, 120, safe[0], sizeof(safe[0])), between,
	    out_safe(b, 300, safe[1], sizeof(safe[1])));
}

static void
print_edit(const json_t *edit)
{
	bool is_reveal = json_is_true(json_object_get(edit, "for_client_alone"));

	if (json_is_true(json_object_get(edit, "document")))
		print_detail("edit", "the document as a whole", "", "");
	else
		print_detail(is_reveal ? "reveal" : "edit",
		    json_string_value(json_object_get(edit, "was")), " -> ",
		    json_string_value(json_object_get(edit, "is")));
}

static const char *
text_or(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text != NULL ? text : "";
}

static void
print_verdict(const json_t *v)
{
	bool is_monitor = strcmp(out_text(v, "mode"), "monitor") == 0;
	const char *verdict = out_text(v, "verdict");
	bool is_bad = strcmp(verdict, "block") == 0 || strcmp(verdict, "error") == 0;
	const json_t *one;
	char ms[40];
	size_t i;

	printf("%-24s %s%-8s%s %10s%s\n", out_text(v, "guardrail"),
	    out_on(is_bad                         ? OUT_RED
		   : strcmp(verdict, "pass") == 0 ? OUT_GREEN
						  : OUT_YELLOW),
	    verdict, out_on(OUT_PLAIN), out_ms(out_real(v, "ms"), ms),
	    is_monitor ? "  monitor: nothing comes of it" : "");
	json_array_foreach(json_object_get(v, "reasons"), i, one)
	{
		const char *code = text_or(one, "code"),
			   *message = text_or(one, "message");

		print_detail("reason", code,
		    *code != '\0' && *message != '\0' ? "  " : "", message);
	}
	json_array_foreach(json_object_get(v, "edits"), i, one) print_edit(one);
}

static void
print_outcome(const json_t *r)
{
	const json_t *refused = json_object_get(r, "refused");
	bool is_fine = !json_is_object(refused);
	char safe[600];

	printf("\n%s%s%s%s", out_on(OUT_BOLD), out_on(is_fine ? OUT_GREEN : OUT_RED),
	    out_text(r, "outcome"), out_on(OUT_PLAIN));
	if (!is_fine)
		printf(": %lld %s: %s", (long long)json_get_int(refused, "status", 0),
		    out_text(refused, "code"),
		    out_safe(out_text(refused, "message"), 400, safe, sizeof(safe)));
	if (json_get_int(r, "pieces", -1) >= 0)
		printf(", %lld pieces went out", (long long)json_get_int(r, "pieces", 0));
	if (json_object_get(r, "model") != NULL)
		printf(
		    ", to %s", out_safe(out_text(r, "model"), 100, safe, sizeof(safe)));
	if (json_object_get(r, "max_output_tokens") != NULL)
		printf(", at most %lld tokens of output",
		    (long long)json_get_int(r, "max_output_tokens", 0));
	putchar('\n');
}

static void
print_result(const json_t *r)
{
	bool is_answer = strcmp(out_text(r, "phase"), "response") == 0;
	const char *text = text_or(r, "text"), *traced = text_or(r, "text_for_trace");
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(r, "verdicts"), i, v) print_verdict(v);
	print_outcome(r);
	if (*text != '\0' || json_object_get(r, "body") != NULL)
		printf("%sThe %s gets:%s\n", out_on(OUT_DIM),
		    is_answer ? "client" : "provider", out_on(OUT_PLAIN));
	print_text(text, "  ");
	if (json_object_get(r, "body") != NULL)
		print_document(json_object_get(r, "body"));
	if (*traced != '\0') {
		printf("%sThe trace has:%s\n", out_on(OUT_DIM), out_on(OUT_PLAIN));
		print_text(traced, "  ");
	}
}

/* Nothing of it would have passed, or one of them did not do its work. */
static bool
has_failed(const json_t *r)
{
	static const char *const bad[] = { "blocked", "failed", "refused", "again" };
	const json_t *v;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (strcmp(out_text(r, "outcome"), bad[i]) == 0)
			return true;
	json_array_foreach(json_object_get(r, "verdicts"), i, v)
	{
		if (strcmp(out_text(v, "verdict"), "error") == 0)
			return true;
	}
	return false;
}

/* ---- test: what is asked ---- */

static int
wrong(const char *what)
{
	out_error("guardrail test: %s", what);
	return CLI_USAGE;
}

/* The text or the body into args. */
static int
read_into(json_t *args, const char *path, const char *option, bool is_body)
{
	struct err e = { "" };
	struct buf in;
	json_t *j = NULL;
	int code = CLI_DONE;

	buf_init(&in, TEXT_BYTES);
	if (input_file(path, &in, &e) != ST_OK) {
		code = backend_fail(&e, CLI_FAILED);
	} else if (is_body) {
		j = json_parse(buf_str(&in), &e);
		if (j == NULL || !json_is_object(j)) {
			out_error(
			    "%s: %s", path, j == NULL ? e.text : "is no JSON object");
			json_decref(j);
			code = CLI_USAGE;
		}
	} else {
		j = json_stringn(in.len > 0 ? in.ptr : "", in.len);
		if (j == NULL) {
			out_error("--%s: is not UTF-8", option);
			code = CLI_USAGE;
		}
	}
	if (code == CLI_DONE)
		json_object_set_new(args, is_body ? "body" : "text", j);
	buf_free(&in);
	return code;
}

static int
read_what(const struct cli *c, json_t *args)
{
	const char *text = cli_text(c, "text"), *file = cli_text(c, "text-file"),
		   *body = cli_text(c, "body");

	if ((text != NULL) + (file != NULL) + (body != NULL) != 1)
		return wrong("say what is to be judged: one of --text TEXT, --text-file "
			     "FILE, --body FILE");
	if (body != NULL)
		return read_into(args, body, "body", true);
	if (file != NULL)
		return read_into(args, file, "text-file", false);
	if (strcmp(text, "-") == 0)
		return read_into(args, "-", "text", false);
	if (strlen(text) > TEXT_BYTES)
		return wrong("--text: is larger than 500000 bytes");
	if (json_object_set_new(args, "text", json_string(text)) != 0)
		return wrong("--text: is not UTF-8");
	return CLI_DONE;
}

static int
read_args(const struct cli *c, json_t *args)
{
	int code = read_what(c, args);
	json_t *names;

	if (cli_has(c, "key"))
		json_object_set_new(args, "key", json_string(cli_text(c, "key")));
	if (cli_has(c, "phase"))
		json_object_set_new(args, "phase", json_string(cli_text(c, "phase")));
	else if (cli_has(c, "stream-every"))
		json_object_set_new(args, "phase", json_string("response"));
	if (cli_has(c, "stream-every"))
		json_object_set_new(args, "stream_every",
		    json_integer(cli_integer(c, "stream-every", 0)));
	if (c->operand_count == 0)
		return code;
	names = json_array();
	for (unsigned i = 0; i < c->operand_count && code == CLI_DONE; i++)
		if (json_array_append_new(names, json_string(c->operand[i])) != 0)
			code = wrong("the name of a guardrail is not UTF-8");
	json_object_set_new(args, "names", names);
	return code;
}

static int
test(const struct cli *c, const char *at, bool is_alone, void *arg)
{
	json_t *args = arg, *result = NULL;
	int code = backend_run(c, "guardrail.test", json_incref(args), &result);

	(void)at;
	if (code != CLI_DONE && is_alone && cli_has(c, "key"))
		fprintf(stderr,
		    "latenza: note: no gateway runs; the one that was started "
		    "for this test knows the keys of the file alone\n");
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		print_result(result);
	if (code == CLI_DONE && has_failed(result))
		code = CLI_FAILED;
	json_decref(result);
	return code;
}

int
guardrail_test_run(struct cli *c)
{
	json_t *args = json_object();
	int code = read_args(c, args);

	if (code == CLI_DONE)
		code = alone_run(c, test, args);
	json_decref(args);
	return code;
}
