/* fuzz_record.c - bytes of a spool: a record, or not; a record that was read writes the
 * same bytes again, and the field that it is too old to have behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "store/record.h"
#include "store/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
put(struct buf *b, const struct record *r)
{
	switch (r->type) {
	case RECORD_RESERVE:
		return record_put_reserve(b, &r->reserve);
	case RECORD_SETTLE:
		return record_put_settle(b, &r->settle);
	case RECORD_FOLLOWS:
		return record_put_follows(b, &r->follows);
	case RECORD_TRACE:
		return record_put_trace(b, &r->trace);
	case RECORD_RAISE:
		return record_put_raise(b, &r->raise);
	}
	return false;
}

/* A trace of before there were guardrails ends without them, one of before verdict.h
 * without those; written again it says that there are none, and its head (length, sum) is
 * another. */
static bool
is_same(lz_str before, const struct record *r, lz_str now)
{
	enum {
		HEAD = 8,
		NO_TEXT = 2
	};

	if (r->type == RECORD_TRACE && r->trace.verdicts.ptr == NULL &&
	    (now.len == before.len + NO_TEXT ||
		(r->trace.guardrails.ptr == NULL &&
		    now.len == before.len + 2 * (size_t)NO_TEXT)))
		return memcmp(now.ptr + HEAD, before.ptr + HEAD, before.len - HEAD) == 0;
	return now.len == before.len && memcmp(now.ptr, before.ptr, now.len) == 0;
}

/* Whatever stands there is read to its end or to its first fault; what was read and is
 * written again reads the same. */
static void
look_at_verdicts(lz_str bytes)
{
	enum {
		MANY = 7 /* none of so few gives way */
	};
	struct record_verdict v[MANY], again;
	struct arena *a = arena_new(1 << 20);
	size_t n = 0;
	lz_str rest = bytes, written;

	while (n < MANY && verdicts_read(&rest, &v[n]))
		n++;
	written = a != NULL ? verdicts_write(a, v, n) : STR_NONE;
	for (size_t i = 0; i < n; i++)
		if (!verdicts_read(&written, &again) || again.what != v[i].what ||
		    again.took_us != v[i].took_us ||
		    !str_eq(again.guardrail, v[i].guardrail) ||
		    !str_eq(again.codes, v[i].codes))
			abort();
	arena_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lz_str bytes = lz_strn((const char *)data, size);
	struct record r;
	struct buf again;
	size_t used = 0;

	while (record_get(bytes, &r, &used) == ST_OK) {
		if (used == 0 || used > bytes.len)
			abort();
		if (r.type == RECORD_TRACE)
			look_at_verdicts(r.trace.verdicts);
		buf_init(&again, 1 << 20);
		if (put(&again, &r) &&
		    !is_same(str_cut(bytes, 0, used), &r, lz_strn(again.ptr, again.len)))
			abort();
		buf_free(&again);
		bytes = str_cut(bytes, used, bytes.len);
	}
	return 0;
}
