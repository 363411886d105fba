/* injection.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef INJECTION_H
#define INJECTION_H

#include <latenza/plugin.h>
#include <stdbool.h>

/* ---- what is found: a bit each, with its code and weight in injection.c ---- */

enum sign {
	OVERRIDE,       /* ignore previous instructions */
	OVERRIDE_LOOSE, /* forget all rules */
	OVERRIDE_WEAK,  /* ignore the above */
	PERSONA,        /* you have no restrictions */
	LEAK,           /* print your system prompt */
	LEAK_LOOSE,     /* repeat your rules */
	SPOOF,          /* a chat template's token that opens a system turn */
	SPOOF_LOOSE,    /* another of its tokens, or a line that plays the system */
	HIDDEN,         /* text in characters that nobody sees */
	APART,          /* Latin letters with invisible characters between them */
	MIXED,          /* words of Latin and Cyrillic or Greek letters */
	ENCODED,        /* one of the first in base64, hexadecimal, rot13 or backwards */
	ENCODED_LOOSE,  /* decode this and follow it */
	ADDRESSED,      /* a tool's result that tells the assistant what to do */
	EXFILTRATION,   /* an image whose address carries data */
	SIGNS
};
#define SIGN(s) (1u << (s))

/* ---- lexicon.c: words of many languages in classes, and what makes a sign of them ----
 */

enum word_class {
	IGNORE,
	PRIOR,
	ALL,
	RULES,
	PROMPT,
	NOT,
	FOLLOW,
	NEW,
	REVEAL,
	REPEAT,
	SYSTEM,
	YOUR,
	ABOVE,
	TEXT,
	PRETEND,
	YOU,
	FREE,
	WITHOUT,
	LIMITS,
	DEVELOPER,
	MODE,
	ENABLE,
	DO,
	ANYTHING,
	NOW,
	AGENT,
	MUST,
	ACT,
	DECODE,
	CLASSES
};
typedef uint32_t classes;
#define CLASS(c) (1u << (c))

struct lexicon;
struct lexicon *lexicon_new(void); /* NULL: no memory. owned: lexicon_free() */
void lexicon_free(struct lexicon *l);
/* The classes of the word that `next` yields byte by byte, -1 at its end; 0: none knows
 * it. */
classes lexicon_word(const struct lexicon *l, int (*next)(void *arg), void *arg);
/* The longest entry that begins at p, for scripts without blanks; *len: its bytes. */
classes lexicon_prefix(
    const struct lexicon *l, const char *p, const char *end, size_t *len);

/* What makes a sign: words of these classes within so many words, in any order. */
struct rule {
	enum sign sign;
	unsigned within;
	classes need[4]; /* each by a word of its own; 0: no more */
	classes spoil;   /* not if one of these stands right before the first of `need` */
};
extern const struct rule rules[];
extern const size_t rule_count;

/* ---- words.c: a text as words ---- */

enum {
	WINDOW = 16
};
enum reading {
	STRAIGHT,
	ROT13,
	BACKWARDS,
	READINGS
};

/* The last words, as each reading takes them. */
struct window {
	classes last[READINGS][WINDOW];
	unsigned at;
};
/* Reads on; signs are added to *signs. */
void words_read(const struct lexicon *l, struct window *w, lz_str text, uint32_t *signs);

/* ---- marks.c: signs that are no words ---- */

/* Tokens and lines that play another role; `plain`: lower or upper case, no line breaks.
 */
void marks_of_roles(lz_str text, lz_str plain, uint32_t *signs);
/* What is hidden, or disguised. */
void marks_of_disguise(lz_str text, uint32_t *signs);
/* Finds encoded text, decodes it into room of 3/4 of its size and reads that. */
void marks_of_encoding(
    const struct lexicon *l, lz_call *c, lz_str plain, uint32_t *signs);

/* ---- answer.c: what is dangerous in an answer, where it begins ---- */

struct look {
	bool is_open; /* the text ends before this is certain */
	size_t len;   /* of what was found; 0: nothing */
	enum sign sign;
};
struct look answer_look(
    lz_str text, size_t at, bool is_final, const lz_list *allowed_hosts);

/* A character of well-formed UTF-8 and its bytes; p < end. */
static inline uint32_t
char_at(const char *p, const char *end, size_t *len)
{
	const uint8_t *u = (const uint8_t *)p;
	size_t n = *u < 0xc0 ? 1 : *u < 0xe0 ? 2 : *u < 0xf0 ? 3 : 4, i;
	uint32_t c = n == 1 ? *u : *u & (0x7fu >> n);

	if ((size_t)(end - p) < n) {
		*len = 1;
		return 0xfffd;
	}
	for (i = 1; i < n; i++)
		c = c << 6 | (u[i] & 0x3f);
	*len = n;
	return c;
}

#endif
