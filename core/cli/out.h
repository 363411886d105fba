/* out.h - what commands print: JSON, tables, money, colour where a terminal wants it.
 * Private to cli/.
 *
 * What came from clients (users, metadata, prompts) passes out_cell() or out_safe(),
 * which let no control character through to a terminal.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

enum out_style {
	OUT_PLAIN,
	OUT_BOLD,
	OUT_DIM,
	OUT_RED,
	OUT_GREEN,
	OUT_YELLOW
};
/* The escape sequence, or "" when standard output takes no colour. */
const char *out_on(enum out_style s);

void out_json(const json_t *j); /* indented, to standard output */
void out_json_line(FILE *f, const json_t *j);

enum {
	OUT_COLUMNS = 16,
	OUT_TABLE_BYTES = 64 << 20
};
/* A table grows cell by cell and is printed as wide as it must be. */
struct out_table {
	const char *title[OUT_COLUMNS]; /* ">TITLE": right-aligned */
	unsigned columns;
	struct buf cells; /* NUL-terminated, row by row */
};
void out_table(struct out_table *t, const char *const *titles); /* NULL-terminated */
void out_cell(struct out_table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void out_print(struct out_table *t); /* and frees it */

/* "€0.000412"; "-" for unknown (negative); "<€0.000001". */
const char *out_money(int64_t nano_eur, char out[40]);
/* "0.4 ms", "1.25 s", "-" for negative. */
const char *out_ms(double ms, char out[40]);
/* The text without control characters, at most `columns` of it. */
const char *out_safe(const char *text, unsigned columns, char *out, size_t n);
/* One line on standard error, "latenza: ..."; what was typed or stored may be in it. */
void out_error(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Members of results. Absent or null: "-", -1. */
const char *out_text(const json_t *object, const char *member);
int64_t out_nano(const json_t *object, const char *member);
double out_real(const json_t *object, const char *member);

#endif
