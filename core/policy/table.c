/* table.c - who could serve a request, in which order and why not: for traces, dry runs
 * and `route explain` the same.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include "policy/policy.h"
#include "trace/trace.h"

/* Nine decimals are more than a reader wants; printf's way of finding them costs as much
 * as the rest of the row. */
static void
add_score(struct buf *out, double score)
{
	if (fabs(score) < 1e9)
		buf_add_nano(out, llround(score * 1e9));
	else
		buf_addf(out, "%.9g", score);
}

/* Of many unhealthy ones only a few are looked at for a request. */
static void
add_left_out(const struct request *r, struct buf *out)
{
	buf_addf(out, ",{\"excluded\":\"%s\",\"more\":", exclusion_name(EXCLUDED_HEALTH));
	buf_add_int(out, (int64_t)r->candidates_left_out);
	buf_add_char(out, '}');
}

void
policy_table(const struct request *r, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < r->candidate_count; i++) {
		const struct candidate *c = &r->candidate[i];

		buf_add_z(out, i > 0 ? ",{\"provider\":" : "{\"provider\":");
		buf_add_json(out, c->target->provider->name);
		buf_add_z(out, ",\"model\":");
		buf_add_json(out, c->target->model->id);
		if (!str_eq(c->target->upstream_model, c->target->model->id)) {
			buf_add_z(out, ",\"upstream_model\":");
			buf_add_json(out, c->target->upstream_model);
		}
		if (c->excluded != EXCLUDED_NOT)
			buf_addf(
			    out, ",\"excluded\":\"%s\"", exclusion_name(c->excluded));
		buf_add_z(out, ",\"rank\":");
		buf_add_int(out, c->rank);
		buf_add_z(out, ",\"score\":");
		add_score(out, c->score);
		buf_add_z(out, ",\"bound_nano_eur\":");
		buf_add_int(out, c->bound_nano_eur);
		buf_add_z(out, ",\"why\":");
		buf_add_json(out, c->why);
		buf_add_char(out, '}');
	}
	if (r->candidates_left_out > 0)
		add_left_out(r, out);
	buf_add_char(out, ']');
}

static void
add_refusal(const struct request *r, struct buf *out)
{
	const struct fault_row *row = fault_row(r->fault);

	buf_add_z(out, "{\"status\":");
	buf_add_int(out, r->fault_status > 0 ? r->fault_status : row->status);
	buf_add_z(out, ",\"code\":");
	if (row->code != NULL)
		buf_add_json(out, lz_strz(row->code));
	else
		buf_add_z(out, "null");
	buf_add_z(out, ",\"message\":");
	buf_add_json(out, r->fault_message);
	if (r->refused_by.ptr != NULL) {
		buf_add_z(out, ",\"guardrail\":");
		buf_add_json(out, r->refused_by);
	}
	buf_add_char(out, '}');
}

void
policy_explain(const struct request *r, struct buf *out)
{
	buf_add_z(out, "{\"object\":\"latenza.route\",\"model\":");
	buf_add_json(out, r->model);
	if (r->model_asked.ptr != NULL) {
		buf_add_z(out, ",\"model_asked\":");
		buf_add_json(out, r->model_asked);
	}
	buf_add_z(out, ",\"strategy\":");
	if (r->strategy.ptr != NULL)
		buf_add_json(out, r->strategy);
	else
		buf_add_z(out, "null");
	buf_add_z(out, ",\"prompt_tokens\":");
	buf_add_int(out, r->prompt_tokens);
	buf_add_z(out, ",\"candidates\":");
	policy_table(r, out);
	buf_add_z(out, ",\"guardrails\":");
	trace_verdicts(r, out);
	buf_add_z(out, ",\"refused\":");
	if (r->fault != FAULT_NONE)
		add_refusal(r, out);
	else
		buf_add_z(out, "null");
	buf_add_char(out, '}');
}
