#!/bin/sh
# Every header has a guard named after its place; every source opens with its name and the licence.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
bad=0
complain() {
	echo "$1"
	bad=1
}

for file in $(find core -name '*.h'); do
	guard=$(echo "${file#core/}" | tr 'a-z/.' 'A-Z__')
	if ! grep -q "^#ifndef $guard\$" "$file" || ! grep -q "^#define $guard\$" "$file"; then
		complain "$file: its guard must be $guard"
	fi
done
for file in $(find core plugins sdk tests examples -name '*.[ch]' ! -name '*_data.c'); do
	case $(head -1 "$file") in
	"/* ${file##*/} - "*) ;;
	"/* latenza/${file##*/} - "*) ;;
	*) complain "$file: must open with \"/* ${file##*/} - what it is, in one line\"" ;;
	esac
	head -40 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
		complain "$file: has no SPDX line in its opening"
done
exit $bad
