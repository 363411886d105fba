/* policy_document.c - what the command line shows to a script, as a document of
 * lua/fake.h.
 *
 * Texts are found in a body as the gateway finds them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/policy.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "guard/document.h"

enum {
	MEMORY_BYTES = 64 << 20
};

static json_t *
text_of(lz_str s)
{
	json_t *j = s.ptr != NULL ? json_stringn(s.ptr, s.len) : json_string("");

	return j != NULL ? j : json_string("(not UTF-8)");
}

static json_t *
text_shown(struct texts *all, struct text *t)
{
	static const char *const kinds[] = { "prose", "tool_arguments", "tool_result",
		"reasoning" };
	json_t *one = json_object();

	json_object_set_new(one, "text", text_of(t->shown.text));
	json_object_set_new(one, "kind",
	    json_string(kinds[t->shown.kind <= LZ_REASONING ? t->shown.kind : 0]));
	if (t->shown.role.ptr != NULL)
		json_object_set_new(one, "role", text_of(t->shown.role));
	if (t->shown.name.ptr != NULL)
		json_object_set_new(one, "name", text_of(t->shown.name));
	if (text_plain(all, t) && t->shown.plain.ptr != NULL &&
	    !str_eq(t->shown.plain, t->shown.text))
		json_object_set_new(one, "plain", text_of(t->shown.plain));
	return one;
}

/* An answer that was streamed is kept as a message alone. */
static void
wrap_message(json_t *body, struct buf *out)
{
	json_t *answer = json_pack("{s:[{s:O}]}", "choices", "message", body);
	char *text = json_dumps(answer, JSON_COMPACT);

	if (text != NULL)
		buf_add_z(out, text);
	mem_free(text);
	json_decref(answer);
}

static enum status
show_texts(json_t *document, enum document_kind kind, lz_str bytes, struct err *e)
{
	struct document d;
	struct arena *a = arena_new(MEMORY_BYTES);
	enum status st = a != NULL ? document_read(&d, kind, bytes, a) : ST_NOMEM;
	json_t *list;

	if (st == ST_OK) {
		list = json_array();
		for (size_t i = 0; i < d.texts.count; i++)
			json_array_append_new(
			    list, text_shown(&d.texts, &d.texts.item[i]));
		json_object_set_new(document, "texts", list);
	}
	arena_free(a);
	return st == ST_OK
		   ? ST_OK
		   : err_fail(e, st, "the body cannot be read: %s", status_name(st));
}

static void
show_request(json_t *document, json_t *body)
{
	static const char *const same[] = { "model", "user", "stream" };
	const json_t *most = json_object_get(body, "max_completion_tokens");

	json_object_set(document, "body", body);
	for (size_t i = 0; i < 3; i++)
		if (json_object_get(body, same[i]) != NULL)
			json_object_set(
			    document, same[i], json_object_get(body, same[i]));
	if (most == NULL)
		most = json_object_get(body, "max_tokens");
	if (json_is_integer(most))
		json_object_set(document, "max_output_tokens", (json_t *)(uintptr_t)most);
}

enum status
policy_show_body(json_t *document, lz_str bytes, bool is_answer, struct err *e)
{
	json_t *body = json_parse(bytes, e);
	enum document_kind kind = DOCUMENT_ANSWER;
	enum status st;
	struct buf wrapped;

	if (body == NULL)
		return ST_INVALID;
	if (!json_is_object(body)) {
		json_decref(body);
		return err_fail(e, ST_INVALID, "is no JSON object");
	}
	buf_init(&wrapped, POLICY_TEXT_BYTES);
	if (!is_answer) {
		kind = json_object_get(body, "input") != NULL &&
			       json_object_get(body, "messages") == NULL
			   ? DOCUMENT_EMBEDDINGS
			   : DOCUMENT_CHAT;
		show_request(document, body);
	} else if (json_object_get(body, "choices") == NULL) {
		wrap_message(body, &wrapped);
		bytes = buf_str(&wrapped);
	}
	st = show_texts(document, kind, bytes, e);
	buf_free(&wrapped);
	json_decref(body);
	return st;
}

/* ---- the command line ---- */

static int
wrong(const char *sentence)
{
	out_error("%s", sentence);
	return CLI_USAGE;
}

static int
read_json(const char *path, const char *option, lz_str *bytes, struct buf *in)
{
	struct err e = { "" };

	if (input_file(path, in, &e) != ST_OK) {
		out_error("--%s: %s", option, e.text);
		return CLI_FAILED;
	}
	*bytes = buf_str(in);
	return CLI_DONE;
}

static int
show_text(json_t *document, const char *text)
{
	struct err e = { "" };
	struct buf in;
	json_t *j;

	buf_init(&in, POLICY_TEXT_BYTES);
	if (strcmp(text, "-") != 0)
		buf_add_z(&in, text);
	else if (input_file("-", &in, &e) != ST_OK)
		buf_free(&in), in.failed = true;
	j = in.failed ? NULL : json_stringn(in.ptr != NULL ? in.ptr : "", in.len);
	buf_free(&in);
	if (j == NULL)
		return wrong("--text: is not UTF-8, or more than 4 MiB");
	json_object_set_new(document, "text", j);
	return CLI_DONE;
}

static int
show_body(json_t *document, const char *path, bool is_answer)
{
	struct err e = { "" };
	struct buf in;
	lz_str bytes;
	int code;

	buf_init(&in, POLICY_TEXT_BYTES);
	code = read_json(path, "body", &bytes, &in);
	if (code == CLI_DONE &&
	    policy_show_body(document, bytes, is_answer, &e) != ST_OK) {
		out_error("--body: %s: %s", path, e.text);
		code = CLI_USAGE;
	}
	buf_free(&in);
	return code;
}

static int
show_targets(json_t *document, const char *path)
{
	struct err e = { "" };
	struct buf in;
	json_t *list = NULL;
	lz_str bytes;
	int code;

	buf_init(&in, POLICY_TEXT_BYTES);
	code = read_json(path, "targets", &bytes, &in);
	if (code == CLI_DONE && (list = json_parse(bytes, &e)) == NULL) {
		out_error("--targets: %s: %s", path, e.text);
		code = CLI_USAGE;
	} else if (code == CLI_DONE && !json_is_array(list)) {
		json_decref(list);
		code = wrong("--targets: is no list; write [ { \"provider\": \"a\", "
			     "\"model\": \"b\", \"cost_eur\": 0.001 }, ... ]");
	} else if (code == CLI_DONE) {
		json_object_set_new(document, "targets", list);
	}
	buf_free(&in);
	return code;
}

static int
show_phase(const struct cli *c, json_t *document, bool *is_answer)
{
	const char *phase = cli_text(c, "phase");
	bool is_stream = cli_has(c, "stream-every");

	if (phase != NULL && strcmp(phase, "request") != 0 &&
	    strcmp(phase, "response") != 0) {
		out_error("--phase: \"%.60s\" is not request or response", phase);
		return CLI_USAGE;
	}
	if (is_stream && phase != NULL && strcmp(phase, "request") == 0)
		return wrong("--stream-every: only an answer is streamed");
	if (is_stream && cli_integer(c, "stream-every", 0) < 1)
		return wrong("--stream-every: 1 or more bytes");
	*is_answer = is_stream || (phase != NULL && strcmp(phase, "response") == 0);
	json_object_set_new(
	    document, "phase", json_string(*is_answer ? "response" : "request"));
	if (is_stream)
		json_object_set_new(document, "stream_every",
		    json_integer(cli_integer(c, "stream-every", 0)));
	return CLI_DONE;
}

int
policy_add_choices(const struct cli *c, const struct script *s, json_t *document)
{
	const lz_component *part = script_component(s);
	const char *targets = cli_text(c, "targets");
	bool is_router = policy_is_router(s);

	if (is_router && targets == NULL &&
	    json_array_size(json_object_get(document, "targets")) == 0)
		return wrong(
		    "--targets: is missing; a file with what a router may choose "
		    "from: [ { \"provider\": \"a\", \"model\": \"b\" }, ... ]");
	if (!is_router && targets != NULL)
		return wrong("--targets: are for routers; this is a guardrail");
	json_object_set_new(document, "options",
	    cli_typed_options(c, part->options, part->option_count, part->option_size));
	return targets != NULL ? show_targets(document, targets) : CLI_DONE;
}

static int
show_what(const struct cli *c, const struct script *s, json_t *document)
{
	const char *text = cli_text(c, "text"), *body = cli_text(c, "body");
	bool is_router = policy_is_router(s), is_answer;
	int code = show_phase(c, document, &is_answer);

	if (code != CLI_DONE)
		return code;
	if (is_router && is_answer)
		return wrong("--phase, --stream-every: a router sees requests only");
	if (text != NULL && body != NULL)
		return wrong("--text or --body: give one of them");
	if (text == NULL && body == NULL && !is_router)
		return wrong("say what it is to see: --text TEXT or --body FILE");
	if (body != NULL && cli_has(c, "stream-every"))
		return wrong("--stream-every: cuts a --text, not a --body");
	if (text != NULL)
		code = show_text(document, text);
	if (body != NULL)
		code = show_body(document, body, is_answer);
	return code == CLI_DONE ? policy_add_choices(c, s, document) : code;
}

json_t *
policy_document(const struct cli *c, const struct script *s, int *code)
{
	json_t *document = json_object();

	*code = show_what(c, s, document);
	if (*code == CLI_DONE)
		return document;
	json_decref(document);
	return NULL;
}

/* ---- traces ---- */

/* Who asked, as the trace knows it. */
static void
show_caller(json_t *document, const json_t *trace)
{
	static const char *const same[] = { "id", "key", "organization", "assistant",
		"user", "session" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		json_t *value = json_object_get(trace, same[i]);

		if (json_is_string(value))
			json_object_set(document, same[i], value);
	}
	if (json_is_string(json_object_get(trace, "model_asked")))
		json_object_set(document, "model", json_object_get(trace, "model_asked"));
	if (json_is_object(json_object_get(trace, "metadata")))
		json_object_set(document, "metadata", json_object_get(trace, "metadata"));
}

json_t *
policy_ranked_of(const json_t *trace)
{
	json_t *table = json_object_get(trace, "candidates"), *one;
	json_t *list = json_array();
	size_t i;

	for (json_int_t rank = 0; rank < (json_int_t)json_array_size(table) + 1; rank++)
		json_array_foreach(
		    table, i, one) if (json_object_get(one, "excluded") == NULL &&
				       json_get_int(one, "rank", -1) == rank)
		    json_array_append(list, one);
	return list;
}

/* As a router is shown them. owned */
static json_t *
targets_of(const json_t *trace)
{
	json_t *ranked = policy_ranked_of(trace), *list = json_array(), *one;
	size_t i;

	json_array_foreach(ranked, i, one)
	{
		json_int_t bound = json_get_int(one, "bound_nano_eur", -1);
		json_t *t =
		    json_pack("{s:O, s:O}", "provider", json_object_get(one, "provider"),
			"model", json_object_get(one, "model"));

		if (bound >= 0)
			json_object_set_new(
			    t, "cost_eur", json_real((double)bound / 1e9));
		json_array_append_new(list, t);
	}
	json_decref(ranked);
	return list;
}

json_t *
policy_document_of_trace(const json_t *trace, bool is_answer, struct err *e)
{
	const json_t *body = json_object_get(trace, is_answer ? "answer" : "request");
	json_t *document = json_object();
	char *bytes = json_is_object(body) ? json_dumps(body, JSON_COMPACT) : NULL;
	enum status st;

	if (bytes == NULL)
		st = err_fail(e, ST_NOT_FOUND,
		    "the trace has no %s; it is kept where log_content is full, for "
		    "retention.content",
		    is_answer ? "answer" : "prompt");
	else
		st = policy_show_body(document, lz_strz(bytes), is_answer, e);
	if (st == ST_OK) {
		json_object_set_new(
		    document, "phase", json_string(is_answer ? "response" : "request"));
		show_caller(document, trace);
		if (!is_answer)
			json_object_set_new(document, "targets", targets_of(trace));
	}
	mem_free(bytes);
	if (st == ST_OK)
		return document;
	json_decref(document);
	return NULL;
}
