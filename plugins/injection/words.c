/* words.c - a text as a row of words, read straight on, by rot13 and backwards.
 *
 * SPDX-License-Identifier: MIT
 */
#include "injection.h"

enum {
	WORD_BYTES = 64,
	GLUED = 8,      /* words without a blank */
	GLUED_BYTES = 8 /* shorter ones are no two */
};

/* A word, given out byte by byte as a reading takes it. */
struct spelling {
	const uint8_t *bytes;
	size_t len, at;
	enum reading reading;
	bool has_leet; /* digits between letters stand for letters */
};

static int
unleet(int c)
{
	static const char digits[] = "oizeasgtb"; /* 0 to 8 */

	return c >= '0' && c <= '8' ? digits[c - '0'] : c;
}

static int
next_byte(void *arg)
{
	struct spelling *s = arg;
	int c;

	if (s->at == s->len)
		return -1;
	c = s->bytes[s->reading == BACKWARDS ? s->len - 1 - s->at : s->at];
	s->at++;
	if (s->reading == ROT13 && c >= 'a' && c <= 'z')
		c = 'a' + (c - 'a' + 13) % 26;
	return s->has_leet ? unleet(c) : c;
}

static bool
needs(const struct rule *r, classes c)
{
	return ((r->need[0] | r->need[1] | r->need[2] | r->need[3]) & c) != 0;
}

/* Are the needs met by the last words, each by one of its own? Words that could meet
 * several are tried for each. */
static bool
is_met(const classes *last, unsigned at, unsigned within, const classes *need,
    unsigned count, uint32_t used, unsigned *first)
{
	unsigned i;

	if (count == 0)
		return true;
	for (i = 0; i < within && i <= at; i++) {
		unsigned slot = (at - i) % WINDOW;

		if ((last[slot] & need[0]) == 0 || (used & 1u << i) != 0)
			continue;
		if (is_met(
			last, at, within, need + 1, count - 1, used | 1u << i, first)) {
			*first = i;
			return true;
		}
	}
	return false;
}

/* Is the word before the one `back` words ago of these classes? */
static bool
is_spoilt(const classes *last, unsigned at, unsigned back, classes spoil)
{
	return back + 1 < WINDOW && back + 1 <= at &&
	       (last[(at - back - 1) % WINDOW] & spoil) != 0;
}

/* Can the needs be met at all? Cheap, and mostly the answer. */
static bool
are_there(const classes *last, unsigned at, const struct rule *r)
{
	classes all = 0;

	for (unsigned i = 0; i < r->within && i <= at; i++)
		all |= last[(at - i) % WINDOW];
	for (unsigned k = 0; k < 4; k++) {
		if (r->need[k] != 0 && (r->need[k] & all) == 0)
			return false;
	}
	return true;
}

static void
judge(const struct window *w, enum reading reading, uint32_t *signs)
{
	const classes *last = w->last[reading];
	classes now = last[w->at % WINDOW];

	for (size_t i = 0; i < rule_count; i++) {
		const struct rule *r = &rules[i];
		bool is_plain = reading == STRAIGHT;
		uint32_t sign = SIGN(is_plain ? r->sign : ENCODED);
		unsigned count = 0, first = 0;

		if ((*signs & sign) != 0 || !needs(r, now) ||
		    !are_there(last, w->at, r) ||
		    (!is_plain && r->sign != OVERRIDE && r->sign != LEAK))
			continue;
		while (count < 4 && r->need[count] != 0)
			count++;
		if (is_met(last, w->at, r->within, r->need, count, 0, &first) &&
		    !is_spoilt(last, w->at, first, r->spoil))
			*signs |= sign;
	}
}

static void
add_word(struct window *w, const classes found[READINGS], uint32_t *signs)
{
	w->at++;
	for (unsigned k = 0; k < READINGS; k++) {
		w->last[k][w->at % WINDOW] = found[k];
		if (found[k] != 0)
			judge(w, (enum reading)k, signs);
	}
}

/* Lower case of what is not ASCII, where the words of the lexicon need it: Cyrillic. */
static uint32_t
lower(uint32_t c)
{
	if (c >= 0x410 && c <= 0x42f)
		return c + 32;
	return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

/* Letters of scripts that put blanks between words. */
static bool
is_letter(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c >= 0xc0 && c < 0x2000 && c != 0xd7 && c != 0xf7 &&
		   !(c >= 0xe00 && c < 0xf00) && !(c >= 0x1000 && c < 0x1200));
}

/* Words without a blank between them: parts of a message that were put together, or an
 * attempt. All of it has to be known. Returns how many; 0: it is something else. */
static unsigned
split_word(const struct lexicon *l, const uint8_t *word, size_t len, classes found[GLUED])
{
	const char *p = (const char *)word, *end = p + len;
	unsigned count = 0;
	size_t n;

	while (p < end && count < GLUED) {
		found[count] = lexicon_prefix(l, p, end, &n);
		if (n < 2)
			return 0;
		p += n;
		count++;
		if (end - p == 1 && *p == 's')
			p++;
	}
	return p == end && count > 1 ? count : 0;
}

static void
read_word(const struct lexicon *l, struct window *w, const uint8_t *word, size_t len,
    bool has_digit, bool has_letter, uint32_t *signs)
{
	classes found[READINGS];

	for (unsigned k = 0; k < READINGS; k++) {
		struct spelling s = { word, len, 0, (enum reading)k, false };

		found[k] = lexicon_word(l, next_byte, &s);
		if (found[k] == 0 && k == STRAIGHT && has_digit && has_letter) {
			s.at = 0;
			s.has_leet = true;
			found[k] = lexicon_word(l, next_byte, &s);
		}
	}
	if (found[STRAIGHT] == 0 && len >= GLUED_BYTES) {
		classes glued[GLUED];
		unsigned count = split_word(l, word, len, glued);

		for (unsigned k = 0; k + 1 < count; k++)
			add_word(w, (classes[READINGS]){ glued[k] }, signs);
		found[STRAIGHT] = count > 0 ? glued[count - 1] : 0;
	}
	add_word(w, found, signs);
}

void
words_read(const struct lexicon *l, struct window *w, lz_str text, uint32_t *signs)
{
	const char *p = text.ptr, *end = text.ptr + text.len;

	while (p < end) {
		uint8_t word[WORD_BYTES];
		bool has_digit = false, has_letter = false;
		size_t len = 0, n;
		uint32_t c = char_at(p, end, &n);

		for (; p < end && (is_letter(c) || (c == '\'' && len > 0));
		     c = p < end ? char_at(p, end, &n) : 0) {
			has_digit |= c >= '0' && c <= '9';
			has_letter |= c > '9';
			c = lower(c);
			p += n;
			if (len + 2 > WORD_BYTES)
				continue; /* longer than any that is known: read as far as
					     here */
			if (c < 0x80)
				word[len++] =
				    (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
			else if (n == 2) {
				word[len++] = (uint8_t)(0xc0 | c >> 6);
				word[len++] = (uint8_t)(0x80 | (c & 0x3f));
			} else if (len + n <= WORD_BYTES) {
				memcpy(word + len, p - n, n);
				len += n;
			}
		}
		while (len > 0 && word[len - 1] == '\'')
			len--;
		if (len > 0)
			read_word(l, w, word, len, has_digit, has_letter, signs);
		if (p == end)
			break;
		if (c >= 0x2e80) { /* no blanks between words: whatever begins here */
			classes found[READINGS] = { 0 };
			size_t known;

			found[STRAIGHT] = lexicon_prefix(l, p, end, &known);
			add_word(w, found, signs);
			p += known > 0 ? known : n;
		} else {
			/* "not" in front of a full stop denies nothing behind it. */
			if (c > ' ')
				w->last[STRAIGHT][w->at % WINDOW] &= ~CLASS(NOT);
			p += n;
		}
	}
}
