/* yaml_plain.c - what a plain scalar means, by the core schema of YAML 1.2: `no` is a
 * text and `0o17` is fifteen.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/yaml_plain.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	SCALAR_BYTES = 64 /* the longest that can be a number */
};

static json_t *
too_large(const char *s, struct err *why)
{
	(void)err_fail(why, ST_INVALID, "the number %s is too large", s);
	return NULL;
}

static bool
is_one_of(const char *s, const char *a, const char *b, const char *c)
{
	return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

/* 0x1f, 0o17, [-+]?[0-9]+. false: no integer at all. */
static bool
is_integer(const char *s, int *base, const char **digits)
{
	const char *p = s;
	const char *allowed = "0123456789";

	*base = 10;
	*digits = s;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'o')) {
		*base = p[1] == 'x' ? 16 : 8;
		allowed = p[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
		*digits = p += 2;
	} else if (*p == '-' || *p == '+') {
		p++;
	}
	return *p != '\0' && p[strspn(p, allowed)] == '\0';
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool
is_real(const char *p)
{
	size_t before, after = 0;

	if (*p == '-' || *p == '+')
		p++;
	before = strspn(p, "0123456789");
	p += before;
	if (*p == '.') {
		after = strspn(++p, "0123456789");
		p += after;
	}
	if (before + after == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
	}
	return *p == '\0';
}

static bool
is_not_finite(const char *s)
{
	if (*s == '-' || *s == '+')
		s++;
	return is_one_of(s, ".inf", ".Inf", ".INF") ||
	       is_one_of(s, ".nan", ".NaN", ".NAN");
}

static json_t *
number(const char *s, struct err *why)
{
	const char *digits;
	double v;
	int base;

	errno = 0;
	if (is_integer(s, &base, &digits)) {
		long long n = strtoll(digits, NULL, base);

		if (errno == ERANGE)
			return too_large(s, why);
		return json_integer(n);
	}
	v = strtod(s, NULL);
	if (!isfinite(v))
		return too_large(s, why);
	return json_real(v);
}

json_t *
yaml_plain(const char *s, size_t n, struct err *why)
{
	const char *digits;
	int base;

	if (n == 0 || strcmp(s, "~") == 0 || is_one_of(s, "null", "Null", "NULL"))
		return json_null();
	if (is_one_of(s, "true", "True", "TRUE"))
		return json_true();
	if (is_one_of(s, "false", "False", "FALSE"))
		return json_false();
	if (is_not_finite(s)) {
		(void)err_fail(
		    why, ST_INVALID, "%s is not a number that can be used here", s);
		return NULL;
	}
	if (n < SCALAR_BYTES && (is_integer(s, &base, &digits) || is_real(s)))
		return number(s, why);
	return json_stringn(s, n);
}
