#!/bin/sh
# A room includes rooms on lower floors only, and a library is used in one room only.
# The floors are those of core/README.md.
# SPDX-License-Identifier: MIT
set -eu
cd "${srcdir:-.}"

find core -name '*.[ch]' ! -name '*_data.c' -exec awk '
BEGIN {
	n = split("base 1 net 2 store 2 config 3 request 4 plugin 5 lua 6 trial 6 trace 6 guard 7 " \
	    "key 8 policy 8 call 8 gateway 9 admin 10 cli 11 main.c 12", word, " ")
	for (i = 1; i < n; i += 2)
		floor[word[i]] = word[i + 1]
	# library header: the rooms, or the files, that may include it
	only["event2/"] = "net"
	only["curl/"] = "net"
	only["sqlite3.h"] = "store"
	only["dlfcn.h"] = "plugin trial"
	only["yaml.h"] = "config"
	only["utf8proc.h"] = "base/fold_char.c"
	only["openssl/"] = "base/crypto.c net/tls.c"
	only["lua.h"] = only["lauxlib.h"] = only["lualib.h"] = "lua"
}
FNR == 1 {
	split(FILENAME, part, "/")
	room = part[2]
	if (!(room in floor)) {
		print FILENAME ": core/" room " is on no floor; give it one in tests/lint/layers.sh"
		bad = 1
	}
}
/^#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	if (split(quoted[2], path, "/") == 2 && path[1] != room && path[1] in floor &&
	    floor[path[1]] >= floor[room]) {
		print FILENAME ":" FNR ": " room " may not include " quoted[2] ": it is not on a lower floor"
		bad = 1
	}
}
/^#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*</, "", name)
	sub(/>.*/, "", name)
	for (library in only) {
		if (index(name, library) != 1)
			continue
		allowed = 0
		m = split(only[library], owner, " ")
		for (i = 1; i <= m; i++)
			if (owner[i] == room || "core/" owner[i] == FILENAME)
				allowed = 1
		if (!allowed) {
			print FILENAME ":" FNR ": <" name "> belongs to " only[library] " alone"
			bad = 1
		}
	}
}
END { exit bad }
' {} + || exit 1

# Plugins know the SDK and the C library.
for file in plugins/*/*.[ch] examples/plugins/*.c examples/plugins/*/*.c; do
	[ -f "$file" ] || continue
	if grep -Hn '^#[[:space:]]*include[[:space:]]*"' "$file" |
	    grep -v "include[[:space:]]*\"[^/\"]*\"" ; then
		echo "$file: a plugin includes <latenza/...>, libc and its own folder only"
		exit 1
	fi
done
