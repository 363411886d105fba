/* probe.c - a plugin is opened in a child process first, before it is opened in earnest.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "plugin/child.h"
#include "plugin/host.h"

static void
probe_work(const struct talk *t, const void *asked)
{
	struct open_request q = *(const struct open_request *)asked;
	struct plugin *p;
	struct err e;

	q.is_probed = false;
	q.is_quiet = true;
	child_tell(t, CHILD_DOES, "%s", "it was loaded");
	if (open_plugin(&q, &p, &e) != ST_OK)
		child_tell(t, CHILD_FAILED, "%s", e.text);
}

struct verdict {
	const char *path;
	struct err *e;
};

static void
keep_verdict(void *arg, enum child_mark mark, const char *what)
{
	struct verdict *v = arg;
	size_t n = strlen(v->path);

	if (mark != CHILD_FAILED)
		return;
	/* What the child found wrong names the file; how the child ended does not. */
	if (strncmp(what, v->path, n) == 0)
		(void)err_fail(v->e, ST_INVALID, "%s", what);
	else
		(void)err_fail(v->e, ST_INVALID, "%s: %s", v->path, what);
}

enum status
probe_plugin(const struct open_request *q, struct err *e)
{
	struct verdict v = { q->path, e };
	int failures = child_run(probe_work, q, PLUGIN_PROBE_MS, keep_verdict, &v);

	if (failures < 0)
		return err_fail(e, ST_IO, "%s: no child process to try it in: %s",
		    q->path, strerror(errno));
	return failures == 0 ? ST_OK : ST_INVALID;
}
