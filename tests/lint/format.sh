#!/bin/sh
# clang-format 14 leaves every C file as it is. The SDK's header keeps its own columns.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
format=$(command -v clang-format-14 || command -v clang-format) || {
	echo "clang-format is not installed"
	exit 77
}
"$format" --version | grep -q 'version 14\.' || {
	echo "clang-format 14 is wanted: $("$format" --version)"
	exit 77
}
bad=0
for file in $(find core plugins tests examples -name '*.[ch]' ! -name '*_data.c' | sort); do
	"$format" --dry-run -Werror "$file" >/dev/null 2>&1 || {
		echo "$file: $format -i would change it"
		bad=1
	}
done
exit $bad
