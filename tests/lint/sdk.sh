#!/bin/sh
# The SDK's headers compile alone, pedantically, in every language that authors write plugins in.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
bad=0
tried=0
try() { # compiler language standard header
	command -v "$1" >/dev/null 2>&1 || return 0
	tried=$((tried + 1))
	echo "#include <latenza/$4>" | "$1" -x "$2" "-std=$3" -Isdk -Wall -Wextra -Wpedantic -Wconversion -Werror \
	    -fsyntax-only - || {
		echo "latenza/$4: does not compile alone with $1 -std=$3"
		bad=1
	}
}
for header in plugin.h testhost.h; do
	for standard in c99 c11 c2x; do
		try gcc c "$standard" "$header"
		try clang c "$standard" "$header"
	done
	for standard in c++11 c++20; do
		try g++ c++ "$standard" "$header"
		try clang++ c++ "$standard" "$header"
	done
done
[ "$tried" -gt 0 ] || {
	echo "neither gcc nor clang is installed"
	exit 77
}
exit $bad
