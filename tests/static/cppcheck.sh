#!/bin/sh
# cppcheck finds nothing in what is shipped.
# SPDX-License-Identifier: MIT
set -eu
: "${srcdir:=.}" "${builddir:=.}"
command -v cppcheck >/dev/null || {
	echo "there is no cppcheck"
	exit 77
}
kept=$builddir/cppcheck
mkdir -p "$kept"
cd "$srcdir"
# System headers are not for it. What it learned of a file is kept, so that a second run looks at what changed.
# ctuuninitvar takes every out parameter for a read, ctuPointerArith an array's end for its outside (valgrind and
# ASan know better); readdir_r() is what glibc advises against.
exec cppcheck -j"${JOBS:-$(nproc)}" --quiet --std=c11 --enable=warning,portability,performance --inline-suppr \
	--error-exitcode=1 --cppcheck-build-dir="$kept" --include=tests/static/cppcheck.h --library=posix \
	--suppress=missingInclude --suppress=ctuuninitvar --suppress=ctuPointerArith --suppress=readdirCalled \
	-Icore -Isdk -Iplugins/ask -Iplugins/scan -Iplugins/text -D_GNU_SOURCE core plugins examples
