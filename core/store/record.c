/* record.c - the spool's records as bytes.
 *
 * The fields of a record are listed once, in a function that measures, writes or reads
 * them depending on the codec it is given, so that the two directions cannot drift apart.
 * What is read comes from a disk: every length is checked, and a record must use exactly
 * the bytes it claims.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/record.h"

#include "base/crypto.h"

enum {
	HEAD_BYTES = 8, /* length and checksum */
	BODY_MAX = RECORD_BYTES - HEAD_BYTES,
	ABSENT =
	    0xffff, /* the length of a string that is not there; no string is this long */
	CUT_BYTES = 256 /* what a free text keeps in a record that is too long */
};

enum codec_mode {
	MEASURE,
	WRITE,
	READ
};

struct codec {
	enum codec_mode mode;
	bool is_bad;
	size_t used,
	    size; /* size: of the bytes at `to` or `from`; not used when measuring */
	uint8_t *to;
	const uint8_t *from;
};

/* Measuring, writing and reading are three functions made of one list: inlined into each,
 * the fields' numbers become a sum, stores and loads. */
#define FIELDS static inline __attribute__((always_inline))

/* Claims the next n bytes; false when they are not there. */
FIELDS bool
claim(struct codec *c, size_t n, size_t *at)
{
	*at = c->used;
	if (c->mode != MEASURE && n > c->size - c->used) {
		c->is_bad = true;
		return false;
	}
	c->used += n;
	return true;
}

FIELDS void
code_bytes(struct codec *c, void *p, size_t n)
{
	size_t at;

	if (!claim(c, n, &at) || n == 0)
		return;
	if (c->mode == WRITE)
		memcpy(c->to + at, p, n);
	else if (c->mode == READ)
		memcpy(p, c->from + at, n);
}

/* An unsigned number of n bytes, little endian on every machine. */
FIELDS uint64_t
code_number(struct codec *c, uint64_t v, size_t n)
{
	uint64_t out = 0;
	size_t at;

	if (!claim(c, n, &at))
		return 0;
	if (c->mode == WRITE) {
		for (size_t i = 0; i < n; i++)
			c->to[at + i] = (uint8_t)(v >> (8 * i));
	}
	if (c->mode != READ)
		return v;
	for (size_t i = 0; i < n; i++)
		out |= (uint64_t)c->from[at + i] << (8 * i);
	return out;
}

FIELDS void
code_u8(struct codec *c, uint8_t *v)
{
	*v = (uint8_t)code_number(c, *v, 1);
}

FIELDS void
code_u16(struct codec *c, uint16_t *v)
{
	*v = (uint16_t)code_number(c, *v, 2);
}

FIELDS void
code_u32(struct codec *c, uint32_t *v)
{
	*v = (uint32_t)code_number(c, *v, 4);
}

FIELDS void
code_i64(struct codec *c, int64_t *v)
{
	*v = (int64_t)code_number(c, (uint64_t)*v, 8);
}

FIELDS void
code_str(struct codec *c, lz_str *s)
{
	const enum codec_mode mode = c->mode;
	uint64_t len = mode == READ || s->ptr == NULL ? ABSENT : s->len;
	size_t at;

	/* Longer than any record: measured as it is, so that the sum tells that it does
	 * not fit. */
	if (mode == MEASURE) {
		c->used += 2 + (s->ptr == NULL ? 0 : s->len);
		return;
	}
	len = code_number(c, len, 2);
	if (mode == READ)
		*s = STR_NONE;
	if (c->is_bad || len == ABSENT || !claim(c, len, &at))
		return;
	if (mode == READ)
		*s = lz_strn((const char *)c->from + at, len);
	else if (len > 0)
		memcpy(c->to + at, s->ptr, len);
}

FIELDS void
code_usage(struct codec *c, struct record_usage *u)
{
	code_i64(c, &u->input);
	code_i64(c, &u->cache_read);
	code_i64(c, &u->cache_write);
	code_i64(c, &u->output);
	code_i64(c, &u->reasoning);
}

FIELDS void
code_scopes(struct codec *c, uint8_t *count, struct record_scope *scope)
{
	code_u8(c, count);
	if (*count > RECORD_SCOPES) {
		c->is_bad = true;
		return;
	}
	for (uint8_t i = 0; i < *count; i++) {
		code_str(c, &scope[i].scope);
		code_str(c, &scope[i].period);
	}
}

FIELDS void
code_reserve(struct codec *c, struct record_reserve *r)
{
	code_bytes(c, r->trace_id, RECORD_ID_BYTES);
	code_u8(c, &r->attempt);
	code_i64(c, &r->at_unix_ms);
	code_i64(c, &r->bound_nano_eur);
	code_i64(c, &r->input_nano_eur);
	code_str(c, &r->key);
	code_str(c, &r->provider);
	code_str(c, &r->model);
	code_scopes(c, &r->scope_count, r->scope);
}

FIELDS void
code_settle(struct codec *c, struct record_settle *r)
{
	code_bytes(c, r->trace_id, RECORD_ID_BYTES);
	code_u8(c, &r->attempt);
	code_u8(c, &r->state);
	if (r->state < CHARGE_ACTUAL || r->state > CHARGE_UNPRICED)
		c->is_bad = true;
	code_i64(c, &r->at_unix_ms);
	code_i64(c, &r->cost_nano_eur);
	code_usage(c, &r->usage);
	code_i64(c, &r->price_input);
	code_i64(c, &r->price_cache_read);
	code_i64(c, &r->price_cache_write);
	code_i64(c, &r->price_output);
	code_i64(c, &r->fx_nano);
	code_str(c, &r->fx_date);
	code_str(c, &r->key);
	code_str(c, &r->provider);
	code_str(c, &r->model);
	code_scopes(c, &r->scope_count, r->scope);
}

/* A text that records did not always have: absent where the bytes end before it. */
FIELDS void
code_younger(struct codec *c, lz_str *s)
{
	if (c->mode == READ && !c->is_bad && c->used == c->size)
		*s = STR_NONE;
	else
		code_str(c, s);
}

FIELDS void
code_trace(struct codec *c, struct record_trace *r)
{
	code_bytes(c, r->trace_id, RECORD_ID_BYTES);
	code_i64(c, &r->at_unix_ms);
	code_i64(c, &r->total_us);
	code_i64(c, &r->overhead_us);
	code_i64(c, &r->ttft_us);
	code_i64(c, &r->cost_nano_eur);
	code_usage(c, &r->usage);
	code_u32(c, &r->flags);
	code_u16(c, &r->status);
	code_u8(c, &r->attempts);
	code_str(c, &r->route);
	code_str(c, &r->code);
	code_str(c, &r->finish);
	code_str(c, &r->key);
	code_str(c, &r->organization);
	code_str(c, &r->assistant);
	code_str(c, &r->user);
	code_str(c, &r->session);
	code_str(c, &r->model_asked);
	code_str(c, &r->model);
	code_str(c, &r->provider);
	code_str(c, &r->strategy);
	code_str(c, &r->metadata);
	code_str(c, &r->attempt_list);
	/* Younger than the others: a spool of before may still be there. */
	code_younger(c, &r->guardrails);
	code_younger(c, &r->verdicts);
}

FIELDS void
code_raise(struct codec *c, struct record_raise *r)
{
	code_bytes(c, r->trace_id, RECORD_ID_BYTES);
	code_u8(c, &r->attempt);
	code_i64(c, &r->bound_nano_eur);
}

FIELDS void
code_record(struct codec *c, struct record *r)
{
	uint8_t type = (uint8_t)r->type;

	code_u8(c, &type);
	r->type = (enum record_type)type;
	switch (type) {
	case RECORD_RESERVE:
		code_reserve(c, &r->reserve);
		break;
	case RECORD_SETTLE:
		code_settle(c, &r->settle);
		break;
	case RECORD_TRACE:
		code_trace(c, &r->trace);
		break;
	case RECORD_FOLLOWS:
		code_i64(c, &r->follows.bytes);
		break;
	case RECORD_RAISE:
		code_raise(c, &r->raise);
		break;
	default:
		c->is_bad = true;
	}
}

static size_t
measure(struct record *r)
{
	struct codec c = { .mode = MEASURE };

	code_record(&c, r);
	return c.is_bad ? SIZE_MAX : c.used;
}

static void
put_u32(uint8_t *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get_u32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
	       (uint32_t)from[3] << 24;
}

static bool
put_record(struct buf *b, struct record *r, size_t body)
{
	struct codec c = { .mode = WRITE, .size = body };
	uint8_t *to;

	if (body > BODY_MAX)
		return false;
	to = (uint8_t *)buf_room(b, HEAD_BYTES + body);
	if (to == NULL)
		return false;
	c.to = to + HEAD_BYTES;
	code_record(&c, r);
	must(!c.is_bad && c.used == body);
	put_u32(to, (uint32_t)body);
	put_u32(to + 4, crypto_crc32c(0, c.to, body));
	b->len += HEAD_BYTES + body;
	return true;
}

bool
record_put_reserve(struct buf *b, const struct record_reserve *r)
{
	struct record copy = { .type = RECORD_RESERVE, .reserve = *r };

	return put_record(b, &copy, measure(&copy));
}

bool
record_put_settle(struct buf *b, const struct record_settle *r)
{
	struct record copy = { .type = RECORD_SETTLE, .settle = *r };

	return put_record(b, &copy, measure(&copy));
}

bool
record_put_raise(struct buf *b, const struct record_raise *r)
{
	struct record copy = { .type = RECORD_RAISE, .raise = *r };

	return put_record(b, &copy, measure(&copy));
}

/* At a character's boundary, so that what was text stays text. */
static void
cut_text(lz_str *s)
{
	size_t n = CUT_BYTES;

	if (s->len <= n)
		return;
	while (n > 0 && ((unsigned char)s->ptr[n] & 0xc0) == 0x80)
		n--;
	s->len = n;
}

/* Makes a trace that is too long fit, dearest loss last. Half a JSON text is none, so
 * those go as a whole. */
static size_t
cut_trace(struct record *r)
{
	lz_str *json[] = { &r->trace.metadata, &r->trace.attempt_list,
		&r->trace.guardrails, &r->trace.verdicts };
	lz_str *text[] = { &r->trace.session, &r->trace.finish, &r->trace.model_asked,
		&r->trace.user };
	size_t body = measure(r);

	for (size_t i = 0; i < sizeof(json) / sizeof(*json) && body > BODY_MAX; i++) {
		*json[i] = STR_NONE;
		body = measure(r);
	}
	for (size_t i = 0; i < sizeof(text) / sizeof(*text) && body > BODY_MAX; i++) {
		cut_text(text[i]);
		body = measure(r);
	}
	return body;
}

bool
record_put_trace(struct buf *b, const struct record_trace *r)
{
	struct record copy = { .type = RECORD_TRACE, .trace = *r };

	return put_record(b, &copy, cut_trace(&copy));
}

bool
record_put_follows(struct buf *b, const struct record_follows *r)
{
	struct record copy = { .type = RECORD_FOLLOWS, .follows = *r };

	return put_record(b, &copy, measure(&copy));
}

enum status
record_get(lz_str bytes, struct record *out, size_t *used)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr;
	struct codec c = { .mode = READ };
	uint32_t body;

	if (bytes.len < HEAD_BYTES)
		return ST_AGAIN;
	body = get_u32(p);
	if (body == 0 || body > BODY_MAX)
		return ST_INVALID;
	if (bytes.len - HEAD_BYTES < body)
		return ST_AGAIN;
	if (crypto_crc32c(0, p + HEAD_BYTES, body) != get_u32(p + 4))
		return ST_INVALID;
	c.from = p + HEAD_BYTES;
	c.size = body;
	code_record(&c, out);
	if (c.is_bad || c.used != body)
		return ST_INVALID;
	*used = HEAD_BYTES + body;
	return ST_OK;
}

enum record_type
record_peek(lz_str bytes, size_t *used)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr;

	*used = HEAD_BYTES + get_u32(p);
	return (enum record_type)p[HEAD_BYTES];
}
