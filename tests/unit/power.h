/* power.h - a disk that forgets, when the power fails, what nobody made it keep.
 *
 * Every change below test_dir is written down: what goes through base/io.h, and what
 * SQLite does, through a layer over its own file layer. power_image() then makes the disk
 * as it may be found after a power loss at any point of that list: what was synced before
 * is there; of the rest, names and sectors, anything may be. A name is durable when its
 * directory was synced, a file's bytes and length when the file was.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_POWER_H
#define TESTS_POWER_H

#include "store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>

enum {
	POWER_PATH = 128,
	POWER_SECTOR = 512,
	POWER_FILES = 256, /* of an image */
	POWER_INODES = 4096
};

enum change_kind {
	CHANGE_CREATE, /* a name for a new file */
	CHANGE_MKDIR,
	CHANGE_RENAME,
	CHANGE_UNLINK,
	CHANGE_WRITE,
	CHANGE_TRUNCATE,
	CHANGE_SYNC,    /* of a file */
	CHANGE_SYNC_DIR /* of the names in a directory */
};

struct change {
	enum change_kind kind;
	unsigned inode;
	char path[POWER_PATH], to[POWER_PATH]; /* below test_dir */
	uint64_t at;
	size_t n;
	char *bytes;
	size_t kept_by; /* index of the sync that made it durable; see power_seal() */
};

/* What becomes of what was not synced. */
enum power_loss {
	LOSS_NOTHING,  /* as after kill -9 */
	LOSS_ALL,      /* nothing of it reached the disk */
	LOSS_NAMES,    /* of names a part, of bytes all */
	LOSS_BYTES,    /* of sectors a part, of names all */
	LOSS_ANYTHING, /* of both any part */
	LOSS_KINDS
};

struct power_file {
	char path[POWER_PATH];
	bool is_dir;
	unsigned inode;
};

struct power_bytes {
	char *p;
	size_t n, room;
};

/* A disk: names, and the bytes of what they name. */
struct power_image {
	struct power_file file[POWER_FILES];
	unsigned files;
	struct power_bytes inode[POWER_INODES];
};

static struct {
	pthread_mutex_t lock;
	bool is_on;
	struct change *list;
	size_t count, cap;
	unsigned inodes;
	struct {
		ino_t real;
		char dir[POWER_PATH]; /* of a directory: its path */
	} inode[POWER_INODES];
	struct power_image first; /* what was there when the list began */
} power = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- writing down ---- */

/* Below test_dir, and a file that outlives the power. */
static inline bool
power_concerns(const char *path)
{
	size_t n = strlen(test_dir), len = strlen(path);

	if (!power.is_on || strncmp(path, test_dir, n) != 0)
		return false;
	return len < 4 || strcmp(path + len - 4, "-shm") != 0;
}

static inline const char *
power_below(const char *path)
{
	const char *rest = path + strlen(test_dir);

	return *rest == '/' ? rest + 1 : rest;
}

static inline struct change *
power_add(enum change_kind kind, unsigned inode, const char *path)
{
	struct change *c;

	if (power.count == power.cap) {
		power.cap = power.cap == 0 ? 1024 : 2 * power.cap;
		power.list = realloc(power.list, power.cap * sizeof(*power.list));
		must(power.list != NULL);
	}
	c = &power.list[power.count++];
	*c = (struct change){ .kind = kind, .inode = inode };
	if (path != NULL)
		(void)snprintf(c->path, sizeof(c->path), "%s", path);
	return c;
}

/* The newest of that number: the system uses them again. 0: none. */
static inline unsigned
power_inode_of(ino_t real)
{
	for (unsigned i = power.inodes; i > 0; i--) {
		if (power.inode[i].real == real)
			return i;
	}
	return 0;
}

static inline unsigned
power_new_inode(const char *path, const char *dir)
{
	struct stat st;

	must(++power.inodes < POWER_INODES && stat(path, &st) == 0);
	power.inode[power.inodes].real = st.st_ino;
	(void)snprintf(power.inode[power.inodes].dir,
	    sizeof(power.inode[power.inodes].dir), "%s", dir);
	return power.inodes;
}

static inline void
power_lock(void)
{
	must(pthread_mutex_lock(&power.lock) == 0);
}

static inline void
power_unlock(void)
{
	must(pthread_mutex_unlock(&power.lock) == 0);
}

static inline void
power_note_new(enum change_kind kind, const char *path)
{
	unsigned inode =
	    power_new_inode(path, kind == CHANGE_MKDIR ? power_below(path) : "");

	(void)power_add(kind, inode, power_below(path));
}

static inline void
power_note_write(unsigned inode, uint64_t at, const void *p, size_t n)
{
	struct change *c = power_add(CHANGE_WRITE, inode, NULL);

	c->at = at;
	c->n = n;
	c->bytes = malloc(n);
	must(c->bytes != NULL);
	memcpy(c->bytes, p, n);
}

static inline void
power_note_sync_dir(const char *below)
{
	(void)power_add(CHANGE_SYNC_DIR, 0, below);
}

/* The directory part; "" is test_dir itself. */
static inline void
power_parent(const char *below, char out[POWER_PATH])
{
	const char *slash = strrchr(below, '/');

	(void)snprintf(
	    out, POWER_PATH, "%.*s", slash == NULL ? 0 : (int)(slash - below), below);
}

/* ---- through base/io.h ---- */

static struct io_calls power_io; /* what stands below */

static inline int
power_open(const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool is_new;
	int fd;

	power_lock();
	is_new = (flags & O_CREAT) != 0 && power_concerns(path) && stat(path, &st) != 0;
	fd = power_io.open(path, flags, mode);
	if (fd >= 0 && is_new)
		power_note_new(CHANGE_CREATE, path);
	power_unlock();
	return fd;
}

static inline ssize_t
power_write(int fd, const void *p, size_t n)
{
	struct stat st;
	unsigned inode;
	off_t at;
	ssize_t done;

	power_lock();
	must(fstat(fd, &st) == 0);
	at = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
	done = power_io.write(fd, p, n);
	inode = power_inode_of(st.st_ino);
	if (power.is_on && inode != 0 && done > 0)
		power_note_write(inode, (uint64_t)at, p, (size_t)done);
	power_unlock();
	return done;
}

static inline int
power_ftruncate(int fd, off_t n)
{
	struct stat st;
	unsigned inode;
	int done;

	power_lock();
	must(fstat(fd, &st) == 0);
	inode = power_inode_of(st.st_ino);
	done = power_io.ftruncate(fd, n);
	if (power.is_on && inode != 0 && done == 0)
		power_add(CHANGE_TRUNCATE, inode, NULL)->at = (uint64_t)n;
	power_unlock();
	return done;
}

static inline int
power_sync(int fd, int (*sync)(int fd))
{
	struct stat st;
	unsigned inode;
	int done;

	power_lock();
	must(fstat(fd, &st) == 0);
	inode = power_inode_of(st.st_ino);
	done = sync(fd);
	if (power.is_on && inode != 0 && done == 0) {
		if (S_ISDIR(st.st_mode))
			power_note_sync_dir(power.inode[inode].dir);
		else
			(void)power_add(CHANGE_SYNC, inode, NULL);
	}
	power_unlock();
	return done;
}

static inline int
power_fsync(int fd)
{
	return power_sync(fd, power_io.fsync);
}

static inline int
power_fdatasync(int fd)
{
	return power_sync(fd, power_io.fdatasync);
}

static inline int
power_rename(const char *from, const char *to)
{
	struct change *c;
	int done;

	power_lock();
	done = power_io.rename(from, to);
	if (done == 0 && power_concerns(from)) {
		c = power_add(CHANGE_RENAME, 0, power_below(from));
		(void)snprintf(c->to, sizeof(c->to), "%s", power_below(to));
	}
	power_unlock();
	return done;
}

static inline int
power_unlink(const char *path)
{
	int done;

	power_lock();
	done = power_io.unlink(path);
	if (done == 0 && power_concerns(path))
		(void)power_add(CHANGE_UNLINK, 0, power_below(path));
	power_unlock();
	return done;
}

static inline int
power_mkdir(const char *path, mode_t mode)
{
	int done;

	power_lock();
	done = power_io.mkdir(path, mode);
	if (done == 0 && power_concerns(path))
		power_note_new(CHANGE_MKDIR, path);
	power_unlock();
	return done;
}

/* ---- through SQLite's file layer ---- */

struct power_sqlite {
	sqlite3_file base;
	unsigned inode;
	char sync_dir[POWER_PATH]; /* a new journal or log: its first sync covers its name
				    */
	bool must_sync_dir;
	sqlite3_file *real;
};

static sqlite3_vfs *power_below_vfs;

static inline sqlite3_file *
power_real(sqlite3_file *f)
{
	return ((struct power_sqlite *)f)->real;
}

static inline int
power_x_close(sqlite3_file *f)
{
	int code = power_real(f)->pMethods->xClose(power_real(f));

	free(power_real(f));
	return code;
}

static inline int
power_x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return power_real(f)->pMethods->xRead(power_real(f), p, n, at);
}

static inline int
power_x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct power_sqlite *s = (struct power_sqlite *)f;
	int code;

	power_lock();
	code = s->real->pMethods->xWrite(s->real, p, n, at);
	if (power.is_on && s->inode != 0 && code == SQLITE_OK)
		power_note_write(s->inode, (uint64_t)at, p, (size_t)n);
	power_unlock();
	return code;
}

static inline int
power_x_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	struct power_sqlite *s = (struct power_sqlite *)f;
	int code;

	power_lock();
	code = s->real->pMethods->xTruncate(s->real, n);
	if (power.is_on && s->inode != 0 && code == SQLITE_OK)
		power_add(CHANGE_TRUNCATE, s->inode, NULL)->at = (uint64_t)n;
	power_unlock();
	return code;
}

static inline int
power_x_sync(sqlite3_file *f, int flags)
{
	struct power_sqlite *s = (struct power_sqlite *)f;
	int code;

	power_lock();
	code = s->real->pMethods->xSync(s->real, flags);
	if (power.is_on && s->inode != 0 && code == SQLITE_OK) {
		(void)power_add(CHANGE_SYNC, s->inode, NULL);
		if (s->must_sync_dir)
			power_note_sync_dir(s->sync_dir);
		s->must_sync_dir = false;
	}
	power_unlock();
	return code;
}

static inline int
power_x_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return power_real(f)->pMethods->xFileSize(power_real(f), n);
}

static inline int
power_x_lock(sqlite3_file *f, int how)
{
	return power_real(f)->pMethods->xLock(power_real(f), how);
}

static inline int
power_x_unlock(sqlite3_file *f, int how)
{
	return power_real(f)->pMethods->xUnlock(power_real(f), how);
}

static inline int
power_x_reserved(sqlite3_file *f, int *out)
{
	return power_real(f)->pMethods->xCheckReservedLock(power_real(f), out);
}

static inline int
power_x_control(sqlite3_file *f, int op, void *arg)
{
	return power_real(f)->pMethods->xFileControl(power_real(f), op, arg);
}

static inline int
power_x_sector(sqlite3_file *f)
{
	return power_real(f)->pMethods->xSectorSize(power_real(f));
}

static inline int
power_x_characteristics(sqlite3_file *f)
{
	return power_real(f)->pMethods->xDeviceCharacteristics(power_real(f));
}

static inline int
power_x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return power_real(f)->pMethods->xShmMap(power_real(f), page, size, extend, out);
}

static inline int
power_x_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return power_real(f)->pMethods->xShmLock(power_real(f), at, n, flags);
}

static inline void
power_x_shm_barrier(sqlite3_file *f)
{
	power_real(f)->pMethods->xShmBarrier(power_real(f));
}

static inline int
power_x_shm_unmap(sqlite3_file *f, int is_last)
{
	return power_real(f)->pMethods->xShmUnmap(power_real(f), is_last);
}

static const sqlite3_io_methods power_methods = {
	.iVersion = 2,
	.xClose = power_x_close,
	.xRead = power_x_read,
	.xWrite = power_x_write,
	.xTruncate = power_x_truncate,
	.xSync = power_x_sync,
	.xFileSize = power_x_size,
	.xLock = power_x_lock,
	.xUnlock = power_x_unlock,
	.xCheckReservedLock = power_x_reserved,
	.xFileControl = power_x_control,
	.xSectorSize = power_x_sector,
	.xDeviceCharacteristics = power_x_characteristics,
	.xShmMap = power_x_shm_map,
	.xShmLock = power_x_shm_lock,
	.xShmBarrier = power_x_shm_barrier,
	.xShmUnmap = power_x_shm_unmap,
};

static inline void
power_see_open(struct power_sqlite *s, const char *path, int flags, bool was_there)
{
	static const int logs =
	    SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
	struct stat st;

	if (path == NULL || !power_concerns(path) || stat(path, &st) != 0)
		return;
	if (!was_there)
		power_note_new(CHANGE_CREATE, path);
	s->inode = power_inode_of(st.st_ino);
	s->must_sync_dir =
	    (flags & logs) != 0 && (flags & SQLITE_OPEN_CREATE) != 0 && !was_there;
	power_parent(power_below(path), s->sync_dir);
}

static inline int
power_x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct power_sqlite *s = (struct power_sqlite *)f;
	struct stat st;
	bool was_there;
	int code;

	(void)vfs;
	memset(s, 0, sizeof(*s));
	s->real = calloc(1, (size_t)power_below_vfs->szOsFile);
	must(s->real != NULL);
	power_lock();
	was_there = path != NULL && stat(path, &st) == 0;
	code = power_below_vfs->xOpen(power_below_vfs, path, s->real, flags, out);
	if (code == SQLITE_OK)
		power_see_open(s, path, flags, was_there);
	power_unlock();
	if (code == SQLITE_OK)
		s->base.pMethods = &power_methods;
	else
		free(s->real);
	return code;
}

static inline int
power_x_delete(sqlite3_vfs *vfs, const char *path, int must_sync_dir)
{
	char dir[POWER_PATH];
	int code;

	(void)vfs;
	power_lock();
	code = power_below_vfs->xDelete(power_below_vfs, path, must_sync_dir);
	if (code == SQLITE_OK && power_concerns(path)) {
		(void)power_add(CHANGE_UNLINK, 0, power_below(path));
		power_parent(power_below(path), dir);
		if (must_sync_dir)
			power_note_sync_dir(dir);
	}
	power_unlock();
	return code;
}

/* Seats both layers; once, before the first database is opened. */
static inline void
power_install(void)
{
	static sqlite3_vfs vfs;

	power_below_vfs = sqlite3_vfs_find(NULL);
	vfs = *power_below_vfs;
	vfs.zName = "power";
	vfs.pNext = NULL;
	vfs.szOsFile = sizeof(struct power_sqlite);
	vfs.xOpen = power_x_open;
	vfs.xDelete = power_x_delete;
	must(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

/* From here on every change is written down; `first` is what stands below test_dir. */
static inline void
power_on(const struct power_image *first)
{
	power_io = io;
	io.open = power_open;
	io.write = power_write;
	io.ftruncate = power_ftruncate;
	io.fsync = power_fsync;
	io.fdatasync = power_fdatasync;
	io.rename = power_rename;
	io.unlink = power_unlink;
	io.mkdir = power_mkdir;
	power.inodes = 0;
	power.first = (struct power_image){ .files = 0 };
	(void)power_new_inode(test_dir, "");
	for (unsigned i = 0; first != NULL && i < first->files; i++) {
		const struct power_file *f = &first->file[i];
		char path[2 * POWER_PATH];

		(void)snprintf(path, sizeof(path), "%s/%s", test_dir, f->path);
		power.first.file[i] = *f;
		power.first.file[i].inode =
		    power_new_inode(path, f->is_dir ? f->path : "");
		power.first.inode[power.inodes] = first->inode[f->inode];
	}
	power.first.files = first != NULL ? first->files : 0;
	power.is_on = true;
}

static inline void
power_off(void)
{
	power.is_on = false;
	io = power_io;
}

static inline void
power_forget(struct change *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].bytes);
	free(list);
}

/* ---- what is found afterwards ---- */

static inline uint32_t
power_dice(uint32_t *seed, uint32_t sides)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % sides;
}

static inline int
power_find(const struct power_image *m, const char *path)
{
	for (unsigned i = 0; i < m->files; i++) {
		if (strcmp(m->file[i].path, path) == 0)
			return (int)i;
	}
	return -1;
}

static inline void
power_remove(struct power_image *m, const char *path)
{
	int i = power_find(m, path);

	if (i >= 0)
		m->file[i] = m->file[--m->files];
}

static inline void
power_put(struct power_image *m, const char *path, unsigned inode, bool is_dir)
{
	struct power_file *f;

	power_remove(m, path);
	must(m->files < POWER_FILES);
	f = &m->file[m->files++];
	(void)snprintf(f->path, sizeof(f->path), "%s", path);
	f->inode = inode;
	f->is_dir = is_dir;
}

/* Doubling: a file grows by a page at a time, and each change of each disk is such a
 * page; the address sanitizer copies a file whenever it is moved. */
static inline void
power_resize(struct power_bytes *b, size_t n)
{
	if (n > b->room) {
		b->room = n > 2 * b->room ? n : 2 * b->room;
		b->p = realloc(b->p, b->room);
		must(b->p != NULL);
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

/* A write of which sectors may be missing: they are as they were, or zeros. */
static inline void
power_store(struct power_bytes *b, const struct change *c, bool whole, uint32_t *seed)
{
	uint64_t end = c->at + c->n, next;

	if (!whole && power_dice(seed, 3) == 0)
		return;
	if (b->n < end)
		power_resize(b, end);
	for (uint64_t at = c->at; at < end; at = next) {
		next = (at / POWER_SECTOR + 1) * POWER_SECTOR;
		next = next < end ? next : end;
		if (whole || power_dice(seed, 2) == 0)
			memcpy(b->p + at, c->bytes + (at - c->at), next - at);
	}
}

static inline void
power_apply_name(struct power_image *m, const struct change *c)
{
	int i;

	switch (c->kind) {
	case CHANGE_CREATE:
	case CHANGE_MKDIR:
		power_put(m, c->path, c->inode, c->kind == CHANGE_MKDIR);
		break;
	case CHANGE_RENAME:
		i = power_find(m, c->path);
		if (i < 0)
			break;
		power_put(m, c->to, m->file[i].inode, m->file[i].is_dir);
		power_remove(m, c->path);
		break;
	case CHANGE_UNLINK:
		power_remove(m, c->path);
		break;
	default:
		break;
	}
}

static inline bool
power_makes_durable(const struct change *sync, const struct change *c)
{
	char dir[POWER_PATH];

	if (c->kind > CHANGE_UNLINK)
		return sync->kind == CHANGE_SYNC && sync->inode == c->inode;
	power_parent(c->path, dir);
	return sync->kind == CHANGE_SYNC_DIR && strcmp(sync->path, dir) == 0;
}

/* Once, when the list is complete: which sync each change is durable by. */
static inline void
power_seal(struct change *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		list[i].kept_by = i + 1;
		while (list[i].kept_by < count &&
		       !power_makes_durable(&list[list[i].kept_by], &list[i]))
			list[i].kept_by++;
	}
}

/* A file whose directory is not there is not there. */
static inline void
power_drop_orphans(struct power_image *m)
{
	char dir[POWER_PATH];

	for (unsigned i = 0; i < m->files;) {
		power_parent(m->file[i].path, dir);
		if (dir[0] == '\0' || power_find(m, dir) >= 0) {
			i++;
			continue;
		}
		m->file[i] = m->file[--m->files];
		i = 0;
	}
}

/* The disk after the first `cut` changes. owned: power_free_image(). */
static inline struct power_image *
power_image(const struct power_image *first, const struct change *list, size_t cut,
    enum power_loss loss, uint32_t seed)
{
	struct power_image *m = malloc(sizeof(*m));
	bool names = loss == LOSS_NAMES || loss == LOSS_ANYTHING;
	bool bytes = loss == LOSS_BYTES || loss == LOSS_ANYTHING;

	must(m != NULL);
	*m = *first;
	for (unsigned i = 0; i < POWER_INODES; i++) {
		m->inode[i] = (struct power_bytes){ NULL, 0, 0 };
		power_resize(&m->inode[i], first->inode[i].n);
		if (first->inode[i].n > 0)
			memcpy(m->inode[i].p, first->inode[i].p, first->inode[i].n);
	}
	for (size_t i = 0; i < cut; i++) {
		const struct change *c = &list[i];
		bool whole = loss == LOSS_NOTHING || c->kept_by < cut;

		if (!whole && loss == LOSS_ALL)
			continue;
		if (c->kind <= CHANGE_UNLINK) {
			if (whole || !names || power_dice(&seed, 2) == 0)
				power_apply_name(m, c);
		} else if (c->kind == CHANGE_WRITE) {
			power_store(&m->inode[c->inode], c, whole || !bytes, &seed);
		} else if (c->kind == CHANGE_TRUNCATE) {
			if (whole || !bytes || power_dice(&seed, 2) == 0)
				power_resize(&m->inode[c->inode], c->at);
		}
	}
	power_drop_orphans(m);
	return m;
}

static inline void
power_free_image(struct power_image *m)
{
	for (unsigned i = 0; i < POWER_INODES; i++)
		free(m->inode[i].p);
	free(m);
}

static inline int
power_by_length(const void *a, const void *b)
{
	size_t left = strlen(((const struct power_file *)a)->path);
	size_t right = strlen(((const struct power_file *)b)->path);

	return left < right ? -1 : left > right;
}

/* Makes the disk real, below test_dir. */
static inline void
power_make(struct power_image *m)
{
	qsort(m->file, m->files, sizeof(*m->file), power_by_length); /* parents first */
	for (unsigned i = 0; i < m->files; i++) {
		const struct power_bytes *b = &m->inode[m->file[i].inode];
		const char *path = in_dir(m->file[i].path);

		if (m->file[i].is_dir)
			assert_int_equal(mkdir(path, 0700), 0);
		else
			write_file(path, b->n > 0 ? b->p : "", b->n);
	}
}

#endif
