/* file.c - what is looked at before a byte of a plugin runs: whose file it is, what it
 * is, whether it is whole.
 *
 * All checks are made on one descriptor, and the loader gets the same one, so that what
 * was checked is what is loaded. A truncated file would be mapped without complaint and
 * end the process at its first use (SIGBUS): so the ELF head is read here and every
 * loaded segment must lie inside the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/host.h"

enum {
	FILE_BYTES_MAX = 256 << 20,
	SEGMENTS_MAX = 256
};

#if defined(__x86_64__)
enum {
	MACHINE = EM_X86_64
};
#elif defined(__aarch64__)
enum {
	MACHINE = EM_AARCH64
};
#elif defined(__riscv)
enum {
	MACHINE = EM_RISCV
};
#else
enum {
	MACHINE = EM_NONE
}; /* any: the loader will know */
#endif

/* ---- whose it is ---- */

/* NULL: nobody but root and us may write it. */
static const char *
who_else_writes(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs to another user";
	if ((st->st_mode & S_IWOTH) != 0)
		return "may be written by everybody";
	if ((st->st_mode & S_IWGRP) != 0)
		return "may be written by its group";
	return NULL;
}

static enum status
object(const struct open_request *q, const char *what, const char *why, struct err *e)
{
	if (q->is_strict)
		return err_fail(e, ST_DENIED,
		    "%s: %s %s; only root and the user that runs latenza may write it "
		    "(plugin_files: warn allows it)",
		    q->path, what, why);
	if (!q->is_quiet)
		log_warn("plugin.file", "file=\"%s\" what=\"%s\" why=\"%s\"", q->path,
		    what, why);
	return ST_OK;
}

/* In a sticky directory such as /tmp nobody can replace another's file, so its own mode
 * does not matter. */
static enum status
check_parents(const struct open_request *q, struct err *e)
{
	char dir[PATH_MAX], what[PATH_MAX + 16];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", q->path);
	while ((slash = strrchr(dir, '/')) != NULL) {
		struct stat st;
		const char *why = NULL;
		enum status result;

		slash[slash == dir ? 1 : 0] = '\0';
		if (stat(dir, &st) != 0)
			return err_fail(e, ST_IO, "%s: its directory %s: %s", q->path,
			    dir, strerror(errno));
		if ((st.st_mode & S_ISVTX) == 0)
			why = who_else_writes(&st);
		(void)snprintf(what, sizeof(what), "its directory %s", dir);
		result = why != NULL ? object(q, what, why, e) : ST_OK;
		if (result != ST_OK || slash == dir)
			return result;
	}
	return ST_OK;
}

/* ---- what it is ---- */

static enum status
check_kind(const struct open_request *q, const struct stat *st, struct err *e)
{
	if (S_ISREG(st->st_mode))
		return ST_OK;
	return err_fail(e, ST_INVALID, "%s: is %s; a plugin is a regular file", q->path,
	    S_ISDIR(st->st_mode)    ? "a directory"
	    : S_ISFIFO(st->st_mode) ? "a named pipe"
	    : S_ISSOCK(st->st_mode) ? "a socket"
	    : S_ISCHR(st->st_mode)  ? "a device"
	    : S_ISBLK(st->st_mode)  ? "a device"
				    : "not a regular file");
}

static bool
read_at(int fd, void *p, size_t n, off_t at)
{
	char *to = p;

	while (n > 0) {
		ssize_t got = io.pread(fd, to, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static enum status
check_head(const struct open_request *q, const ElfW(Ehdr) * h, struct err *e)
{
	const unsigned char ours = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	const unsigned char order =
	    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return err_fail(e, ST_INVALID,
		    "%s: is not a shared object (no ELF head); build it with cc -shared "
		    "-fPIC",
		    q->path);
	if (h->e_ident[EI_CLASS] != ours)
		return err_fail(e, ST_INVALID,
		    "%s: was built for a %d-bit system, this one has %d bits; build it "
		    "here",
		    q->path, h->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
		    (int)sizeof(void *) * 8);
	if (h->e_ident[EI_DATA] != order ||
	    (MACHINE != EM_NONE && h->e_machine != MACHINE))
		return err_fail(e, ST_INVALID,
		    "%s: was built for another processor (machine %u, wanted %u); build "
		    "it here",
		    q->path, (unsigned)h->e_machine, (unsigned)MACHINE);
	if (h->e_type != ET_DYN)
		return err_fail(e, ST_INVALID,
		    "%s: is an ELF file, but no shared object; build it with cc -shared "
		    "-fPIC",
		    q->path);
	return ST_OK;
}

static enum status
truncated(const struct open_request *q, struct err *e)
{
	return err_fail(e, ST_INVALID,
	    "%s: is cut off: it names parts that lie behind its end; copy or build it "
	    "again",
	    q->path);
}

static enum status
check_segments(const struct open_request *q, int fd, const ElfW(Ehdr) * h, uint64_t size,
    struct err *e)
{
	if (h->e_phentsize != sizeof(ElfW(Phdr)) || h->e_phnum == 0 ||
	    h->e_phnum > SEGMENTS_MAX)
		return err_fail(e, ST_INVALID,
		    "%s: its ELF head makes no sense (%u segments of %u bytes)", q->path,
		    (unsigned)h->e_phnum, (unsigned)h->e_phentsize);
	for (unsigned i = 0; i < h->e_phnum; i++) {
		ElfW(Phdr) p;
		uint64_t at = h->e_phoff + (uint64_t)i * sizeof(p);

		if (at > size || size - at < sizeof(p) ||
		    !read_at(fd, &p, sizeof(p), (off_t)at))
			return truncated(q, e);
		if (p.p_type == PT_LOAD &&
		    (p.p_offset > size || p.p_filesz > size - p.p_offset))
			return truncated(q, e);
	}
	/* As a rule the last thing in the file; 0 when it was stripped of it. */
	if (h->e_shoff > size ||
	    (uint64_t)h->e_shnum * h->e_shentsize > size - h->e_shoff)
		return truncated(q, e);
	return ST_OK;
}

static enum status
check_elf(const struct open_request *q, int fd, const struct stat *st, struct err *e)
{
	ElfW(Ehdr) h = { 0 };
	uint64_t size = (uint64_t)st->st_size;
	enum status result;

	if (size == 0)
		return err_fail(e, ST_INVALID,
		    "%s: is empty; build it with cc -shared -fPIC", q->path);
	if (size > FILE_BYTES_MAX)
		return err_fail(e, ST_LIMIT,
		    "%s: has %llu bytes; a plugin has at most %d", q->path,
		    (unsigned long long)size, FILE_BYTES_MAX);
	if (!read_at(fd, &h, size < sizeof(h) ? (size_t)size : sizeof(h), 0))
		return err_fail(
		    e, ST_IO, "%s: cannot be read: %s", q->path, strerror(errno));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 && size < sizeof(h))
		return truncated(q, e);
	result = check_head(q, &h, e);
	return result == ST_OK ? check_segments(q, fd, &h, size, e) : result;
}

static enum status
check_hash(const struct open_request *q, int fd, size_t size, struct err *e)
{
	uint8_t wanted[CRYPTO_HASH_BYTES], got[CRYPTO_HASH_BYTES];
	char hex[2 * CRYPTO_HASH_BYTES + 1];
	char *all;

	if (q->sha256.ptr == NULL)
		return ST_OK;
	if (!crypto_unhex(q->sha256, wanted, sizeof(wanted)))
		return err_fail(e, ST_INVALID,
		    "%s: sha256 '%.*s' is not 64 hexadecimal digits", q->path,
		    STR_ARG(q->sha256));
	all = mem_alloc(size);
	if (all == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", q->path);
	if (!read_at(fd, all, size, 0)) {
		mem_free(all);
		return err_fail(
		    e, ST_IO, "%s: cannot be read: %s", q->path, strerror(errno));
	}
	crypto_sha256(lz_strn(all, size), got);
	mem_free(all);
	if (crypto_equal(wanted, got, sizeof(got)))
		return ST_OK;
	crypto_hex(got, sizeof(got), hex);
	return err_fail(e, ST_DENIED,
	    "%s: its sha256 is %s, the configuration wants %.*s", q->path, hex,
	    STR_ARG(q->sha256));
}

static enum status
check_opened(const struct open_request *q, int fd, struct err *e)
{
	const char *why;
	enum status result;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_fail(e, ST_IO, "%s: %s", q->path, strerror(errno));
	result = check_kind(q, &st, e);
	if (result != ST_OK)
		return result;
	why = who_else_writes(&st);
	result = why != NULL ? object(q, "the file", why, e) : ST_OK;
	if (result == ST_OK)
		result = check_parents(q, e);
	if (result == ST_OK)
		result = check_elf(q, fd, &st, e);
	return result == ST_OK ? check_hash(q, fd, (size_t)st.st_size, e) : result;
}

enum status
file_check(const struct open_request *q, int *fd, struct err *e)
{
	enum status result;

	/* O_NONBLOCK: opening a named pipe would wait for its writer. */
	*fd = io.open(q->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (*fd < 0 && errno == ELOOP)
		return err_fail(e, ST_INVALID,
		    "%s: is a symbolic link; name the file itself", q->path);
	if (*fd < 0 && errno == ENXIO)
		return err_fail(e, ST_INVALID,
		    "%s: is a socket; a plugin is a regular file", q->path);
	if (*fd < 0)
		return err_fail(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s",
		    q->path, strerror(errno));
	result = check_opened(q, *fd, e);
	if (result != ST_OK) {
		(void)io.close(*fd);
		*fd = -1;
	}
	return result;
}
