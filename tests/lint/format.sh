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
# All in one go: a start of clang-format costs more than what it reads.
find core plugins tests examples -name '*.[ch]' ! -name '*_data.c' -print0 | sort -z |
	xargs -0 "$format" --dry-run -Werror
