/* arguments.c - is what came of a call's arguments a whole JSON value?
 *
 * They come as pieces of a text, which nobody keeps where no guardrail looks. So they are
 * followed, by how many brackets are open and whether a string is. Of what is no JSON
 * nothing is promised: it may count as whole, and then only a piece that names a function
 * and opens a bracket is another call's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "call/attempt.h"
#include "net/sse.h"

static void
take_char(struct arguments *a, char c)
{
	if (a->is_escaped) {
		a->is_escaped = false;
	} else if (a->is_in_string) {
		a->is_escaped = c == '\\';
		a->is_in_string = c != '"';
	} else if (c == '"') {
		a->is_in_string = true;
	} else if (c == '{' || c == '[') {
		a->depth++;
		a->is_whole = false;
	} else if ((c == '}' || c == ']') && a->depth > 0) {
		a->is_whole = --a->depth == 0;
	}
}

void
arguments_take(struct arguments *a, const struct jscan_member *piece)
{
	struct buf text;

	if (piece->type != JSCAN_STRING || piece->value.len <= 2)
		return;
	buf_init(&text, SSE_EVENT_BYTES);
	/* Without memory: as if one never closed. */
	if (!growing_add_text(&text, piece))
		a->depth++;
	for (size_t i = 0; i < text.len; i++)
		take_char(a, text.ptr[i]);
	buf_free(&text);
}

bool
arguments_are_open(const struct arguments *a)
{
	return a->depth > 0 || a->is_in_string;
}

bool
arguments_begin_anew(const struct arguments *a, const struct jscan_member *piece)
{
	struct arguments other = { 0 };

	if (!a->is_whole)
		return false;
	arguments_take(&other, piece);
	return other.depth > 0 || other.is_whole;
}
