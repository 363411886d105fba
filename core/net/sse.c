/* sse.c - the WHATWG event stream algorithm over bytes that come in pieces.
 *
 * Nearly every event is one data line that stands whole in the bytes at hand: it is shown
 * where it stands. Only what is cut by the end of the bytes, has several lines or is not
 * UTF-8 is copied. `retry` is read over: nobody reconnects here.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/sse.h"

#include "net/scan.h"

enum {
	HAS_DATA = 1,
	DATA_IS_COPIED = 2, /* it stands in s->data, not in s->first */
	AFTER_CR =
	    4, /* a line feed that comes now belongs to the carriage return before it */
	HAS_STRAY = 8
};

static const char bom_bytes[3] = "\xef\xbb\xbf";
#define BOM_DONE 3u

struct feed {
	struct sse *s;
	bool (*fn)(void *arg, const struct sse_event *ev);
	void *arg;
	bool is_stopped;
};

void
sse_init(struct sse *s, size_t max_event_bytes)
{
	*s = (struct sse){ .max_bytes = max_event_bytes };
	buf_init(&s->line, max_event_bytes);
	buf_init(&s->data, max_event_bytes);
}

void
sse_free(struct sse *s)
{
	buf_free(&s->line);
	buf_free(&s->data);
}

bool
sse_is_pending(const struct sse *s)
{
	return (s->flags & HAS_DATA) != 0 || s->line.len > 0 || s->name_len > 0 ||
	       (s->bom > 0 && s->bom < BOM_DONE);
}

bool
sse_has_stray(const struct sse *s)
{
	return (s->flags & HAS_STRAY) != 0 || (s->line.len > 0 && s->line.ptr[0] == '{');
}

/* Text. */

/* The length of the UTF-8 sequence at p, or, negative, of the run of bytes that one
 * U+FFFD stands for. */
static int
sequence(const unsigned char *p, const unsigned char *end)
{
	unsigned char low = 0x80, high = 0xbf;
	int want, n = 1;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return -1;
	want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	while (n < want && p + n < end && p[n] >= low && p[n] <= high) {
		low = 0x80;
		high = 0xbf;
		n++;
	}
	return n == want ? n : -n;
}

static void
add_repaired(struct buf *b, lz_str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;

	while (p < end) {
		int n = sequence(p, end);

		if (n > 0)
			buf_add(b, p, (size_t)n);
		else
			buf_add_z(b, "\xef\xbf\xbd");
		p += n > 0 ? n : -n;
	}
}

static size_t
keep_short(char *room, size_t size, lz_str text)
{
	size_t n = text.len < size ? text.len : size;

	if (n > 0)
		memcpy(room, text.ptr, n);
	return n;
}

/* Fields. */

static void
copy_first(struct sse *s)
{
	if ((s->flags & HAS_DATA) != 0 && (s->flags & DATA_IS_COPIED) == 0) {
		buf_reset(&s->data);
		buf_add_str(&s->data, s->first);
		s->flags |= DATA_IS_COPIED;
	}
}

/* in_place: the value stands in the bytes being fed. */
static enum status
add_data(struct sse *s, lz_str value, bool in_place)
{
	bool is_first = (s->flags & HAS_DATA) == 0;
	bool is_clean = str_is_utf8(value);

	s->flags |= HAS_DATA;
	if (is_first && in_place && is_clean) {
		s->first = value;
		return ST_OK;
	}
	if (is_first) {
		buf_reset(&s->data);
		s->flags |= DATA_IS_COPIED;
	} else {
		copy_first(s);
		buf_add_char(&s->data, '\n');
	}
	if (is_clean)
		buf_add_str(&s->data, value);
	else
		add_repaired(&s->data, value);
	if (!s->data.failed)
		return ST_OK;
	return s->data.len + value.len * (is_clean ? 1 : 3) >= s->max_bytes ? ST_LIMIT
									    : ST_NOMEM;
}

static enum status
take_field(struct sse *s, lz_str name, lz_str value, bool in_place)
{
	if (str_is(name, "data"))
		return add_data(s, value, in_place);
	if (str_is(name, "event"))
		s->name_len = keep_short(s->name_room, sizeof(s->name_room), value);
	else if (str_is(name, "id") &&
		 (value.len == 0 || memchr(value.ptr, '\0', value.len) == NULL))
		s->id_len = keep_short(s->id_room, sizeof(s->id_room), value);
	return ST_OK;
}

static void
dispatch(struct feed *f)
{
	struct sse *s = f->s;
	struct sse_event ev;

	if ((s->flags & HAS_DATA) != 0) {
		ev.name = s->name_len > 0 ? lz_strn(s->name_room, s->name_len)
					  : lz_strz("message");
		ev.data = (s->flags & DATA_IS_COPIED) != 0 ? buf_str(&s->data) : s->first;
		ev.id = lz_strn(s->id_room, s->id_len);
		f->is_stopped = !f->fn(f->arg, &ev);
	}
	s->flags &= ~(unsigned)(HAS_DATA | DATA_IS_COPIED);
	s->name_len = 0;
}

static enum status
take_line(struct feed *f, lz_str line, bool in_place)
{
	const char *colon;
	lz_str name = line, value = lz_strn(line.ptr, 0);

	if (line.len > f->s->max_bytes)
		return ST_LIMIT;
	if (line.len == 0) {
		dispatch(f);
		return ST_OK;
	}
	if (line.ptr[0] == '{')
		f->s->flags |= HAS_STRAY;
	colon = memchr(line.ptr, ':', line.len);
	if (colon == line.ptr)
		return ST_OK;
	if (colon != NULL) {
		name = lz_strn(line.ptr, (size_t)(colon - line.ptr));
		value = lz_strn(colon + 1, line.len - name.len - 1);
		if (value.len > 0 && value.ptr[0] == ' ')
			value = lz_strn(value.ptr + 1, value.len - 1);
	}
	return take_field(f->s, name, value, in_place);
}

/* Lines. */

static enum status
keep_line(struct sse *s, const char *p, size_t n)
{
	buf_add(&s->line, p, n);
	if (!s->line.failed)
		return ST_OK;
	return n > s->max_bytes - s->line.len ? ST_LIMIT : ST_NOMEM;
}

/* A line ended at [p, stop); its beginning may have come earlier. */
static enum status
end_line(struct feed *f, const char *p, const char *stop)
{
	struct sse *s = f->s;
	enum status st;

	if (s->line.len == 0)
		return take_line(f, lz_strn(p, (size_t)(stop - p)), true);
	st = keep_line(s, p, (size_t)(stop - p));
	if (st == ST_OK)
		st = take_line(f, buf_str(&s->line), false);
	buf_reset(&s->line);
	return st;
}

/* Skips one byte order mark at the beginning of the stream, which may come in pieces.
 * What only began like one is given back to the line. */
static enum status
skip_bom(struct sse *s, const char **p, const char *end)
{
	unsigned matched = s->bom;

	while (matched < sizeof(bom_bytes) && *p < end && **p == bom_bytes[matched]) {
		matched++;
		(*p)++;
	}
	s->bom = matched;
	if (matched == sizeof(bom_bytes) || *p == end)
		return ST_OK;
	s->bom = BOM_DONE;
	return matched > 0 ? keep_line(s, bom_bytes, matched) : ST_OK;
}

static const char *
skip_lf(struct sse *s, const char *p, const char *end)
{
	if ((s->flags & AFTER_CR) == 0 || p == end)
		return p;
	s->flags &= ~(unsigned)AFTER_CR;
	return *p == '\n' ? p + 1 : p;
}

enum status
sse_feed(struct sse *s, lz_str bytes, bool (*fn)(void *arg, const struct sse_event *ev),
    void *arg)
{
	struct feed f = { .s = s, .fn = fn, .arg = arg };
	const char *p = bytes.ptr, *end, *stop;
	enum status st = ST_OK;

	if (bytes.len == 0)
		return ST_OK;
	end = p + bytes.len;
	if (s->bom != BOM_DONE)
		st = skip_bom(s, &p, end);
	while (st == ST_OK && !f.is_stopped && (p = skip_lf(s, p, end)) < end) {
		stop = scan_line_end(p, end);
		if (stop == end) {
			st = keep_line(s, p, (size_t)(end - p));
			break;
		}
		st = end_line(&f, p, stop);
		if (*stop == '\r')
			s->flags |= AFTER_CR;
		p = stop + 1;
	}
	if (st == ST_OK)
		copy_first(s);
	return st == ST_OK && s->data.failed ? ST_NOMEM : st;
}
