/* fuzz_record.c - bytes of a spool: a record, or not; a record that was read writes the
 * same bytes again.
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
		    (again.len != used || memcmp(again.ptr, bytes.ptr, used) != 0))
			abort();
		buf_free(&again);
		bytes = str_cut(bytes, used, bytes.len);
	}
	return 0;
}
