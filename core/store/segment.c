/* segment.c - the spool's files by name.
 *
 * SPDX-License-Identifier: MIT
 */
#include "store/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

void
segment_name(const struct segment *s, char out[SEGMENT_NAME_BYTES])
{
	(void)snprintf(out, SEGMENT_NAME_BYTES, "%u.%" PRIu64 ".%" PRIu32, s->worker,
	    s->boot, s->seq);
}

/* Takes the number before the next dot or the end. */
static bool
take_number(lz_str *rest, int64_t max, int64_t *out)
{
	ptrdiff_t dot = str_find(*rest, '.');
	size_t end = dot < 0 ? rest->len : (size_t)dot;
	bool ok = str_to_int(str_cut(*rest, 0, end), max, out);

	*rest = str_cut(*rest, dot < 0 ? end : end + 1, rest->len);
	return ok;
}

bool
segment_parse(const char *name, struct segment *out)
{
	char again[SEGMENT_NAME_BYTES];
	lz_str rest = lz_strz(name);
	int64_t worker, boot, seq;

	if (!take_number(&rest, UINT32_MAX, &worker) ||
	    !take_number(&rest, INT64_MAX, &boot) ||
	    !take_number(&rest, UINT32_MAX, &seq))
		return false;
	*out = (struct segment){ (unsigned)worker, (uint64_t)boot, (uint32_t)seq };
	segment_name(out, again);
	return strcmp(again, name) == 0;
}

enum status
segment_path(const char *dir, const struct segment *s, const char *suffix,
    char out[SEGMENT_PATH_BYTES])
{
	char name[SEGMENT_NAME_BYTES];
	int n;

	segment_name(s, name);
	n = snprintf(out, SEGMENT_PATH_BYTES, "%s/%s%s", dir, name, suffix);
	return n > 0 && n < SEGMENT_PATH_BYTES ? ST_OK : ST_LIMIT;
}

static int
compare(const void *left, const void *right)
{
	const struct segment *a = left, *b = right;

	if (a->boot != b->boot)
		return a->boot < b->boot ? -1 : 1;
	if (a->worker != b->worker)
		return a->worker < b->worker ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Room for one more, doubling. */
static bool
grow(struct segment **list, size_t count)
{
	struct segment *more;

	if ((count & (count - 1)) != 0 || count == 1)
		return true; /* room for the next power of two was made */
	more = mem_realloc(*list, (count == 0 ? 2 : 2 * count) * sizeof(**list));
	if (more == NULL)
		return false;
	*list = more;
	return true;
}

enum status
segment_list(const char *dir, struct segment **out, size_t *count, struct err *e)
{
	struct segment *list = NULL, one;
	enum status st = ST_OK;
	struct dirent *entry;
	size_t n = 0;
	DIR *d = opendir(dir);

	if (d == NULL)
		return err_fail(
		    e, ST_IO, "%s: cannot be listed: %s", dir, strerror(errno));
	while (st == ST_OK && (errno = 0, entry = readdir(d)) != NULL) {
		if (!segment_parse(entry->d_name, &one))
			continue;
		if (!grow(&list, n)) {
			st = err_fail(
			    e, ST_NOMEM, "%s: out of memory while listing it", dir);
			break;
		}
		list[n++] = one;
	}
	if (st == ST_OK && errno != 0)
		st = err_fail(e, ST_IO, "%s: cannot be listed: %s", dir, strerror(errno));
	(void)closedir(d);
	if (st != ST_OK) {
		mem_free(list);
		return st;
	}
	if (n > 1)
		qsort(list, n, sizeof(*list), compare);
	*out = list;
	*count = n;
	return ST_OK;
}

enum status
segment_sync_dir(const char *dir, struct err *e)
{
	int fd = io.open(dir, O_RDONLY | O_DIRECTORY, 0);
	enum status st = ST_OK;

	if (fd < 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be opened: %s", dir, strerror(errno));
	/* Some file systems (FUSE, 9p) cannot sync a directory and say EINVAL: they order
	 * names themselves. */
	if (io.fsync(fd) != 0 && errno != EINVAL)
		st = err_fail(e, ST_IO, "%s: fsync: %s", dir, strerror(errno));
	(void)io.close(fd);
	return st;
}
