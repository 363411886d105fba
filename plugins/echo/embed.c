/* embed.c - echo's vectors: texts that share words are near each other.
 *
 * Feature hashing: each word, and each token that came as a number, adds or takes 1 at a
 * place that its hash names; then the vector is made as long as 1. Nothing is learnt, so
 * only words count, but it is enough to see a search work, and a test can say beforehand
 * what is nearest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "echo.h"

#include <math.h>
#include <stdio.h>

enum {
	DIMENSIONS = 256,
	NUMBER_BYTES = 24,
	BYTES_PER_TOKEN = 4
};

static uint32_t
hash_byte(uint32_t h, unsigned char c)
{
	return (h ^ c) * 16777619u;
}

static void
add_feature(double *v, int64_t dimensions, uint32_t h)
{
	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	h ^= h >> 12;
	v[h % (uint32_t)dimensions] += (h >> 31) != 0 ? 1 : -1;
}

static int
is_word(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

static void
add_words(double *v, int64_t dimensions, lz_str text)
{
	const uint32_t start = 2166136261u;
	uint32_t h = start;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (is_word(c)) {
			h = hash_byte(h, c);
			continue;
		}
		if (h != start)
			add_feature(v, dimensions, h);
		h = start;
	}
	if (h != start)
		add_feature(v, dimensions, h);
}

static void
add_token(double *v, int64_t dimensions, int64_t token)
{
	uint32_t h = 2166136261u;

	for (int shift = 0; shift < 64; shift += 8)
		h = hash_byte(h, (unsigned char)((uint64_t)token >> shift));
	add_feature(v, dimensions, h);
}

/* A text without a word points somewhere too. */
static void
make_unit(double *v, int64_t dimensions)
{
	double sum = 0;

	for (int64_t i = 0; i < dimensions; i++)
		sum += v[i] * v[i];
	if (sum == 0)
		v[0] = sum = 1;
	for (int64_t i = 0; i < dimensions; i++)
		v[i] /= sqrt(sum);
}

/* As JSON, of numbers that a float32 holds exactly. */
static const lz_json *
list_of(lz_call *c, const double *v, int64_t dimensions)
{
	size_t room = (size_t)dimensions * NUMBER_BYTES + 2, n = 0;
	char *text = lz->alloc(c, room);

	if (text == NULL)
		return NULL;
	for (int64_t i = 0; i < dimensions; i++)
		n += (size_t)snprintf(text + n, room - n, "%c%.9g", i == 0 ? '[' : ',',
		    (double)(float)v[i]);
	text[n++] = ']';
	return lz->json_parse(c, lz_strn(text, n));
}

/* One text: a string, or a list of tokens. Returns what it counts. */
static int64_t
read_text(const lz_json *text, double *v, int64_t dimensions)
{
	size_t n = lz->json_len(text);
	lz_str s;

	for (size_t i = 0; i < n; i++)
		add_token(v, dimensions, lz->json_int(lz->json_item(text, i, NULL), 0));
	if (lz->json_type(text) != LZ_STRING)
		return (int64_t)n;
	s = lz->json_str(text, lz_strz(""));
	add_words(v, dimensions, s);
	return (int64_t)(s.len + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/* false: out of memory. */
static int
add_vector(
    lz_call *c, lz_json *answer, const lz_json *text, int64_t dimensions, lz_usage *used)
{
	double v[DIMENSIONS] = { 0 };
	const lz_json *list;
	lz_json *item = lz->json_new(c, LZ_OBJECT);

	used->input += read_text(text, v, dimensions);
	make_unit(v, dimensions);
	list = list_of(c, v, dimensions);
	return list != NULL && lz->json_put(c, item, "/embedding", list) == LZ_OK &&
	       lz->json_put(c, answer, "/data/-", item) == LZ_OK;
}

static int32_t
refuse(lz_call *c)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_CALLER, .status = 400 };

	f.message = lz_strz("echo-embed has 1 to 256 dimensions");
	f.param = lz_strz("dimensions");
	return lz->fail(c, &f);
}

/* A list of texts, or one text: which may be a list of tokens. */
static int
is_list_of_texts(const lz_json *input)
{
	int32_t first = lz->json_type(lz->json_item(input, 0, NULL));

	return first == LZ_STRING || first == LZ_ARRAY;
}

int32_t
embed_answer(lz_call *c)
{
	const lz_json *body = lz->body(c), *input = lz->json_at(body, "/input");
	int64_t dimensions = lz->json_int(lz->json_at(body, "/dimensions"), DIMENSIONS);
	lz_json *answer = lz->json_new(c, LZ_OBJECT);
	lz_usage used = { .size = sizeof(used) };
	int is_fine = 1;

	if (dimensions < 1 || dimensions > DIMENSIONS)
		return refuse(c);
	if (!is_list_of_texts(input))
		is_fine = add_vector(c, answer, input, dimensions, &used);
	else
		for (size_t i = 0, n = lz->json_len(input); is_fine && i < n; i++)
			is_fine = add_vector(
			    c, answer, lz->json_item(input, i, NULL), dimensions, &used);
	if (!is_fine)
		return LZ_E_NOMEM;
	(void)lz->usage(c, &used);
	return lz->emit(c, answer) == LZ_OK ? LZ_ANSWERED : LZ_E_FAIL;
}
