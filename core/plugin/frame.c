/* frame.c - streams of JSON that are no event streams: lines, and one array that grows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/frame.h"

typedef bool event_fn(void *arg, const struct sse_event *ev);

void
frame_init(struct frame *f, uint32_t framing, size_t max_event_bytes)
{
	*f = (struct frame){ .framing = framing };
	buf_init(&f->piece, max_event_bytes);
	sse_init(&f->sse, max_event_bytes);
}

void
frame_free(struct frame *f)
{
	buf_free(&f->piece);
	sse_free(&f->sse);
}

/* The event that the piece at hand and `rest` make together. */
static bool
give(struct frame *f, lz_str rest, event_fn *fn, void *arg)
{
	struct sse_event ev = { .name = STR_LIT(""), .data = rest, .id = STR_LIT("") };
	bool goes_on;

	if (f->piece.len > 0) {
		buf_add_str(&f->piece, rest);
		ev.data = buf_str(&f->piece);
	}
	if (f->piece.failed)
		return false;
	goes_on = fn(arg, &ev);
	buf_reset(&f->piece);
	return goes_on;
}

static enum status
keep(struct frame *f, lz_str rest)
{
	buf_add_str(&f->piece, rest);
	return f->piece.failed ? ST_LIMIT : ST_OK;
}

/* ---- lines ---- */

static bool
is_blank(lz_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r')
			return false;
	return true;
}

static enum status
feed_lines(struct frame *f, lz_str bytes, event_fn *fn, void *arg)
{
	ptrdiff_t end;

	while ((end = str_find(bytes, '\n')) >= 0) {
		lz_str line = str_cut(bytes, 0, (size_t)end);

		bytes = str_cut(bytes, (size_t)end + 1, bytes.len);
		if (f->piece.len == 0 && is_blank(line))
			continue;
		if (!give(f, line, fn, arg))
			return f->piece.failed ? ST_LIMIT : ST_OK;
	}
	/* What would be a blank line is not kept, so that a piece is always a part of an
	 * event. */
	if (f->piece.len == 0 && is_blank(bytes))
		return ST_OK;
	return keep(f, bytes);
}

/* ---- an array ---- */

/* One byte inside an event. true: it is the last one. */
static bool
step_inside(struct frame *f, char c)
{
	if (f->is_escaped) {
		f->is_escaped = false;
	} else if (f->is_in_string) {
		f->is_escaped = c == '\\';
		f->is_in_string = c != '"';
	} else if (c == '"') {
		f->is_in_string = true;
	} else if (c == '{' || c == '[') {
		f->depth++;
	} else if (c == '}' || c == ']') {
		f->depth--;
		return f->depth == 0;
	}
	return false;
}

/* One byte between events. ST_AGAIN: an event begins with it. */
static enum status
step_between(struct frame *f, char c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return ST_OK;
	if (f->is_after_array)
		return ST_INVALID;
	if (c == '[' && !f->has_begun) {
		f->has_begun = true;
		return ST_OK;
	}
	if (c == ',' && f->has_begun)
		return ST_OK;
	if (c == ']' && f->has_begun) {
		f->is_after_array = true;
		return ST_OK;
	}
	return c == '{' || c == '[' ? ST_AGAIN : ST_INVALID;
}

static enum status
feed_array(struct frame *f, lz_str bytes, event_fn *fn, void *arg)
{
	size_t from = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		if (f->depth > 0) {
			if (!step_inside(f, bytes.ptr[i]))
				continue;
			if (!give(f, str_cut(bytes, from, i + 1), fn, arg))
				return f->piece.failed ? ST_LIMIT : ST_OK;
			continue;
		}
		switch (step_between(f, bytes.ptr[i])) {
		case ST_OK:
			break;
		case ST_AGAIN:
			f->depth = 1;
			from = i;
			break;
		default:
			return ST_INVALID;
		}
	}
	return f->depth > 0 ? keep(f, str_cut(bytes, from, bytes.len)) : ST_OK;
}

/* ---- the door ---- */

bool
frame_has_stray(const struct frame *f)
{
	return f->framing == LZ_SSE && sse_has_stray(&f->sse);
}

enum status
frame_feed(struct frame *f, lz_str bytes, event_fn *fn, void *arg)
{
	if (f->framing == LZ_JSON_LINES)
		return feed_lines(f, bytes, fn, arg);
	if (f->framing == LZ_JSON_ARRAY)
		return feed_array(f, bytes, fn, arg);
	return sse_feed(&f->sse, bytes, fn, arg);
}

bool
frame_end(struct frame *f, event_fn *fn, void *arg)
{
	if (f->framing == LZ_SSE)
		return !sse_is_pending(&f->sse);
	if (f->framing == LZ_JSON_LINES && f->piece.len > 0)
		(void)give(f, STR_LIT(""), fn, arg);
	return f->piece.len == 0 && (f->is_after_array || !f->has_begun);
}
