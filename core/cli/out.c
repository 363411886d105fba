/* out.c - tables, money and colour on standard output.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum {
	ERROR_BYTES = 2000
};

/* ---- colour ---- */

static bool
takes_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') && term != NULL &&
	       strcmp(term, "dumb") != 0;
}

const char *
out_on(enum out_style s)
{
	static const char *const sequences[] = {
		[OUT_PLAIN] = "\033[0m",
		[OUT_BOLD] = "\033[1m",
		[OUT_DIM] = "\033[2m",
		[OUT_RED] = "\033[31m",
		[OUT_GREEN] = "\033[32m",
		[OUT_YELLOW] = "\033[33m",
	};

	return takes_colour() ? sequences[s] : "";
}

/* ---- JSON ---- */

void
out_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

void
out_json_line(FILE *f, const json_t *j)
{
	json_dumpf(j, f, JSON_COMPACT | JSON_ENCODE_ANY);
	fputc('\n', f);
}

/* ---- text ---- */

void
out_error(const char *fmt, ...)
{
	char text[ERROR_BYTES], safe[ERROR_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "latenza: %s\n", out_safe(text, ERROR_BYTES, safe, sizeof(safe)));
}

const char *
out_safe(const char *text, unsigned columns, char *out, size_t n)
{
	size_t at = 0;
	unsigned used = 0;

	for (const char *p = text; *p != '\0' && used < columns;) {
		size_t step = str_utf8_step(p, strlen(p));
		/* C1 controls are characters of two bytes: 0xc2, then 0x80 to 0x9f. */
		bool is_control =
		    step == 0 ||
		    (step == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f)) ||
		    (step == 2 && (unsigned char)p[0] == 0xc2 &&
			(unsigned char)p[1] < 0xa0);

		if (at + 5 > n)
			break;
		if (is_control)
			out[at++] = *p == '\n' || *p == '\t' ? ' ' : '?';
		else
			memcpy(out + at, p, step), at += step;
		p += step == 0 ? 1 : step;
		used++;
	}
	out[at] = '\0';
	return out;
}

const char *
out_money(int64_t nano_eur, char out[40])
{
	int64_t micro = nano_eur / 1000 + (nano_eur % 1000 >= 500);
	size_t n;

	if (nano_eur < 0)
		return memcpy(out, "-", 2);
	if (nano_eur > 0 && micro == 0) {
		snprintf(out, 40, "<\xe2\x82\xac%s", "0.000001");
		return out;
	}
	n = (size_t)snprintf(out, 40, "\xe2\x82\xac%" PRId64 ".%06" PRId64,
	    micro / 1000000, micro % 1000000);
	/* Cents always, finer digits where there are some. */
	for (unsigned cut = 0; cut < 4 && out[n - 1] == '0'; cut++)
		out[--n] = '\0';
	return out;
}

const char *
out_ms(double ms, char out[40])
{
	if (ms < 0)
		return memcpy(out, "-", 2);
	if (ms < 1000)
		snprintf(out, 40, "%.1f ms", ms);
	else
		snprintf(out, 40, "%.2f s", ms / 1000);
	return out;
}

const char *
out_text(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));

	return s == NULL || *s == '\0' ? "-" : s;
}

int64_t
out_nano(const json_t *object, const char *member)
{
	const json_t *j = json_object_get(object, member);

	return json_is_integer(j) ? json_integer_value(j) : -1;
}

double
out_real(const json_t *object, const char *member)
{
	const json_t *j = json_object_get(object, member);

	return json_is_number(j) ? json_number_value(j) : -1;
}

/* ---- tables ---- */

void
out_table(struct out_table *t, const char *const *titles)
{
	t->columns = 0;
	for (; titles[t->columns] != NULL; t->columns++) {
		must(t->columns < OUT_COLUMNS);
		t->title[t->columns] = titles[t->columns];
	}
	buf_init(&t->cells, OUT_TABLE_BYTES);
}

void
out_cell(struct out_table *t, const char *fmt, ...)
{
	char raw[400], safe[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	buf_add_z(&t->cells, out_safe(raw, 120, safe, sizeof(safe)));
	buf_add_char(&t->cells, '\0');
}

static unsigned
width_of(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const char *text, bool is_right, unsigned width, bool is_last)
{
	int pad = (int)(width - width_of(text));

	if (is_right)
		printf("%*s%s", pad, "", text);
	else
		printf("%s%*s", text, is_last ? 0 : pad, "");
	fputs(is_last ? "\n" : "  ", stdout);
}

void
out_print(struct out_table *t)
{
	unsigned width[OUT_COLUMNS] = { 0 };
	const char *end = t->cells.ptr + t->cells.len;
	unsigned column = 0;

	must(t->columns > 0);
	for (unsigned i = 0; i < t->columns; i++)
		width[i] = width_of(t->title[i] + (*t->title[i] == '>'));
	for (const char *p = t->cells.ptr; p < end; p += strlen(p) + 1) {
		unsigned w = width_of(p);

		width[column] = w > width[column] ? w : width[column];
		column = (column + 1) % t->columns;
	}
	fputs(out_on(OUT_DIM), stdout);
	for (unsigned i = 0; i < t->columns; i++)
		print_cell(t->title[i] + (*t->title[i] == '>'), *t->title[i] == '>',
		    width[i], i + 1 == t->columns);
	fputs(out_on(OUT_PLAIN), stdout);
	for (const char *p = t->cells.ptr; p < end; p += strlen(p) + 1) {
		print_cell(
		    p, *t->title[column] == '>', width[column], column + 1 == t->columns);
		column = (column + 1) % t->columns;
	}
	buf_free(&t->cells);
}
