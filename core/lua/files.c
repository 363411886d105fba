/* files.c - a script as it lies in its folder: the file, and of its neighbours those that
 * it asks for with require("name").
 *
 * Only names that stand in the source as texts are read, so what a script is made of is
 * known when it is loaded, and nothing is read later.
 *
 * SPDX-License-Identifier: MIT
 */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

#include "base/mem.h"
#include "lua/inside.h"

struct gathering {
	const char *folder;
	script_read_fn *read;
	struct script_module module[SCRIPT_MODULES];
	struct buf text[SCRIPT_MODULES]; /* of the modules; the last: the file's */
	char name[SCRIPT_MODULES][SCRIPT_NAME_BYTES + 1];
	size_t count;
};

static bool
is_known(const struct gathering *g, lz_str name)
{
	for (size_t i = 0; i < g->count; i++)
		if (str_eq(g->module[i].name, name))
			return true;
	return false;
}

/* What stands in quotes behind a `require`; absent: something else. */
static lz_str
name_behind(const char *at, const char *end)
{
	size_t n = 0;

	while (at < end && (*at == ' ' || *at == '('))
		at++;
	if (at == end || (*at != '"' && *at != '\''))
		return STR_NONE;
	at++;
	while (at + n < end &&
	       ((at[n] >= 'a' && at[n] <= 'z') || (at[n] >= 'A' && at[n] <= 'Z') ||
		   (at[n] >= '0' && at[n] <= '9') || at[n] == '_'))
		n++;
	return at + n < end && n > 0 && n <= SCRIPT_NAME_BYTES &&
		       (at[n] == '"' || at[n] == '\'')
		   ? lz_strn(at, n)
		   : STR_NONE;
}

/* A file that is not there is require()'s to complain of, should it run. */
static void
add_module(struct gathering *g, lz_str name)
{
	size_t i = g->count;
	char path[PATH_MAX];
	struct err ignored;

	if (name.ptr == NULL || is_known(g, name) || i == SCRIPT_MODULES - 1)
		return;
	if (snprintf(path, sizeof(path), "%s/%.*s.lua", g->folder, STR_ARG(name)) >=
	    (int)sizeof(path))
		return;
	buf_init(&g->text[i], SCRIPT_TREE_BYTES);
	if (g->read(path, &g->text[i], &ignored) != ST_OK) {
		buf_free(&g->text[i]);
		return;
	}
	memcpy(g->name[i], name.ptr, name.len);
	g->name[i][name.len] = '\0';
	g->module[i] =
	    (struct script_module){ lz_strz(g->name[i]), buf_str(&g->text[i]) };
	g->count++;
}

static void
gather(struct gathering *g, lz_str text)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	while (
	    at != NULL && (at = memmem(at, (size_t)(end - at), "require", 7)) != NULL) {
		at += 7;
		add_module(g, name_behind(at, end));
	}
}

struct script *
script_open(const char *path, script_read_fn *read, const struct script_source *like,
    struct err *e)
{
	struct gathering *g = mem_zalloc(sizeof(*g));
	char folder[PATH_MAX], name[PATH_MAX];
	struct script_source q = *like;
	struct script *s = NULL;
	struct buf text;

	buf_init(&text, SCRIPT_TREE_BYTES);
	if (g == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", path);
	} else if (read(path, &text, e) == ST_OK) {
		(void)snprintf(folder, sizeof(folder), "%s", path);
		(void)snprintf(name, sizeof(name), "%s", path);
		g->folder = dirname(folder);
		g->read = read;
		gather(g, buf_str(&text));
		for (size_t i = 0; i < g->count; i++)
			gather(g, g->module[i].text);
		q.file = basename(name);
		q.text = buf_str(&text);
		q.module = g->module;
		q.module_count = g->count;
		s = script_load(&q, e);
	}
	for (size_t i = 0; g != NULL && i < g->count; i++)
		buf_free(&g->text[i]);
	buf_free(&text);
	mem_free(g);
	return s;
}
