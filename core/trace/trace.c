/* trace.c - the slim record of a request, and its content.
 *
 * The record is what must never be lost: who, what, how long, how much. Prompts, answers
 * and the candidate table are best effort and go another way (store/storage.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "trace/trace.h"

#include "base/metric.h"
#include "request/credential.h"

enum {
	ATTEMPT_LIST_BYTES = 16384 /* as many attempts as there may be, with errors */
};

static const char *const states[] = { "open", "actual", "estimated", "released",
	"uncertain", "unpriced" };

int64_t
trace_cost(const struct request *r)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < r->attempt_count; i++) {
		const struct attempt *a = r->attempt[i];

		if (a->state == CHARGE_UNPRICED)
			return -1;
		if (a->cost_nano_eur > 0)
			sum += a->cost_nano_eur;
	}
	return sum;
}

static void
add_usage(struct record_usage *sum, const struct record_usage *u)
{
	sum->input += u->input;
	sum->cache_read += u->cache_read;
	sum->cache_write += u->cache_write;
	sum->output += u->output;
	sum->reasoning += u->reasoning;
}

static int64_t
us_between(int64_t from_us, int64_t to_us)
{
	return from_us > 0 && to_us > from_us ? to_us - from_us : 0;
}

static void
add_number(struct buf *b, const char *name, int64_t v)
{
	buf_add_z(b, ",\"");
	buf_add_z(b, name);
	buf_add_z(b, "\":");
	buf_add_int(b, v);
}

static void
add_ms(struct buf *b, const char *name, int64_t us)
{
	int rest = (int)(us % 1000);
	const char places[] = { '.', (char)('0' + rest / 100),
		(char)('0' + rest / 10 % 10), (char)('0' + rest % 10) };

	add_number(b, name, us / 1000);
	buf_add(b, places, sizeof(places));
}

/* at_ms: from the request's first byte to when this attempt was sent, or, if it never
 * was, chosen. The times behind it count from there. */
static void
add_attempt(struct buf *b, const struct request *r, const struct attempt *a)
{
	int64_t at_us = a->sent_us > 0 ? a->sent_us : a->began_us;

	buf_add_z(b, b->len > 1 ? ",{\"provider\":" : "{\"provider\":");
	buf_add_json(b, a->target->provider->name);
	buf_add_z(b, ",\"model\":");
	buf_add_json(b, a->target->model->id);
	if (!str_eq(a->target->upstream_model, a->target->model->id)) {
		buf_add_z(b, ",\"upstream_model\":");
		buf_add_json(b, a->target->upstream_model);
	}
	buf_add_z(b, ",\"end\":");
	buf_add_json(b, lz_strz(a->end != NULL ? a->end : "not_sent"));
	buf_add_z(b, ",\"state\":\"");
	buf_add_z(b, states[a->state]);
	buf_add_char(b, '"');
	if (a->credential_cell != NULL) {
		buf_add_z(b, ",\"credential\":\"");
		buf_add_z(b, a->credential_cell->print);
		buf_add_char(b, '"');
	}
	add_number(b, "status", a->status);
	add_ms(b, "at_ms", us_between(r->began.mono_us, at_us));
	add_ms(b, "ms", us_between(a->sent_us, a->ended_us));
	add_ms(b, "ttft_ms", us_between(a->sent_us, a->first_token_us));
	add_number(b, "cost_nano_eur", a->cost_nano_eur);
	if (a->answered_model.len > 0) {
		buf_add_z(b, ",\"answered_model\":");
		buf_add_json(b, a->answered_model);
	}
	if (a->message.len > 0 && a->blame != LZ_UPSTREAM_OK) {
		buf_add_z(b, ",\"error\":");
		buf_add_json(b, str_cut(a->message, 0, 200));
	}
	buf_add_char(b, '}');
}

static lz_str
attempt_list(struct request *r)
{
	struct buf b;
	lz_str copy = STR_NONE;

	buf_init(&b, ATTEMPT_LIST_BYTES);
	buf_add_char(&b, '[');
	for (unsigned i = 0; i < r->attempt_count; i++)
		add_attempt(&b, r, r->attempt[i]);
	buf_add_char(&b, ']');
	if (!b.failed)
		copy = arena_copy(r->arena, buf_str(&b));
	buf_free(&b);
	return copy;
}

void
trace_verdicts(const struct request *r, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < r->verdict_count; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		verdict_print(&r->verdict[i], out);
	}
	buf_add_char(out, ']');
}

static uint32_t
flags(const struct request *r)
{
	uint32_t f = 0;

	if (r->is_stream)
		f |= TRACE_STREAM;
	if (r->is_dry_run)
		f |= TRACE_DRY;
	if (r->x == NULL && r->fault == FAULT_CLIENT_GONE)
		f |= TRACE_CLIENT_GONE;
	if (r->max_tokens_sent > 0)
		f |= TRACE_LOWERED;
	if (r->caller.is_test)
		f |= TRACE_TEST;
	for (unsigned i = 0; i < r->attempt_count; i++)
		if (r->attempt[i]->state == CHARGE_ESTIMATED)
			f |= TRACE_ESTIMATED;
	return f;
}

static int
status_of(const struct request *r)
{
	if (r->fault == FAULT_NONE || (r->has_begun && r->fault != FAULT_CLIENT_GONE))
		return 200;
	return r->fault_status > 0 ? r->fault_status : fault_row(r->fault)->status;
}

static lz_str
code_of(const struct request *r)
{
	if (r->fault == FAULT_NONE)
		return STR_NONE;
	if (r->fault_code.ptr != NULL)
		return r->fault_code;
	return lz_strz(fault_row(r->fault)->code != NULL ? fault_row(r->fault)->code
							 : "invalid_request");
}

/* Reading the body is the client's time. */
static void
take_times(const struct request *r, int64_t *total_us, int64_t *overhead_us)
{
	*total_us = clock_mono_us() - r->began.mono_us;
	*overhead_us = *total_us - r->waited_us;
	if (r->read_us > r->began.mono_us)
		*overhead_us -= r->read_us - r->began.mono_us;
	if (*overhead_us < 0)
		*overhead_us = 0;
}

void
trace_count(const struct request *r)
{
	int64_t total_us, overhead_us;

	take_times(r, &total_us, &overhead_us);
	metric_add_label(METRIC_REQUESTS, (unsigned)r->fault, 1);
	metric_time(METRIC_REQUEST_TIME, total_us);
	metric_time(METRIC_OVERHEAD_TIME, overhead_us);
}

void
trace_record(struct request *r, struct record_trace *out)
{
	const struct attempt *last = r->attempt_count > 0 ? request_attempt(r) : NULL;

	memset(out, 0, sizeof *out);
	memcpy(out->trace_id, r->id, sizeof out->trace_id);
	out->at_unix_ms = r->began.unix_ms;
	take_times(r, &out->total_us, &out->overhead_us);
	out->ttft_us = last != NULL && last->first_token_us > 0
			   ? last->first_token_us - r->began.mono_us
			   : -1;
	out->cost_nano_eur = trace_cost(r);
	for (unsigned i = 0; i < r->attempt_count; i++)
		add_usage(&out->usage, &r->attempt[i]->usage);
	out->flags = flags(r);
	out->status = (uint16_t)status_of(r);
	out->attempts = (uint8_t)r->attempt_count;
	out->code = code_of(r);
	out->finish = r->finish;
	out->key = r->caller.key;
	out->organization = r->caller.organization;
	out->assistant = r->caller.assistant;
	out->user = r->user;
	out->session = r->session;
	out->model_asked = r->model_asked.ptr != NULL ? r->model_asked : r->model;
	out->model = last != NULL ? last->target->model->id : STR_NONE;
	out->provider = last != NULL ? last->target->provider->name : STR_NONE;
	out->strategy = r->strategy;
	out->metadata = r->metadata;
	out->verdicts = verdicts_write(r->arena, r->verdict, r->verdict_count);
	out->attempt_list = r->attempt_count > 0 ? attempt_list(r) : STR_NONE;
}

/* A streamed answer, put together again from the text of its chunks, which is escaped
 * already. */
static bool
streamed_answer(struct request *r, struct buf *out)
{
	if (r->answer_text.len == 0 && r->answer_tools.len == 0)
		return false;
	buf_add_z(out, "{\"role\":\"assistant\",\"content\":\"");
	buf_add_str(out, buf_str(&r->answer_text));
	buf_add_char(out, '"');
	if (r->answer_text.failed || r->answer_tools.failed)
		buf_add_z(out, ",\"truncated\":true");
	if (r->answer_tools.len > 0) {
		buf_add_z(out, ",\"tool_call_chunks\":[");
		buf_add_str(out, buf_str(&r->answer_tools));
		buf_add_char(out, ']');
	}
	buf_add_char(out, '}');
	return !out->failed;
}

void
trace_offer_content(struct request *r, lz_str candidates)
{
	lz_str request = STR_NONE, answer = STR_NONE;
	struct buf joined;

	buf_init(&joined, 1 << 20);
	if (r->log_content == LOG_CONTENT_FULL) {
		request = buf_str(&r->body);
		if (r->kind == REQUEST_EMBEDDINGS) /* nobody reads vectors */
			answer = STR_NONE;
		else if (r->answer_for_trace.len > 0)
			answer = buf_str(&r->answer_for_trace);
		else if (r->answer.len > 0)
			answer = buf_str(&r->answer);
		else if (streamed_answer(r, &joined))
			answer = buf_str(&joined);
	}
	if (r->log_content != LOG_CONTENT_OFF &&
	    (request.len > 0 || answer.len > 0 || candidates.len > 2))
		storage_offer_content(r->worker->storage, r->id, r->began.unix_ms,
		    request, answer, candidates);
	buf_free(&joined);
}
