#!/bin/sh
# What `make check` builds where cmocka is not installed includes nothing of it.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
bad=0
for file in tests/fuzz/*.c tests/faults/*.c tests/tools/*.c; do
	included=$(${CC:-cc} -M -MG -Icore -Isdk -Itests "$file")
	case $included in
	*cmocka.h*)
		echo "$file: includes cmocka.h, and must build without it"
		bad=1
		;;
	esac
done
exit $bad
