#!/bin/sh
# autogen.sh - makes ./configure from configure.ac; needs autoconf, automake and libtool.
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")"
for tool in autoconf automake libtoolize pkg-config; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; ./examples/quickstart installs what a build needs" >&2
		exit 1
	}
done
exec autoreconf --install --force "$@"
