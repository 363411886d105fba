#!/bin/sh
# What a client may be refused with stands in request/fault alone: nowhere else is an answer given, or a fault's
# status set, with a literal 4xx or 5xx. The wire's own refusals stand in net, below the fault table; statuses that
# providers sent are compared where they are read.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"
found=$(find core -name '*.[ch]' ! -path 'core/request/fault.*' ! -path 'core/net/*' ! -name '*_data.c' \
	-exec grep -HnE '(exchange_(reply|begin)|[^a-z_]reply) *\(.*[^0-9a-zA-Z_.][45][0-9][0-9][^0-9a-zA-Z_.]|(fault|answer)_status *=[^=]*[^0-9a-zA-Z_.][45][0-9][0-9][^0-9]' {} + ||
	true)
[ -z "$found" ] || {
	echo "$found"
	echo "name a row of request/fault instead"
	exit 1
}
