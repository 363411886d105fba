#!/bin/sh
# embed.sh - prints a text file as a C string: `embed.sh models.json > models_data.c`.
#
# The build calls it, so that the catalogue is one file for people and a part of the program for machines. Lines
# must be shorter than 4,095 bytes (C11's least limit of a literal's pieces) and hold no trigraphs.
#
# SPDX-License-Identifier: MIT
set -eu

file=$1
name=${2:-models_json}

printf '/* Made from %s by embed.sh: change that. */\n#include <stddef.h>\n\n' "$(basename "$file")"
printf 'extern const char %s[];\nextern const size_t %s_len;\n' "$name" "$name"
printf 'const char %s[] =\n' "$name"
LC_ALL=C sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' -- "$file"
printf '    ;\nconst size_t %s_len = sizeof(%s) - 1;\n' "$name" "$name"
