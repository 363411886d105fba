/* trace.c - commands over traces: listed, shown whole, and a person forgotten.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "guard/guard.h"

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{ TRACE_DRY, "dry_run" },
	{ TRACE_STREAM, "stream" },
	{ TRACE_ESTIMATED, "estimated" },
	{ TRACE_INTERRUPTED, "interrupted" },
	{ TRACE_CLIENT_GONE, "client_gone" },
	{ TRACE_TEST, "test" },
	{ TRACE_LOWERED, "max_tokens_lowered" },
};

static const char *const charge_names[] = {
	[CHARGE_ACTUAL] = "actual",
	[CHARGE_ESTIMATED] = "estimated",
	[CHARGE_RELEASED] = "released",
	[CHARGE_UNCERTAIN] = "uncertain",
	[CHARGE_UNPRICED] = "unpriced",
};

/* ---- a trace as an object ---- */

static void
set_us(json_t *out, const char *member, int64_t us)
{
	json_object_set_new(
	    out, member, us < 0 ? json_null() : json_real((double)us / 1000.0));
}

/* Text that should hold JSON: as JSON, or as a string when it does not. */
static void
set_tree(json_t *out, const char *member, lz_str text)
{
	json_t *tree = text.len == 0 ? NULL : json_parse(text, NULL);

	if (tree != NULL)
		json_object_set_new(out, member, tree);
	else
		row_set_str(out, member, text);
}

static json_t *
tokens_shown(const struct record_usage *u)
{
	return json_pack("{sIsIsIsIsI}", "input", (json_int_t)u->input, "cache_read",
	    (json_int_t)u->cache_read, "cache_write", (json_int_t)u->cache_write,
	    "output", (json_int_t)u->output, "reasoning", (json_int_t)u->reasoning);
}

static json_t *
flags_shown(uint32_t flags)
{
	json_t *out = json_array();

	for (size_t i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++)
		if ((flags & flag_names[i].flag) != 0)
			json_array_append_new(out, json_string(flag_names[i].name));
	return out;
}

/* A row of before has them as text. */
static void
set_verdicts(json_t *out, const struct record_trace *t)
{
	struct buf text;

	if (t->verdicts.ptr == NULL) {
		set_tree(out, "guardrails", t->guardrails);
		return;
	}
	buf_init(&text, 1 << 20);
	verdicts_print(t->verdicts, &text);
	set_tree(out, "guardrails", text.failed ? STR_NONE : buf_str(&text));
	buf_free(&text);
}

static json_t *
show(const struct db_trace *row)
{
	const struct record_trace *t = &row->t;
	char id[2 * RECORD_ID_BYTES + 1];
	json_t *out = json_object();

	crypto_hex(t->trace_id, RECORD_ID_BYTES, id);
	row_set_str(out, "id", lz_strz(id));
	row_set_time(out, "at", t->at_unix_ms);
	row_set_str(out, "route", t->route);
	json_object_set_new(out, "status", json_integer(t->status));
	row_set_str(out, "code", t->code);
	row_set_str(out, "finish_reason", t->finish);
	row_set_str(out, "key", t->key);
	row_set_str(out, "organization", t->organization);
	row_set_str(out, "assistant", t->assistant);
	row_set_str(out, "user", t->user);
	row_set_str(out, "session", t->session);
	set_tree(out, "metadata", t->metadata);
	row_set_str(out, "model_asked", t->model_asked);
	row_set_str(out, "model", t->model);
	row_set_str(out, "provider", t->provider);
	row_set_str(out, "strategy", t->strategy);
	set_us(out, "total_ms", t->total_us);
	set_us(out, "overhead_ms", t->overhead_us);
	set_us(out, "ttft_ms", t->ttft_us);
	json_object_set_new(out, "tokens", tokens_shown(&t->usage));
	row_set_nano(out, "cost_nano_eur", t->cost_nano_eur);
	json_object_set_new(out, "flags", flags_shown(t->flags));
	json_object_set_new(out, "attempt_count", json_integer(t->attempts));
	set_tree(out, "attempts", t->attempt_list);
	set_verdicts(out, t);
	json_object_set_new(out, "row", json_integer(row->rowid));
	return out;
}

/* ---- list ---- */

static bool
list_one(void *arg, const struct db_trace *t)
{
	return json_array_append_new(arg, show(t)) == 0;
}

static enum status
read_limit(const json_t *args, int64_t *limit, struct err *e)
{
	*limit = json_get_int(args, "limit", 50);
	if (*limit < 1 || *limit > COMMAND_TRACES_MAX)
		return err_fail(e, ST_INVALID,
		    "limit: must be 1 to %d, got %lld; go on from \"after\" for more",
		    COMMAND_TRACES_MAX, (long long)*limit);
	return ST_OK;
}

static enum status
read_metadata(const json_t *args, struct db_trace_filter *f, struct err *e)
{
	lz_str pair = json_get_str(args, "metadata");
	ptrdiff_t at = str_find(pair, '=');

	if (pair.ptr == NULL)
		return ST_OK;
	if (at <= 0)
		return err_fail(e, ST_INVALID,
		    "metadata: must be NAME=VALUE, got \"%.*s\"",
		    STR_ARG(str_cut(pair, 0, 60)));
	f->metadata_key = str_cut(pair, 0, (size_t)at);
	f->metadata_value = str_cut(pair, (size_t)at + 1, pair.len);
	return ST_OK;
}

static enum status
check_verdict(lz_str verdict, struct err *e)
{
	char list[200] = "";
	size_t n, len = 0;
	const char *const *names = guard_verdicts(&n);

	for (size_t i = 0; i < n; i++) {
		if (verdict.ptr == NULL || str_is(verdict, names[i]))
			return ST_OK;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
		    i == 0       ? ""
		    : i == n - 1 ? " or "
				 : ", ",
		    names[i]);
	}
	return err_fail(e, ST_INVALID, "verdict: must be %s, got \"%.*s\"", list,
	    STR_ARG(str_cut(verdict, 0, 60)));
}

/* "acme/support" names the organisation, too. */
static enum status
split_assistant(struct db_trace_filter *f, struct err *e)
{
	ptrdiff_t slash = str_find(f->assistant, '/');

	if (slash < 0)
		return ST_OK;
	if (f->organization.ptr != NULL)
		return err_fail(e, ST_INVALID,
		    "assistant: \"%.*s\" names an organization already; leave one out",
		    STR_ARG(str_cut(f->assistant, 0, 140)));
	f->organization = str_cut(f->assistant, 0, (size_t)slash);
	f->assistant = str_cut(f->assistant, (size_t)slash + 1, f->assistant.len);
	return ST_OK;
}

enum status
trace_list(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct db_trace_filter f = {
		.key = json_get_str(args, "key"),
		.organization = json_get_str(args, "organization"),
		.assistant = json_get_str(args, "assistant"),
		.model = json_get_str(args, "model"),
		.provider = json_get_str(args, "provider"),
		.user = json_get_str(args, "user"),
		.session = json_get_str(args, "session"),
		.code = json_get_str(args, "code"),
		.guardrail = json_get_str(args, "guardrail"),
		.verdict = json_get_str(args, "verdict"),
		.since_unix_ms = json_get_int(args, "since_unix_ms", 0),
		.until_unix_ms = json_get_int(args, "until_unix_ms", 0),
		.after_rowid = json_get_int(args, "after", 0),
		.oldest_first = json_get_bool(args, "oldest_first", false),
		.errors_only = json_get_bool(args, "errors", false),
	};
	json_t *list = json_list_in(result, "traces");
	enum status st;

	st = read_limit(args, &f.limit, e);
	if (st == ST_OK)
		st = read_metadata(args, &f, e);
	if (st == ST_OK)
		st = check_verdict(f.verdict, e);
	if (st == ST_OK)
		st = split_assistant(&f, e);
	return st == ST_OK ? db_trace_each(c->db, &f, list_one, list, e) : st;
}

/* ---- show ---- */

static void
show_whole(
    void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates)
{
	json_t *result = arg, *shown = show(t);

	json_object_update(result, shown);
	json_decref(shown);
	set_tree(result, "request", request);
	set_tree(result, "answer", answer);
	set_tree(result, "candidates", candidates);
}

static bool
list_charge(void *arg, const struct record_settle *s)
{
	json_t *one = json_object();
	const char *state = s->state >= CHARGE_ACTUAL && s->state <= CHARGE_UNPRICED
				? charge_names[s->state]
				: "unknown";

	json_object_set_new(one, "attempt", json_integer(s->attempt));
	row_set_str(one, "state", lz_strz(state));
	row_set_time(one, "at", s->at_unix_ms);
	row_set_str(one, "provider", s->provider);
	row_set_str(one, "model", s->model);
	row_set_nano(one, "cost_nano_eur", s->cost_nano_eur);
	json_object_set_new(one, "tokens", tokens_shown(&s->usage));
	row_set_nano(one, "price_input_pico_usd", s->price_input);
	row_set_nano(one, "price_cache_read_pico_usd", s->price_cache_read);
	row_set_nano(one, "price_cache_write_pico_usd", s->price_cache_write);
	row_set_nano(one, "price_output_pico_usd", s->price_output);
	row_set_nano(one, "nano_eur_per_usd", s->fx_nano);
	row_set_str(one, "fx_date", s->fx_date);
	return json_array_append_new(arg, one) == 0;
}

enum status
trace_show(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	uint8_t id[RECORD_ID_BYTES];
	json_t *charges;
	enum status st;

	st = db_trace_show(c->db, json_get_str(args, "id"), show_whole, result, e);
	if (st != ST_OK)
		return st;
	charges = json_list_in(result, "charges");
	if (!crypto_unhex(json_get_str(result, "id"), id, sizeof(id)))
		return err_fail(e, ST_NOMEM, "traces.show: out of memory");
	return db_charge_each(c->db, id, list_charge, charges, e);
}

/* ---- erase ---- */

enum status
trace_erase(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	int64_t count = 0;
	enum status st = db_trace_erase(c->db, json_get_str(args, "user"), &count, e);

	json_object_set_new(result, "erased", json_integer(count));
	return st;
}
