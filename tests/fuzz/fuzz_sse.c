/* fuzz_sse.c - an event stream, whole, byte by byte and cut at places that the input
 * chooses: the events that a second, plain reading of the WHATWG algorithm finds.
 *
 * A corpus that is replayed is cut in every way; libFuzzer, which has millions of inputs,
 * cuts each in one.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "net/sse.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	EVENT_BYTES = 160, /* more than a name and an id are cut to */
	STREAM_BYTES = 1 << 16,
	SINGLE_BYTES = 512, /* longer ones are not fed byte by byte */
	NAME_BYTES = 64,    /* sse.h cuts names and ids there */
	ID_BYTES = 128,
	WAYS = 3 /* of cutting: one for every size modulo this */
};

static const unsigned cuts[WAYS] = { 1, 2, 5 }; /* see feed() */
static bool is_cut_one_way;

/* Only libFuzzer calls it. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	is_cut_one_way = true;
	return 0;
}

static void
write_event(struct buf *b, lz_str name, lz_str data, lz_str id)
{
	buf_addf(b, "%zu %zu %zu ", name.len, data.len, id.len);
	buf_add_str(b, name);
	buf_add_str(b, data);
	buf_add_str(b, id);
}

/* ---- the reference: all bytes at hand, one state machine for UTF-8, one for lines ----
 */

struct model {
	struct buf *events;
	struct buf data;
	lz_str name, id;
	bool has_data, is_pending;
};

/* The Encoding standard's UTF-8 decoder, errors replaced. */
static void
decode(struct buf *out, lz_str in)
{
	unsigned needed = 0, seen = 0, low = 0x80, high = 0xbf;
	size_t i = 0, from = 0;

	while (i < in.len) {
		unsigned char c = (unsigned char)in.ptr[i];

		if (needed == 0) {
			from = i++;
			low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
			high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
			seen = 0;
			if (c < 0x80)
				buf_add_char(out, (char)c);
			else if (c >= 0xc2 && c <= 0xf4)
				needed = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
			else
				buf_add_z(out, "\xef\xbf\xbd");
		} else if (c < low || c > high) {
			buf_add_z(out, "\xef\xbf\xbd"); /* c is looked at again */
			needed = 0;
		} else {
			i++;
			low = 0x80;
			high = 0xbf;
			if (++seen == needed) {
				buf_add(out, in.ptr + from, i - from);
				needed = 0;
			}
		}
	}
	if (needed > 0)
		buf_add_z(out, "\xef\xbf\xbd");
}

static void
model_dispatch(struct model *m)
{
	if (m->has_data)
		write_event(m->events, m->name.len > 0 ? m->name : STR_LIT("message"),
		    str_cut(buf_str(&m->data), 0, m->data.len - 1), m->id);
	buf_reset(&m->data);
	m->has_data = m->is_pending = false;
	m->name = STR_NONE;
}

/* Each data line ends with a line feed; the last one is taken off by dispatching. */
static void
model_line(struct model *m, lz_str line)
{
	ptrdiff_t colon = str_find(line, ':');
	lz_str name = colon < 0 ? line : str_cut(line, 0, (size_t)colon);
	lz_str value = colon < 0 ? STR_NONE : str_cut(line, (size_t)colon + 1, line.len);

	if (value.len > 0 && value.ptr[0] == ' ')
		value = str_cut(value, 1, value.len);
	if (line.len == 0) {
		model_dispatch(m);
	} else if (str_is(name, "data")) {
		decode(&m->data, value);
		buf_add_char(&m->data, '\n');
		m->has_data = m->is_pending = true;
	} else if (str_is(name, "event")) {
		m->name = str_cut(value, 0, NAME_BYTES);
		m->is_pending = m->has_data || m->name.len > 0;
	} else if (str_is(name, "id") && str_find(value, '\0') < 0) {
		m->id = str_cut(value, 0, ID_BYTES);
	}
}

static bool
read_whole(lz_str text, struct buf *events)
{
	struct model m = { .events = events };
	size_t n;

	buf_init(&m.data, 4 * STREAM_BYTES);
	if (str_starts(text, "\xef\xbb\xbf"))
		text = str_cut(text, 3, text.len);
	while (text.len > 0) {
		for (n = 0; n < text.len && text.ptr[n] != '\r' && text.ptr[n] != '\n';)
			n++;
		if (n == text.len)
			break;
		model_line(&m, str_cut(text, 0, n));
		n += text.ptr[n] == '\r' && n + 1 < text.len && text.ptr[n + 1] == '\n';
		text = str_cut(text, n + 1, text.len);
	}
	must(!m.data.failed);
	buf_free(&m.data);
	return m.is_pending || text.len > 0;
}

/* ---- the real one ---- */

static bool
write_down(void *arg, const struct sse_event *ev)
{
	must(str_is_utf8(ev->data));
	must(ev->data.len <= EVENT_BYTES * 3);
	write_event(arg, ev->name, ev->data, ev->id);
	return true;
}

/* cut: pieces end where a byte of the input is divisible by it; 0: one piece. Those of a
 * short stream are memory of their own. */
static enum status
feed(const uint8_t *data, size_t size, unsigned cut, size_t event_bytes,
    struct buf *events, bool *is_pending)
{
	struct sse s;
	enum status st = ST_OK;
	size_t from = 0, to;

	sse_init(&s, event_bytes);
	while (from < size && st == ST_OK) {
		const char *piece = (const char *)data + from;
		char *own;

		to = from + 1;
		while (to < size && (cut == 0 || data[to] % cut != 0))
			to++;
		own = size <= SINGLE_BYTES ? malloc(to - from) : NULL;
		if (own != NULL)
			piece = memcpy(own, piece, to - from);
		st = sse_feed(&s, lz_strn(piece, to - from), write_down, events);
		free(own);
		from = to;
	}
	*is_pending = sse_is_pending(&s);
	sse_free(&s);
	must(st == ST_OK || st == ST_LIMIT);
	return st;
}

/* Is every line, and every event's data, short enough for nobody to call it too large? */
static bool
is_small(size_t size)
{
	return size < EVENT_BYTES / 3;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf model, whole, cut;
	bool was_pending, model_is_pending, is_pending;
	enum status first, st;

	if (size > STREAM_BYTES)
		return 0;
	buf_init(&model, 1 << 20);
	buf_init(&whole, 1 << 20);
	buf_init(&cut, 1 << 20);
	model_is_pending = read_whole(lz_strn((const char *)data, size), &model);
	first = feed(data, size, 0, EVENT_BYTES, &whole, &was_pending);
	must(first == ST_OK || !is_small(size));
	if (first == ST_OK)
		must(str_eq(buf_str(&whole), buf_str(&model)) &&
		     was_pending == model_is_pending);
	else
		must(str_eq(buf_str(&whole), str_cut(buf_str(&model), 0, whole.len)));
	for (unsigned i = 0; i < WAYS; i++) {
		if ((is_cut_one_way && size % WAYS != i) ||
		    (cuts[i] == 1 && size > SINGLE_BYTES))
			continue;
		buf_reset(&cut);
		st = feed(data, size, cuts[i], EVENT_BYTES, &cut, &is_pending);
		must(st == first && str_eq(buf_str(&whole), buf_str(&cut)));
		must(st != ST_OK || is_pending == was_pending);
	}
	must(!model.failed && !whole.failed && !cut.failed);
	buf_free(&model);
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
