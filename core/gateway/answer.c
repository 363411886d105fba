/* answer.c - status line, headers and last bytes, from what the request became.
 *
 * Headers go out by allow-list: what is written here and nothing of the provider's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/json.h"
#include "trace/trace.h"

enum {
	FIELDS = 24,
	VERDICTS_BYTES = 16384,
	HEADERS_LIMIT_BYTES =
	    1 << 20 /* larger answers go without the figures, as interfaces says */
};

struct fields {
	struct request *r;
	struct http_field f[FIELDS];
	size_t n;
};

static void
add(struct fields *h, const char *name, lz_str value)
{
	must(h->n < FIELDS);
	if (value.ptr != NULL)
		h->f[h->n++] = (struct http_field){ lz_strz(name), value };
}

static void
add_int(struct fields *h, const char *name, int64_t v)
{
	add(h, name, arena_int(h->r->arena, v));
}

/* As OpenAI writes them: "500ms", "1s", "6m0s". Never less than it is. */
static lz_str
duration(struct request *r, int64_t ms)
{
	int64_t s = (ms + 999) / 1000;

	if (ms < 1000)
		return arena_join(r->arena, arena_int(r->arena, ms), STR_LIT("ms"));
	if (s < 60)
		return arena_join(r->arena, arena_int(r->arena, s), STR_LIT("s"));
	return arena_printf(r->arena, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
}

static lz_str
euro(struct request *r, int64_t nano)
{
	char room[64];
	struct buf b = { .ptr = room, .cap = sizeof(room), .max_bytes = sizeof(room) };

	buf_add_nano(&b, nano);
	return arena_copy(r->arena, buf_str(&b));
}

/* Header values are ASCII: names from files may be anything. */
static lz_str
ascii(struct request *r, lz_str s)
{
	lz_str copy = arena_copy(r->arena, str_cut(s, 0, 256));

	for (size_t i = 0; i < copy.len; i++)
		if ((unsigned char)copy.ptr[i] < 0x20 ||
		    (unsigned char)copy.ptr[i] > 0x7e)
			((char *)(uintptr_t)copy.ptr)[i] = '?';
	return copy;
}

static void
add_rates(struct fields *h)
{
	struct request *r = h->r;

	if (r->rate_limit < 0)
		return;
	add_int(h, "x-ratelimit-limit-requests", r->rate_limit);
	add_int(h, "x-ratelimit-remaining-requests", r->rate_remaining);
	add(h, "x-ratelimit-reset-requests", duration(r, r->rate_reset_ms));
}

static void
add_route(struct fields *h)
{
	struct request *r = h->r;
	const struct attempt *a = r->attempt_count > 0 ? request_attempt(r) : NULL;

	if (a == NULL)
		return;
	add(h, "x-latenza-provider", ascii(r, a->target->provider->name));
	add(h, "x-latenza-model", ascii(r, a->target->model->id));
	if (r->strategy.ptr != NULL)
		add(h, "x-latenza-strategy", ascii(r, r->strategy));
	add_int(h, "x-latenza-attempts", (int64_t)r->attempt_count);
	if (r->max_tokens_sent > 0)
		add_int(h, "x-latenza-max-tokens", r->max_tokens_sent);
	if (a->dropped.len > 0)
		add(h, "x-latenza-dropped", a->dropped);
}

/* Request and answer came to the same: once is enough. */
static RARE bool
was_said(const struct request *r, const struct record_verdict *v)
{
	for (const struct record_verdict *w = r->verdict; w < v; w++)
		if (str_eq(w->guardrail, v->guardrail) && w->what == v->what)
			return true;
	return false;
}

static RARE void
say(const struct record_verdict *v, bool is_json, struct buf *out)
{
	if (out->len > 0)
		buf_add_z(out, is_json ? "," : ", ");
	buf_addf(out, is_json ? "\"%.*s=%s%s\"" : "%.*s=%s%s", STR_ARG(v->guardrail),
	    verdict_names[v->what], v->is_monitor ? ";monitor" : "");
}

/* "pii-mask=mask, injection=block;monitor": who found something, on the request or on the
 * answer as far as it was seen; of what one that monitors said nothing came. */
static lz_str
verdicts(const struct request *r, bool is_json)
{
	const struct record_verdict *v = r->verdict, *end = v + r->verdict_count;
	lz_str out = STR_NONE;
	struct buf b;

	buf_init(&b, VERDICTS_BYTES);
	for (; v < end; v++)
		if (v->what != VERDICT_PASS && !was_said(r, v))
			say(v, is_json, &b);
	if (b.len > 0 && !b.failed)
		out = arena_copy(r->arena, buf_str(&b));
	buf_free(&b);
	return out;
}

static void
add_figures(struct fields *h)
{
	struct request *r = h->r;
	int64_t cost = trace_cost(r);
	lz_budget b = { .size = sizeof b };

	if (cost >= 0)
		add(h, "x-latenza-cost-eur", euro(r, cost));
	add_int(h, "x-latenza-overhead-ms",
	    (clock_mono_us() - r->began.mono_us - r->waited_us) / 1000);
	if (r->shows_budget && r->ops->budget(r, REQUEST_ANY_BUDGET, &b))
		add(h, "x-latenza-budget-remaining-eur",
		    euro(r, b.limit > b.spent ? b.limit - b.spent : 0));
}

static void
start(struct fields *h, struct request *r, const char *type)
{
	h->r = r;
	h->n = 0;
	add(h, "content-type", lz_strz(type));
	add(h, "x-request-id", lz_strz(r->id_hex));
	add_rates(h);
	add_route(h);
	if (r->verdict_count > 0)
		add(h, "x-latenza-guardrails", verdicts(r, false));
}

/* ---- errors ---- */

static void
send_fault(struct request *r)
{
	const struct fault_row *row = fault_row(r->fault);
	char room[REQUEST_SHORT_BYTES];
	struct fields h;
	struct buf body;

	start(&h, r, "application/json");
	if (row->retry == RETRY_AFTER)
		add_int(&h, "retry-after",
		    r->retry_after_s > 0 ? r->retry_after_s : row->retry_after_s);
	if (row->retry == RETRY_NO)
		add(&h, "x-should-retry", STR_LIT("false"));
	buf_init(&body, 65536);
	request_fault_body(r, &body);
	exchange_reply(r->x, r->fault_status > 0 ? r->fault_status : row->status, h.f,
	    h.n, body.failed ? request_fault_short(r, room) : buf_str(&body));
	buf_free(&body);
}

/* ---- usage.latenza, for who asked with x-latenza-usage: include ---- */

static void
add_latenza(struct request *r, struct buf *b)
{
	const struct attempt *a = request_attempt(r);
	int64_t cost = trace_cost(r);

	buf_add_z(b, "\"latenza\":{\"provider\":");
	buf_add_json(b, a->target->provider->name);
	buf_add_z(b, ",\"model\":");
	buf_add_json(b, a->target->model->id);
	buf_add_z(b, ",\"cost_eur\":");
	if (cost >= 0)
		buf_add_nano(b, cost);
	else
		buf_add_z(b, "null");
	buf_addf(b, ",\"attempts\":%u,\"guardrails\":[", r->attempt_count);
	buf_add_str(b, verdicts(r, true));
	buf_add_z(b, "]}");
}

/* The text with latenza's member put into its usage object; the text itself when it has
 * none. */
static lz_str
with_latenza(struct request *r, lz_str text, struct buf *room)
{
	struct jscan scan;
	const struct jscan_member *m;
	const char *at;

	if (!r->wants_latenza_usage ||
	    jscan_object_of_any_size(text, &scan, NULL) != ST_OK)
		return text;
	m = jscan_find(&scan, "usage");
	if (m == NULL || m->type != JSCAN_OBJECT)
		return text;
	at = m->value.ptr + 1;
	buf_add(room, text.ptr, (size_t)(at - text.ptr));
	add_latenza(r, room);
	if (str_trim(str_cut(m->value, 1, m->value.len - 1)).len > 0)
		buf_add_char(room, ',');
	buf_add(room, at, (size_t)(text.ptr + text.len - at));
	return room->failed ? text : buf_str(room);
}

static void
send_whole(struct request *r)
{
	struct fields h;
	struct buf room;

	start(&h, r, "application/json");
	if (r->answer.len <= HEADERS_LIMIT_BYTES && r->attempt_count > 0)
		add_figures(&h);
	buf_init(&room, r->answer.len + 4096);
	exchange_reply(r->x, r->answer_status, h.f, h.n,
	    with_latenza(r, buf_str(&r->answer), &room));
	buf_free(&room);
}

/* ---- streams ---- */

void
answer_begin(struct request *r)
{
	struct fields h;

	start(&h, r, "text/event-stream; charset=utf-8");
	add(&h, "cache-control", STR_LIT("no-cache"));
	add(&h, "x-accel-buffering", STR_LIT("no"));
	exchange_begin(r->x, 200, h.f, h.n);
}

static void
finish_stream(struct request *r)
{
	struct buf b, room;

	if (r->is_cut) {
		exchange_cut(r->x);
		return;
	}
	buf_init(&b, r->last_bytes.len + r->usage_chunk.len + 8192);
	buf_init(&room, r->usage_chunk.len + 4096);
	buf_add_str(&b, r->last_bytes);
	if (!r->ends_in_error && r->usage_chunk.ptr != NULL) {
		buf_add_z(&b, "data: ");
		buf_add_str(&b, with_latenza(r, r->usage_chunk, &room));
		buf_add_z(&b, "\n\n");
	}
	if (!r->ends_in_error)
		buf_add_z(&b, "data: [DONE]\n\n");
	if (b.failed)
		exchange_cut(r->x);
	else
		exchange_finish(r->x, buf_str(&b));
	buf_free(&room);
	buf_free(&b);
}

void
answer_send(struct request *r)
{
	if (r->has_begun)
		finish_stream(r);
	else if (r->fault != FAULT_NONE)
		send_fault(r);
	else
		send_whole(r);
}

void
answer_json(struct request *r, int status, struct buf *body)
{
	if (body->failed || body->len == 0) {
		buf_free(body);
		request_fail(r, FAULT_OVERLOADED, NULL, "out of memory");
		return;
	}
	r->answer = *body;
	r->answer_status = status;
	buf_init(body, body->max_bytes);
}
