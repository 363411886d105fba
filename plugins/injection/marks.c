/* marks.c - signs that are no words: tokens of chat templates, characters that nobody
 * sees, letters that are not what they look like, text in code.
 *
 * SPDX-License-Identifier: MIT
 */
#include "injection.h"

enum {
	TAGS = 4,        /* so many hidden letters in a row are a text */
	APART_TIMES = 5, /* Latin letters with something unseen between them */
	MIXED_WORDS = 2,
	CODED_BYTES = 24, /* shorter runs hold no sentence */
	TOKEN_BYTES = 40  /* between <| and |> */
};

static int
small(char c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Does the text go on with this, written in lower case? */
static bool
goes_on(const char *p, const char *end, const char *with)
{
	for (; *with != '\0'; p++, with++) {
		if (p == end || small(*p) != *with)
			return false;
	}
	return true;
}

/* ---- roles ---- */

/* Markers that open a system's turn, and others of the same templates. */
static const struct {
	const char *text;
	enum sign sign;
} markers[] = {
	{ "<|im_start|>system", SPOOF },
	{ "<|start_header_id|>system", SPOOF },
	{ "<|start|>system", SPOOF },
	{ "<|start|>developer", SPOOF },
	{ "<|system|>", SPOOF },
	{ "<|developer|>", SPOOF },
	{ "<<sys>>", SPOOF },
	{ "<start_of_turn>system", SPOOF },
	{ "[system_prompt]", SPOOF },
	{ "[inst]", SPOOF_LOOSE },
	{ "[/inst]", SPOOF_LOOSE },
	{ "<</sys>>", SPOOF_LOOSE },
	{ "<start_of_turn>", SPOOF_LOOSE },
	{ "<end_of_turn>", SPOOF_LOOSE },
	{ "<system>", SPOOF_LOOSE },
	{ "</system>", SPOOF_LOOSE },
	{ "<system_prompt>", SPOOF_LOOSE },
	{ "[system]", SPOOF_LOOSE },
	{ "### system", SPOOF_LOOSE },
	{ "system_message", SPOOF_LOOSE },
	{ "### instruction", SPOOF_LOOSE },
	{ "system override", SPOOF_LOOSE },
	{ "admin override", SPOOF_LOOSE },
};

/* <|anything short|> */
static bool
is_token(const char *p, const char *end)
{
	const char *q;

	if (!goes_on(p, end, "<|"))
		return false;
	for (q = p + 2; q + 1 < end && q - p < TOKEN_BYTES && *q != '<' && *q != '\n';
	     q++) {
		if (q[0] == '|' && q[1] == '>')
			return q > p + 2;
	}
	return false;
}

static void
find_markers(lz_str s, uint32_t *signs)
{
	const char *p = s.ptr, *end = s.ptr + s.len;

	for (; p < end; p++) {
		if (*p != '<' && *p != '[' && *p != '#' && small(*p) != 's' &&
		    small(*p) != 'a')
			continue;
		for (size_t i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
			if (goes_on(p, end, markers[i].text))
				*signs |= SIGN(markers[i].sign);
		}
		if (is_token(p, end))
			*signs |= SIGN(SPOOF_LOOSE);
	}
}

/* Lines that begin as a system's turn in a transcript, behind another line. */
static void
find_lines(lz_str s, uint32_t *signs)
{
	static const char *const begins[] = { "system:", "system message:",
		"system prompt:", "[system]:", "developer:", "#system" };
	const char *p = s.ptr, *end = s.ptr + s.len;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		for (p++; p < end && (*p == ' ' || *p == '\t' || *p == '*' || *p == '>');)
			p++;
		for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
			if (goes_on(p, end, begins[i]))
				*signs |= SIGN(SPOOF_LOOSE);
		}
	}
}

void
marks_of_roles(lz_str text, lz_str plain, uint32_t *signs)
{
	find_markers(plain, signs);
	if (text.len > 0)
		find_lines(text, signs);
}

/* ---- disguise ---- */

/* Unseen characters that belong between no two Latin letters; a soft hyphen may. */
static bool
is_unseen(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || c == 0x34f || c == 0x180e || c == 0x115f || c == 0x3164 ||
	       (c >= 0x202a && c <= 0x202e);
}

static bool
is_latin(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of Greek or Cyrillic. */
static bool
is_other(uint32_t c)
{
	return c >= 0x370 && c <= 0x52f;
}

void
marks_of_disguise(lz_str text, uint32_t *signs)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	unsigned tags = 0, apart = 0, mixed = 0,
		 in_word = 0; /* in_word: 1 Latin, 2 other */
	bool is_flag = false, was_latin = false, between = false;
	size_t n;

	for (; p < end; p += n) {
		uint32_t c = char_at(p, end, &n);

		if ((c >= 0xe0020 && c <= 0xe007e) || (c >= 0xe0100 && c <= 0xe01ef)) {
			/* Flags of regions are a black flag and up to six of them. */
			if (++tags >= (is_flag ? TAGS + 3 : TAGS))
				*signs |= SIGN(HIDDEN);
			continue;
		}
		tags = 0;
		is_flag = c == 0x1f3f4;
		if (is_latin(c) || is_other(c))
			in_word |= is_latin(c) ? 1 : 2;
		if (c <= ' ' && in_word != 0) {
			mixed += in_word == 3;
			in_word = 0;
		}
		if (is_unseen(c)) {
			between = was_latin;
			continue;
		}
		apart += between && is_latin(c);
		between = false;
		was_latin = is_latin(c);
	}
	mixed += in_word == 3;
	if (apart >= APART_TIMES)
		*signs |= SIGN(APART);
	if (mixed >= MIXED_WORDS)
		*signs |= SIGN(MIXED);
}

/* ---- text in code ---- */

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static int
hex_value(char c)
{
	int s = small(c);

	if (s >= '0' && s <= '9')
		return s - '0';
	return s >= 'a' && s <= 'f' ? s - 'a' + 10 : -1;
}

/* Decodes while it can; `bits` of each letter. Returns the bytes. */
static size_t
decode(lz_str s, int (*value)(char c), unsigned bits, char *out)
{
	uint32_t held = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		held = held << bits | (uint32_t)value(s.ptr[i]);
		have += bits;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(held >> have & 0xff);
		}
	}
	return n;
}

/* Reads what was decoded, if it is text. */
static void
read_decoded(const struct lexicon *l, lz_str s, uint32_t *signs)
{
	struct window w = { .at = 0 };
	uint32_t found = 0;

	for (size_t i = 0; i < s.len; i++) {
		if ((s.ptr[i] < ' ' && (s.ptr[i] < '\t' || s.ptr[i] > '\r')) ||
		    s.ptr[i] == 0x7f)
			return;
	}
	words_read(l, &w, s, &found);
	if ((found & (SIGN(OVERRIDE) | SIGN(OVERRIDE_LOOSE) | SIGN(LEAK) |
			 SIGN(PERSONA))) != 0)
		*signs |= SIGN(ENCODED);
}

void
marks_of_encoding(const struct lexicon *l, lz_call *c, lz_str plain, uint32_t *signs)
{
	const char *p = plain.ptr, *end = plain.ptr + plain.len;
	char *room = NULL;

	while (p < end) {
		const char *from = p;
		bool is_hex = true;

		while (p < end && base64_value(*p) >= 0)
			is_hex &= hex_value(*p++) >= 0;
		if (p - from >= CODED_BYTES) {
			lz_str run = lz_strn(from, (size_t)(p - from));

			if (room == NULL)
				room = lz->alloc(c, plain.len);
			if (room == NULL)
				return;
			read_decoded(
			    l, lz_strn(room, decode(run, base64_value, 6, room)), signs);
			if (is_hex)
				read_decoded(l,
				    lz_strn(room, decode(run, hex_value, 4, room)),
				    signs);
		}
		p += p < end;
	}
}
