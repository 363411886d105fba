/* verdict.c - verdicts of guardrails as bytes and as JSON.
 *
 * What is read comes from a disk: every length is checked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/verdict.h"

#include "base/status.h"

enum {
	FORM = 0x81, /* no head has the top bit */
	WHAT = 0x07, /* of the head byte */
	IS_ANSWER = 0x08,
	IS_MONITOR = 0x10,
	HAS_CODES = 0x20,
	NUMBER_BYTES = 9, /* 63 bits */
	FIXED_BYTES = 2 + NUMBER_BYTES + 1
};

const char *const verdict_names[VERDICTS] = { "pass", "flag", "mask", "block", "reroute",
	"again", "error" };

/* ---- written ---- */

static size_t
room_for(const struct record_verdict *v, size_t count, bool with_passes)
{
	size_t n = 1;

	for (size_t i = 0; i < count; i++)
		if (with_passes || v[i].what != VERDICT_PASS)
			n += FIXED_BYTES + v[i].guardrail.len + v[i].codes.len;
	return n;
}

static char *
put_text(char *p, lz_str s)
{
	must(s.len <= VERDICT_NAME_BYTES);
	*p++ = (char)s.len;
	memcpy(p, s.ptr, s.len);
	return p + s.len;
}

static char *
put_number(char *p, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		*p++ = (char)(n | 0x80);
	*p++ = (char)n;
	return p;
}

static char *
put_verdict(char *p, const struct record_verdict *v)
{
	unsigned head = v->what;

	if (v->is_answer)
		head |= IS_ANSWER;
	if (v->is_monitor)
		head |= IS_MONITOR;
	if (v->codes.len > 0)
		head |= HAS_CODES;
	*p++ = (char)head;
	p = put_text(p, v->guardrail);
	p = put_number(p, (uint64_t)v->took_us);
	return v->codes.len > 0 ? put_text(p, v->codes) : p;
}

lz_str
verdicts_write(struct arena *a, const struct record_verdict *v, size_t count)
{
	size_t room = room_for(v, count, true);
	bool with_passes = room <= VERDICT_LIST_BYTES;
	char *from, *p;

	if (!with_passes)
		room = room_for(v, count, false);
	if (room == 1)
		return STR_NONE;
	from = p = arena_room(a, room);
	if (p == NULL)
		return STR_NONE;
	*p++ = (char)FORM;
	for (size_t i = 0; i < count; i++)
		if (with_passes || v[i].what != VERDICT_PASS)
			p = put_verdict(p, &v[i]);
	return lz_strn(from, (size_t)(p - from));
}

/* ---- read ---- */

static bool
take_byte(lz_str *s, unsigned *out)
{
	if (s->len == 0)
		return false;
	*out = (unsigned char)s->ptr[0];
	*s = str_cut(*s, 1, s->len);
	return true;
}

static bool
take_text(lz_str *s, lz_str *out)
{
	unsigned n;

	if (!take_byte(s, &n) || n > s->len)
		return false;
	*out = str_cut(*s, 0, n);
	*s = str_cut(*s, n, s->len);
	return true;
}

static bool
take_number(lz_str *s, int64_t *out)
{
	uint64_t v = 0;
	unsigned byte;

	for (unsigned i = 0; i < NUMBER_BYTES; i++) {
		if (!take_byte(s, &byte))
			return false;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		*out = (int64_t)v;
		if (byte < 0x80)
			return true;
	}
	return false;
}

bool
verdicts_read(lz_str *rest, struct record_verdict *out)
{
	lz_str s = *rest;
	unsigned head;

	*out = (struct record_verdict){ 0 };
	if (!take_byte(&s, &head) || (head == FORM && !take_byte(&s, &head)) ||
	    head > (HAS_CODES | IS_MONITOR | IS_ANSWER | WHAT) ||
	    (head & WHAT) >= VERDICTS || !take_text(&s, &out->guardrail) ||
	    !take_number(&s, &out->took_us) ||
	    ((head & HAS_CODES) != 0 && !take_text(&s, &out->codes)))
		return false;
	out->what = head & WHAT;
	out->is_answer = (head & IS_ANSWER) != 0;
	out->is_monitor = (head & IS_MONITOR) != 0;
	*rest = s;
	return true;
}

/* ---- shown ---- */

static void
print_codes(lz_str codes, struct buf *out)
{
	const char *comma = "";

	while (codes.len > 0) {
		ptrdiff_t at = str_find(codes, ',');
		size_t end = at < 0 ? codes.len : (size_t)at;

		buf_add_z(out, comma);
		buf_add_json(out, str_cut(codes, 0, end));
		codes = str_cut(codes, end + 1, codes.len);
		comma = ",";
	}
}

void
verdict_print(const struct record_verdict *v, struct buf *out)
{
	buf_add_z(out, "{\"guardrail\":");
	buf_add_json(out, v->guardrail);
	buf_addf(out, ",\"phase\":\"%s\",\"verdict\":\"%s\",\"codes\":[",
	    v->is_answer ? "response" : "request", verdict_names[v->what]);
	print_codes(v->codes, out);
	buf_addf(out, "],\"mode\":\"%s\",\"ms\":%lld.%03d}",
	    v->is_monitor ? "monitor" : "enforce", (long long)(v->took_us / 1000),
	    (int)(v->took_us % 1000));
}

void
verdicts_print(lz_str bytes, struct buf *out)
{
	struct record_verdict v;
	const char *comma = "";

	buf_add_char(out, '[');
	while (verdicts_read(&bytes, &v)) {
		buf_add_z(out, comma);
		verdict_print(&v, out);
		comma = ",";
	}
	buf_add_char(out, ']');
}
