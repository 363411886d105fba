/* options.h - option rows: one row parses, checks, defaults, documents and describes one
 * option.
 *
 * The rows are the SDK's lz_option, for plugins' options and for the gateway's own file
 * alike. Values land in a struct by offset; what they point at lives in an arena that
 * must live as long as the struct.
 *
 * Beside the SDK's rules the gateway's own rows use: text and list "address" (host:port
 * or a port), "range" (10.0.0.0/8), "date", "timezone", "digest" (64 hex digits); real
 * "nano" (lands in an int64_t, in nano-units, exactly).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <jansson.h>
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

enum options_severity {
	OPTIONS_ERROR,
	OPTIONS_UNSET, /* an error too: a secret's variable is unset, its file missing */
	OPTIONS_WARNING
};

struct yaml_source;
struct options_context {
	struct arena *memory; /* strings and lists live here */
	json_t *keep;         /* array: holds what LZ_JSON_OPTION values point at */
	const char *where; /* "providers.openai": what errors begin with; may be NULL */
	bool is_offline;   /* do not resolve env:, file:, credential: */
	/* Members that are somebody else's rows; NULL-terminated; may be NULL. */
	const char *const *ignore;
	struct yaml_source *source; /* for file:line in errors; may be NULL */
	const char *folder;         /* of relative file: paths; NULL: the working one */
	/* Hears of everything that is wrong, "FILE:LINE: sentence" each, where otherwise
	 * the first error ends the work and warnings are dropped. May be NULL. */
	void (*report)(void *arg, enum options_severity how, const char *sentence);
	/* Hears of every value that a reference led to. May be NULL. */
	void (*found)(void *arg, lz_str value);
	void *report_arg; /* of both */
	/* An object that every value is added to as it is used, secrets too; or NULL. */
	json_t *resolved;
};

/* Writes every row's value into self (defaults first). Unknown members, wrong types,
 * numbers out of range, unknown choices are ST_INVALID with a sentence that names the
 * member, says what came and what would be right, and the nearest known name for an
 * unknown one. ST_NOT_FOUND: nothing was wrong but an unset secret. object may be NULL:
 * all defaults. A row whose default is "" leaves its member as it was. */
enum status options_apply(const lz_option *rows, uint32_t count, uint32_t stride,
    const json_t *object, void *self, const struct options_context *c,
    struct err *e) MUST_CHECK;
/* The same without an instance: is the object right? */
enum status options_check(const lz_option *rows, uint32_t count, uint32_t stride,
    const json_t *object, const struct options_context *c, struct err *e) MUST_CHECK;
/* The rows themselves are sound: names, defaults that satisfy their own rule. For `plugin
 * check`. */
enum status options_check_rows(
    const lz_option *rows, uint32_t count, uint32_t stride, struct err *e) MUST_CHECK;
/* JSON Schema (2020-12) of the object; owned. */
json_t *options_schema(const lz_option *rows, uint32_t count, uint32_t stride);
/* The object as used: defaults filled in, secrets as references or "***"; owned; NULL:
 * out of memory. Members of nobody's row are left out. */
json_t *options_shown(
    const lz_option *rows, uint32_t count, uint32_t stride, const json_t *object);
/* Does the value satisfy the schema? Keywords: type, enum, const, required, properties,
 * additionalProperties, items, minItems, maxItems, minLength, maxLength, minimum,
 * maximum; others are not looked at. */
enum status options_match(
    const json_t *schema, const json_t *value, struct err *e) MUST_CHECK;
/* The i-th row, whatever its stride. */
static inline const lz_option *
options_row(const lz_option *rows, uint32_t stride, uint32_t i)
{
	return (const lz_option *)(const void *)((const char *)rows + (size_t)i * stride);
}
/* Completes a sentence with its place, "FILE:LINE: where.member: ", and reports it.
 * member NULL: the object itself. */
void options_say(const struct options_context *c, enum options_severity how,
    const json_t *object, const char *member, struct err *sentence);
/* Is it a member that c->ignore names, which somebody else reads? */
bool options_is_ignored(const struct options_context *c, const char *name);
/* Of the names the nearest to `name`, if it is near enough to be meant; NULL otherwise.
 * NULL-terminated, may be NULL. */
const char *options_nearest(lz_str name, const char *const *names);

/* "30s" "5m" "24h" "90d" "250ms" or a bare number of ms; "32MiB" "1GB" "4096". */
bool options_duration(lz_str text, int64_t *ms);
bool options_bytes(lz_str text, int64_t *bytes);
/* "2027-03-01" or RFC 3339 "2027-03-01T12:00:00+01:00"; a bare date is its midnight in
 * UTC. */
bool options_date(lz_str text, int64_t *unix_ms);
/* A decimal with at most 9 places, exactly, as a number or a string of it. false: none,
 * negative or above 1e9. */
bool options_nano(const json_t *number, int64_t *nano);
/* Is it env:, ${}, file: or credential:? */
bool options_is_reference(lz_str text);
/* "file:x" with a relative path becomes "file:folder/x"; everything else stays. */
lz_str options_absolute(lz_str text, const char *folder, struct arena *memory);
/* env:NAME, ${NAME} (whole value), file:PATH (trailing newline cut, at most 64 KiB, warns
 * when others may read it), credential:NAME ($CREDENTIALS_DIRECTORY). is_literal tells
 * that it was none of these. The value is copied into memory. ST_NOT_FOUND: unset
 * variable or missing file, with a sentence. */
enum status options_resolve(lz_str text, struct arena *memory, lz_str *value,
    bool *is_literal, struct err *e) MUST_CHECK;

#endif
