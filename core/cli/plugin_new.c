/* plugin_new.c - `latenza plugin new`: a folder with a plugin that works, and its test,
 * to be changed.
 *
 * What is written are the examples that the tests of the gateway run, under the new name.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/project.h"

enum {
	NAME_BYTES = 40,
	PATH_BYTES = 256
};

/* An example: its file's stem, and the name of its component. */
struct kind {
	const char *name, *stem, *component;
};
static const struct kind kinds[] = {
	{ "guardrail", "wordlist", "wordlist" },
	{ "router", "router", "near" },
	{ "provider", "vendor", "vendor" },
	{ "sink", "sink", "log" },
};

struct project {
	const struct kind *kind;
	const char *name;
	char ident[NAME_BYTES + 1]; /* as automake writes it */
	bool is_autotools;
	struct project_files files;
};

/* ---- names ---- */

static bool
is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > NAME_BYTES || s[0] < 'a' || s[0] > 'z')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static const struct kind *
find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* ---- texts under the new name ---- */

static struct project_change
change(const char *before, const char *old, const char *after, const char *now)
{
	struct project_change c = { .before = before, .name = now, .after = after };

	(void)snprintf(c.from, sizeof(c.from), "%s%s%s", before, old, after);
	return c;
}

/* The example's own names: of its files, its plugin, its component. */
static void
add_source(const struct project *p, struct buf *out, const char *file)
{
	const struct kind *k = p->kind;
	const struct project_change list[] = {
		change("\"", "acme.", "", ""), /* as in "acme.near" */
		change("", k->stem, ".c", p->name),
		change("NULL, \"", k->component, "\"", p->name),
		change(".name = \"", k->component, "\"", p->name),
		change("LZ_GUARDRAIL, \"", k->component, "\"", p->name),
		change("LZ_PROVIDER, \"", k->component, "\"", p->name),
		change("(\"", k->component, "\"", p->name),
	};
	struct buf once;

	/* The plugin's name first: LZ_PLUGIN("acme.near" becomes LZ_PLUGIN("near". */
	buf_init(&once, PROJECT_FILE_BYTES);
	project_add(&once, project_template(file), list, 1);
	buf_add_char(&once, '\0');
	project_add(out, once.ptr, list + 1, sizeof(list) / sizeof(list[0]) - 1);
	buf_free(&once);
}

static void
add_text(const struct project *p, struct buf *out, const char *file)
{
	const struct project_change list[] = {
		{ "@NAME@", "", p->name, "" },
		{ "@IDENT@", "", p->ident, "" },
		{ "@KIND@", "", p->kind->name, "" },
		{ "@HOW@", "",
		    p->is_autotools ? "autoreconf -i && ./configure && make check"
				    : "make && make check",
		    "" },
		{ "@SO@", p->is_autotools ? ".libs/" : "", p->name, ".so" },
	};

	project_add(out, project_template(file), list, sizeof(list) / sizeof(list[0]));
}

/* ---- files ---- */

static enum status
write_file(struct project *p, const char *file, const struct buf *b, struct err *e)
{
	char path[PROJECT_PATH_BYTES];

	(void)snprintf(path, sizeof(path), "%s/%s", p->name, file);
	return project_write(&p->files, path, b, e);
}

static enum status
write_source(struct project *p, const char *prefix, struct err *e)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	enum status st;
	struct buf b;

	(void)snprintf(from, sizeof(from), "%s%s.c", prefix, p->kind->stem);
	(void)snprintf(to, sizeof(to), "%s%s.c", prefix, p->name);
	buf_init(&b, PROJECT_FILE_BYTES);
	add_source(p, &b, from);
	st = write_file(p, to, &b, e);
	buf_free(&b);
	return st;
}

static enum status
write_text(struct project *p, const char *from, const char *to, struct err *e)
{
	enum status st;
	struct buf b;

	buf_init(&b, PROJECT_FILE_BYTES);
	add_text(p, &b, from);
	st = write_file(p, to, &b, e);
	buf_free(&b);
	return st;
}

static enum status
write_project(struct project *p, struct err *e)
{
	enum status st = write_source(p, "", e);

	if (st == ST_OK)
		st = write_source(p, "test_", e);
	if (st == ST_OK)
		st = write_text(p, "readme.in", "README.md", e);
	if (st == ST_OK)
		st = write_text(p, "gitignore.in", ".gitignore", e);
	if (st == ST_OK && p->is_autotools)
		st = write_text(p, "configure.ac.in", "configure.ac", e);
	if (st == ST_OK)
		st = p->is_autotools ? write_text(p, "automake.in", "Makefile.am", e)
				     : write_text(p, "make.in", "Makefile", e);
	return st;
}

static void
print_made(const struct cli *c, const struct project *p)
{
	json_t *j, *files;

	if (!c->wants_json) {
		printf("%s/ is a %s that works. Next:\n  cd %s && %s\n", p->name,
		    p->kind->name, p->name,
		    p->is_autotools ? "autoreconf -i && ./configure && make check"
				    : "make && make check");
		return;
	}
	j = json_object();
	files = json_array();
	for (unsigned i = 0; i < p->files.count; i++)
		(void)json_array_append_new(files, json_string(p->files.path[i]));
	(void)json_object_set_new(j, "kind", json_string(p->kind->name));
	(void)json_object_set_new(j, "files", files);
	out_json(j);
	json_decref(j);
}

static int
read_project(const struct cli *c, struct project *p)
{
	const char *kind = cli_text(c, "kind"), *build = cli_text(c, "build");

	p->name = c->operand[0];
	if (!is_name(p->name)) {
		out_error("\"%.60s\" is no name for a plugin; 1 to %d of a-z, 0-9, `-` "
			  "and `_`, a letter first",
		    p->name, NAME_BYTES);
		return CLI_USAGE;
	}
	if (kind == NULL || (p->kind = find_kind(kind)) == NULL) {
		out_error("--kind: %s%.40s%s guardrail, router, provider or sink",
		    kind != NULL ? "\"" : "", kind != NULL ? kind : "is missing;",
		    kind != NULL ? "\" is not" : "");
		return CLI_USAGE;
	}
	p->is_autotools = build != NULL && strcmp(build, "autotools") == 0;
	if (build != NULL && !p->is_autotools && strcmp(build, "make") != 0) {
		out_error("--build: \"%.40s\" is not make or autotools", build);
		return CLI_USAGE;
	}
	(void)snprintf(p->ident, sizeof(p->ident), "%s", p->name);
	for (char *s = p->ident; *s != '\0'; s++)
		if (*s == '-')
			*s = '_';
	return CLI_DONE;
}

int
plugin_new_run(struct cli *c)
{
	struct project p = { 0 };
	struct err e = { "" };
	int code = read_project(c, &p);

	if (code != CLI_DONE)
		return code;
	if (mkdir(p.name, 0777) != 0) {
		(void)err_fail(&e, ST_IO, "%s: %s", p.name,
		    errno == EEXIST ? "is there already; choose another name"
				    : strerror(errno));
		return backend_fail(&e, CLI_FAILED);
	}
	if (write_project(&p, &e) != ST_OK) {
		project_take_back(&p.files);
		(void)rmdir(p.name); /* what is not whole is not left behind */
		return backend_fail(&e, CLI_FAILED);
	}
	print_made(c, &p);
	return CLI_DONE;
}
