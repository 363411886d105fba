/* content_pack.c - prompts and answers as bytes.
 *
 * What is read comes from a disk that may have lost or damaged it: every length is
 * checked, and a record counts only with its checksum.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/content_pack.h"

#include <endian.h>

#include "base/crypto.h"

enum {
	TEXTS = 3
};
static const uint32_t ABSENT = UINT32_MAX; /* the length of a text that is not there */

/* Little endian on every machine. */
struct head {
	uint32_t bytes; /* of the record; stays when the rest is wiped */
	uint32_t crc;   /* of what follows */
	uint8_t id[RECORD_ID_BYTES];
	uint64_t at_unix_ms;
	uint32_t len[TEXTS];
	uint32_t unused;
};
_Static_assert(sizeof(struct head) == CONTENT_HEAD_BYTES, "no padding on a disk");

enum {
	CHECKED_AT = offsetof(struct head, id)
};

size_t
content_pack_bytes(const struct content *c)
{
	return CONTENT_HEAD_BYTES + c->request.len + c->answer.len + c->candidates.len;
}

static uint32_t
length_of(lz_str s)
{
	return htole32(s.ptr == NULL ? ABSENT : (uint32_t)s.len);
}

void
content_pack_add(struct buf *b, const struct content *c)
{
	size_t bytes = content_pack_bytes(c);
	char *to = bytes < UINT32_MAX ? buf_room(b, bytes) : NULL;
	struct head h = {
		.bytes = htole32((uint32_t)bytes),
		.at_unix_ms = htole64((uint64_t)c->at_unix_ms),
		.len = { length_of(c->request), length_of(c->answer),
		    length_of(c->candidates) },
	};

	if (to == NULL) {
		b->failed = true;
		return;
	}
	memcpy(h.id, c->id, sizeof(h.id));
	memcpy(to, &h, sizeof(h));
	b->len += sizeof(h);
	buf_add_str(b, c->request);
	buf_add_str(b, c->answer);
	buf_add_str(b, c->candidates);
	h.crc = htole32(crypto_crc32c(0, to + CHECKED_AT, bytes - CHECKED_AT));
	memcpy(to + offsetof(struct head, crc), &h.crc, sizeof(h.crc));
}

/* The next text of a record; false: it does not have so many bytes. */
static bool
take_text(lz_str *texts, uint32_t len, lz_str *out)
{
	*out = STR_NONE;
	if (len == ABSENT)
		return true;
	if (len > texts->len)
		return false;
	*out = str_cut(*texts, 0, len);
	*texts = str_cut(*texts, len, texts->len);
	return true;
}

static bool
read_record(lz_str record, struct content *out)
{
	lz_str texts = str_cut(record, CONTENT_HEAD_BYTES, record.len);
	struct head h;

	memcpy(&h, record.ptr, sizeof(h));
	if (crypto_crc32c(0, record.ptr + CHECKED_AT, record.len - CHECKED_AT) !=
	    le32toh(h.crc))
		return false;
	*out = (struct content){ .at_unix_ms = (int64_t)le64toh(h.at_unix_ms) };
	memcpy(out->id, h.id, sizeof(h.id));
	return take_text(&texts, le32toh(h.len[0]), &out->request) &&
	       take_text(&texts, le32toh(h.len[1]), &out->answer) &&
	       take_text(&texts, le32toh(h.len[2]), &out->candidates) && texts.len == 0;
}

bool
content_pack_next(lz_str *rest, struct content *out, size_t *bytes)
{
	lz_str record;
	uint32_t n;

	while (rest->len >= CONTENT_HEAD_BYTES) {
		memcpy(&n, rest->ptr, sizeof(n));
		n = le32toh(n);
		if (n < CONTENT_HEAD_BYTES || n > rest->len)
			return false;
		record = str_cut(*rest, 0, n);
		*rest = str_cut(*rest, n, rest->len);
		*bytes = n;
		if (read_record(record, out))
			return true;
	}
	return false;
}
