/* keyset_read.h - what the files share that read the members of a key's settings: one
 * object at a time, each member by a function of the table in keyset.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_KEYSET_READ_H
#define CONFIG_KEYSET_READ_H

#include "config/keyset.h"
#include "config/rules.h"

struct key_reading {
	enum key_level level;
	const struct options_context *c;
	const json_t *object;
	struct key_settings *out;
	struct err *e;
	enum status worst;
};

/* Tells what is wrong with the member; false. */
bool key_wrong(struct key_reading *r, const char *name, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
bool key_nomem(struct key_reading *r); /* false */
void key_warn(struct key_reading *r, const char *name, const char *text);

/* ---- keyset_values.c ---- */
lz_str key_string(const json_t *value);
bool key_copy(struct key_reading *r, lz_str text, lz_str *out);
bool key_is_unlimited(const json_t *value); /* null is */
bool key_note_unlimited(struct key_reading *r, const char *name);

/* Reads a value that is not null. false: it was told what is wrong. */
typedef bool key_read_fn(struct key_reading *r, const char *name, const json_t *value);
extern key_read_fn key_read_name, key_read_count, key_read_burst, key_read_strategy,
    key_read_allowlist, key_read_expiry, key_read_metadata, key_read_log, key_read_ips,
    key_read_show, key_read_guardrails, key_read_owner, key_read_model;
/* ---- keyset_budgets.c ---- */
extern key_read_fn key_read_monthly, key_read_alerts, key_read_budgets;

#endif
