/* guard_report.c - what guardrails made of a text, told to the command that asked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "gateway/guard_test.h"

enum {
	REASONS = 50, /* of one guardrail, different ones */
	EDITS = 200
};

/* Bytes that are no text are not told as some. */
static json_t *
string_of(lz_str s)
{
	json_t *j = str_is_utf8(s)
			? json_stringn_nocheck(s.ptr != NULL ? s.ptr : "", s.len)
			: NULL;

	return j != NULL ? j : json_string("\xef\xbf\xbd");
}

/* ---- while they are asked ---- */

/* Its list of that name; borrowed, NULL: out of memory. */
static json_t *
list_of(struct guard_test *t, const struct record_verdict *v, const char *name)
{
	json_t *own, *list;

	if (t->said == NULL)
		t->said = json_object();
	own = json_object_getn(t->said, v->guardrail.ptr, v->guardrail.len);
	if (own == NULL) {
		own = json_object();
		(void)json_object_setn_new(
		    t->said, v->guardrail.ptr, v->guardrail.len, own);
	}
	list = json_object_get(own, name);
	if (list == NULL) {
		list = json_array();
		if (json_object_set_new(own, name, list) != 0)
			list = NULL;
	}
	return list;
}

static bool
has(const json_t *list, const json_t *one)
{
	const json_t *other;
	size_t i;

	json_array_foreach(list, i, other)
	{
		if (json_equal(other, one))
			return true;
	}
	return false;
}

/* On a growing text the same reason comes again and again. */
static void
on_said(void *arg, const struct record_verdict *v, lz_str code, lz_str message)
{
	json_t *list = list_of(arg, v, "reasons");
	json_t *one = json_object();

	if (code.len > 0)
		(void)json_object_set_new(one, "code", string_of(code));
	if (message.len > 0)
		(void)json_object_set_new(one, "message", string_of(message));
	if (json_object_size(one) > 0 && json_array_size(list) < REASONS &&
	    !has(list, one))
		(void)json_array_append(list, one);
	json_decref(one);
}

static void
on_edited(
    void *arg, const struct record_verdict *v, lz_str was, lz_str is, bool is_reveal)
{
	json_t *list = list_of(arg, v, "edits");
	json_t *one;

	if (json_array_size(list) >= EDITS)
		return;
	one = json_object();
	if (was.ptr == NULL && is.ptr == NULL) {
		(void)json_object_set_new(one, "document", json_true());
	} else {
		(void)json_object_set_new(one, "was", string_of(was));
		(void)json_object_set_new(one, "is", string_of(is));
	}
	if (is_reveal)
		(void)json_object_set_new(one, "for_client_alone", json_true());
	(void)json_array_append_new(list, one);
}

void
guard_test_watch(struct guard_test *t)
{
	t->watch = (struct guard_watch){ on_said, on_edited, t };
}

/* ---- when they have been ---- */

static json_t *
codes_of(lz_str codes)
{
	json_t *list = json_array();

	while (codes.len > 0) {
		ptrdiff_t comma = str_find(codes, ',');
		size_t end = comma < 0 ? codes.len : (size_t)comma;

		(void)json_array_append_new(list, string_of(str_cut(codes, 0, end)));
		codes = str_cut(codes, end + 1, codes.len);
	}
	return list;
}

static json_t *
verdict_shown(const struct guard_test *t, const struct record_verdict *v)
{
	const json_t *own = json_object_getn(t->said, v->guardrail.ptr, v->guardrail.len);
	json_t *j = json_object(), *empty = json_array();
	json_t *reasons = json_object_get(own, "reasons"),
	       *edits = json_object_get(own, "edits");

	(void)json_object_set_new(j, "guardrail", string_of(v->guardrail));
	(void)json_object_set_new(j, "verdict", json_string(verdict_names[v->what]));
	(void)json_object_set_new(
	    j, "mode", json_string(v->is_monitor ? "monitor" : "enforce"));
	(void)json_object_set_new(j, "codes", codes_of(v->codes));
	(void)json_object_set(j, "reasons", reasons != NULL ? reasons : empty);
	(void)json_object_set(j, "edits", edits != NULL ? edits : empty);
	(void)json_object_set_new(j, "checks", json_integer(v->checks));
	(void)json_object_set_new(j, "ms", json_real((double)v->took_us / 1000.0));
	json_decref(empty);
	return j;
}

static bool
has_verdict(const struct request *r, enum verdict_kind what)
{
	for (size_t i = 0; i < r->verdict_count; i++)
		if (!r->verdict[i].is_monitor && r->verdict[i].what == what)
			return true;
	return false;
}

static const char *
outcome_of(const struct guard_test *t, const struct request *r)
{
	if (r->fault == FAULT_CONTENT_POLICY)
		return "blocked";
	if (r->fault == FAULT_POLICY)
		return "failed";
	if (r->fault != FAULT_NONE)
		return "refused";
	if (t->wants_again)
		return "again";
	if (guard_has_rerouted(r))
		return "rerouted";
	if (has_verdict(r, VERDICT_MASK))
		return "masked";
	return has_verdict(r, VERDICT_FLAG) ? "flagged" : "passed";
}

static json_t *
refusal_shown(const struct request *r)
{
	const struct fault_row *row = fault_row(r->fault);
	json_t *j;

	if (r->fault == FAULT_NONE)
		return json_null();
	j = json_object();
	(void)json_object_set_new(j, "status",
	    json_integer(r->fault_status > 0 ? r->fault_status : row->status));
	(void)json_object_set_new(
	    j, "code", row->code != NULL ? json_string(row->code) : json_null());
	(void)json_object_set_new(j, "message", string_of(r->fault_message));
	return j;
}

/* The text where it was put. */
static json_t *
text_in(const json_t *document, bool is_answer)
{
	const json_t *list =
	    json_object_get(document, is_answer ? "choices" : "messages");
	const json_t *one = json_array_get(list, 0);

	if (is_answer)
		one = json_object_get(one, "message");
	return json_object_get(one, "content");
}

/* What goes on of a whole document: its text, or, asked with one, all of it. */
static void
set_document(const struct guard_test *t, json_t *out, const char *text_name,
    const char *body_name, const struct buf *b)
{
	json_t *document = json_parse(buf_str(b), NULL), *text;

	if (document == NULL)
		json_note_dry();
	text = text_in(document, t->is_answer);
	if (!t->has_body && json_is_string(text))
		(void)json_object_set(out, text_name, text);
	else
		(void)json_object_set(out, body_name, document);
	json_decref(document);
}

static void
set_streamed(const struct guard_test *t, json_t *out)
{
	if (t->out.failed || t->for_trace.failed)
		json_note_dry();
	(void)json_object_set_new(out, "text", string_of(buf_str(&t->out)));
	if (!str_eq(buf_str(&t->out), buf_str(&t->for_trace)))
		(void)json_object_set_new(
		    out, "text_for_trace", string_of(buf_str(&t->for_trace)));
	(void)json_object_set_new(out, "pieces", json_integer(t->pieces));
}

static void
set_result(const struct guard_test *t, const struct request *r, json_t *out)
{
	if (t->stream != NULL) {
		set_streamed(t, out);
		return;
	}
	if (r->fault != FAULT_NONE || t->wants_again)
		return;
	set_document(t, out, "text", "body", t->is_answer ? &r->answer : &r->body);
	if (r->answer_for_trace.len > 0)
		set_document(
		    t, out, "text_for_trace", "body_for_trace", &r->answer_for_trace);
	if (guard_has_rerouted(r))
		(void)json_object_set_new(out, "model", string_of(r->model));
	if (r->output_limit != t->output_limit)
		(void)json_object_set_new(
		    out, "max_output_tokens", json_integer(r->output_limit));
}

static json_t *
report(const struct guard_test *t, const struct request *r)
{
	json_t *out = json_object(), *verdicts = json_array();

	for (size_t i = 0; i < r->verdict_count; i++)
		(void)json_array_append_new(verdicts, verdict_shown(t, &r->verdict[i]));
	(void)json_object_set_new(
	    out, "phase", json_string(t->is_answer ? "response" : "request"));
	(void)json_object_set_new(out, "outcome", json_string(outcome_of(t, r)));
	(void)json_object_set_new(out, "verdicts", verdicts);
	(void)json_object_set_new(out, "refused", refusal_shown(r));
	set_result(t, r, out);
	return out;
}

void
guard_test_report(struct asked *a, struct request *r)
{
	struct guard_test *t = (struct guard_test *)(void *)a;

	if (!t->is_asked || r->fault == FAULT_CLIENT_GONE)
		a->st =
		    err_fail(&a->e, r->fault == FAULT_CLIENT_GONE ? ST_GONE : ST_INVALID,
			"%.*s", STR_ARG(r->fault_message));
	else
		a->result = report(t, r);
	guard_stream_free(t->stream);
	t->stream = NULL;
	json_decref(t->said);
	t->said = NULL;
}
