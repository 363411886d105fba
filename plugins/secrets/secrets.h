/* secrets.h - what the files of this plugin share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SECRETS_H
#define SECRETS_H

#include "scan.h"

enum kind_id {
	PRIVATE_KEY,
	JWT,
	VENDOR,
	URL_PASSWORD,
	GENERIC,
	KINDS
};

enum {
	/* What is longer is cut here, so that what is held stays bounded: the key itself
	 * is in what is taken. */
	SECRET_MAX = 4096,
	PEM_MAX = 16384
};

/* How a vendor writes its keys: the prefix, then at least min characters of an alphabet.
 */
struct vendor {
	const char *prefix;
	const char
	    *alphabet; /* first letter A: letters and digits; H: hexadecimal in lower
			  case; U: upper case and digits. Others: as they are */
	unsigned short min;
	const char *code;
};
extern const struct vendor vendors[];
extern const size_t vendor_count;

/* What one check knows. */
struct look {
	lz_call *c;
	uint32_t kinds; /* bits */
	const unsigned char *first_row,
	    *last_row; /* by a prefix's first byte; last: behind */
	double entropy;
	int64_t min_length;
};
enum scan_verdict secrets_next(const void *look, const struct scan_form *f, size_t from,
    size_t limit, struct scan_match *m);

/* How far runs of bytes are known to go, so that many starts in one run do not each read
 * it to its end. Of one call of secrets_next(). */
struct known {
	size_t from, to;
};
struct pass {
	struct known token, value;
};
/* Where to go on reading at `at`. */
static inline size_t
known_from(const struct known *k, size_t at)
{
	return at >= k->from && at < k->to ? k->to : at;
}
static inline void
known_set(struct known *k, size_t at, size_t to)
{
	if (at < k->from || at >= k->to)
		k->from = at;
	k->to = to;
}

/* Each: does one begin at `at`? */
enum scan_verdict pem_find(const struct scan_form *f, size_t at, size_t *to);
enum scan_verdict jwt_find(const struct look *l, struct pass *pass,
    const struct scan_form *f, size_t at, size_t *to);
/* m->kind: KINDS + the row, or VENDOR for the one that is no row. */
enum scan_verdict vendor_find(
    const struct look *l, const struct scan_form *f, size_t at, struct scan_match *m);
enum scan_verdict url_password_find(const struct scan_form *f, size_t at, size_t *to);
enum scan_verdict generic_find(const struct look *l, struct pass *pass,
    const struct scan_form *f, size_t at, size_t *to);

/* Behind the characters of the alphabet at `at`, max at most. */
size_t span(const struct scan_form *f, size_t at, const char *alphabet, size_t max);
/* SCAN_YES if s stands at `at`; SCAN_OPEN if it may. */
enum scan_verdict stands_at(const struct scan_form *f, size_t at, const char *s);
/* Bits per character of n bytes, by their own frequencies (Shannon): 0 to 8. */
double entropy_of(const unsigned char *s, size_t n);

#endif
