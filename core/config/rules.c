/* rules.c - what the rules of option rows mean: units, dates, addresses, choices.
 *
 * Pure functions on text; nothing here knows rows, files or lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/rules.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "config/yaml.h"
#include "net/addr.h"

/* ---- units ---- */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 },
	{ "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
	{ NULL, 0 } };
static const struct unit byte_units[] = { { "", 1 }, { "B", 1 }, { "KB", 1000 },
	{ "MB", 1000000 }, { "GB", 1000000000 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 },
	{ "GiB", 1 << 30 }, { NULL, 0 } };

/* Digits and a unit, nothing between them but blanks. */
static bool
with_unit(lz_str text, const struct unit *units, int64_t *out)
{
	size_t digits = 0;
	lz_str unit;
	int64_t n;

	while (digits < text.len && isdigit((unsigned char)text.ptr[digits]))
		digits++;
	if (!str_to_int(str_cut(text, 0, digits), INT64_MAX, &n))
		return false;
	unit = str_trim(str_cut(text, digits, text.len));
	for (; units->name != NULL; units++) {
		if (str_is(unit, units->name))
			return !__builtin_mul_overflow(n, units->factor, out);
	}
	return false;
}

bool
options_duration(lz_str text, int64_t *ms)
{
	return with_unit(text, duration_units, ms);
}

bool
options_bytes(lz_str text, int64_t *bytes)
{
	return with_unit(text, byte_units, bytes);
}

/* ---- names ---- */

bool
rule_is_one_of(const char *name, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* ---- money ---- */

enum {
	NANO_PLACES = 9,
	NANO_WHOLE = 1000000000,
	NANO_DENSE = 1 << 20
};

/* "123.456" with at most 9 places. */
static bool
nano_of_text(lz_str s, int64_t *nano)
{
	ptrdiff_t dot = str_find(s, '.');
	lz_str whole = dot < 0 ? s : str_cut(s, 0, (size_t)dot);
	lz_str part = dot < 0 ? STR_NONE : str_cut(s, (size_t)dot + 1, s.len);
	int64_t units, rest = 0;

	if (!str_to_int(whole, NANO_WHOLE, &units) || part.len > NANO_PLACES)
		return false;
	if (dot >= 0 && !str_to_int(part, INT64_MAX, &rest))
		return false;
	for (size_t i = part.len; i < NANO_PLACES; i++)
		rest *= 10;
	*nano = units * NANO_WHOLE + rest;
	return *nano <= (int64_t)NANO_WHOLE * NANO_WHOLE;
}

/* The number that was written: the shortest decimal that reads back as the same double.
 * Below 2^20 doubles lie so much closer than decimals of 9 places that there is one such
 * decimal at most, and it is the nearest. */
static bool
nano_of_real(double v, int64_t *nano)
{
	char text[400];

	if (!(v >= 0 && v <= NANO_WHOLE) || signbit(v))
		return false;
	if (v < NANO_DENSE) {
		*nano = llround(v * NANO_WHOLE);
		return (double)*nano / NANO_WHOLE == v;
	}
	for (int places = 0; places <= NANO_PLACES; places++) {
		(void)snprintf(text, sizeof(text), "%.*f", places, v);
		if (strtod(text, NULL) == v)
			return nano_of_text(lz_strz(text), nano);
	}
	return false;
}

bool
options_nano(const json_t *number, int64_t *nano)
{
	if (json_is_integer(number)) {
		json_int_t n = json_integer_value(number);

		if (n < 0 || n > NANO_WHOLE)
			return false;
		*nano = n * NANO_WHOLE;
		return true;
	}
	if (json_is_real(number))
		return nano_of_real(json_real_value(number), nano);
	if (json_is_string(number))
		return nano_of_text(
		    lz_strn(json_string_value(number), json_string_length(number)), nano);
	return false;
}

/* ---- dates ---- */

static int64_t
days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t era, of_era, of_year;

	y -= m <= 2;
	era = y / 400;
	of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	of_era =
	    (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + of_year;
	return era * 146097 + of_era - 719468;
}

/* Reads digits as the pattern says: "9" stands for a digit, everything else for itself.
 */
static bool
has_shape(lz_str s, const char *shape)
{
	if (s.len < strlen(shape))
		return false;
	for (size_t i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == '9' ? !isdigit((unsigned char)s.ptr[i])
				    : s.ptr[i] != shape[i])
			return false;
	}
	return true;
}

static int
digits_at(lz_str s, size_t at, size_t n)
{
	int v = 0;

	for (size_t i = at; i < at + n; i++)
		v = v * 10 + (s.ptr[i] - '0');
	return v;
}

static bool
date_part(lz_str s, int64_t *days)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, m, d, last;

	if (!has_shape(s, "9999-99-99"))
		return false;
	y = digits_at(s, 0, 4);
	m = digits_at(s, 5, 2);
	d = digits_at(s, 8, 2);
	if (y < 1970 || m < 1 || m > 12)
		return false;
	last = lengths[m - 1];
	if (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0))
		last = 29;
	if (d < 1 || d > last)
		return false;
	*days = days_of(y, m, d);
	return true;
}

/* "Z", "+01:00" */
static bool
offset_part(lz_str s, int64_t *minutes)
{
	*minutes = 0;
	if (s.len == 1 && (s.ptr[0] == 'Z' || s.ptr[0] == 'z'))
		return true;
	if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-') ||
	    !has_shape(str_cut(s, 1, 6), "99:99"))
		return false;
	if (digits_at(s, 1, 2) > 23 || digits_at(s, 4, 2) > 59)
		return false;
	*minutes = digits_at(s, 1, 2) * 60 + digits_at(s, 4, 2);
	if (s.ptr[0] == '-')
		*minutes = -*minutes;
	return true;
}

/* "T12:00:00.123+01:00"; the fraction is dropped. */
static bool
time_part(lz_str s, int64_t *ms)
{
	int64_t offset;
	size_t end = 9;

	if (s.len == 0 || strchr("Tt ", s.ptr[0]) == NULL ||
	    !has_shape(str_cut(s, 1, s.len), "99:99:99"))
		return false;
	if (digits_at(s, 1, 2) > 23 || digits_at(s, 4, 2) > 59 || digits_at(s, 7, 2) > 60)
		return false;
	if (end < s.len && s.ptr[end] == '.') {
		for (end++; end < s.len && isdigit((unsigned char)s.ptr[end]); end++)
			;
		if (end == 10)
			return false;
	}
	if (!offset_part(str_cut(s, end, s.len), &offset))
		return false;
	*ms = ((digits_at(s, 1, 2) * 60 + digits_at(s, 4, 2) - offset) * 60 +
		  digits_at(s, 7, 2)) *
	      1000;
	return true;
}

bool
options_date(lz_str text, int64_t *unix_ms)
{
	int64_t days, ms = 0;

	if (!date_part(text, &days))
		return false;
	if (text.len > 10 && !time_part(str_cut(text, 10, text.len), &ms))
		return false;
	*unix_ms = days * 86400000 + ms;
	return true;
}

/* ---- rules for one text ---- */

static bool
is_printable(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

/* scheme://something, with at least one byte of host. */
static bool
has_host(lz_str s, const char *scheme)
{
	size_t n = strlen(scheme);

	return str_starts(s, scheme) && s.len > n && strchr("/:?#@", s.ptr[n]) == NULL &&
	       is_printable(s);
}

static bool
is_url(lz_str s)
{
	return has_host(s, "http://") || has_host(s, "https://");
}

static bool
is_proxy(lz_str s)
{
	return is_url(s) || has_host(s, "socks5://") || has_host(s, "socks5h://");
}

static bool
is_address(lz_str s)
{
	struct net_addr a;

	return net_addr_parse(s, &a, NULL) == ST_OK;
}

static bool
is_range(lz_str s)
{
	struct net_range r;

	return net_range_parse(s, &r, NULL) == ST_OK;
}

static bool
is_date(lz_str s)
{
	int64_t ms;

	return s.len == 10 && options_date(s, &ms);
}

static bool
is_timezone(lz_str s)
{
	char path[200];

	if (str_is(s, "UTC"))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		if (!isalnum((unsigned char)s.ptr[i]) && strchr("_+-/", s.ptr[i]) == NULL)
			return false;
	}
	if (s.len == 0 || s.len > 100 || s.ptr[0] == '/')
		return false;
	(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", STR_ARG(s));
	return access(path, R_OK) == 0;
}

static bool
is_digest(lz_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!isxdigit((unsigned char)s.ptr[i]))
			return false;
	}
	return s.len == 64;
}

#define UNFIELDED                                                                        \
	"fit for the header that carries it; it holds a control character, such as a "   \
	"newline"

static const struct text_rule rules[] = {
	{ "secret", NULL, NULL, NULL, NULL, false, true },
	{ "token", str_is_field_value, UNFIELDED, NULL, NULL, false, true },
	{ "header", str_is_field_value, UNFIELDED, NULL, NULL, false, false },
	{ "url", is_url, "a URL; write http://host/path or https://host/path", NULL,
	    "uri", false, false },
	{ "proxy", is_proxy,
	    "a proxy's URL; write http://host:port or socks5://host:port", NULL, "uri",
	    false, false },
	{ "address", is_address,
	    "an address; write 127.0.0.1:8080, [::1]:8080, :8080 or a port", NULL, NULL,
	    true, false },
	{ "range", is_range, "an address range; write 10.0.0.0/8, ::1 or 192.168.1.7",
	    NULL, NULL, false, false },
	{ "date", is_date, "a date; write 2026-11-20", NULL, "date", false, false },
	{ "timezone", is_timezone,
	    "a time zone of this system; write UTC, or Europe/Paris with the package "
	    "tzdata installed",
	    NULL, NULL, false, false },
	{ "digest", is_digest, "a SHA-256 digest; write its 64 hexadecimal digits",
	    "^[0-9a-fA-F]{64}$", NULL, false, false },
};

const struct text_rule *
rule_find(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	return NULL;
}

lz_str
rule_choice_at(const char *choices, unsigned i)
{
	const char *p = choices, *bar;

	for (; (bar = strchr(p, '|')) != NULL && i > 0; i--)
		p = bar + 1;
	if (i > 0)
		return STR_NONE;
	return bar != NULL ? lz_strn(p, (size_t)(bar - p)) : lz_strz(p);
}

int
rule_choice(const char *choices, lz_str text)
{
	lz_str choice;

	for (unsigned i = 0; (choice = rule_choice_at(choices, i)).ptr != NULL; i++) {
		if (str_eq(choice, text))
			return (int)i;
	}
	return -1;
}

json_t *
rule_default(const lz_option *row)
{
	struct yaml_source *source;
	json_t *j;

	if (row->otherwise == NULL || row->otherwise[0] == '\0')
		return NULL;
	if (row->type == LZ_TEXT_OPTION || row->type == LZ_CHOICE_OPTION)
		return json_string(row->otherwise);
	j = yaml_parse(lz_strz(row->otherwise), row->name, &source, NULL);
	yaml_source_free(source);
	return j;
}

const char *
rule_describe(const json_t *value, char out[80])
{
	enum {
		SHOWN = 60
	};
	size_t n;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "a map";
	case JSON_ARRAY:
		return "a list";
	case JSON_NULL:
		return "null";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_INTEGER:
		(void)snprintf(out, 80, "%lld", (long long)json_integer_value(value));
		return out;
	case JSON_REAL:
		(void)snprintf(out, 80, "%.15g", json_real_value(value));
		return out;
	case JSON_STRING:
		break;
	}
	n = json_string_length(value);
	(void)snprintf(out, 80, "\"%.*s%s\"", (int)(n > SHOWN ? SHOWN : n),
	    json_string_value(value), n > SHOWN ? "..." : "");
	return out;
}
