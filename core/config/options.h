/* options.h - option rows: one row parses, checks, defaults, documents and describes one option.
 *
 * The rows are the SDK's lz_option, for plugins' options and for the gateway's own file alike. Values land in a
 * struct by offset; what they point at belongs to an options_memory that lives as long as the struct.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <jansson.h>
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

struct options_context {
	struct arena *memory;	/* strings, lists and JSON values live here; JSON values are kept via `keep` */
	json_t *keep;		/* array: holds what LZ_JSON_OPTION values point at */
	const char *where;	/* "providers.openai": what errors begin with */
	bool is_offline;	/* do not resolve env:, file:, credential: */
	const char *const *ignore; /* members that are somebody else's rows; NULL-terminated; may be NULL */
	struct yaml_source *source; /* for file:line in errors; may be NULL */
};

/* Writes every row's value into self (defaults first). Unknown members, wrong types, numbers out of range, unknown
 * choices are ST_INVALID with a sentence that names the member, says what came and what would be right, and the
 * nearest known name for an unknown one. object may be NULL: all defaults. */
enum status options_apply(const lz_option *rows, uint32_t count, uint32_t stride, const json_t *object, void *self,
    const struct options_context *c, struct err *e) MUST_CHECK;
/* The rows themselves are sound: names, defaults that satisfy their own rule. For `plugin check`. */
enum status options_check_rows(const lz_option *rows, uint32_t count, uint32_t stride, struct err *e) MUST_CHECK;
/* JSON Schema (2020-12) of the object; owned. */
json_t *options_schema(const lz_option *rows, uint32_t count, uint32_t stride);

/* "30s" "5m" "24h" "90d" "250ms" or a bare number of ms; "32MiB" "1GB" "4096". */
bool options_duration(lz_str text, int64_t *ms);
bool options_bytes(lz_str text, int64_t *bytes);
/* env:NAME, ${NAME} (whole value), file:PATH (trailing newline cut, at most 64 KiB, warns when others may read it),
 * credential:NAME ($CREDENTIALS_DIRECTORY). is_literal tells that it was none of these. The value is copied into
 * memory. ST_NOT_FOUND: unset variable or missing file, with a sentence. */
enum status options_resolve(lz_str text, struct arena *memory, lz_str *value, bool *is_literal, struct err *e) MUST_CHECK;

#endif
