#!/bin/sh
# A plugin exports one function; the program exports nothing that a plugin could lean on.
# SPDX-License-Identifier: MIT
set -eu
: "${builddir:=.}"
set -- "$builddir"/plugins/.libs/*.so
[ -f "$1" ] || {
	echo "there is no built plugin in $builddir"
	exit 77
}
bad=0
for file; do
	exported=$(nm -D --defined-only "$file" | awk '{ print $NF }' | tr '\n' ' ')
	[ "$exported" = "latenza_plugin_v0 " ] || {
		echo "$file: exports $exported; a plugin exports latenza_plugin_v0 alone"
		bad=1
	}
done
exported=$(nm -D --defined-only "$builddir/latenza" | awk '$2 == "T" { print $NF }' |
	grep -E '^(lz_|[a-z]+_[a-z]+)' | grep -v -E '^(_|__)' | tr '\n' ' ' || true)
# The sanitizers' own symbols are theirs.
if [ -n "$exported" ] && ! nm -D "$builddir/latenza" | grep -q __asan_init; then
	echo "$builddir/latenza: exports $exported; it exports nothing"
	bad=1
fi
exit $bad
