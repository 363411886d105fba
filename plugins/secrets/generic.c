/* generic.c - secrets that have no shape: the value behind a word that announces one, and
 * the password in a URL.
 *
 * SPDX-License-Identifier: MIT
 */
#include "secrets.h"

enum {
	PASSWORD_MAX = 256,
	USER_MAX = 48,
	WORD_MAX = 40,
	SAMPLE_MAX = 256 /* bytes that say how random a value is */
};

/* ---- entropy ---- */

/* The logarithm to base 2 of x >= 1, in 1/65536: integers alone, the same on every
 * machine. */
static uint32_t
log2_fixed(uint32_t x)
{
	uint32_t whole = 31u - (uint32_t)__builtin_clz(x), result = whole << 16;
	uint64_t y = (uint64_t)x << (31 - whole); /* 1.0 is 2^31 */

	for (uint32_t bit = 1u << 15; bit > 0; bit >>= 1) {
		y = y * y >> 31;
		if (y >> 32 != 0) {
			y >>= 1;
			result |= bit;
		}
	}
	return result;
}

double
entropy_of(const unsigned char *s, size_t n)
{
	uint32_t count[256] = { 0 };
	uint64_t sum = 0;

	if (n == 0 || n > SECRET_MAX)
		return 0;
	for (size_t i = 0; i < n; i++)
		count[s[i]]++;
	for (size_t i = 0; i < 256; i++)
		if (count[i] > 0)
			sum += (uint64_t)count[i] * log2_fixed(count[i]);
	return ((double)log2_fixed((uint32_t)n) - (double)sum / (double)n) / 65536;
}

/* ---- behind a word ---- */

/* Ends of the names that announce a secret, in lower case and without - _ and spaces. */
static const char *const words[] = { "password", "passwd", "pwd", "passphrase",
	"passwort", "kennwort", "motdepasse", "contrasena", "dbpass", "userpass",
	"secret", "secrets", "token", "apikey", "accesskey", "secretkey", "accountkey",
	"privatekey", "authkey", "encryptionkey", "signingkey", "subscriptionkey",
	"credential", "credentials", "authorization" };

static int
is_quote(unsigned char c)
{
	return c == '"' || c == '\'' || c == '`';
}

static int
is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* How far before `at`, from `n` bytes on, there is no blank, quote or bracket. */
static size_t
skip_back(const struct scan_form *f, size_t at, size_t n)
{
	unsigned char c = scan_before(f, at, n + 1);

	while (n < SCAN_BEHIND && !scan_is(c, SCAN_ALNUM) &&
	       (is_blank(c) || is_quote(c) || c == ']' || c == '\\'))
		c = scan_before(f, at, ++n + 1);
	return n;
}

/* The name that ends n bytes before `at`, as words has it. */
static size_t
name_before(const struct scan_form *f, size_t at, size_t n, char out[WORD_MAX])
{
	size_t len = 0;

	for (; len < WORD_MAX && n < SCAN_BEHIND; n++) {
		unsigned char c = scan_before(f, at, n + 1);

		if (c == '_' || c == '-' || c == ' ')
			continue;
		if (!scan_is(c, SCAN_ALNUM))
			break;
		memmove(out + 1, out, len);
		out[0] = (char)scan_lower(c);
		len++;
		if (len == WORD_MAX - 1)
			break;
	}
	return len;
}

static int
announces(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (n <= len && memcmp(name + len - n, words[i], n) == 0)
			return 1;
	}
	return 0;
}

/* Is the word that ends n bytes before `at` this one, in whatever case? */
static int
is_word_before(const struct scan_form *f, size_t at, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t k = 0; k < len; k++)
		if (scan_lower(scan_before(f, at, n + len - k)) != (unsigned char)word[k])
			return 0;
	return !scan_is(scan_before(f, at, n + len + 1), SCAN_ALNUM);
}

/* Is a secret announced before `at`: NAME: NAME= NAME => NAME is, Bearer? */
static int
is_announced(const struct scan_form *f, size_t at)
{
	char name[WORD_MAX];
	size_t n = skip_back(f, at, 0), len;
	unsigned char c = scan_before(f, at, n + 1);

	if (n > 0 &&
	    (is_word_before(f, at, n, "bearer") || is_word_before(f, at, n, "basic")))
		return 1;
	if (n > 0 && is_word_before(f, at, n, "is")) {
		n += 2;
	} else {
		if (c != ':' && c != '=' && c != '>')
			return 0;
		while (n < SCAN_BEHIND && (c == ':' || c == '=' || c == '>'))
			c = scan_before(f, at, ++n + 1);
	}
	len = name_before(f, at, skip_back(f, at, n), name);
	return len > 0 && announces(name, len);
}

/* Behind the value at `at`. quote: it ends with that one; 0: it has none. */
static size_t
value_end(struct known *k, const struct scan_form *f, size_t at, unsigned char quote)
{
	size_t p = quote == 0 ? known_from(k, at) : at;

	for (; p - at < SECRET_MAX && p < f->len; p++) {
		unsigned char c = f->s[p];

		if (c <= ' ' || c >= 0x7f || c == quote)
			break;
		if (quote == 0 && (is_quote(c) || strchr(",;<>(){}[]", c) != NULL))
			break;
	}
	if (quote == 0)
		known_set(k, at, p);
	return p;
}

static int
has_letter_and_digit(const unsigned char *s, size_t n)
{
	unsigned all = 0;

	for (size_t i = 0; i < n; i++)
		all |= scan_class[s[i]];
	return (all & SCAN_LETTER) != 0 && (all & SCAN_DIGIT) != 0;
}

enum scan_verdict
generic_find(const struct look *l, struct pass *pass, const struct scan_form *f,
    size_t at, size_t *to)
{
	unsigned char quote = scan_before(f, at, 1), next;
	size_t p, n;

	/* ${NAME}, <name>, {{ name }} stand for a secret and are none. */
	if (!is_announced(f, at) || strchr("$<{%*", f->s[at]) != NULL)
		return SCAN_NO;
	quote = is_quote(quote) ? quote : 0;
	p = value_end(&pass->value, f, at, quote);
	if (p - at < SECRET_MAX && scan_is_open(f, p))
		return SCAN_OPEN;
	next = scan_at(f, p);
	/* A call or an index: code. */
	if (quote == 0 && (next == '(' || next == '['))
		return SCAN_NO;
	while (quote == 0 && p > at && strchr(".:?", f->s[p - 1]) != NULL)
		p--;
	*to = p;
	n = p - at < SAMPLE_MAX ? p - at : SAMPLE_MAX;
	if ((int64_t)(p - at) < l->min_length || !has_letter_and_digit(f->s + at, n))
		return SCAN_NO;
	return entropy_of(f->s + at, n) >= l->entropy ? SCAN_YES : SCAN_NO;
}

/* ---- scheme://user:password@host ---- */

static int
is_behind_user(const struct scan_form *f, size_t at)
{
	size_t n = 1;
	unsigned char c = 0;

	if (scan_before(f, at, 1) != ':')
		return 0;
	for (; n <= USER_MAX; n++) {
		c = scan_before(f, at, n + 1);
		if (!scan_is(c, SCAN_ALNUM) && (c == 0 || strchr("._%+-~", c) == NULL))
			break;
	}
	return c == '/' && scan_before(f, at, n + 2) == '/' &&
	       scan_before(f, at, n + 3) == ':';
}

enum scan_verdict
url_password_find(const struct scan_form *f, size_t at, size_t *to)
{
	size_t p = at;

	if (!is_behind_user(f, at) || strchr("$<{[*", f->s[at]) != NULL)
		return SCAN_NO;
	for (; p - at <= PASSWORD_MAX; p++) {
		unsigned char c = scan_at(f, p);

		if (scan_is_open(f, p))
			return SCAN_OPEN;
		if (c == '@')
			break;
		if (c <= ' ' || c >= 0x7f || c == '/' || is_quote(c))
			return SCAN_NO;
	}
	if (p == at || p - at > PASSWORD_MAX)
		return SCAN_NO;
	*to = p;
	if (scan_is_open(f, p + 1))
		return SCAN_OPEN;
	return scan_is(scan_at(f, p + 1), SCAN_ALNUM) || scan_at(f, p + 1) == '['
		   ? SCAN_YES
		   : SCAN_NO;
}
