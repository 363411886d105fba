/* fold.c - a text as a reader sees it, and where each byte of that came from.
 *
 * The map is kept as runs: a stretch of bytes that were taken over one by one is a single
 * entry however long it is, so that English text with line breaks costs a copy and no
 * map.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/fold.h"
#include "base/fold_char.h"

#if defined(__SSE2__) && !defined(BASE_PORTABLE)
#include <emmintrin.h>
#define FOLD_SSE2 1
#endif

enum {
	RIGHT_TO_LEFT = 0x202e, /* what follows is shown backwards */
	POP = 0x202c,           /* up to here */
	NOT_UTF8 = 0xfffd
};

/* From byte `plain` on, byte by byte from `text` on; or all of one character there. */
struct run {
	uint32_t plain;
	uint32_t text : 31, is_one : 1;
};

/* What happens while a text is read. */
struct folding {
	struct fold *f;
	int32_t open; /* the last character, where a next may join it; 0: none */
	size_t open_at, open_bytes;
	size_t passage; /* where a passage of U+202E begins; SIZE_MAX: outside */
};

void
fold_init(struct fold *f, size_t max_bytes)
{
	memset(f, 0, sizeof(*f));
	buf_init(&f->bytes, max_bytes);
	buf_init(&f->runs, max_bytes < SIZE_MAX / 16 ? max_bytes * 8 + 64 : SIZE_MAX);
}

void
fold_free(struct fold *f)
{
	buf_free(&f->bytes);
	buf_free(&f->runs);
	f->plain = f->text = STR_NONE;
	f->decided = 0;
}

/* ---- where it came from
 * ----------------------------------------------------------------- */

static const struct run *
run_at(const struct fold *f, size_t i)
{
	return (const struct run *)(const void *)f->runs.ptr + i;
}

static size_t
run_count(const struct fold *f)
{
	return f->runs.len / sizeof(struct run);
}

/* Says that what is appended next comes from `text`. */
static void
run_begin(struct folding *g, size_t text, bool is_one)
{
	struct fold *f = g->f;
	size_t n = run_count(f), plain = f->bytes.len;
	struct run r;

	if (g->passage != SIZE_MAX) {
		text = g->passage;
		is_one = true;
	}
	if (n > 0) {
		const struct run *last = run_at(f, n - 1);

		if (is_one && last->is_one && last->text == text)
			return;
		if (!is_one && !last->is_one && text - last->text == plain - last->plain)
			return;
	}
	r.plain = (uint32_t)plain;
	r.text = (uint32_t)text & 0x7fffffffu;
	r.is_one = is_one;
	buf_add(&f->runs, &r, sizeof(r));
}

size_t
fold_origin(const struct fold *f, size_t at)
{
	size_t low = 0, high = run_count(f), text = at;

	if (at >= f->plain.len)
		return f->decided;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (run_at(f, middle)->plain <= at)
			low = middle;
		else
			high = middle;
	}
	if (high > low) {
		const struct run *r = run_at(f, low);

		text = r->text;
		if (r->is_one)
			return text;
		text += at - r->plain;
		while (
		    text > r->text && ((unsigned char)f->text.ptr[text] & 0xc0) == 0x80)
			text--;
	}
	return text;
}

/* Of one run, whose bytes end before `to`. */
static void
add_origins(const struct fold *f, const struct run *r, size_t to, uint32_t *origin)
{
	for (size_t at = r->plain; at < to; at++) {
		size_t text = r->is_one ? r->text : r->text + (at - r->plain);

		if (at > r->plain && !r->is_one &&
		    ((unsigned char)f->text.ptr[text] & 0xc0) == 0x80)
			origin[at] = origin[at - 1];
		else
			origin[at] = (uint32_t)text;
	}
}

void
fold_origins(const struct fold *f, uint32_t *origin)
{
	size_t n = run_count(f);

	for (size_t at = 0; n == 0 && at < f->plain.len; at++)
		origin[at] = (uint32_t)at;
	for (size_t i = 0; i < n; i++)
		add_origins(f, run_at(f, i),
		    i + 1 < n ? run_at(f, i + 1)->plain : f->plain.len, origin);
	origin[f->plain.len] = (uint32_t)f->decided;
}

/* ---- what is plain already
 * -------------------------------------------------------------- */

/* How many bytes from p on are ASCII that stays as it is, with `before` in front of them:
 * no controls, and no blank behind a blank. */
static size_t
plain_run(const char *start, const char *end, char before)
{
	const char *p = start;

#ifdef FOLD_SSE2
	const __m128i low = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f);
	unsigned carry = before == ' ';

	/* As signed bytes, what is not ASCII is below 0x20, too. */
	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned blank = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, low));
		unsigned stop = (unsigned)_mm_movemask_epi8(
		    _mm_or_si128(_mm_cmplt_epi8(v, low), _mm_cmpeq_epi8(v, del)));

		stop |= blank & (blank << 1 | carry);
		if (stop != 0)
			return (size_t)(p - start) + (size_t)__builtin_ctz(stop);
		carry = blank >> 15 & 1;
	}
	if (p > start)
		before = p[-1];
#endif
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c >= 0x7f || (c == ' ' && before == ' '))
			break;
		before = *p;
	}
	return (size_t)(p - start);
}

/* ---- characters
 * ------------------------------------------------------------------------- */

/* The character at p, in n > 0 bytes, and its length; 0: a later byte may complete it. */
static size_t
next_char(const char *p, size_t n, bool is_final, int32_t *c)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t step = str_utf8_step(p, n), i, want;

	if (step == 1) {
		*c = u[0];
	} else if (step > 1) {
		*c = u[0] & (0x7f >> step);
		for (i = 1; i < step; i++)
			*c = *c << 6 | (u[i] & 0x3f);
	} else {
		want = u[0] >= 0xf0 && u[0] < 0xf5   ? 4
		       : u[0] >= 0xe0 && u[0] < 0xf0 ? 3
		       : u[0] >= 0xc2 && u[0] < 0xe0 ? 2
						     : 1;
		for (i = 1; i < n && i < want && (u[i] & 0xc0) == 0x80; i++)
			;
		if (!is_final && i == n && i < want)
			return 0;
		*c = NOT_UTF8;
		step = 1;
	}
	return step;
}

static void
put(struct folding *g, int32_t c, size_t at, size_t from_bytes)
{
	struct buf *b = &g->f->bytes;
	uint32_t u = (uint32_t)c;
	char utf8[4];
	size_t n = 0;

	if (c == ' ' && b->len > 0 && b->ptr[b->len - 1] == ' ')
		return;
	if (u < 0x80) {
		utf8[n++] = (char)u;
	} else if (u < 0x800) {
		utf8[n++] = (char)(0xc0 | u >> 6);
	} else {
		if (u >= 0x10000) {
			utf8[n++] = (char)(0xf0 | u >> 18);
			utf8[n++] = (char)(0x80 | (u >> 12 & 0x3f));
		} else {
			utf8[n++] = (char)(0xe0 | u >> 12);
		}
		utf8[n++] = (char)(0x80 | (u >> 6 & 0x3f));
	}
	if (u >= 0x80)
		utf8[n++] = (char)(0x80 | (u & 0x3f));
	/* As long as before, or a single byte: the byte-by-byte run says the same. */
	run_begin(g, at, n != from_bytes && n > 1);
	buf_add(b, utf8, n);
}

static void
put_open(struct folding *g)
{
	if (g->open != 0)
		put(g, g->open, g->open_at, g->open_bytes);
	g->open = 0;
}

static void
put_char(struct folding *g, int32_t c, size_t at, size_t bytes)
{
	int32_t out[FOLD_CHARS], joined;
	size_t n = fold_char(c, out), i;

	for (i = 0; i < n; i++) {
		if (g->open != 0 && (joined = fold_join(g->open, out[i])) != 0) {
			g->open = joined;
			g->open_bytes = 0;
			if (!fold_may_join(joined))
				put_open(g);
			continue;
		}
		put_open(g);
		if (fold_may_join(out[i])) {
			g->open = out[i];
			g->open_at = at;
			g->open_bytes = n == 1 ? bytes : 0;
		} else {
			put(g, out[i], at, n == 1 ? bytes : 0);
		}
	}
}

/* ---- passages that are shown backwards
 * -------------------------------------------------- */

static bool
is_line_end(int32_t c)
{
	return c == '\n' || c == '\r' || c == 0x85 || c == 0x2029;
}

/* Where the passage ends that begins behind `at`; SIZE_MAX: later than this text. */
static size_t
passage_end(lz_str text, size_t at, bool is_final)
{
	size_t depth = 1, step;
	int32_t c;

	for (; at < text.len; at += step) {
		step = next_char(text.ptr + at, text.len - at, is_final, &c);
		if (step == 0)
			return SIZE_MAX;
		if (c >= 0x202a && c <= RIGHT_TO_LEFT && c != POP)
			depth++;
		else if (c == POP && --depth == 0)
			return at;
		else if (is_line_end(c))
			return at;
	}
	return is_final ? at : SIZE_MAX;
}

/* Appends what stands in plain from byte `from` on once more, backwards. */
static void
put_backwards(struct folding *g, size_t from)
{
	struct buf *b = &g->f->bytes;
	size_t len = b->len - from, end, at;
	char *to;

	if (len > 0 && b->ptr[b->len - 1] == ' ')
		len--;
	put(g, ' ', 0, 0);
	to = buf_room(b, len);
	if (to == NULL)
		return;
	for (end = from + len; end > from; end = at) {
		for (at = end - 1;
		     at > from && ((unsigned char)b->ptr[at] & 0xc0) == 0x80;)
			at--;
		memcpy(to, b->ptr + at, end - at);
		to += end - at;
	}
	b->len += len;
}

/* ---- the text
 * --------------------------------------------------------------------------- */

/* Appends text[at..end) and returns how far it came. */
static size_t
fold_range(struct folding *g, size_t at, size_t end, bool is_final)
{
	struct fold *f = g->f;
	const char *p = f->text.ptr;

	while (at < end && !f->bytes.failed) {
		char before = f->bytes.len > 0 ? f->bytes.ptr[f->bytes.len - 1] : 0;
		size_t n = plain_run(p + at, p + end, g->open != 0 ? 0 : before);
		int32_t c;

		if (n > 0) {
			put_open(g);
			run_begin(g, at, false);
			buf_add(&f->bytes, p + at, n);
			at += n;
			continue;
		}
		n = next_char(p + at, end - at, is_final, &c);
		if (n == 0)
			break;
		if (c == RIGHT_TO_LEFT && g->passage == SIZE_MAX) {
			size_t stop = passage_end(f->text, at + n, is_final), from;

			if (stop == SIZE_MAX)
				break;
			put_open(g);
			g->passage = at;
			from = f->bytes.len;
			(void)fold_range(g, at + n, stop, true);
			put_open(g);
			put_backwards(g, from);
			g->passage = SIZE_MAX;
			at = stop;
			continue;
		}
		put_char(g, c, at, n);
		at += n;
	}
	return at;
}

enum status
fold_text(struct fold *f, lz_str text, bool is_final)
{
	struct folding g = { .f = f, .passage = SIZE_MAX };

	buf_reset(&f->bytes);
	buf_reset(&f->runs);
	f->text = text;
	f->plain = STR_NONE;
	f->decided = 0;
	if (text.len > INT32_MAX)
		return ST_LIMIT;
	if (plain_run(text.ptr, text.ptr + text.len, 0) == text.len) {
		f->plain = text;
		f->decided = text.len;
		return ST_OK;
	}
	f->decided = fold_range(&g, 0, text.len, is_final);
	if (g.open != 0 && !is_final)
		f->decided = g.open_at;
	else
		put_open(&g);
	if (f->bytes.failed || f->runs.failed) {
		f->decided = 0;
		return ST_NOMEM;
	}
	f->plain = f->bytes.len > 0 ? buf_str(&f->bytes) : STR_LIT("");
	return ST_OK;
}

size_t
fold_plain(lz_str text, char *out, size_t room)
{
	struct fold f;
	size_t n = SIZE_MAX;

	fold_init(&f, SIZE_MAX / 32);
	if (fold_text(&f, text, true) == ST_OK) {
		n = f.plain.len;
		if (n > 0 && n <= room)
			memcpy(out, f.plain.ptr, n);
	}
	fold_free(&f);
	return n;
}
