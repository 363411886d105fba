/* fuzz_match.c - a pattern and a text: the answers of the stock string library; and what
 * is decided of the first half of the text stays so when the second half is there.
 *
 * The first byte is the pattern's length, the second where the text is cut.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "match_twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	TEXT_MAX = 64,
	OUT_BYTES = 1 << 16
};

static lua_State *L;

static void
compare_answers(lz_str text, lz_str pattern)
{
	struct buf ours, stock;

	buf_init(&ours, OUT_BYTES);
	buf_init(&stock, OUT_BYTES);
	if (!match_is_plain(pattern) && twin_ours(text, pattern, &ours)) {
		twin_stock(L, text, pattern, &stock);
		if (!str_eq(buf_str(&ours), buf_str(&stock)))
			abort();
	}
	buf_free(&ours);
	buf_free(&stock);
}

static void
compare_cut(lz_str text, size_t cut, lz_str pattern)
{
	struct buf before, after;
	size_t held, end;

	buf_init(&before, OUT_BYTES);
	buf_init(&after, OUT_BYTES);
	if (twin_open_text(str_cut(text, 0, cut), pattern, true, &before, &held) &&
	    twin_open_text(text, pattern, false, &after, &end)) {
		if (after.len < before.len ||
		    (before.len > 0 && memcmp(before.ptr, after.ptr, before.len) != 0))
			abort();
		if (after.len > before.len &&
		    strtoul(after.ptr + before.len, NULL, 10) < held)
			abort();
	}
	buf_free(&before);
	buf_free(&after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	lz_str pattern, text;

	if (L == NULL)
		L = twin_open();
	if (size < 2 || size < 2u + data[0] || size - 2 - data[0] > TEXT_MAX)
		return 0;
	pattern = lz_strn(bytes + 2, data[0]);
	text = lz_strn(bytes + 2 + data[0], size - 2 - data[0]);
	compare_answers(text, pattern);
	compare_cut(text, data[1] < text.len ? data[1] : text.len, pattern);
	return 0;
}
