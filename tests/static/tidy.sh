#!/bin/sh
# clang-tidy finds nothing in what is shipped; .clang-tidy says what it looks for. FILE... looks at those alone.
# SPDX-License-Identifier: MIT
set -eu
: "${srcdir:=.}" "${builddir:=.}"
command -v clang-tidy-14 >/dev/null || {
	echo "there is no clang-tidy-14"
	exit 77
}
flags=$(make -s -C "$builddir" static-flags | tail -n 1)
cd "$srcdir"
[ $# -gt 0 ] || {
	# shellcheck disable=SC2046 # one word each
	set -- $(find core plugins examples -name '*.c' | sort)
}
# shellcheck disable=SC2016,SC2086 # the inner shell's words
printf '%s\n' "$@" | flags=$flags xargs -n 1 -P "${JOBS:-$(nproc)}" sh -c '
	out=$(clang-tidy-14 --quiet "$0" -- $flags 2>&1) || {
		printf "%s\n" "$out"
		exit 1
	}'
