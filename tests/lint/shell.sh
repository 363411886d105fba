#!/bin/sh
# No script draws a word from shellcheck.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
command -v shellcheck >/dev/null || {
	echo "shellcheck is not installed"
	exit 77
}
scripts=$(find autogen.sh .ci core plugins sdk scripts examples tests -type f 2>/dev/null | while read -r file; do
	case $(head -c 20 "$file" | head -1 | tr -d '\0') in
	'#!/bin/sh'* | '#!/bin/bash'*) echo "$file" ;;
	esac
done)
# SC1091: what is sourced is not followed. SC2046, SC2044: our own file names have no blanks.
# shellcheck disable=SC2086 # words are wanted
shellcheck -e SC1091,SC2044,SC2046 $scripts
