/* policy.h - the seam to whoever makes components of scripts.
 *
 * `policies` in the file names scripts; each becomes a component that `use: lua:NAME`
 * finds. A configuration holds its own, so a bad file changes nothing, and what a reload
 * did not change keeps its component and with it its instances.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CONFIG_POLICY_H
#define CONFIG_POLICY_H

#include "base/buf.h"
#include "config/part.h"

/* What the file lets a script do. */
struct policy_terms {
	const lz_str *http; /* what it may call */
	size_t http_count;
	int64_t cpu_ms, wall_ms, memory_bytes, callouts;
};

struct policy_want {
	const char *path; /* of the script */
	struct policy_terms terms;
	/* Folder with the last good ones, to be taken when the file's is refused; NULL:
	 * it is an error then. */
	const char *kept;
	/* Hears of all that is wrong with the script; load()'s e has the first. NULL:
	 * nobody. */
	void (*wrong)(void *arg, const char *sentence);
	void *wrong_arg;
};

struct policy {
	const struct part_info *info; /* one reference; NULL: only_policies */
	lz_str path;
	struct policy_terms terms;
	unsigned line;  /* of the file */
	lz_str refused; /* why the file's is not what serves: the last good one is;
			   absent: the file's serves */
};

struct policy_ops {
	/* Reads the script with `read`, checks it, and runs the test beside it. If one of
	 * `before` is the same, that, with one more reference. owned: unref(). NULL: e
	 * says FILE:LINE and what. With w->kept and e said: the last good one. [main] */
	const struct part_info *(*load)(const struct policy_want *w,
	    enum status (*read)(const char *path, struct buf *text, struct err *e),
	    const struct policy *before, size_t before_count, struct err *e);
	void (*unref)(const struct part_info *info); /* [main] */
};

void policy_set_ops(const struct policy_ops *ops); /* [start] */
const struct policy_ops *policy_get_ops(void);     /* NULL: no scripts in this program */

#endif
