/* seam.c - counts calls at the seams, and lets one of them fail.
 *
 * SPDX-License-Identifier: MIT
 */
#include "faults/seam.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

enum {
	/* A client that is not accepted waits, and would do so for ever. */
	ACCEPTS_FAIL = 3
};

static struct seam_plan plan;
static atomic_bool is_armed, has_failed;
static atomic_uint counts[SEAM_CALLS][SEAM_THREADS];
static struct io_calls real;

static const struct {
	const char *name;
	int error;
} calls[] = {
	[SEAM_MEMORY] = { "memory", ENOMEM },
	[SEAM_LIBRARY] = { "library", ENOMEM },
	[SEAM_READ] = { "read", EIO },
	[SEAM_WRITE] = { "write", ENOSPC },
	[SEAM_SYNC] = { "sync", EIO },
	[SEAM_OPEN] = { "open", EMFILE },
	[SEAM_FILE] = { "file", EIO },
	[SEAM_ACCEPT] = { "accept", EMFILE },
	[SEAM_RECV] = { "recv", ECONNRESET },
	[SEAM_SEND] = { "send", ECONNRESET },
};

static const char *const threads[] = {
	[SEAM_WORKER] = "worker",
	[SEAM_MAIN] = "main",
	[SEAM_STORAGE] = "storage",
	[SEAM_POOL] = "pool",
};

const char *
seam_call_name(enum seam_call c)
{
	return calls[c].name;
}

const char *
seam_thread_name(enum seam_thread t)
{
	return threads[t];
}

/* ---- which thread is it ---- */

enum {
	UNKNOWN = -1,
	EXEMPT = SEAM_THREADS
};

static _Thread_local int own = UNKNOWN;
static _Thread_local char crash_stack[65536];

void
seam_exempt(void)
{
	own = EXEMPT;
}

static int
thread_of(void)
{
	char name[16] = "";
	sigset_t crash;
	stack_t was;

	if (own != UNKNOWN)
		return own;
	(void)pthread_getname_np(pthread_self(), name, sizeof(name));
	/* Threads of the gateway's block all signals; this one is to be told of. And a
	 * stack that overflows is told of on another one, which the address sanitizer
	 * has made already, and unmaps when the thread ends. */
	(void)sigemptyset(&crash);
	(void)sigaddset(&crash, SIGSEGV);
	(void)pthread_sigmask(SIG_UNBLOCK, &crash, NULL);
	if (sigaltstack(NULL, &was) == 0 && (was.ss_flags & SS_DISABLE) != 0)
		(void)sigaltstack(
		    &(stack_t){ .ss_sp = crash_stack, .ss_size = sizeof(crash_stack) },
		    NULL);
	own = SEAM_MAIN;
	for (int i = 0; i < SEAM_THREADS; i++) {
		if (strncmp(name, threads[i], strlen(threads[i])) == 0)
			own = i;
	}
	return own;
}

/* ---- does it fail ---- */

static bool
fails(enum seam_call c)
{
	unsigned n;
	int thread;

	if (!atomic_load(&is_armed))
		return false;
	thread = thread_of();
	if (thread == EXEMPT)
		return false;
	n = atomic_fetch_add(&counts[c][thread], 1) + 1;
	if (c != plan.call || plan.k == 0)
		return false;
	if (plan.is_lasting && atomic_load(&has_failed))
		return c != SEAM_ACCEPT || n < plan.k + ACCEPTS_FAIL;
	if ((enum seam_thread)thread != plan.thread || n != plan.k)
		return false;
	atomic_store(&has_failed, true);
	if (getenv("SURVIVE_STOP") != NULL) /* for a debugger: who calls? */
		(void)raise(SIGTRAP);
	return true;
}

/* The same, with the error of the kind. */
static bool
fails_so(enum seam_call c)
{
	if (!fails(c))
		return false;
	errno = calls[c].error;
	return true;
}

static int
no_memory(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return fails_so(SEAM_MEMORY);
}

/* The loops wake each other through event counters, which the kernel keeps in memory:
 * reading and writing those fails for no outside reason. */
static bool
is_counter(int fd)
{
	char path[32], what[32] = "";

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, what, sizeof(what) - 1) > 0 &&
	       strcmp(what, "anon_inode:[eventfd]") == 0;
}

/* ---- libraries that call malloc() ---- */

enum {
	FOREIGN = 4
};

/* Their code. */
static struct {
	uintptr_t from, to;
} foreign[FOREIGN];
static unsigned foreign_count;

/* Of the leak checker, where there is one; else of libc. */
void *__interceptor_malloc(size_t n) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t n) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t n) __attribute__((weak));
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

static bool
library_fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	for (unsigned i = 0; i < foreign_count; i++)
		if (at >= foreign[i].from && at < foreign[i].to)
			return fails_so(SEAM_LIBRARY);
	return false;
}

void *
malloc(size_t n)
{
	if (library_fails(__builtin_return_address(0)))
		return NULL;
	return __interceptor_malloc != NULL ? __interceptor_malloc(n) : __libc_malloc(n);
}

void *
calloc(size_t count, size_t n)
{
	if (library_fails(__builtin_return_address(0)))
		return NULL;
	return __interceptor_calloc != NULL ? __interceptor_calloc(count, n)
					    : __libc_calloc(count, n);
}

void *
realloc(void *p, size_t n)
{
	if (library_fails(__builtin_return_address(0)))
		return NULL;
	return __interceptor_realloc != NULL ? __interceptor_realloc(p, n)
					     : __libc_realloc(p, n);
}

/* libyaml's copies of names and tags. */
char *
strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy;

	if (library_fails(__builtin_return_address(0)))
		return NULL;
	copy = malloc(n);
	return copy == NULL ? NULL : memcpy(copy, s, n);
}

static int
note_foreign(struct dl_phdr_info *object, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (strstr(object->dlpi_name, "/libyaml-") == NULL &&
	    strstr(object->dlpi_name, "/libcrypto.") == NULL &&
	    strstr(object->dlpi_name, "/libssl.") == NULL)
		return 0;
	for (int i = 0; i < object->dlpi_phnum && foreign_count < FOREIGN; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
			continue;
		foreign[foreign_count].from = object->dlpi_addr + part->p_vaddr;
		foreign[foreign_count].to = foreign[foreign_count].from + part->p_memsz;
		foreign_count++;
	}
	return 0;
}

static void
install_libraries(void)
{
	(void)dl_iterate_phdr(note_foreign, NULL);
	/* Another build of theirs, or none: then nothing of this kind would fail. */
	if (foreign_count < 2)
		abort();
}

/* ---- base/io.h ---- */

static int
io_open(const char *path, int flags, mode_t mode)
{
	return fails_so(SEAM_OPEN) ? -1 : real.open(path, flags, mode);
}

static ssize_t
io_read(int fd, void *p, size_t n)
{
	return !is_counter(fd) && fails_so(SEAM_READ) ? -1 : real.read(fd, p, n);
}

static ssize_t
io_pread(int fd, void *p, size_t n, off_t at)
{
	return fails_so(SEAM_READ) ? -1 : real.pread(fd, p, n, at);
}

static ssize_t
io_write(int fd, const void *p, size_t n)
{
	return !is_counter(fd) && fails_so(SEAM_WRITE) ? -1 : real.write(fd, p, n);
}

static ssize_t
io_writev(int fd, const struct iovec *v, int n)
{
	return fails_so(SEAM_WRITE) ? -1 : real.writev(fd, v, n);
}

static int
io_fsync(int fd)
{
	return fails_so(SEAM_SYNC) ? -1 : real.fsync(fd);
}

static int
io_fdatasync(int fd)
{
	return fails_so(SEAM_SYNC) ? -1 : real.fdatasync(fd);
}

static int
io_ftruncate(int fd, off_t n)
{
	return fails_so(SEAM_FILE) ? -1 : real.ftruncate(fd, n);
}

static int
io_rename(const char *from, const char *to)
{
	return fails_so(SEAM_FILE) ? -1 : real.rename(from, to);
}

static int
io_unlink(const char *path)
{
	return fails_so(SEAM_FILE) ? -1 : real.unlink(path);
}

static ssize_t
io_recv(int fd, void *p, size_t n, int flags)
{
	return fails_so(SEAM_RECV) ? -1 : real.recv(fd, p, n, flags);
}

static ssize_t
io_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return fails_so(SEAM_SEND) ? -1 : real.sendmsg(fd, m, flags);
}

static int
io_accept(int fd, struct sockaddr *a, socklen_t *len)
{
	return fails_so(SEAM_ACCEPT) ? -1 : real.accept(fd, a, len);
}

static void
install_io(void)
{
	real = io;
	io.open = io_open;
	io.read = io_read;
	io.pread = io_pread;
	io.write = io_write;
	io.writev = io_writev;
	io.fsync = io_fsync;
	io.fdatasync = io_fdatasync;
	io.ftruncate = io_ftruncate;
	io.rename = io_rename;
	io.unlink = io_unlink;
	io.recv = io_recv;
	io.sendmsg = io_sendmsg;
	io.accept = io_accept;
}

/* ---- SQLite's own ---- */

static int (*sql_open_real)(const char *path, int flags, int mode);
static ssize_t (*sql_pread_real)(int fd, void *p, size_t n, off_t at);
static ssize_t (*sql_pwrite_real)(int fd, const void *p, size_t n, off_t at);
static int (*sql_ftruncate_real)(int fd, off_t n);

static int
sql_open(const char *path, int flags, int mode)
{
	return fails_so(SEAM_OPEN) ? -1 : sql_open_real(path, flags, mode);
}

static ssize_t
sql_pread(int fd, void *p, size_t n, off_t at)
{
	return fails_so(SEAM_READ) ? -1 : sql_pread_real(fd, p, n, at);
}

static ssize_t
sql_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails_so(SEAM_WRITE) ? -1 : sql_pwrite_real(fd, p, n, at);
}

static int
sql_ftruncate(int fd, off_t n)
{
	return fails_so(SEAM_FILE) ? -1 : sql_ftruncate_real(fd, n);
}

/* `real` receives what stood there; false: the library has no call of that name. */
static bool
replace(const char *name, sqlite3_syscall_ptr ours, void *was)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr old = vfs->xGetSystemCall(vfs, name);

	if (old == NULL)
		return false;
	memcpy(was, &old, sizeof(old));
	return vfs->xSetSystemCall(vfs, name, ours) == SQLITE_OK;
}

static void
install_sqlite(void)
{
	bool has_read, has_write;

	has_read = replace("pread64", (sqlite3_syscall_ptr)sql_pread, &sql_pread_real) ||
		   replace("pread", (sqlite3_syscall_ptr)sql_pread, &sql_pread_real);
	has_write =
	    replace("pwrite64", (sqlite3_syscall_ptr)sql_pwrite, &sql_pwrite_real) ||
	    replace("pwrite", (sqlite3_syscall_ptr)sql_pwrite, &sql_pwrite_real);
	if (!has_read || !has_write ||
	    !replace("open", (sqlite3_syscall_ptr)sql_open, &sql_open_real) ||
	    !replace(
		"ftruncate", (sqlite3_syscall_ptr)sql_ftruncate, &sql_ftruncate_real))
		abort();
}

/* ---- the switch ---- */

void
seam_install(void)
{
	install_io();
	install_sqlite();
	install_libraries();
	mem_set_fault(no_memory, NULL);
}

void
seam_arm(const struct seam_plan *p)
{
	memset(counts, 0, sizeof(counts));
	atomic_store(&has_failed, false);
	plan = *p;
	atomic_store(&is_armed, true);
}

bool
seam_disarm(void)
{
	atomic_store(&is_armed, false);
	return atomic_load(&has_failed);
}

unsigned
seam_count(enum seam_call c, enum seam_thread t)
{
	return atomic_load(&counts[c][t]);
}
