/* presets.h - the table of presets, for the file's providers and for `latenza init`.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_PRESETS_H
#define CONFIG_PRESETS_H

#include <jansson.h>
#include "config/part.h"

/* Name -> preset, in the table's order; owned. NULL: out of memory. */
json_t *presets_load(void);
/* The plugin that a preset is for. */
lz_str presets_plugin(const json_t *preset);
/* The preset's members go where the object says nothing, as far as the gateway or the
 * plugin knows them. */
void presets_apply(json_t *object, const json_t *preset, const struct part_info *info);
/* "azure, groq, ...", cut to n bytes. */
void presets_names(const json_t *presets, char *out, size_t n);

#endif
