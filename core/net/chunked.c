/* chunked.c - the chunked body, one byte at a time where it is framing, whole runs where
 * it is body.
 *
 * Sizes are 1 to 8 hexadecimal digits and nothing else; extensions are checked, bounded
 * and ignored; trailers are checked, bounded and dropped. All that is not body counts as
 * overhead, which may not outgrow the body by more than a head's size: a million one-byte
 * chunks is not a way of sending a megabyte.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/http1.h"

#include "net/scan.h"
#include "net/target.h"

enum {
	SIZE_DIGITS = 8,
	EXTENSION_BYTES = 64
};

/* The order is the order in a message; 0 is where a body begins. */
enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	CHUNK_LAST_LF,
	CHUNK_OVER
};

static bool
bad(struct http_refusal *why, const char *sentence)
{
	why->status = 400;
	why->why = sentence;
	return false;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
size_byte(struct http_chunked *c, char byte, struct http_refusal *why)
{
	int digit = hex_digit(byte);

	if (digit >= 0) {
		if (c->digits++ == SIZE_DIGITS)
			return bad(why, "A chunk's size has more than 8 digits.");
		c->left = c->left << 4 | (unsigned)digit;
		return true;
	}
	if (c->digits == 0 || (byte != '\r' && byte != ';'))
		return bad(why, "A chunk's size is not a hexadecimal number.");
	c->state = byte == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
	c->digits = 0;
	return true;
}

static bool
extension_byte(struct http_chunked *c, char byte, struct http_refusal *why)
{
	if (byte == '\r') {
		c->state = CHUNK_SIZE_LF;
		return true;
	}
	if (scan_is_control(byte))
		return bad(why, "A chunk's extension has a control character in it.");
	if (c->digits++ == EXTENSION_BYTES)
		return bad(why, "A chunk's extension is longer than 64 bytes.");
	return true;
}

/* Fields that frame or address a message have no place behind it. */
static bool
name_is_harmless(const struct http_chunked *c)
{
	static const char *const framing[] = { "content-length", "transfer-encoding",
		"host", "authorization" };
	lz_str name =
	    lz_strn(c->name, c->digits < sizeof(c->name) ? c->digits : sizeof(c->name));
	size_t i;

	for (i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
		if (str_is_nocase(name, framing[i]))
			return false;
	}
	return true;
}

static bool
name_byte(struct http_chunked *c, char byte, struct http_refusal *why)
{
	if (byte == ':' && c->digits > 0) {
		c->state = TRAILER_VALUE;
		return name_is_harmless(c) ||
		       bad(why, "A trailer repeats a field that belongs into the head.");
	}
	if (!byte_is(byte, BYTE_TOKEN))
		return bad(why, "A trailer's name is not a token followed by a colon.");
	if (c->digits < sizeof(c->name))
		c->name[c->digits] = byte;
	c->digits++;
	return true;
}

static bool
trailer_start(struct http_chunked *c, char byte, struct http_refusal *why)
{
	if (byte == '\r') {
		c->state = CHUNK_LAST_LF;
		return true;
	}
	c->state = TRAILER_NAME;
	c->digits = 0;
	return name_byte(c, byte, why);
}

static bool
value_byte(struct http_chunked *c, char byte, struct http_refusal *why)
{
	if (byte == '\r')
		c->state = TRAILER_LF;
	else if (scan_is_control(byte))
		return bad(why, "A trailer has a control character in its value.");
	return true;
}

/* `byte` must be `wanted`; then the body goes on in state `next`. */
static bool
expect(struct http_chunked *c, char byte, char wanted, enum chunk_state next,
    struct http_refusal *why)
{
	if (byte != wanted)
		return bad(why, "A line or a chunk of the body does not end with CR LF.");
	c->state = next;
	return true;
}

static bool
framing_byte(struct http_chunked *c, char byte, struct http_refusal *why)
{
	if (c->overhead++ > HTTP_HEAD_BYTES + c->total)
		return bad(why, "The body's chunks are mostly framing.");
	switch ((enum chunk_state)c->state) {
	case CHUNK_SIZE:
		return size_byte(c, byte, why);
	case CHUNK_EXTENSION:
		return extension_byte(c, byte, why);
	case CHUNK_SIZE_LF:
		return expect(
		    c, byte, '\n', c->left > 0 ? CHUNK_DATA : TRAILER_START, why);
	case CHUNK_DATA_CR:
		return expect(c, byte, '\r', CHUNK_DATA_LF, why);
	case CHUNK_DATA_LF:
		c->digits = 0;
		return expect(c, byte, '\n', CHUNK_SIZE, why);
	case TRAILER_START:
		return trailer_start(c, byte, why);
	case TRAILER_NAME:
		return name_byte(c, byte, why);
	case TRAILER_VALUE:
		return value_byte(c, byte, why);
	case TRAILER_LF:
		return expect(c, byte, '\n', TRAILER_START, why);
	case CHUNK_LAST_LF:
		return expect(c, byte, '\n', CHUNK_OVER, why);
	case CHUNK_DATA:
	case CHUNK_OVER:
		break;
	}
	return bad(why, "The body goes on behind its end.");
}

static size_t
take_data(struct http_chunked *c, const char *data, size_t len, lz_str *body)
{
	size_t n = c->left < len ? (size_t)c->left : len;

	*body = lz_strn(data, n);
	c->left -= n;
	c->total += n;
	if (c->left == 0)
		c->state = CHUNK_DATA_CR;
	return n;
}

enum http_verdict
http1_chunked(struct http_chunked *c, const char *data, size_t len, size_t *used,
    lz_str *body, struct http_refusal *why)
{
	size_t at = 0;

	*body = STR_NONE;
	while (at < len && c->state != CHUNK_DATA && c->state != CHUNK_OVER) {
		if (!framing_byte(c, data[at++], why))
			return HTTP_BAD;
	}
	if (at < len && c->state == CHUNK_DATA)
		at += take_data(c, data + at, len - at, body);
	*used = at;
	return c->state == CHUNK_OVER ? HTTP_DONE : HTTP_MORE;
}
