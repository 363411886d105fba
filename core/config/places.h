/* places.h - how the reader of YAML notes lines; yaml.h asks for them. Private to
 * config/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_PLACES_H
#define CONFIG_PLACES_H

#include "config/yaml.h"

struct yaml_source *places_new(const char *file); /* owned: yaml_source_free() */
/* key NULL: the node itself. The first place of a node stands. false: out of memory. */
bool places_add(
    struct yaml_source *s, const json_t *node, const char *key, unsigned line) MUST_CHECK;
/* A list or map stands where its key does, which is not its first line when it is written
 * below. */
void places_move(struct yaml_source *s, const json_t *node, unsigned line);

#endif
