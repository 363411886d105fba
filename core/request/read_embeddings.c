/* read_embeddings.c - what a request for embeddings says: its texts, counted, and how the
 * vectors are to be written.
 *
 * A text is a string or a list of tokens; a list of texts is answered with a vector for
 * each. Tokens that came as numbers are counted exactly. A string has no more of them
 * than bytes, its quotes standing for what a model puts around it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "request/read.h"

enum {
	INPUTS = 2048,        /* OpenAI's own limit */
	TOKEN_DIGITS = 10,    /* of the number of a token */
	AROUND = 2,           /* tokens that a model may put around a text */
	BYTES_PER_TOKEN = 4,  /* as a rule */
	BYTES_OF_A_TOKEN = 8, /* hardly ever more: so many at least */
	ENCODING_BYTES = 16,
	DIMENSIONS = 1 << 20
};

static const char input_kinds[] =
    "must be a text, a list of texts, a list of tokens, or a "
    "list of such lists, and none of the lists empty";

static enum step
wrong_input(struct request *r)
{
	return read_wrong(r, "input", input_kinds);
}

static void
count_text(struct request *r, int64_t likely, int64_t least, int64_t bound)
{
	r->inputs++;
	r->prompt_tokens += likely;
	r->prompt_bound += bound;
	if (least > r->longest_input)
		r->longest_input = least;
}

/* quoted: as it was written. */
static void
count_string(struct request *r, lz_str quoted)
{
	int64_t bytes = (int64_t)quoted.len - AROUND;

	count_text(r, bytes > 0 ? (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN : 1,
	    bytes / BYTES_OF_A_TOKEN, bytes + AROUND);
}

static bool
is_token(lz_str number)
{
	for (size_t i = 0; i < number.len; i++)
		if (number.ptr[i] < '0' || number.ptr[i] > '9')
			return false;
	return number.len <= TOKEN_DIGITS;
}

static bool
count_tokens(struct request *r, lz_str list)
{
	lz_str item;
	int64_t n = 0;

	for (; jscan_next_item(&list, &item); n++)
		if (!is_token(item))
			return false;
	count_text(r, n, n, n + AROUND);
	return n > 0;
}

/* A list of texts, all of one kind: what begins with `first`. */
static enum step
count_list(struct request *r, lz_str list, char first)
{
	lz_str item;

	while (jscan_next_item(&list, &item)) {
		if (item.ptr[0] != first)
			return wrong_input(r);
		if (r->inputs == INPUTS)
			return read_wrong(r, "input", "must hold at most 2048 texts");
		if (first == '"')
			count_string(r, item);
		else if (!count_tokens(r, item))
			return wrong_input(r);
	}
	return STEP_NEXT;
}

static enum step
read_input(struct request *r)
{
	const struct jscan_member *m = jscan_find(r->scan, "input");
	lz_str rest, first;

	if (m == NULL)
		return request_fail(r, FAULT_BAD_REQUEST, "input",
		    "you must provide an 'input' parameter");
	rest = m->value;
	if (m->type == JSCAN_STRING) {
		count_string(r, m->value);
		return STEP_NEXT;
	}
	if (m->type != JSCAN_ARRAY || !jscan_next_item(&rest, &first))
		return wrong_input(r);
	if (first.ptr[0] == '"' || first.ptr[0] == '[')
		return count_list(r, m->value, first.ptr[0]);
	return count_tokens(r, m->value) ? STEP_NEXT : wrong_input(r);
}

static enum step
read_encoding(struct request *r)
{
	lz_str encoding = STR_LIT("float");
	int64_t dimensions = 0; /* the provider's business; looked at for its type only */
	enum step s = read_string(r, "encoding_format", ENCODING_BYTES, &encoding);

	if (s != STEP_NEXT)
		return s;
	r->wants_base64 = str_is(encoding, "base64");
	if (!r->wants_base64 && !str_is(encoding, "float"))
		return read_wrong(r, "encoding_format", "must be 'float' or 'base64'");
	return read_count(r, "dimensions", DIMENSIONS, &dimensions);
}

enum step
request_read_embeddings(struct request *r)
{
	static enum step (*const parts[])(
	    struct request * r) = { read_begin, read_input, read_encoding, read_around };
	enum step s = STEP_NEXT;

	r->inputs = r->longest_input = r->prompt_tokens = r->prompt_bound = 0;
	for (unsigned i = 0; i < sizeof parts / sizeof parts[0] && s == STEP_NEXT; i++)
		s = parts[i](r);
	return s;
}
