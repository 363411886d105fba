/* log.c - writes one line per failure to stderr, in the form that whoever reads stderr
 * wants.
 *
 * A line is made on the stack and leaves with one write(), so that lines of different
 * threads never mix and logging works when memory is out. A write that fails is not tried
 * again: there is nobody left to tell. Values come from outside (a model's name, a
 * provider's message), so each character is checked on its way into the line: nothing in
 * a value can begin a new line, colour a terminal or break the JSON.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

static const struct {
	const char *name, *journal, *colour;
} levels[] = {
	[LOG_LEVEL_DEBUG] = { "debug", "<7>", "\033[2m" },
	[LOG_LEVEL_INFO] = { "info", "<6>", "" },
	[LOG_LEVEL_WARN] = { "warn", "<4>", "\033[33m" },
	[LOG_LEVEL_ERROR] = { "error", "<3>", "\033[31m" },
};

enum {
	LEVELS = sizeof(levels) / sizeof(*levels),
	TAIL_BYTES = 3, /* what closes a line that was cut: quote, brace, newline */
	COLOURED = 0x100
};

static _Atomic int least_level = LOG_LEVEL_INFO;
static _Atomic int chosen; /* enum log_format, COLOURED added */

struct line {
	char text[LOG_LINE_BYTES];
	size_t len;
	bool is_cut; /* something did not fit; nothing is added after it */
};

/* ---- parts of a line ---- */

/* All of it or none, so that a cut falls between characters and escapes. */
static void
put(struct line *l, const char *p, size_t n)
{
	if (l->is_cut || n > sizeof(l->text) - TAIL_BYTES - l->len) {
		l->is_cut = true;
		return;
	}
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

static void
put_z(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* Into the room that put() leaves free. */
static void
put_tail(struct line *l, char c)
{
	l->text[l->len++] = c;
}

static void
put_hex(struct line *l, const char *prefix, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[8];
	size_t n = strlen(prefix);

	memcpy(text, prefix, n);
	text[n] = hex[c >> 4];
	text[n + 1] = hex[c & 15];
	put(l, text, n + 2);
}

/* U+0080 to U+009F steer terminals as ESC does. */
static bool
is_control(const char *p, size_t n)
{
	unsigned char c = (unsigned char)p[0];

	return c < 0x20 || c == 0x7f ||
	       (n == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0);
}

static void
put_escaped(struct line *l, lz_str s, const char *hex_prefix, bool is_json)
{
	for (size_t i = 0, n; i < s.len; i += n) {
		const char *p = s.ptr + i;

		n = str_utf8_step(p, s.len - i);
		if (n == 0) {
			n = 1;
			if (is_json)
				put(l, "\xef\xbf\xbd", 3);
			else
				put_hex(l, hex_prefix, (unsigned char)*p);
		} else if (*p == '\n') {
			put(l, "\\n", 2);
		} else if (is_control(p, n)) {
			put_hex(l, hex_prefix, (unsigned char)p[n - 1]);
		} else if (is_json && (*p == '"' || *p == '\\')) {
			put(l, (const char[]){ '\\', *p }, 2);
		} else {
			put(l, p, n);
		}
	}
}

static void
put_text(struct line *l, lz_str s)
{
	put_escaped(l, s, "\\x", false);
}

/* A JSON string. One that is cut is closed all the same. */
static void
put_json(struct line *l, lz_str s)
{
	put(l, "\"", 1);
	put_escaped(l, s, "\\u00", true);
	put(l, "\"", 1);
	if (l->is_cut)
		put_tail(l, '"');
}

/* ---- key=value pairs ---- */

static bool
is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* Length of the key that s begins with; 0 if it does not begin with `key=`. */
static size_t
key_len(lz_str s)
{
	size_t n = 0;

	while (n < s.len && is_key_char(s.ptr[n]))
		n++;
	return n < s.len && s.ptr[n] == '=' ? n : 0;
}

/* A value ends where the next pair begins, and a quoted one at a quote too: sentences
 * have blanks and quotes of their own (`why="the key "model" stands twice" line=3`). */
static size_t
value_len(lz_str s)
{
	bool is_quoted = s.len > 0 && s.ptr[0] == '"';

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != ' ' || (is_quoted && (i < 2 || s.ptr[i - 1] != '"')))
			continue;
		if (key_len(str_cut(s, i + 1, s.len)) > 0)
			return i;
	}
	return s.len;
}

/* Takes the next pair off `rest`. Words before the first pair come with an empty key. */
static bool
next_pair(lz_str *rest, lz_str *key, lz_str *value)
{
	size_t n;

	*rest = str_trim(*rest);
	if (rest->len == 0)
		return false;
	n = key_len(*rest);
	*key = str_cut(*rest, 0, n);
	if (n > 0)
		*rest = str_cut(*rest, n + 1, rest->len);
	n = value_len(*rest);
	*value = str_trim(str_cut(*rest, 0, n));
	*rest = str_cut(*rest, n, rest->len);
	if (value->len > 1 && str_starts(*value, "\"") && str_ends(*value, "\""))
		*value = str_cut(*value, 1, value->len - 1);
	return true;
}

/* A pair whose key and opening quote do not fit is left out whole. */
static void
put_json_pair(struct line *l, lz_str key, lz_str value)
{
	size_t was = l->len;

	put(l, ",\"", 2);
	put_escaped(l, key.len > 0 ? key : STR_LIT("note"), "\\u00", true);
	put(l, "\":\"", 3);
	if (l->is_cut) {
		l->len = was;
		return;
	}
	l->len--; /* put_json() brings the quote */
	put_json(l, value);
}

/* ---- the three forms ---- */

static void
write_json(struct line *l, enum log_level level, const char *event, lz_str pairs)
{
	char now[25];
	lz_str key, value;

	clock_format(clock_unix_ms(), now);
	put_z(l, "{\"time\":\"");
	put_z(l, now);
	put_z(l, "\",\"level\":\"");
	put_z(l, levels[level].name);
	put_z(l, "\",\"event\":");
	put_json(l, lz_strz(event));
	while (!l->is_cut && next_pair(&pairs, &key, &value))
		put_json_pair(l, key, value);
	put_tail(l, '}');
}

static void
write_journal(struct line *l, enum log_level level, const char *event, lz_str pairs)
{
	put_z(l, levels[level].journal);
	put_z(l, event);
	put(l, " ", pairs.len > 0);
	put_text(l, pairs);
}

static void
write_terminal(
    struct line *l, enum log_level level, const char *event, lz_str pairs, bool colour)
{
	char now[25];

	clock_format(clock_unix_ms(), now);
	put_z(l, now);
	put(l, " ", 1);
	if (colour)
		put_z(l, levels[level].colour);
	put_z(l, levels[level].name);
	if (colour && *levels[level].colour != '\0')
		put_z(l, "\033[0m");
	put(l, "     ", 6 - strlen(levels[level].name));
	put_z(l, event);
	put(l, " ", pairs.len > 0);
	put_text(l, pairs);
}

/* ---- which form ---- */

/* systemd sets JOURNAL_STREAM for a service and all its children; it holds only while
 * stderr still is the stream that it names (systemd.exec(5)). */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char mine[64];

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(
	    mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, mine) == 0;
}

/* https://no-color.org: set and not empty, whatever the value. */
static bool
wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return (no == NULL || *no == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

/* Two threads that come here at once find the same answer, so nothing needs a lock. */
static int
find_format(void)
{
	int format = LOG_FORMAT_JSON;

	if (is_journal())
		format = LOG_FORMAT_JOURNAL;
	else if (isatty(STDERR_FILENO))
		format = LOG_FORMAT_TERMINAL | (wants_colour() ? COLOURED : 0);
	atomic_store_explicit(&chosen, format, memory_order_relaxed);
	return format;
}

/* ---- the door ---- */

void
log_vline(enum log_level level, const char *event, const char *fmt, va_list args)
{
	int format = atomic_load_explicit(&chosen, memory_order_relaxed);
	char text[LOG_LINE_BYTES];
	struct line l = { .len = 0 };
	lz_str pairs;

	if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	pairs = lz_strn(text, strlen(text));
	if (format == LOG_FORMAT_AUTO)
		format = find_format();
	if (format == LOG_FORMAT_JSON)
		write_json(&l, level, event, pairs);
	else if (format == LOG_FORMAT_JOURNAL)
		write_journal(&l, level, event, pairs);
	else
		write_terminal(&l, level, event, pairs, (format & COLOURED) != 0);
	put_tail(&l, '\n');
	if (io.write(STDERR_FILENO, l.text, l.len) < 0)
		return;
}

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_vline(level, event, fmt, args);
	va_end(args);
}

void
log_set_level(enum log_level least)
{
	atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

void
log_set_format(enum log_format format)
{
	atomic_store_explicit(&chosen, (int)format, memory_order_relaxed);
}

bool
log_level_parse(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < LEVELS; i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}
