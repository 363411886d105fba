/* request.c - small verbs over struct request: failing it, its headers, the body of an
 * error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/request.h"

#include <stdarg.h>
#include <stdio.h>
#include "request/live.h"

enum {
	MESSAGE_BYTES = 600
};

static const char *const exclusion_names[EXCLUSION_COUNT] = {
	[EXCLUDED_NOT] = "",
	[EXCLUDED_NOT_ALLOWED] = "model_not_allowed",
	[EXCLUDED_TEST] = "test_key",
	[EXCLUDED_UNPRICED] = "model_unpriced",
	[EXCLUDED_CAPABILITY] = "unsupported_capability",
	[EXCLUDED_CONTEXT] = "context_length_exceeded",
	[EXCLUDED_BUDGET] = "budget",
	[EXCLUDED_HEALTH] = "unhealthy",
	[EXCLUDED_KIND] = "wrong_kind",
	[EXCLUDED_ROUTER] = "not_preferred",
	[EXCLUDED_TRIED] = "failed_already",
	[EXCLUDED_RETRIES] = "retry_budget",
};

static const struct request_kind_row kinds[REQUEST_KINDS] = {
	[REQUEST_CHAT] = { STR_LIT("chat"), STR_LIT("/chat/completions"), "a chat model",
	    "messages" },
	[REQUEST_EMBEDDINGS] = { STR_LIT("embeddings"), STR_LIT("/embeddings"),
	    "an embedding model", "input" },
};

const struct request_kind_row *
request_kind(const struct request *r)
{
	must(r->kind < REQUEST_KINDS);
	return &kinds[r->kind];
}

const char *
exclusion_name(enum exclusion x)
{
	must(x < EXCLUSION_COUNT);
	return exclusion_names[x];
}

enum step
request_fail(struct request *r, enum fault f, const char *param, const char *fmt, ...)
{
	char text[MESSAGE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->fault = f;
	r->fault_message = arena_copy(r->arena, lz_strz(text));
	if (r->fault_message.ptr == NULL)
		r->fault_message = STR_LIT("out of memory");
	r->fault_param = param != NULL ? arena_copy(r->arena, lz_strz(param)) : STR_NONE;
	return STEP_FAULT;
}

lz_str
request_owner(const struct request *r, uint32_t scope)
{
	lz_str said = STR_NONE;

	if (scope == LZ_OF_ASSISTANT)
		said = arena_printf(
		    r->arena, "the assistant '%.*s'", STR_ARG(r->caller.assistant));
	else if (scope == LZ_OF_ORGANIZATION)
		said = arena_printf(
		    r->arena, "the organization '%.*s'", STR_ARG(r->caller.organization));
	return said.ptr != NULL ? said : STR_LIT("this key");
}

void
request_go_on(struct request *r, enum step s)
{
	r->ops->go_on(r, s);
}

lz_str
request_header(const struct request *r, const char *name)
{
	const lz_str *v = r->x != NULL ? http1_field(&r->x->head, name) : NULL;

	return v != NULL ? *v : STR_NONE;
}

bool
request_may_add_attempt(struct request *r)
{
	struct attempt **a = &r->attempt[r->attempt_count];

	must(r->attempt_count < REQUEST_ATTEMPTS);
	if (*a == NULL)
		*a = arena_room(r->arena, sizeof **a);
	return *a != NULL;
}

struct attempt *
request_add_attempt(struct request *r)
{
	struct attempt *a = r->attempt[r->attempt_count];

	*a = (struct attempt){ .number = r->attempt_count++ };
	return a;
}

struct attempt *
request_attempt(struct request *r)
{
	must(r->attempt_count > 0);
	return r->answering != NULL ? r->answering : r->attempt[r->attempt_count - 1];
}

bool
request_may_think_unseen(const struct request *r, const struct model_facts *m)
{
	return r->kind == REQUEST_CHAT && r->is_stream && r->max_tokens < 0 &&
	       r->output_limit < 0 && (m->capabilities & LZ_CAN_REASON) != 0 &&
	       m->max_output_tokens > 0;
}

bool
request_is_under_way(const struct request *r)
{
	for (unsigned i = 0; i < r->attempt_count; i++)
		if (r->attempt[i]->is_under_way)
			return true;
	return false;
}

void
request_probe_ended(struct attempt *a, int64_t now_us, bool has_failed)
{
	if (a->is_probe)
		live_probe_ended(a->live, now_us, has_failed);
	a->is_probe = false;
}

void
request_probe_answers(struct attempt *a)
{
	if (a->is_probe)
		live_probe_answers(a->live);
	a->is_probe = false;
}

void
request_drop_attempt(struct attempt *a)
{
	request_probe_ended(a, 0, false);
	if (a->is_live)
		live_dropped(a->live);
	a->is_live = false;
}

static void
add_string_or_null(struct buf *out, lz_str s)
{
	if (s.ptr == NULL)
		buf_add_z(out, "null");
	else
		buf_add_json(out, s);
}

/* error.latenza: what only we can say; SDKs ignore members that they do not know. */
static void
add_latenza(const struct request *r, struct buf *out)
{
	buf_add_z(out, ",\"latenza\":{\"request_id\":\"");
	buf_add_z(out, r->id_hex);
	buf_add_char(out, '"');
	if (r->refused_by.len > 0) {
		buf_add_z(out, ",\"guardrail\":");
		buf_add_json(out, r->refused_by);
	}
	buf_add_z(out, ",\"attempts\":[");
	for (unsigned i = 0; i < r->attempt_count; i++) {
		const struct attempt *a = r->attempt[i];

		buf_add_z(out, i > 0 ? ",{\"provider\":" : "{\"provider\":");
		buf_add_json(out, a->target->provider->name);
		buf_add_z(out, ",\"model\":");
		buf_add_json(out, a->target->model->id);
		buf_addf(out, ",\"status\":%d,\"end\":\"%s\"}", a->status,
		    a->end != NULL ? a->end : "");
	}
	buf_add_z(out, "]}");
}

void
request_fault_body(const struct request *r, struct buf *out)
{
	const struct fault_row *row = fault_row(r->fault);
	lz_str code = r->fault_code.ptr != NULL ? r->fault_code : lz_strz(row->code);

	buf_add_z(out, "{\"error\":{\"message\":");
	buf_add_json(out, r->fault_message);
	buf_add_z(out, ",\"type\":");
	buf_add_json(out, lz_strz(row->type));
	buf_add_z(out, ",\"param\":");
	add_string_or_null(out, r->fault_param);
	buf_add_z(out, ",\"code\":");
	add_string_or_null(out, code);
	if (r->attempt_count > 0 || r->refused_by.len > 0)
		add_latenza(r, out);
	buf_add_z(out, "}}");
}

lz_str
request_fault_short(const struct request *r, char room[REQUEST_SHORT_BYTES])
{
	const struct fault_row *row = fault_row(r->fault);
	const char *quote = row->code != NULL ? "\"" : "";

	(void)snprintf(room, REQUEST_SHORT_BYTES,
	    "{\"error\":{\"message\":\"out of memory for the reason\",\"type\":\"%s\","
	    "\"param\":null,\"code\":%s%s%s}}",
	    row->type, quote, row->code != NULL ? row->code : "null", quote);
	return lz_strz(room);
}
