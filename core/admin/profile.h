/* profile.h - between the files about organisations and assistants. Private to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_PROFILE_H
#define ADMIN_PROFILE_H

#include "admin/rows.h"
#include "key/profiles.h"

bool profile_is_assistant(lz_str id); /* "acme/support" */
const char *profile_word(lz_str id);  /* "assistant", "organization" */
/* The file's word on it; NULL: it has none. */
const struct config_profile *profile_declared(const struct command_context *c, lz_str id);

/* ---- profile_rules.c ---- */
/* Settings of a row; they live in memory. */
enum status profile_parse(const struct db_profile *row, struct arena *memory,
    struct key_settings *out, struct err *e);
/* What is wrong with settings, in themselves and under those above. */
enum status profile_check(struct command_context *c, lz_str id, const json_t *settings,
    struct arena *memory, struct err *e);

#endif
