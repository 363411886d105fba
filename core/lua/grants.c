/* grants.c - URLs that scripts may call: scheme, host and port compared as they are
 * meant, paths by whole segments.
 *
 * The URL is read more strictly than any client reads it, so that what is compared here
 * is what is called: no user part, no blanks or backslashes, no dots that climb, no %2e
 * or %2f in the path.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lua/grants.h"

#include <stdio.h>

#include "lua/inside.h"

enum {
	URL_BYTES = 4096,
	ORIGIN_BYTES = 300
};

struct url {
	char origin[ORIGIN_BYTES];
	lz_str path; /* with its query */
};

static bool
is_host_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '[' || c == ']' || c == ':' || c == '_';
}

static bool
climbs(lz_str path)
{
	for (size_t i = 0; i < path.len; i++) {
		char c = path.ptr[i];

		if (c == '?')
			return false;
		if (c == '%' && i + 2 < path.len && path.ptr[i + 1] == '2' &&
		    strchr("eEfF", path.ptr[i + 2]) != NULL)
			return true;
		if (c == '%' && i + 2 < path.len && path.ptr[i + 1] == '5' &&
		    strchr("cC", path.ptr[i + 2]) != NULL)
			return true;
		if (c == '/' && i + 1 < path.len && path.ptr[i + 1] == '.')
			return true; /* "/.", "/..": and what is hidden is not granted */
	}
	return false;
}

/* Scheme and host in lower case, the scheme's own port left out. */
static bool
read_origin(lz_str s, size_t scheme, struct url *out)
{
	const char *usual = scheme == 8 ? ":443" : ":80";

	if (s.len - scheme == 0 || s.len >= sizeof(out->origin))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		out->origin[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		if (i >= scheme && !is_host_character(out->origin[i]))
			return false;
	}
	out->origin[s.len] = '\0';
	if (str_ends(lz_strz(out->origin), usual) &&
	    out->origin[s.len - strlen(usual) - 1] != ':')
		out->origin[s.len - strlen(usual)] = '\0';
	return out->origin[scheme] != ':' && out->origin[scheme] != '\0';
}

static bool
read_url(lz_str s, struct url *out)
{
	size_t scheme, end;

	if (s.len > URL_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] >= 0x7f ||
		    s.ptr[i] == '\\' || s.ptr[i] == '#')
			return false;
	scheme = str_starts(s, "https://") ? 8 : str_starts(s, "http://") ? 7 : 0;
	if (scheme == 0)
		return false;
	for (end = scheme; end < s.len && s.ptr[end] != '/' && s.ptr[end] != '?'; end++)
		;
	if (!read_origin(str_cut(s, 0, end), scheme, out))
		return false;
	out->path = str_cut(s, end, s.len);
	return !climbs(out->path);
}

enum status
grants_read(lz_str url, struct arena *memory, struct grant *out, struct err *e)
{
	struct url u;

	if (!read_url(url, &u) || str_find(u.path, '?') >= 0)
		return err_fail(e, ST_INVALID,
		    "http: '%.*s' is no address that can be granted; write https://host, "
		    "with "
		    "a port and the "
		    "beginning of a path if need be",
		    STR_ARG(str_cut(url, 0, 100)));
	while (u.path.len > 0 && u.path.ptr[u.path.len - 1] == '/')
		u.path.len--;
	out->origin = arena_copy(memory, lz_strz(u.origin));
	out->path = arena_copy(memory, u.path);
	if (out->origin.ptr == NULL || out->path.ptr == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	return ST_OK;
}

/* "/a" grants "/a", "/a/b", "/a?b", not "/ab". */
static bool
is_below(lz_str path, lz_str granted)
{
	if (path.len < granted.len || !str_eq(str_cut(path, 0, granted.len), granted))
		return false;
	return path.len == granted.len || path.ptr[granted.len] == '/' ||
	       path.ptr[granted.len] == '?';
}

bool
grants_allow(const struct script *s, lz_str url, char *why, size_t n)
{
	struct url u;

	if (!read_url(url, &u)) {
		(void)snprintf(why, n, "this is no plain http:// or https:// address");
		return false;
	}
	for (size_t i = 0; i < s->grant_count; i++)
		if (str_eq(s->grant[i].origin, lz_strz(u.origin)) &&
		    is_below(u.path, s->grant[i].path))
			return true;
	/* The path may say something of a request; whom it asks does not. */
	(void)snprintf(why, n,
	    "%.150s is not granted to this script; policies: http: [...] grants it",
	    u.origin);
	return false;
}
