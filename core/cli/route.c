/* route.c - `latenza route explain`: who would serve a request, and why not the others.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/trace_view.h"

enum {
	BODY_BYTES = 1 << 20
};

/* The request that the options stand for. */
static json_t *
made_body(const struct cli *c)
{
	const char *text = cli_text(c, "text");
	json_t *body = json_pack("{ss, s[{ss, ss}]}", "model", cli_text(c, "model"),
	    "messages", "role", "user", "content", text != NULL ? text : "Hello");

	if (cli_has(c, "max-tokens")) /* nonsense is refused as in any request */
		json_object_set_new(
		    body, "max_tokens", json_integer(cli_integer(c, "max-tokens", 0)));
	if (cli_has(c, "stream"))
		json_object_set_new(body, "stream", json_true());
	return body;
}

static json_t *
read_body(const char *path)
{
	struct err e = { "" };
	json_t *body = NULL;
	struct buf text;

	buf_init(&text, BODY_BYTES);
	if (input_file(path, &text, &e) == ST_OK) {
		body = json_parse(buf_str(&text), &e);
		if (body != NULL && !json_is_object(body)) {
			json_decref(body);
			body = NULL;
			err_fail(&e, ST_INVALID, "is not a JSON object");
		}
		if (body == NULL)
			err_prefix(&e, "%s", path);
	}
	if (body == NULL)
		fprintf(stderr, "latenza: %s\n", e.text);
	buf_free(&text);
	return body;
}

/* The body of -f, or of the other options; NULL after saying what is wrong. */
static json_t *
find_body(const struct cli *c)
{
	static const char *const instead[] = { "model", "text", "max-tokens", "stream" };
	const char *file = cli_text(c, "file");

	for (size_t i = 0; file != NULL && i < sizeof(instead) / sizeof(instead[0]); i++)
		if (cli_has(c, instead[i])) {
			fprintf(stderr,
			    "latenza: route explain: -f holds the whole request; leave "
			    "--%s out\n",
			    instead[i]);
			return NULL;
		}
	if (file != NULL)
		return read_body(file);
	if (cli_text(c, "model") != NULL)
		return made_body(c);
	fprintf(stderr,
	    "latenza: route explain: say --model NAME, or -f FILE with a request\n");
	return NULL;
}

static void
print_table(const json_t *result)
{
	const json_t *refused = json_object_get(result, "refused");
	bool is_rerouted = json_is_string(json_object_get(result, "model_asked"));
	char strategy[100];

	printf("%s%s%s by %s, about %lld tokens of prompt\n", out_text(result, "model"),
	    is_rerouted ? " instead of " : "",
	    is_rerouted ? out_text(result, "model_asked") : "",
	    json_is_string(json_object_get(result, "strategy"))
		? out_safe(out_text(result, "strategy"), 60, strategy, sizeof(strategy))
		: "the order of the file",
	    (long long)json_get_int(result, "prompt_tokens", 0));
	trace_view_guardrails(result);
	trace_view_candidates(result);
	if (json_is_object(refused))
		printf("\nRefused: %lld %s: %s\n",
		    (long long)json_get_int(refused, "status", 0),
		    out_text(refused, "code"), out_text(refused, "message"));
}

int
route_explain_run(struct cli *c)
{
	json_t *args, *result = NULL, *body;
	int code;

	if (cli_text(c, "key") == NULL) {
		fprintf(stderr,
		    "latenza: route explain: say for whom, with --key ID; `latenza key "
		    "list` shows them\n");
		return CLI_USAGE;
	}
	body = find_body(c);
	if (body == NULL)
		return CLI_USAGE;
	args = json_pack("{ss, so}", "key", cli_text(c, "key"), "body", body);
	if (cli_text(c, "strategy") != NULL)
		json_object_set_new(
		    args, "strategy", json_string(cli_text(c, "strategy")));
	code = backend_run(c, "route.explain", args, &result);
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		print_table(result);
	json_decref(result);
	return code;
}
