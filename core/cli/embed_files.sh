#!/bin/sh
# embed_files.sh - prints text files as one table of C strings: `embed_files.sh FILE... > templates_data.c`.
# SPDX-License-Identifier: MIT
set -eu

printf '/* Made by embed_files.sh: change the files that it names. */\n#include "cli/templates.h"\n\n'
printf 'const struct template templates[] = {\n'
for file in "$@"; do
	printf '\t{ "%s",\n' "$(basename "$file")"
	LC_ALL=C sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' -- "$file"
	printf '\t},\n'
done
printf '\t{ NULL, NULL },\n};\n'
