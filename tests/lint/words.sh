#!/bin/sh
# Nothing is left to be done later without an issue: no such words in the tree.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
found=$(grep -rnE '\b(TODO|FIXME|XXX|HACK)\b' core plugins sdk scripts examples tests \
	--include='*.[ch]' --include='*.py' --include='*.sh' --include='*.md' --include='*.am' --include='*.lua' |
	grep -v '^tests/lint/words.sh' || true)
[ -z "$found" ] || {
	echo "$found"
	exit 1
}
