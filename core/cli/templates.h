/* templates.h - the files that `plugin new` is made of: the examples of examples/plugins
 * and what sdk/template adds. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_TEMPLATES_H
#define CLI_TEMPLATES_H

#include <stddef.h>

struct template
{
	const char *file; /* "wordlist.c"; NULL ends the list */
	const char *text;
};
extern const struct template templates[];

#endif
