/* vectors.c - the answer to a request for embeddings: a vector for each text, written as
 * the caller asked.
 *
 * A caller's SDK asks for base64 (little-endian float32) and decodes it blindly; servers
 * that merely resemble OpenAI answer with lists of numbers all the same, and some do it
 * the other way round. Vectors that are as asked pass byte for byte; others are rewritten
 * in place, without building a tree of a million numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/mem.h"
#include "call/attempt.h"

enum {
	FLOAT_BYTES = 4,
	FLOAT_DIGITS = 9, /* of a float32, so that reading gives it back */
	NUMBER_BYTES = 32,
	INLINE_BYTES = 64 << 10 /* a larger text is rewritten off the loop */
};

/* ---- one vector ---- */

static void
put_float(struct buf *bytes, float v)
{
	uint32_t bits;
	unsigned char le[FLOAT_BYTES];

	memcpy(&bits, &v, sizeof bits);
	for (unsigned i = 0; i < FLOAT_BYTES; i++)
		le[i] = (unsigned char)(bits >> (8 * i));
	buf_add(bytes, le, sizeof le);
}

static float
get_float(const char *p)
{
	uint32_t bits = 0;
	float v;

	for (unsigned i = 0; i < FLOAT_BYTES; i++)
		bits |= (uint32_t)(unsigned char)p[i] << (8 * i);
	memcpy(&v, &bits, sizeof v);
	return v;
}

/* A list of numbers as base64. The list lies inside a larger text: strtof() finds a comma
 * or a bracket behind each number. */
static bool
pack(lz_str list, struct buf *bytes, struct buf *out)
{
	lz_str item;

	buf_reset(bytes);
	while (jscan_next_item(&list, &item)) {
		char *end;
		float v = strtof(item.ptr, &end);

		if (end != item.ptr + item.len || !isfinite(v))
			return false;
		put_float(bytes, v);
	}
	buf_add_char(out, '"');
	base64_encode(bytes->ptr, bytes->len, out);
	buf_add_char(out, '"');
	return bytes->len > 0 && !bytes->failed && !out->failed;
}

static void
add_number(struct buf *out, float v)
{
	char text[NUMBER_BYTES];
	int n = snprintf(text, sizeof text, "%.*g", FLOAT_DIGITS, (double)v);

	for (int i = 0; i < n; i++)
		if (text[i] == ',') /* whatever the locale writes there */
			text[i] = '.';
	buf_add(out, text, (size_t)n);
}

static bool
unpack(lz_str quoted, struct buf *bytes, struct buf *out)
{
	buf_reset(bytes);
	if (!base64_decode(str_cut(quoted, 1, quoted.len - 1), bytes) ||
	    bytes->len == 0 || bytes->len % FLOAT_BYTES != 0)
		return false;
	for (size_t at = 0; at < bytes->len; at += FLOAT_BYTES) {
		float v = get_float(bytes->ptr + at);

		if (!isfinite(v))
			return false;
		buf_add_char(out, at == 0 ? '[' : ',');
		add_number(out, v);
	}
	buf_add_char(out, ']');
	return !out->failed;
}

/* ---- all of them ---- */

/* The text of an item's vector; absent: it has none. */
static lz_str
vector_of(lz_str item, bool *is_base64)
{
	struct jscan_member m;
	lz_str list, first;

	if (!jscan_inner(item, "embedding", &m))
		return STR_NONE;
	list = m.value;
	*is_base64 = m.type == JSCAN_STRING && m.value.len > 2;
	if (*is_base64 || (m.type == JSCAN_ARRAY && jscan_next_item(&list, &first)))
		return m.value;
	return STR_NONE;
}

/* -1: one of them is no vector. */
static int64_t
count(lz_str data, bool wants_base64, bool *are_as_asked)
{
	lz_str item;
	int64_t n = 0;

	*are_as_asked = true;
	for (; jscan_next_item(&data, &item); n++) {
		bool is_base64 = false;

		if (vector_of(item, &is_base64).ptr == NULL)
			return -1;
		*are_as_asked &= is_base64 == wants_base64;
	}
	return n;
}

/* The whole text with every vector rewritten that is not as asked. */
static bool
rewrite(lz_str text, lz_str data, bool wants_base64, struct buf *out)
{
	const char *at = text.ptr, *end = text.ptr + text.len;
	struct buf bytes;
	bool is_fine = true;
	lz_str item;

	buf_init(&bytes, out->max_bytes);
	while (is_fine && jscan_next_item(&data, &item)) {
		bool is_base64 = false;
		lz_str v = vector_of(item, &is_base64);

		if (is_base64 == wants_base64)
			continue;
		buf_add(out, at, (size_t)(v.ptr - at));
		is_fine = is_base64 ? unpack(v, &bytes, out) : pack(v, &bytes, out);
		at = v.ptr + v.len;
	}
	buf_add(out, at, (size_t)(end - at));
	buf_free(&bytes);
	return is_fine && !out->failed;
}

/* ---- the answer ---- */

static enum step
bad(struct call *c, const char *why)
{
	return call_failed(c, "bad_answer", LZ_UPSTREAM_DOWN, lz_strz(why));
}

static enum step
done(struct call *c, struct buf *text)
{
	struct request *r = c->r;

	r->answer = *text;
	buf_init(text, text->max_bytes);
	r->answer_status = 200;
	call_succeeded(c);
	return STEP_DONE;
}

static enum step
rewritten(struct call *c, struct buf *out, bool is_fine)
{
	return is_fine ? done(c, out)
		       : bad(c, "the provider's vectors are no numbers, or too many");
}

/* A million numbers take a tenth of a second. The job owns both texts and knows nothing
 * of the request, which may be gone when it comes home. */
struct rewriting {
	struct pool_job job;
	struct call *call; /* [worker] NULL: nobody waits any more */
	struct buf text, out;
	lz_str data;
	bool wants_base64, is_fine;
};

static void
work(void *arg)
{
	struct rewriting *w = arg;

	w->is_fine = rewrite(buf_str(&w->text), w->data, w->wants_base64, &w->out);
}

static void
came_home(void *arg)
{
	struct rewriting *w = arg;
	struct call *c = w->call;
	enum step s = STEP_WAIT;

	if (c != NULL) {
		c->rewriting = NULL;
		s = rewritten(c, &w->out, w->is_fine);
	}
	buf_free(&w->text);
	buf_free(&w->out);
	mem_free(w);
	if (c != NULL)
		call_finish(c, s);
}

/* false: it has to be done here. */
static bool
send_to_pool(struct call *c, struct buf *text, lz_str data)
{
	const struct worker *worker = c->r->worker;
	struct rewriting *w;

	if (text->len <= INLINE_BYTES || worker->pool == NULL)
		return false;
	w = mem_zalloc(sizeof *w);
	if (w == NULL)
		return false;
	*w = (struct rewriting){
		.call = c, .text = *text, .data = data, .wants_base64 = c->r->wants_base64
	};
	w->job = (struct pool_job){
		.work = work, .home = came_home, .arg = w, .loop = worker->loop
	};
	buf_init(&w->out, text->max_bytes);
	if (pool_run(worker->pool, &w->job) != ST_OK) {
		mem_free(w);
		return false;
	}
	c->rewriting = w;
	buf_init(text, text->max_bytes);
	return true;
}

void
vectors_forget(struct call *c)
{
	if (c->rewriting != NULL)
		c->rewriting->call = NULL;
	c->rewriting = NULL;
}

enum step
vectors_taken(struct call *c, struct buf *text, const struct jscan *scan)
{
	const struct jscan_member *data = jscan_find(scan, "data");
	bool wants_base64 = c->r->wants_base64, are_as_asked;
	struct buf out;
	enum step s;

	if (data == NULL || data->type != JSCAN_ARRAY)
		return bad(c, "the provider's answer has no vectors");
	if (count(data->value, wants_base64, &are_as_asked) != c->r->inputs)
		return bad(c, "the provider's answer has not a vector for each text");
	if (are_as_asked)
		return done(c, text);
	if (send_to_pool(c, text, data->value))
		return STEP_WAIT;
	buf_init(&out, text->max_bytes);
	s = rewritten(c, &out, rewrite(buf_str(text), data->value, wants_base64, &out));
	buf_free(&out);
	return s;
}
