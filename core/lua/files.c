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
	char folder_path[PATH_MAX], file_path[PATH_MAX];
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

/* q: like `like`, with what lies at `path`; borrows from g, which tree_free() frees. */
static enum status
tree_read(struct gathering *g, const char *path, script_read_fn *read,
    const struct script_source *like, struct script_source *q, struct err *e)
{
	struct buf *text = &g->text[SCRIPT_MODULES - 1];
	enum status st;

	(void)snprintf(g->folder_path, sizeof(g->folder_path), "%s", path);
	(void)snprintf(g->file_path, sizeof(g->file_path), "%s", path);
	g->folder = dirname(g->folder_path);
	g->read = read;
	buf_init(text, SCRIPT_TREE_BYTES);
	st = read(path, text, e);
	if (st != ST_OK)
		return st;
	gather(g, buf_str(text));
	for (size_t i = 0; i < g->count; i++)
		gather(g, g->module[i].text);
	*q = *like;
	q->file = basename(g->file_path);
	q->text = buf_str(text);
	q->module = g->module;
	q->module_count = g->count;
	return ST_OK;
}

static void
tree_free(struct gathering *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->count; i++)
		buf_free(&g->text[i]);
	buf_free(&g->text[SCRIPT_MODULES - 1]);
	mem_free(g);
}

struct script *
script_open(const char *path, script_read_fn *read, const struct script_source *like,
    struct err *e)
{
	struct gathering *g = mem_zalloc(sizeof(*g));
	struct script *s = NULL;
	struct script_source q;

	if (g == NULL)
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", path);
	else if (tree_read(g, path, read, like, &q, e) == ST_OK)
		s = script_load(&q, e);
	tree_free(g);
	return s;
}

enum status
script_test_open(const char *path, script_read_fn *read, struct script *const *scripts,
    size_t count, const lz_host *host, script_said_fn *say, void *arg, unsigned *failed,
    struct err *e)
{
	struct script_source like = { .limits = &script_limits_most }, q;
	struct gathering *g = mem_zalloc(sizeof(*g));
	enum status st;

	*failed = 0;
	if (g == NULL)
		return err_fail(e, ST_NOMEM, "%s: out of memory", path);
	st = tree_read(g, path, read, &like, &q, e);
	if (st == ST_OK)
		st = script_test(&q, scripts, count, host, say, arg, failed, e);
	tree_free(g);
	return st;
}

bool
script_test_path(const char *path, char *out, size_t n)
{
	static const char suffix[] = ".lua", test[] = "_test.lua";
	lz_str s = lz_strz(path);

	if (!str_ends(s, suffix) || str_ends(s, test))
		return false;
	return (size_t)snprintf(
		   out, n, "%.*s%s", (int)(s.len - sizeof(suffix) + 1), path, test) < n;
}
