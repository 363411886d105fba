#!/bin/sh
# Every fuzz target reads the files of its corpus: what once broke stays mended.
# SPDX-License-Identifier: MIT
set -eu
: "${srcdir:=.}" "${builddir:=.}"
ran=0
for target in "$builddir"/tests/fuzz/fuzz_*; do
	case $target in *.c | *.o | *.lo) continue ;; esac
	[ -f "$target" ] || continue
	name=${target##*/fuzz_}
	"$target" "$srcdir/tests/fuzz/corpus/$name"
	ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || exit 77
