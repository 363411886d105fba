/* euro.c - the sentences about money, for people.
 *
 * The caller may be a developer who does not know whose budget this is, so a refusal says
 * which one, how much of it is gone and until when.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/euro.h"

enum {
	EURO_BYTES = 40
};

static const char *
euro(int64_t nano, char out[EURO_BYTES])
{
	struct buf b;

	buf_init(&b, EURO_BYTES - 1);
	buf_add_nano(&b, nano);
	memcpy(out, b.ptr != NULL ? b.ptr : "", b.len);
	out[b.len] = '\0';
	buf_free(&b);
	return out;
}

static lz_str
owner(const struct request *r, const struct budget *who)
{
	for (size_t i = 0; i < r->terms->budget_count; i++)
		if (r->terms->budget[i] == who)
			return request_owner(r, r->terms->whose[i]);
	return request_owner(r, LZ_OF_KEY);
}

enum step
euro_refuse(struct request *r, struct budget *who, enum fault f)
{
	char limit[EURO_BYTES], spent[EURO_BYTES], reserved[EURO_BYTES], when[25];
	const char *kind = r->key->is_test ? "test " : "";
	lz_str whose = owner(r, who);
	struct budget_view v;

	ledger_view(who, loop_now(r->worker->loop)->unix_ms, &v);
	euro(v.limit_nano_eur, limit);
	euro(v.spent_nano_eur, spent);
	euro(v.reserved_nano_eur, reserved);
	clock_format(v.resets_at_unix_ms, when);
	if (f == FAULT_BUDGET_RESERVED)
		return request_fail(r, f, NULL,
		    "the %s%s budget of %.*s, %s EUR, is filled by requests under "
		    "way: %s EUR spent, "
		    "%s EUR reserved; try again in a moment",
		    kind, key_period_name(v.period), STR_ARG(whose), limit, spent,
		    reserved);
	return request_fail(r, f, NULL,
	    "the %s%s budget of %.*s is spent, or what is left is too little for "
	    "this request: %s of "
	    "%s EUR spent; it begins anew at %s",
	    kind, key_period_name(v.period), STR_ARG(whose), spent, limit, when);
}
