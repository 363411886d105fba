/* fuzz_record.c - bytes of a spool: a record, or not; a record that was read writes the
 * same bytes again, and the field that it is too old to have behind them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "store/record.h"

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

/* A trace of before there were guardrails ends without them; written again it says that
 * there are none, and its head (length, sum) is another. */
static bool
is_same(lz_str before, const struct record *r, lz_str now)
{
	enum {
		HEAD = 8,
		NO_TEXT = 2
	};

	if (r->type == RECORD_TRACE && r->trace.guardrails.ptr == NULL &&
	    now.len == before.len + NO_TEXT)
		return memcmp(now.ptr + HEAD, before.ptr + HEAD, before.len - HEAD) == 0;
	return now.len == before.len && memcmp(now.ptr, before.ptr, now.len) == 0;
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
		buf_init(&again, 1 << 20);
		if (put(&again, &r) &&
		    !is_same(str_cut(bytes, 0, used), &r, lz_strn(again.ptr, again.len)))
			abort();
		buf_free(&again);
		bytes = str_cut(bytes, used, bytes.len);
	}
	return 0;
}
