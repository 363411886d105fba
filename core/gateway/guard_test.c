/* guard_test.c - a command's question: what do guardrails make of this text?
 *
 * They are asked as they are for a client: of a request that holds the text, of an answer
 * that does, or of one that arrives piece by piece. Nobody else is: there is no provider,
 * no money and no trace. What guardrails ask for themselves (a moderation endpoint, a
 * hook) they do ask.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/guard_test.h"

#include "base/json.h"
#include "base/mem.h"
#include "gateway/requests.h"
#include "gateway/stages.h"
#include "guard/guard.h"
#include "key/stage.h"
#include "request/texts.h"

static const char any_model[] = "guardrail-test"; /* where the file lists none */

static struct guard_test *
test_of(const struct request *r)
{
	return (struct guard_test *)(void *)r->asked;
}

/* ---- what is asked about ---- */

static lz_str
some_model(const struct request *r)
{
	return r->config->target_count > 0 ? r->config->target[0].model->id
					   : lz_strz(any_model);
}

static void
write_request(const struct guard_test *t, struct request *r, lz_str text)
{
	struct buf *b = &r->body;

	buf_init(b, 8 * GATEWAY_QUESTION_BYTES);
	buf_add_z(b, "{\"model\":");
	buf_add_json(b, some_model(r));
	if (t->stream_every > 0)
		buf_add_z(b, ",\"stream\":true");
	buf_add_z(b, ",\"messages\":[{\"role\":\"user\",\"content\":");
	buf_add_json(b, text);
	buf_add_z(b, "}]}");
}

static void
write_answer(struct request *r, lz_str text)
{
	struct buf *b = &r->answer;

	buf_init(b, 8 * GATEWAY_QUESTION_BYTES);
	buf_add_z(b, "{\"id\":\"chatcmpl-test\",\"object\":\"chat.completion\","
		     "\"created\":0,\"model\":");
	buf_add_json(b, some_model(r));
	buf_add_z(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
		     "\"content\":");
	buf_add_json(b, text);
	buf_add_z(b, "},\"finish_reason\":\"stop\"}]}");
}

/* Before an answer there was a request; this one says nothing. */
static void
begin(struct asked *a, struct request *r)
{
	struct guard_test *t = (struct guard_test *)(void *)a;

	r->ops = guard_test_ops();
	r->route = guard_test_route();
	r->kind = t->is_embeddings ? REQUEST_EMBEDDINGS : REQUEST_CHAT;
	if (a->key == NULL)
		r->caller = (struct caller){ .key = lz_strz(any_model),
			.organization = STR_LIT("default") };
	if (t->is_answer && !t->has_body)
		write_answer(r, buf_str(&t->text));
	else if (t->is_answer)
		r->answer = t->text; /* moved */
	if (t->is_answer || !t->has_body)
		write_request(t, r, t->is_answer ? STR_LIT("") : buf_str(&t->text));
	else
		r->body = t->text;
	if (t->has_body)
		buf_init(&t->text, 0);
}

/* ---- an answer that grows ---- */

static void
on_text(void *arg, unsigned choice, lz_str member, lz_str text, lz_str for_trace)
{
	struct guard_test *t = arg;

	(void)choice;
	(void)member;
	buf_add_str(&t->out, text);
	buf_add_str(&t->for_trace, for_trace);
	t->pieces++;
}

static void
on_piece(
    void *arg, unsigned choice, enum guard_place place, lz_str object, lz_str for_trace)
{
	(void)arg;
	(void)choice;
	(void)place;
	(void)object;
	(void)for_trace;
}

/* The next piece, cut between characters. false: it is too much. */
static bool
feed(struct guard_test *t)
{
	lz_str text = buf_str(&t->text), piece;
	size_t end = t->at + (size_t)t->stream_every;

	if (end > text.len)
		end = text.len;
	while (!text_is_edge(text, end))
		end++;
	piece = str_cut(text, t->at, end);
	t->at = end;
	if (!guard_stream_text(t->stream, 0, STR_LIT("content"), piece))
		return false;
	t->is_end = end == text.len;
	if (t->is_end)
		guard_stream_final(t->stream, 0);
	return true;
}

static enum step
run_stream(struct guard_test *t, bool has_waited)
{
	struct request *r = t->asked.r;

	for (; has_waited || !t->is_end; has_waited = false) {
		if (!has_waited && !feed(t))
			return request_fail(r, FAULT_OVERLOADED, NULL,
			    "the answer is more than can be checked at once");
		switch (guard_stream_run(t->stream, t->is_end)) {
		case GUARD_WAITS:
			return STEP_WAIT;
		case GUARD_REFUSED:
			return STEP_FAULT;
		case GUARD_RAN:
			break;
		}
	}
	return STEP_DONE;
}

static void
stream_goes_on(void *arg)
{
	struct guard_test *t = arg;
	enum step s = run_stream(t, true);

	if (s != STEP_WAIT)
		request_go_on(t->asked.r, s);
}

static enum step
begin_stream(struct guard_test *t, struct request *r)
{
	static const struct guard_stream_ops ops = { on_text, on_piece, stream_goes_on };

	buf_init(&t->out, 8 * GATEWAY_QUESTION_BYTES);
	buf_init(&t->for_trace, 8 * GATEWAY_QUESTION_BYTES);
	t->stream = guard_stream_new(r, &ops, t);
	if (t->stream == NULL)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	return run_stream(t, false);
}

/* ---- the stages ---- */

/* Who was sent to another model has to be allowed it. */
static enum step
check_reroute(struct request *r)
{
	if (r->key != NULL && guard_has_rerouted(r))
		return key_check_model(r);
	return STEP_NEXT;
}

/* What comes of whole texts. */
static enum step
concluded(struct request *r, enum step s)
{
	struct guard_test *t = test_of(r);

	t->wants_again |= s == STEP_RETRY;
	if (s == STEP_NEXT)
		s = check_reroute(r);
	return s == STEP_FAULT || s == STEP_WAIT ? s : STEP_DONE;
}

static enum step
read_body(struct request *r)
{
	if (r->body.failed || r->answer.failed)
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	return r->kind == REQUEST_EMBEDDINGS ? request_read_embeddings(r)
					     : request_read(r);
}

static enum step
choose(struct request *r)
{
	struct guard_test *t = test_of(r);
	const struct key_terms *terms = r->terms;

	if (t->names.count > 0)
		return guard_choose_only(r, &t->names);
	return guard_choose(r, terms != NULL ? terms->guardrails : NULL,
	    terms != NULL ? terms->guardrail_lists : 0);
}

static enum step
check_who(struct request *r)
{
	struct guard_test *t = test_of(r);
	const char *of = t->is_answer ? "answers" : "requests";

	if (r->guards == NULL && r->key == NULL)
		return request_fail(r, FAULT_BAD_REQUEST, NULL,
		    "no guardrail is default_on: say which ones are to be asked, or "
		    "for which key");
	if (r->guards == NULL)
		return request_fail(r, FAULT_BAD_REQUEST, NULL,
		    "no guardrail holds for the key '%.*s'", STR_ARG(r->key->id));
	if (!guard_looks_at(r, t->is_answer ? LZ_RESPONSE : LZ_REQUEST))
		return request_fail(r, FAULT_BAD_REQUEST, NULL,
		    "none of the guardrails that hold looks at %s", of);
	return STEP_NEXT;
}

static enum step
ask(struct request *r)
{
	struct guard_test *t = test_of(r);
	enum step s = choose(r);

	if (s == STEP_NEXT)
		s = check_who(r);
	if (s != STEP_NEXT)
		return s;
	if (r->terms != NULL)
		r->output_limit = r->terms->max_output_tokens;
	t->output_limit = r->output_limit;
	t->is_asked = true;
	guard_watch(r, &t->watch);
	if (t->stream_every > 0)
		return begin_stream(t, r);
	/* Who wants another attempt wants one after this. */
	if (t->is_answer && !request_may_add_attempt(r))
		return request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
	if (t->is_answer)
		request_add_attempt(r);
	s = t->is_answer ? guard_answer(r) : guard_request(r);
	return concluded(r, s);
}

static void
go_on(struct request *r, enum step s)
{
	stages_ops.go_on(r, concluded(r, s));
}

static bool
budget(struct request *r, uint32_t scope, lz_budget *out)
{
	return r->terms != NULL && stages_ops.budget(r, scope, out);
}

const struct request_ops *
guard_test_ops(void)
{
	static const struct request_ops ops = {
		.go_on = go_on, .budget = budget, .let_go = requests_let_go
	};

	return &ops;
}

const struct route *
guard_test_route(void)
{
	static const struct stage stages[] = { { "read", read_body, NULL },
		{ "guardrails", ask, NULL }, { NULL, NULL, NULL } };
	static const struct route route = { "guardrail test", HTTP_POST, "", REQUEST_CHAT,
		true, true, stages, NULL };

	return &route;
}

/* ---- asked ---- */

static void
forget(struct asked *a)
{
	struct guard_test *t = (struct guard_test *)(void *)a;

	buf_free(&t->text);
	buf_free(&t->out);
	buf_free(&t->for_trace);
	mem_free(t->room);
	mem_free((void *)(uintptr_t)t->names.name);
	mem_free(t);
}

/* The names, copied: the list is borrowed. false: out of memory. */
static bool
copy_names(struct guard_test *t, const json_t *list)
{
	size_t n = json_array_size(list), bytes = 1, at = 0;
	lz_str *name = mem_calloc(n + 1, sizeof(*name));

	for (size_t i = 0; i < n; i++)
		bytes += json_string_length(json_array_get(list, i));
	t->names.name = name;
	t->room = mem_alloc(bytes);
	if (name == NULL || t->room == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(list, i);

		name[i] = lz_strn(t->room + at, json_string_length(one));
		memcpy(t->room + at, json_string_value(one), name[i].len);
		at += name[i].len;
	}
	t->names.count = n;
	return true;
}

void
gateway_guard_test(struct gateway *g, const struct gateway_guard_question *q,
    gateway_heard_fn *heard, void *arg)
{
	static const struct asked_ops ops = { begin, NULL, guard_test_report, forget };
	struct guard_test *t = mem_zalloc(sizeof(*t));
	struct err e;
	bool is_fine;

	if (t == NULL) {
		heard(arg, err_fail(&e, ST_NOMEM, "out of memory"), NULL, &e);
		return;
	}
	t->asked = (struct asked){ .ops = &ops, .heard = heard, .arg = arg };
	t->is_answer = q->is_answer;
	t->stream_every = q->stream_every;
	t->has_body = q->body != NULL;
	t->is_embeddings = !q->is_answer && json_object_get(q->body, "input") != NULL;
	guard_test_watch(t);
	buf_init(&t->text, GATEWAY_QUESTION_BYTES);
	if (!t->has_body)
		buf_add_str(&t->text, q->text);
	is_fine = !t->has_body || json_print(q->body, &t->text);
	if (!is_fine || t->text.failed)
		asked_fail(
		    &t->asked, err_fail(&t->asked.e, ST_LIMIT, "%s: is larger than 1 MiB",
				   t->has_body ? "body" : "text"));
	else if (!copy_names(t, q->names))
		asked_fail(&t->asked, err_fail(&t->asked.e, ST_NOMEM, "out of memory"));
	else
		asked_start(g, q->key, &t->asked);
}
