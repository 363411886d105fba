/* yaml.h - YAML (core schema) or JSON text to a tree that remembers its lines.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include <jansson.h>
#include "base/buf.h"

struct yaml_source; /* file name, and the line of every value and member */

/* `yes`, `no`, `on`, `off` stay strings; duplicate keys, anchors that would expand
 * without bound, tags, several documents and more than 1 MiB are errors with a line.
 * *source is owned: yaml_source_free(). NULL: see e. */
json_t *yaml_parse(
    lz_str text, const char *file, struct yaml_source **source, struct err *e);
void yaml_source_free(struct yaml_source *s);
/* Line of a member of an object or of the object itself (key NULL); 0: unknown. Found by
 * the tree node's identity. */
unsigned yaml_line(const struct yaml_source *s, const json_t *node, const char *key);
/* Gives a node that came from elsewhere a place. false: out of memory. */
bool yaml_set_line(struct yaml_source *s, const json_t *node, unsigned line);
const char *yaml_file(const struct yaml_source *s);

/* ---- json_text.c, for yaml.c ---- */
/* Is the text JSON, and may have strings? */
bool yaml_is_json(lz_str text);
/* Appends such a text as libyaml reads it; the lines stay. */
void yaml_from_json(lz_str text, struct buf *out);

#endif
