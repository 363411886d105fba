/* resolve.c - values that stand elsewhere: the environment, a file, a systemd credential.
 *
 * A secret that is written into latenza.yaml works and earns a warning; one that is
 * referred to is read here, once per load. What was read is never part of a sentence.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/io.h"
#include "base/log.h"

enum {
	SECRET_BYTES = 64 * 1024,
	NAME_BYTES = 4096 /* PATH_MAX */
};

static bool
copy_name(lz_str name, char *out, size_t n)
{
	if (name.len == 0 || name.len >= n || memchr(name.ptr, '\0', name.len) != NULL)
		return false;
	memcpy(out, name.ptr, name.len);
	out[name.len] = '\0';
	return true;
}

static enum status
keep(lz_str text, struct arena *memory, lz_str *value, struct err *e)
{
	*value = arena_copy(memory, text);
	if (value->ptr == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	return ST_OK;
}

/* ---- the sources ---- */

static enum status
from_environment(lz_str name, struct arena *memory, lz_str *value, struct err *e)
{
	char variable[NAME_BYTES];
	const char *found;

	if (!copy_name(name, variable, sizeof(variable)) || strchr(variable, '=') != NULL)
		return err_fail(
		    e, ST_INVALID, "env: needs the name of a variable; write env:NAME");
	found = getenv(variable);
	if (found == NULL || *found == '\0')
		return err_fail(e, ST_NOT_FOUND, "the environment variable %s is %s",
		    variable, found == NULL ? "not set" : "empty");
	return keep(lz_strz(found), memory, value, e);
}

/* Reads up to `max` bytes; -1: errno says why. */
static ssize_t
read_whole(int fd, char *out, size_t max)
{
	size_t n = 0;

	while (n < max) {
		ssize_t got = io.read(fd, out + n, max - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static void
warn_if_readable(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0)
		log_warn("config.secret_readable", "path=\"%s\" mode=%o wanted=600", path,
		    (unsigned)(st.st_mode & 07777));
}

static lz_str
without_newline(lz_str s)
{
	if (s.len > 0 && s.ptr[s.len - 1] == '\n')
		s.len--;
	if (s.len > 0 && s.ptr[s.len - 1] == '\r')
		s.len--;
	return s;
}

static enum status
from_open_file(
    int fd, const char *path, struct arena *memory, lz_str *value, struct err *e)
{
	char text[SECRET_BYTES + 1];
	ssize_t n = read_whole(fd, text, sizeof(text));
	enum status st;
	lz_str secret;

	if (n < 0)
		return err_fail(
		    e, ST_IO, "the file %s cannot be read: %s", path, strerror(errno));
	secret = without_newline(lz_strn(text, (size_t)n));
	if (n > SECRET_BYTES)
		st = err_fail(e, ST_INVALID, "the file %s is larger than 64 KiB", path);
	else if (secret.len == 0)
		st = err_fail(e, ST_NOT_FOUND, "the file %s is empty", path);
	else if (memchr(text, '\0', secret.len) != NULL)
		st = err_fail(e, ST_INVALID, "the file %s holds a NUL byte", path);
	else
		st = keep(secret, memory, value, e);
	crypto_wipe(text, (size_t)n);
	return st;
}

static enum status
from_path(const char *path, struct arena *memory, lz_str *value, struct err *e)
{
	enum status st;
	/* Non-blocking, so that a pipe nobody writes to does not hang the start. */
	int fd = io.open(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return err_fail(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
		    "the file %s cannot be opened: %s", path, strerror(errno));
	warn_if_readable(fd, path);
	st = from_open_file(fd, path, memory, value, e);
	(void)io.close(fd);
	return st;
}

static enum status
from_file(lz_str name, struct arena *memory, lz_str *value, struct err *e)
{
	char path[NAME_BYTES];

	if (!copy_name(name, path, sizeof(path)))
		return err_fail(
		    e, ST_INVALID, "file: needs a path; write file:/run/secrets/name");
	return from_path(path, memory, value, e);
}

static enum status
from_credential(lz_str name, struct arena *memory, lz_str *value, struct err *e)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[NAME_BYTES];
	int n;

	if (name.len == 0 || str_find(name, '/') >= 0 || str_is(name, ".."))
		return err_fail(
		    e, ST_INVALID, "credential: needs a name; write credential:NAME");
	if (folder == NULL)
		return err_fail(e, ST_NOT_FOUND,
		    "credential:%.*s: systemd gave no credentials "
		    "($CREDENTIALS_DIRECTORY is not set); "
		    "add LoadCredential= to the unit",
		    STR_ARG(name));
	n = snprintf(path, sizeof(path), "%s/%.*s", folder, STR_ARG(name));
	if (n < 0 || (size_t)n >= sizeof(path))
		return err_fail(e, ST_INVALID, "credential: the name is too long");
	return from_path(path, memory, value, e);
}

static const struct {
	const char *prefix;
	enum status (*read)(
	    lz_str name, struct arena *memory, lz_str *value, struct err *e);
} sources[] = {
	{ "env:", from_environment },
	{ "file:", from_file },
	{ "credential:", from_credential },
};

/* ---- which one ---- */

/* ${NAME}: the whole value, and a name. */
static bool
is_braced(lz_str text)
{
	if (!str_starts(text, "${") || !str_ends(text, "}") || text.len < 4)
		return false;
	for (size_t i = 2; i < text.len - 1; i++) {
		if (!isalnum((unsigned char)text.ptr[i]) && text.ptr[i] != '_')
			return false;
	}
	return true;
}

bool
options_is_reference(lz_str text)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (str_starts(text, sources[i].prefix))
			return true;
	}
	return is_braced(text);
}

lz_str
options_absolute(lz_str text, const char *folder, struct arena *memory)
{
	if (folder == NULL || !str_starts(text, "file:") || text.len == 5 ||
	    text.ptr[5] == '/')
		return text;
	return arena_printf(
	    memory, "file:%s/%.*s", folder, (int)text.len - 5, text.ptr + 5);
}

enum status
options_resolve(
    lz_str text, struct arena *memory, lz_str *value, bool *is_literal, struct err *e)
{
	*is_literal = false;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		size_t n = strlen(sources[i].prefix);

		if (str_starts(text, sources[i].prefix))
			return sources[i].read(
			    str_cut(text, n, text.len), memory, value, e);
	}
	if (is_braced(text))
		return from_environment(str_cut(text, 2, text.len - 1), memory, value, e);
	*is_literal = true;
	return keep(text, memory, value, e);
}
