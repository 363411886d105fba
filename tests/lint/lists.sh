#!/bin/sh
# Every source is in a list of the build, so that no file is left out of the program, the tests or the tarball.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
bad=0
listed() { # file list: is the file, as %D%/..., in the list?
	grep -qE "%D%/$(echo "${1#*/}" | sed 's/[.]/[.]/g')( |\$)" "$2" || {
		echo "$1: is not in $2"
		bad=1
	}
}
for file in $(find core -name '*.[ch]' ! -name '*_data.c') $(find core -name 'README.md'); do
	listed "$file" core/core.am
done
for file in $(find plugins -name '*.[ch]'); do
	listed "$file" plugins/plugins.am
done
for file in tests/unit/test_*.c tests/upstream/test_*.c tests/abi/test_*.c tests/fuzz/fuzz_*.c; do
	[ ! -f "$file" ] || listed "${file%.c}" tests/tests.am
done
for file in tests/lint/*.sh tests/e2e/*.py tests/faults/*.py tests/lua/*.py tests/harness/*.py; do
	listed "$file" tests/tests.am
done
for file in $(find scripts -name '*.lua'); do
	listed "$file" scripts/scripts.am
done
exit $bad
