/* answer.c - the hook's answer, read strictly: what is not in the protocol is an error.
 *
 * A hook that says "blok" has not said that a text may pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

struct answer {
	lz_str verdict, code, message;
	const lz_json *edits, *texts; /* NULL: none */
};

/* ---- members ---- */

struct member {
	const char *name;
	int32_t type;
	const lz_json *value;
};

/* Reads an object that has these members and no others; null is as good as absent. */
static bool
read_members(const lz_json *object, struct member *m, size_t count)
{
	size_t i, k;

	if (lz->json_type(object) != LZ_OBJECT)
		return false;
	for (i = 0; i < lz->json_len(object); i++) {
		lz_str key;
		const lz_json *value = lz->json_item(object, i, &key);

		for (k = 0; k < count && !lz_eq(key, m[k].name); k++)
			;
		if (k == count)
			return false;
		if (lz->json_type(value) == LZ_NULL)
			continue;
		if (lz->json_type(value) != m[k].type)
			return false;
		m[k].value = value;
	}
	return true;
}

static bool
is_code(lz_str s)
{
	if (s.len > CODE_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];

		if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') &&
		    !(ch >= '0' && ch <= '9') && ch != '_' && ch != '-' && ch != '.')
			return false;
	}
	return true;
}

static int32_t
read_answer(lz_call *c, lz_str body, struct answer *out)
{
	struct member m[] = { { "verdict", LZ_STRING, NULL }, { "code", LZ_STRING, NULL },
		{ "message", LZ_STRING, NULL }, { "edits", LZ_ARRAY, NULL },
		{ "texts", LZ_ARRAY, NULL } };
	const lz_json *j;
	lz_str empty = lz_strz("");

	if (body.len > ANSWER_BYTES)
		return ask_wrong(c, "the hook's answer is longer than 2 MB");
	j = lz->json_parse(c, body);
	if (j == NULL)
		return ask_wrong(c, "the hook's answer is no JSON");
	if (!read_members(j, m, sizeof(m) / sizeof(m[0])))
		return ask_wrong(c,
		    "the hook's answer has a member that the protocol does "
		    "not, or one of "
		    "another type");
	out->verdict = lz->json_str(m[0].value, empty);
	out->code = lz->json_str(m[1].value, empty);
	out->message = lz->json_str(m[2].value, empty);
	out->edits = m[3].value;
	out->texts = m[4].value;
	if (!is_code(out->code))
		return ask_wrong(c,
		    "the hook's code is not of 1 to 64 letters, digits, dots, dashes and "
		    "underscores");
	if (out->message.len > MESSAGE_BYTES)
		return ask_wrong(c, "the hook's message is longer than 1000 bytes");
	return LZ_OK;
}

/* ---- edits ---- */

/* Where in the text at hand; edits come in order, so that it only moves forward. */
struct cursor {
	size_t index;
	int64_t character;
	size_t byte;
};

/* The byte of a character; false: the text is shorter. */
static bool
go_to(struct cursor *at, lz_str text, int64_t character)
{
	while (at->character < character) {
		if (at->byte >= text.len)
			return false;
		do
			at->byte++;
		while (
		    at->byte < text.len && ((uint8_t)text.ptr[at->byte] & 0xc0) == 0x80);
		at->character++;
	}
	return true;
}

static int32_t
take_edit(lz_call *c, const lz_json *edit, struct cursor *at)
{
	struct member m[] = { { "index", LZ_INT, NULL }, { "from", LZ_INT, NULL },
		{ "to", LZ_INT, NULL }, { "with", LZ_STRING, NULL } };
	int64_t index, from, to;
	size_t from_byte;
	lz_str text;

	if (!read_members(edit, m, 4) || m[0].value == NULL || m[1].value == NULL ||
	    m[2].value == NULL || m[3].value == NULL)
		return ask_wrong(
		    c, "an edit of the hook is not of index, from, to and with");
	index = lz->json_int(m[0].value, -1);
	from = lz->json_int(m[1].value, -1);
	to = lz->json_int(m[2].value, -1);
	if (index < (int64_t)at->index || index >= (int64_t)lz->texts(c))
		return ask_wrong(
		    c, "an edit of the hook names no text, or an earlier one");
	if ((size_t)index != at->index)
		*at = (struct cursor){ (size_t)index, 0, 0 };
	text = lz->text(c, at->index)->text;
	if (from < at->character)
		return ask_wrong(
		    c, "an edit of the hook begins before the last one ends");
	if (to <= from)
		return ask_wrong(c, "an edit of the hook takes nothing away");
	if (!go_to(at, text, from))
		return ask_wrong(c, "an edit of the hook begins behind its text");
	from_byte = at->byte;
	if (!go_to(at, text, to))
		return ask_wrong(c, "an edit of the hook ends behind its text");
	if (lz->replace(c, at->index, from_byte, at->byte,
		lz->json_str(m[3].value, lz_strz(""))) != LZ_OK)
		return ask_wrong(c, "an edit of the hook cannot be made");
	return LZ_OK;
}

static int32_t
take_edits(lz_call *c, const lz_json *edits)
{
	struct cursor at = { 0, 0, 0 };
	int32_t rc = LZ_OK;

	if (lz->json_len(edits) > EDITS)
		return ask_wrong(c, "the hook's answer has more than 10000 edits");
	for (size_t i = 0; rc == LZ_OK && i < lz->json_len(edits); i++)
		rc = take_edit(c, lz->json_item(edits, i, NULL), &at);
	return rc;
}

static int32_t
take_texts(lz_call *c, const lz_json *texts)
{
	int64_t last = -1;

	for (size_t i = 0; i < lz->json_len(texts); i++) {
		struct member m[] = { { "index", LZ_INT, NULL },
			{ "text", LZ_STRING, NULL } };
		lz_str old, new;
		int64_t index;

		if (!read_members(lz->json_item(texts, i, NULL), m, 2) ||
		    m[0].value == NULL || m[1].value == NULL)
			return ask_wrong(
			    c, "a text of the hook is not of index and text");
		index = lz->json_int(m[0].value, -1);
		if (index <= last || index >= (int64_t)lz->texts(c))
			return ask_wrong(
			    c, "a text of the hook names no text, or an earlier one");
		last = index;
		old = lz->text(c, (size_t)index)->text;
		new = lz->json_str(m[1].value, old);
		if (old.len == new.len && memcmp(old.ptr, new.ptr, old.len) == 0)
			continue;
		if (lz->replace(c, (size_t)index, 0, old.len, new) != LZ_OK)
			return ask_wrong(
			    c, "a text of the hook cannot be put in its place");
	}
	return LZ_OK;
}

/* ---- verdicts ---- */

static void
tell(lz_call *c, const struct answer *a, const char *code, const char *message)
{
	lz->reason(c, a->code.len > 0 ? a->code : lz_strz(code),
	    a->message.len > 0 ? a->message : lz_strz(message));
}

static int32_t
say_pass(lz_call *c, const struct answer *a)
{
	if (a->code.len > 0 || a->message.len > 0)
		tell(c, a, "hook.pass", "the hook let it pass");
	return LZ_OK;
}

static int32_t
say_flag(lz_call *c, const struct answer *a)
{
	tell(c, a, "hook.flag", "the hook flagged it");
	return LZ_FLAG;
}

static int32_t
say_block(lz_call *c, const struct answer *a)
{
	tell(c, a, "hook.block", "refused by policy");
	return LZ_BLOCK;
}

static int32_t
say_mask(lz_call *c, const struct answer *a)
{
	int32_t rc;

	if ((a->edits == NULL) == (a->texts == NULL))
		return ask_wrong(
		    c, "the hook masks with neither edits nor texts, or with both");
	rc = a->edits != NULL ? take_edits(c, a->edits) : take_texts(c, a->texts);
	if (rc == LZ_OK)
		tell(c, a, "hook.mask", "the hook changed it");
	return rc;
}

static const struct {
	const char *name;
	bool may_change;
	int32_t (*say)(lz_call *c, const struct answer *a);
} verdicts[] = { { "pass", false, say_pass }, { "flag", false, say_flag },
	{ "mask", true, say_mask }, { "block", false, say_block } };

static int32_t
obey(lz_call *c, const struct answer *a)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (!lz_eq(a->verdict, verdicts[i].name))
			continue;
		if (!verdicts[i].may_change && (a->edits != NULL || a->texts != NULL))
			return ask_wrong(c,
			    "the hook sends edits or texts with another verdict "
			    "than mask");
		return verdicts[i].say(c, a);
	}
	return ask_wrong(c, "the hook's verdict is none of pass, flag, mask, block");
}

int32_t
answer_of(lz_call *c, const lz_reply *r)
{
	struct answer a;
	int32_t rc = ask_answered(c, r, "the hook");

	if (rc == LZ_OK)
		rc = read_answer(c, r->body, &a);
	return rc == LZ_OK ? obey(c, &a) : rc;
}
