/* pii.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PII_H
#define PII_H

#include "scan.h"

enum kind_id {
	EMAIL,
	UUID, /* nobody's data: left alone as a whole */
	IBAN,
	IT_CF,
	FR_NIR,
	ES_NIE,
	ES_DNI,
	UK_NINO,
	CARD,
	DE_TAX_ID,
	US_SSN,
	UK_NHS,
	IPV6,
	IPV4,
	PHONE,
	KINDS,
	PLACEHOLDER = KINDS /* one of ours, in an answer */
};

enum {
	AT_DIGIT = 1,
	AT_LETTER = 2, /* of ASCII */
	AT_WIDE = 4,   /* a letter of two bytes */
	AT_PHONE = 8,  /* + and ( */
	AT_COLON = 16,
	GLUED = 32,     /* also behind a letter */
	CONTINUED = 64, /* also behind a digit and - or / */
	NUMERAL_MAX = 20,
	MAIL_LOCAL_MAX = 64
};

/* Digits as people write them: single separators between groups. */
struct numeral {
	unsigned n;
	int is_open; /* more may come */
	unsigned char digit[NUMERAL_MAX];
	unsigned char
	    sep[NUMERAL_MAX];    /* before the digit; 0: none. The first of several */
	size_t end[NUMERAL_MAX]; /* of the text, behind the digit */
};

/* One start, and what was read of it already. */
struct start {
	const struct scan_form *f;
	size_t at;
	int has_numeral;
	struct numeral numeral;
};

/* Does something of this kind begin at s->at? `to` is set for SCAN_YES. */
typedef enum scan_verdict find_fn(struct start *s, size_t *to);

struct kind {
	const char *option; /* as `kinds` names it; NULL: always looked for, and left */
	const char *tag;    /* in placeholders */
	const char *code, *message;
	find_fn *find;
	unsigned starts; /* AT_* */
};
extern const struct kind kinds[KINDS];

find_fn email_find, uuid_find, iban_find, card_find, ipv4_find, ipv6_find, phone_find;
find_fn it_cf_find, fr_nir_find, es_nie_find, es_dni_find, uk_nino_find, de_tax_id_find;
find_fn us_ssn_find, uk_nhs_find;

/* ---- numeral.c ---- */

/* The digits at s->at with single spaces, hyphens or dots between them. */
const struct numeral *numeral_at(struct start *s);
/* The same from `at` on, with up to three of " -./()" between digits. */
void numeral_read_loosely(const struct scan_form *f, size_t at, struct numeral *n);
/* Do the first k digits stand by themselves? */
int numeral_ends(const struct scan_form *f, const struct numeral *n, unsigned k);
/* Are the first k digits one group? */
int numeral_is_bare(const struct numeral *n, unsigned k);
/* Are they grouped like this, "3-2-4", always with the same one of these separators? */
int numeral_is(const struct numeral *n, unsigned k, const char *groups, const char *seps);

/* Up to max letters and digits, letters in upper case, with at most one of seps between
 * two. Returns how many; is_open: the text ends before the next. */
size_t symbols_read(const struct scan_form *f, size_t at, size_t max, const char *seps,
    unsigned char *out, size_t *to, int *is_open);
/* SCAN_YES if no letter or digit follows at `to`; SCAN_OPEN if one may. */
enum scan_verdict ends_at(const struct scan_form *f, size_t to);

static inline int
is_letter_before(const struct scan_form *f, size_t at)
{
	unsigned char b = scan_before(f, at, 1), lead;

	if (!scan_is(b, SCAN_TAIL))
		return scan_is(b, SCAN_LETTER);
	lead = scan_before(f, at, 2);
	return lead >= 0xc3 && lead <= 0xdf;
}

/* ---- names.c ---- */

enum {
	VALUE_MAX = 400, /* bytes of the longest match, and of one as it is compared */
	PLACEHOLDER_MAX = 32
};

/* Two ways of writing the same value are one: without separators, in lower case.
 * Returns the length. */
size_t value_canon(unsigned kind, lz_str value, char out[VALUE_MAX]);

struct name {
	uint32_t kind, number;
	lz_str canon, written;
};
struct names;

/* The names of this request. NULL: no memory. */
struct names *names_of(lz_call *c);
/* The value's name, made if it has none. NULL: no memory. */
const struct name *names_get(
    struct names *n, lz_call *c, unsigned kind, lz_str value, lz_str written);
/* Whose name is this number of this kind? NULL: nobody's. */
const struct name *names_find(const struct names *n, unsigned kind, uint32_t number);

/* ---- find.c ---- */

struct look {
	uint32_t kinds;            /* bits */
	const struct names *names; /* placeholders are looked for; NULL: they are not */
};
enum scan_verdict pii_next(const void *look, const struct scan_form *f, size_t from,
    size_t limit, struct scan_match *m);
/* The placeholder at `at`; names NULL: SCAN_NO. */
enum scan_verdict placeholder_at(const struct names *names, const struct scan_form *f,
    size_t at, size_t *to, const struct name **name);

#endif
