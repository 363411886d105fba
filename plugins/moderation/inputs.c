/* inputs.c - the texts of a call become inputs of the service.
 *
 * The texts of one message are one input, a line each: so a phrase that is spread over
 * parts is seen as one, and many small strings cost little. What is longer than the
 * service takes is cut between words, and each piece begins with the end of the one
 * before.
 *
 * SPDX-License-Identifier: MIT
 */
#include "moderation.h"

enum {
	OVERLAP_BYTES = 200,
	SPACE_WITHIN = 100 /* bytes in which a blank is looked for */
};

static bool
is_edge(lz_str s, size_t at)
{
	return at >= s.len || ((uint8_t)s.ptr[at] & 0xc0) != 0x80;
}

/* The last place before `at` where a word begins, or at least a character. */
static size_t
cut_before(lz_str s, size_t at)
{
	size_t low = at > SPACE_WITHIN ? at - SPACE_WITHIN : 0;

	for (size_t i = at; i > low; i--)
		if (s.ptr[i - 1] == ' ' || s.ptr[i - 1] == '\n')
			return i;
	while (at > 0 && !is_edge(s, at))
		at--;
	return at;
}

static int32_t
add(const struct moderation *m, lz_call *c, struct inputs *in, lz_str text)
{
	if (in->count == in->room) {
		size_t room = in->room > 0 ? 2 * in->room : 16;
		lz_str *item = lz->alloc(c, room * sizeof(*item));

		if (item == NULL)
			return LZ_E_NOMEM;
		if (in->count > 0)
			memcpy(item, in->item, in->count * sizeof(*item));
		in->item = item;
		in->room = room;
	}
	in->item[in->count++] = text;
	in->bytes += text.len;
	return in->bytes <= (size_t)m->max_bytes ? LZ_OK : ask_too_long(c);
}

static int32_t
add_in_pieces(const struct moderation *m, lz_call *c, struct inputs *in, lz_str text)
{
	size_t most = (size_t)m->chunk_bytes, at = 0, end;
	int32_t rc = LZ_OK;

	while (rc == LZ_OK && text.len - at > most) {
		end = cut_before(text, at + most);
		rc = add(m, c, in, lz_strn(text.ptr + at, end - at));
		at = cut_before(text, end - OVERLAP_BYTES);
	}
	if (rc == LZ_OK && at < text.len)
		rc = add(m, c, in, lz_strn(text.ptr + at, text.len - at));
	return rc;
}

/* ---- which texts ---- */

/* The message that `last_user` means. Texts that belong to none have a number above all.
 */
static uint32_t
last_user_message(lz_call *c)
{
	uint32_t last = UINT32_MAX;

	for (size_t i = 0; i < lz->texts(c); i++)
		if (lz_eq(lz->text(c, i)->role, "user"))
			last = lz->text(c, i)->message;
	return last;
}

struct choosing {
	uint32_t message;
	bool is_last_user;
};

static struct choosing
choosing_of(const struct moderation *m, lz_call *c)
{
	const lz_request *q = lz->request(c);
	struct choosing w = { 0, false };

	if (m->texts == LAST_USER && q->phase == LZ_REQUEST && lz_eq(q->route, "chat")) {
		w.is_last_user = true;
		w.message = last_user_message(c);
	}
	return w;
}

static bool
is_chosen(const struct choosing *w, const lz_text *t)
{
	return !w->is_last_user || (t->message == w->message && lz_eq(t->role, "user"));
}

/* ---- put together ---- */

static lz_str
form_of(const lz_text *t, bool is_plain)
{
	return is_plain && t->plain.ptr != NULL ? t->plain : t->text;
}

static bool
is_same_group(const lz_text *a, const lz_text *b)
{
	return a->message == b->message && a->choice == b->choice;
}

/* Where the group ends that begins with text i. */
static size_t
group_end(lz_call *c, size_t i)
{
	size_t end = i + 1;

	while (end < lz->texts(c) && is_same_group(lz->text(c, i), lz->text(c, end)))
		end++;
	return end;
}

static int32_t
add_group(const struct moderation *m, lz_call *c, struct inputs *in,
    const struct choosing *w, size_t from, size_t to, bool is_plain)
{
	size_t len = 0, n = 0;
	lz_str one = { NULL, 0 };
	char *all;

	for (size_t i = from; i < to; i++) {
		if (!is_chosen(w, lz->text(c, i)))
			continue;
		one = form_of(lz->text(c, i), is_plain);
		len += one.len + 1;
		n++;
	}
	if (n < 2)
		return add_in_pieces(m, c, in, one);
	all = lz->alloc(c, len);
	if (all == NULL)
		return LZ_E_NOMEM;
	len = 0;
	for (size_t i = from; i < to; i++) {
		if (!is_chosen(w, lz->text(c, i)))
			continue;
		one = form_of(lz->text(c, i), is_plain);
		memcpy(all + len, one.ptr, one.len);
		len += one.len;
		all[len++] = '\n';
	}
	return add_in_pieces(m, c, in, lz_strn(all, len - 1));
}

static bool
differs(lz_call *c, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const lz_text *t = lz->text(c, i);

		if (t->plain.ptr != NULL &&
		    (t->plain.len != t->text.len ||
			memcmp(t->plain.ptr, t->text.ptr, t->text.len) != 0))
			return true;
	}
	return false;
}

int32_t
inputs_of(const struct moderation *m, lz_call *c, struct inputs *out)
{
	struct choosing w = choosing_of(m, c);
	int32_t rc = LZ_OK;

	*out = (struct inputs){ NULL, 0, 0, 0 };
	for (size_t i = 0; rc == LZ_OK && i < lz->texts(c);) {
		size_t end = group_end(c, i);

		if (m->form != PLAIN)
			rc = add_group(m, c, out, &w, i, end, false);
		if (rc == LZ_OK &&
		    (m->form == PLAIN || (m->form == BOTH && differs(c, i, end))))
			rc = add_group(m, c, out, &w, i, end, true);
		i = end;
	}
	return rc;
}
