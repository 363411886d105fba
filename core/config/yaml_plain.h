/* yaml_plain.h - plain scalars of YAML.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_YAML_PLAIN_H
#define CONFIG_YAML_PLAIN_H

#include <jansson.h>
#include "base/status.h"

/* The value of n bytes without quotes, followed by a NUL, none among them. owned. NULL:
 * why says what is wrong, or nothing: out of memory. [any] */
json_t *yaml_plain(const char *s, size_t n, struct err *why) MUST_CHECK;

#endif
