/* db_open.c - which files are ours, and how a connection to one is set up.
 *
 * A database is made beside its place and renamed into it, so that a file with our name
 * is always whole. Before a file is opened, its header is read, so that what is not ours
 * stays exactly as it is and gets no log beside it. That is done through SQLite's own
 * file layer: a plain open() and close() would drop the POSIX locks that another
 * connection of this process holds on the file, and a connection in its "immutable" mode
 * calls a file malformed whose last checkpoint was killed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/db_internal.h"
#include "store/file.h"
#include "store/segment.h"

/* ---- SQLite's memory ---- */

/* SQLite asks how large an allocation is; so each is preceded by its size. */
union size_head {
	size_t n;
	int64_t align;
};

static void *
sqlite_alloc(int n)
{
	union size_head *h = mem_alloc(sizeof(*h) + (size_t)n);

	if (h == NULL)
		return NULL;
	h->n = (size_t)n;
	return h + 1;
}

static void
sqlite_free(void *p)
{
	if (p != NULL)
		mem_free((union size_head *)p - 1);
}

static void *
sqlite_realloc(void *p, int n)
{
	union size_head *h =
	    mem_realloc((union size_head *)p - 1, sizeof(*h) + (size_t)n);

	if (h == NULL)
		return NULL;
	h->n = (size_t)n;
	return h + 1;
}

static int
sqlite_size(void *p)
{
	return p == NULL ? 0 : (int)((union size_head *)p - 1)->n;
}

static int
sqlite_round(int n)
{
	return (n + 7) & ~7;
}

static int
sqlite_memory_start(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void
sqlite_memory_stop(void *arg)
{
	(void)arg;
}

static const sqlite3_mem_methods sqlite_memory = {
	.xMalloc = sqlite_alloc,
	.xFree = sqlite_free,
	.xRealloc = sqlite_realloc,
	.xSize = sqlite_size,
	.xRoundup = sqlite_round,
	.xInit = sqlite_memory_start,
	.xShutdown = sqlite_memory_stop,
};

static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static int start_result = SQLITE_MISUSE;

static void
start(void)
{
	start_result = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	if (start_result == SQLITE_OK)
		start_result = sqlite3_config(SQLITE_CONFIG_MALLOC, &sqlite_memory);
	if (start_result == SQLITE_OK)
		start_result = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (start_result == SQLITE_OK)
		start_result = sqlite3_initialize();
}

enum status
db_start(struct err *e)
{
	(void)pthread_once(&start_once, start);
	if (start_result != SQLITE_OK)
		return err_fail(e, ST_IO, "sqlite: cannot be started: %s",
		    sqlite3_errstr(start_result));
	return ST_OK;
}

/* ---- opening ---- */

/* Of a database file's header (https://www.sqlite.org/fileformat2.html, 1.3). */
enum {
	HEADER_BYTES = 100,
	VERSION_AT = 60,
	APPLICATION_AT = 68
};

static enum status
check_version(const char *path, int64_t application, int64_t version, struct err *e)
{
	if (application != DB_APPLICATION_ID)
		return err_fail(e, ST_INVALID,
		    "%s: belongs to another program: its application id is 0x%08llx, a "
		    "database of Latenza has "
		    "0x%08x; name another file or data directory",
		    path, (unsigned long long)application & 0xffffffffu,
		    (unsigned)DB_APPLICATION_ID);
	if (version < 0 || version > db_schema_version())
		return err_fail(e, ST_INVALID,
		    "%s: its schema is version %lld, this program knows version %d; run "
		    "the newer Latenza that "
		    "wrote it, or restore a backup",
		    path, (long long)version, db_schema_version());
	return ST_OK;
}

static enum status
check_connection(struct db *d, int64_t *version, struct err *e)
{
	int64_t application = 0;
	enum status st = db_ask(d, "PRAGMA application_id", &application, e);

	if (st == ST_OK)
		st = db_ask(d, "PRAGMA user_version", version, e);
	return st == ST_OK ? check_version(d->path, application, *version, e) : st;
}

static enum status
open_connection(struct db *d, const char *name, int flags, struct err *e)
{
	int code = sqlite3_open_v2(name, &d->sql, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (code == SQLITE_OK)
		return ST_OK;
	if (d->sql == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", d->path);
	return db_fail(d, e, "open it");
}

/* The first bytes of a file, as far as it has them. */
static int
read_file_head(
    sqlite3_file *file, const char *path, uint8_t head[HEADER_BYTES], sqlite3_int64 *size)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	int code =
	    vfs->xOpen(vfs, path, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, NULL);

	if (code != SQLITE_OK)
		return code;
	code = file->pMethods->xFileSize(file, size);
	if (code == SQLITE_OK && *size >= HEADER_BYTES)
		code = file->pMethods->xRead(file, head, HEADER_BYTES, 0);
	(void)file->pMethods->xClose(file);
	return code;
}

static enum status
read_header(const char *path, uint8_t head[HEADER_BYTES], struct err *e)
{
	sqlite3_file *file = mem_zalloc((size_t)sqlite3_vfs_find(NULL)->szOsFile);
	const char *name = sqlite3_create_filename(path, "", "", 0, NULL);
	sqlite3_int64 size = 0;
	enum status st = ST_OK;
	int code = SQLITE_NOMEM;

	memset(head, 0, HEADER_BYTES);
	if (file != NULL && name != NULL)
		code = read_file_head(file, name, head, &size);
	if (code != SQLITE_OK)
		st = err_fail(e, db_status_of(code), "%s: cannot be read: %s", path,
		    sqlite3_errstr(code));
	sqlite3_free_filename(name);
	mem_free(file);
	return st;
}

static int64_t
get_be32(const uint8_t *p)
{
	return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 |
	       (int64_t)p[3];
}

/* Is the file one of ours, and not of a later time? Touches nothing. */
static enum status
check_header(const char *path, struct err *e)
{
	uint8_t head[HEADER_BYTES];
	enum status st = read_header(path, head, e);

	if (st != ST_OK)
		return st;
	if (memcmp(head, "SQLite format 3", 16) != 0)
		return err_fail(e, ST_INVALID,
		    "%s: is not a SQLite database; name another file or data directory, "
		    "or restore a backup",
		    path);
	return check_version(
	    path, get_be32(head + APPLICATION_AT), get_be32(head + VERSION_AT), e);
}

/* Synchronous FULL, auto_vacuum and the page size must stand before the first table does.
 * Of large pages a busy batch fills fewer, and each is written with four system calls.
 * Price: a commit of a few rows writes a dozen pages, 200 KB instead of 50, at most ten
 * times a second. */
static enum status
fill_new(struct db *d, struct err *e)
{
	char text[160];
	enum status st;

	(void)snprintf(text, sizeof(text),
	    "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA "
	    "application_id = %d; PRAGMA synchronous = FULL;",
	    DB_APPLICATION_ID);
	st = db_exec(d, text, "prepare it", e);
	return st == ST_OK ? db_migrate(d, e) : st;
}

/* The directory part of a path, "." if there is none. */
static void
directory_of(const char *path, char out[DB_PATH_BYTES])
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		(void)snprintf(out, DB_PATH_BYTES, ".");
	else
		(void)snprintf(out, DB_PATH_BYTES, "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
}

/* Builds the database under another name and renames it. */
static enum status
create(const char *path, struct err *e)
{
	char fresh[DB_PATH_BYTES + 16], dir[DB_PATH_BYTES];
	struct db *d = db_new(path, e);
	enum status st;

	if (d == NULL)
		return ST_NOMEM;
	(void)snprintf(fresh, sizeof(fresh), "%s.new-journal", path);
	(void)io.unlink(fresh);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	(void)io.unlink(fresh);
	st = file_create(fresh, "", 0, e);
	if (st == ST_OK)
		st = open_connection(d, fresh, SQLITE_OPEN_READWRITE, e);
	if (st == ST_OK)
		st = fill_new(d, e);
	db_close(d);
	if (st == ST_OK && io.rename(fresh, path) != 0)
		st = err_fail(
		    e, ST_IO, "%s: cannot be created: %s", path, strerror(errno));
	if (st != ST_OK) {
		(void)io.unlink(fresh);
		return st;
	}
	directory_of(path, dir);
	return segment_sync_dir(dir, e);
}

/* Makes the file if it is to be made, and looks at it if it is there. */
static enum status
prepare_file(const char *path, enum db_mode mode, struct err *e)
{
	struct stat st;

	if (strlen(path) >= DB_PATH_BYTES - 16)
		return err_fail(e, ST_LIMIT, "%.200s...: the path is too long", path);
	if (stat(path, &st) != 0) {
		if (errno != ENOENT)
			return err_fail(
			    e, ST_IO, "%s: cannot be opened: %s", path, strerror(errno));
		/* A database on a disk that is not mounted is not to be made anew. */
		if (lstat(path, &st) == 0)
			return err_fail(
			    e, ST_INVALID, "%s: is a link that leads nowhere", path);
		if (mode != DB_CREATE)
			return err_fail(e, ST_NOT_FOUND,
			    "%s: there is no database; `latenza init` or `latenza serve` "
			    "makes it",
			    path);
		return create(path, e);
	}
	if (!S_ISREG(st.st_mode))
		return err_fail(e, ST_INVALID, "%s: is not a regular file", path);
	return check_header(path, e);
}

/* journal_size_limit: the WAL shrinks again after a burst. secure_delete: an erased
 * person is erased. */
static const char settings[] = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
			       "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;";
static const char write_settings[] =
    "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 1000;"
    "PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON;";

/* SQLite answers with the mode that it could set. */
static enum status
set_wal(struct db *d, struct err *e)
{
	sqlite3_stmt *s = NULL;
	enum status st = ST_OK;
	const char *mode;

	if (sqlite3_prepare_v2(d->sql, "PRAGMA journal_mode = WAL", -1, &s, NULL) !=
		SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW) {
		st = db_fail(d, e, "set write-ahead logging");
	} else {
		mode = (const char *)sqlite3_column_text(s, 0);
		if (mode == NULL || strcmp(mode, "wal") != 0)
			st = err_fail(e, ST_IO,
			    "%s: write-ahead logging is not possible here (got \"%s\"); "
			    "the file system must "
			    "support shared memory and locks",
			    d->path, mode == NULL ? "" : mode);
	}
	(void)sqlite3_finalize(s);
	return st;
}

static enum status
bring_up_to_date(struct db *d, enum db_mode mode, int64_t version, struct err *e)
{
	enum status st;

	if (version == db_schema_version())
		return ST_OK;
	if (mode == DB_READ)
		return err_fail(e, ST_INVALID,
		    "%s: its schema is version %lld, this program reads version %d; "
		    "`latenza serve` updates it",
		    d->path, (long long)version, db_schema_version());
	log_info("store.migrate", "path=\"%s\" from=%lld to=%d", d->path,
	    (long long)version, db_schema_version());
	st = db_migrate(d, e);
	/* So that the file's own header says the new version, too: see check_header(). */
	if (st == ST_OK)
		db_checkpoint(d);
	return st;
}

static enum status
set_up(struct db *d, enum db_mode mode, struct err *e)
{
	int flags = mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	enum status st = open_connection(d, d->path, flags, e);
	int64_t version = 0;

	if (st == ST_OK && sqlite3_busy_timeout(d->sql, DB_BUSY_MS) != SQLITE_OK)
		st = db_fail(d, e, "set it up");
	if (st == ST_OK)
		st = db_exec(d, settings, "set it up", e);
	if (st == ST_OK)
		st = db_trace_functions(d, e);
	/* Again: what the header says may be older than what the WAL says. */
	if (st == ST_OK)
		st = check_connection(d, &version, e);
	if (st == ST_OK && mode != DB_READ)
		st = set_wal(d, e);
	if (st == ST_OK && mode != DB_READ)
		st = db_exec(d, write_settings, "set it up", e);
	if (st == ST_OK)
		st = bring_up_to_date(d, mode, version, e);
	/* Must not need memory when a transaction failed for want of it. */
	if (st == ST_OK && db_statement(d, DB_ROLLBACK, e) == NULL)
		st = ST_NOMEM;
	return st;
}

struct db *
db_open(const char *path, enum db_mode mode, struct err *e)
{
	struct db *d;

	if (db_start(e) != ST_OK || prepare_file(path, mode, e) != ST_OK)
		return NULL;
	d = db_new(path, e);
	if (d == NULL)
		return NULL;
	if (set_up(d, mode, e) != ST_OK) {
		db_close(d);
		return NULL;
	}
	return d;
}
