/* pem.c - private keys in PEM blocks of every kind, also with \n written out or on one
 * line; JSON Web Tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "secrets.h"

enum {
	LABEL_MAX = 40,
	HEAD_MAX = 1024,
	PARTS_MAX = 5 /* of an encrypted token */
};

/* The line "-----BEGIN ... PRIVATE KEY-----", also with BLOCK. */
static enum scan_verdict
begin_line(const struct scan_form *f, size_t at, size_t *to)
{
	enum scan_verdict v = stands_at(f, at, "-----BEGIN ");
	size_t p = at + 11, label = p;

	if (v != SCAN_YES)
		return v;
	for (; p - label < LABEL_MAX; p++) {
		unsigned char c = scan_at(f, p);

		if (scan_is_open(f, p))
			return SCAN_OPEN;
		if (c == '-')
			break;
		if (c != ' ' && !(c >= 'A' && c <= 'Z') && !scan_is(c, SCAN_DIGIT))
			return SCAN_NO;
	}
	*to = p + 5;
	if (p - label > 17 && memcmp(f->s + p - 17, "PRIVATE KEY BLOCK", 17) == 0)
		return stands_at(f, p, "-----");
	if (p - label < 11 || memcmp(f->s + p - 11, "PRIVATE KEY", 11) != 0)
		return SCAN_NO;
	return stands_at(f, p, "-----");
}

/* Base64, white space, \n, and what the lines before it are made of. */
static int
is_body(unsigned char c)
{
	return scan_is(c, SCAN_ALNUM) ||
	       (c != 0 && strchr("+/=\\ \t\r\n:,.()<>@\"'", c) != NULL);
}

/* Behind the END line whose first hyphen is at `at`. */
static enum scan_verdict
end_line(const struct scan_form *f, size_t at, size_t *to)
{
	enum scan_verdict v = stands_at(f, at, "-----END ");
	size_t p = at + 9;

	if (v != SCAN_YES)
		return v;
	while (p - at < 9 + LABEL_MAX && scan_at(f, p) != '-' && p < f->len)
		p++;
	if (scan_is_open(f, p))
		return SCAN_OPEN;
	v = stands_at(f, p, "-----");
	*to = p + 5;
	return v;
}

/* A block without its END is taken as far as it could be one. */
enum scan_verdict
pem_find(const struct scan_form *f, size_t at, size_t *to)
{
	enum scan_verdict v = begin_line(f, at, to);
	size_t p = *to;

	if (v != SCAN_YES)
		return v;
	for (; p - at < PEM_MAX; p++) {
		if (scan_is_open(f, p))
			return SCAN_OPEN;
		if (is_body(scan_at(f, p)))
			continue;
		if (scan_at(f, p) != '-')
			break;
		v = end_line(f, p, to);
		if (v != SCAN_NO)
			return v;
		/* A hyphen of its headers. */
	}
	*to = p;
	return SCAN_YES;
}

/* ---- tokens ---- */

static int
base64url_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (scan_is(c, SCAN_DIGIT))
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static size_t
base64url_decode(const unsigned char *s, size_t n, char *out)
{
	uint32_t bits = 0;
	size_t held = 0, len = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 6 | (uint32_t)base64url_digit(s[i]);
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[len++] = (char)(bits >> held & 0xff);
		}
	}
	return len;
}

/* Is it a JSON object that names an algorithm? */
static int
is_head(const struct look *l, const unsigned char *s, size_t n)
{
	char text[HEAD_MAX];

	if (n > HEAD_MAX)
		return 0;
	n = base64url_decode(s, n, text);
	return lz->json_at(lz->json_parse(l->c, lz_strn(text, n)), "/alg") != NULL;
}

/* Behind a part. The first one is read once, however many starts are in it. */
static size_t
part_end(struct known *k, const struct scan_form *f, size_t at, size_t p, int is_first)
{
	size_t from = is_first ? known_from(k, at) : p;

	p = span(f, from, "A_-", SECRET_MAX - (from - at));
	if (is_first)
		known_set(k, at, p);
	return p;
}

enum scan_verdict
jwt_find(const struct look *l, struct pass *pass, const struct scan_form *f, size_t at,
    size_t *to)
{
	enum scan_verdict v = stands_at(f, at, "eyJ");
	size_t p = at, head = 0;
	unsigned parts = 0;

	if (v != SCAN_YES)
		return v;
	for (;;) {
		size_t from = p;

		p = part_end(&pass->token, f, at, p, parts == 0);
		if (p - at < SECRET_MAX && scan_is_open(f, p))
			return SCAN_OPEN;
		/* The third part may be empty: a token without a signature. */
		if (p == from && parts < 2)
			return SCAN_NO;
		if (p == from && parts > 2)
			break;
		head = parts == 0 ? p - at : head;
		parts++;
		if (parts >= 3)
			*to = p;
		if (parts == PARTS_MAX || scan_at(f, p) != '.' || p - at >= SECRET_MAX)
			break;
		p++;
	}
	return parts >= 3 && is_head(l, f->s + at, head) ? SCAN_YES : SCAN_NO;
}
