/* registry.c - the plugins that are open, where they are looked for, and the parts made
 * of their components.
 *
 * Plugins are opened and never closed; which of their components are used is the
 * configuration's business. All of it is [main]; a part, once made, is read by all
 * workers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/registry.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/options.h"
#include "plugin/host.h"

enum {
	DIRS_MAX = 32,
	INIT_ERR_BYTES = 300,
	PART_MEMORY_BYTES = 16 << 20,
	NEAR_EDITS = 3
};

/* What opens when the file names no plugins. */
static const char *const shipped[] = { "openai", "anthropic", "google", "mistral",
	"compatible", "echo", "cheapest", "fastest", "balanced", "quality", "hook",
	"injection", "limits", "moderation", "patterns", "pii", "schema", "secrets" };

/* Start-up state: the directories; [main]: the list, newest last. */
static const char *const *dirs;
static struct plugin *plugins, **last_plugin = &plugins;

struct plugin *
registry_plugins(void)
{
	return plugins;
}

void
registry_add(struct plugin *p)
{
	p->next = NULL;
	*last_plugin = p;
	last_plugin = &p->next;
}

/* ---- where they are ---- */

static void
add_dir(char *list[DIRS_MAX + 1], size_t *n, lz_str dir)
{
	if (dir.len > 0 && *n < DIRS_MAX)
		list[(*n)++] = mem_dup(dir.ptr, dir.len);
	list[*n] = NULL;
}

static void
add_env_dirs(char *list[DIRS_MAX + 1], size_t *n)
{
	const char *at = getenv("LATENZA_PLUGIN_PATH");

	while (at != NULL && *at != '\0') {
		size_t len = strcspn(at, ":");

		add_dir(list, n, lz_strn(at, len));
		at += len + (at[len] == ':');
	}
}

/* Beside the program, as the build leaves them. */
static void
add_build_dirs(char *list[DIRS_MAX + 1], size_t *n, const char *argv0)
{
	static const char *const places[] = { "plugins/.libs", "plugins" };
	char self[PATH_MAX], dir[PATH_MAX + 32];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (len > 0)
		self[len] = '\0';
	else
		(void)snprintf(self, sizeof(self), "%s", argv0 != NULL ? argv0 : "");
	slash = strrchr(self, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", self, places[i]);
		if (access(dir, X_OK) == 0)
			add_dir(list, n, lz_strz(dir));
	}
}

const char *const *
registry_default_dirs(const char *argv0)
{
	static char *list[DIRS_MAX + 1]; /* start-up state */
	size_t n = 0;

	add_env_dirs(list, &n);
	add_build_dirs(list, &n, argv0);
	add_dir(list, &n, lz_strz(LATENZA_PLUGIN_DIR));
	return (const char *const *)list;
}

static bool
is_path(lz_str s)
{
	return str_find(s, '/') >= 0 || str_ends(s, ".so");
}

/* The directory is made absolute; the file itself is not followed: a link there is
 * refused later. */
static enum status
absolute_path(lz_str path, char *out, size_t n, struct err *e)
{
	char given[PATH_MAX], copy[PATH_MAX], real[PATH_MAX];

	if (path.len == 0 || path.len >= sizeof(given) || str_find(path, '\0') >= 0)
		return err_fail(e, ST_INVALID,
		    "plugin: the path has %zu bytes; 1 to %zu are allowed", path.len,
		    sizeof(given) - 1);
	memcpy(given, path.ptr, path.len);
	given[path.len] = '\0';
	(void)snprintf(copy, sizeof(copy), "%s", given);
	if (realpath(dirname(copy), real) == NULL)
		return err_fail(e, ST_NOT_FOUND, "%s: %s", given, strerror(errno));
	(void)snprintf(copy, sizeof(copy), "%s", given);
	if (snprintf(out, n, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
		basename(copy)) >= (int)n)
		return err_fail(e, ST_INVALID, "%s: the path is too long", given);
	return ST_OK;
}

static enum status
not_found(lz_str name, struct err *e)
{
	char where[300] = "";
	size_t n = 0;

	for (size_t i = 0; dirs != NULL && dirs[i] != NULL && n < sizeof(where); i++) {
		int more = snprintf(
		    where + n, sizeof(where) - n, "%s%s", i > 0 ? ", " : "", dirs[i]);

		n += more > 0 ? (size_t)more : 0;
	}
	return err_fail(e, ST_NOT_FOUND,
	    "plugin '%.*s' is in none of %s; name its file, or set LATENZA_PLUGIN_PATH",
	    STR_ARG(name),
	    where[0] != '\0' ? where : "the plugin directories (there are none)");
}

enum status
registry_path(lz_str name, char *out, size_t n, struct err *e)
{
	char text[PLUGIN_NAME_BYTES + 1];

	if (is_path(name))
		return absolute_path(name, out, n, e);
	if (name.len > 0 && name.len <= PLUGIN_NAME_BYTES) {
		memcpy(text, name.ptr, name.len);
		text[name.len] = '\0';
	}
	if (name.len == 0 || name.len > PLUGIN_NAME_BYTES || !plugin_name_is_sane(text))
		return err_fail(e, ST_INVALID,
		    "'%.*s' is no plugin's name; letters, digits and . _ - make one, and "
		    "a path has a /",
		    (int)(name.len < 80 ? name.len : 80),
		    name.ptr != NULL ? name.ptr : "");
	for (size_t i = 0; dirs != NULL && dirs[i] != NULL; i++) {
		char file[PATH_MAX];

		if (snprintf(file, sizeof(file), "%s/%s.so", dirs[i], text) <
			(int)sizeof(file) &&
		    access(file, F_OK) == 0)
			return absolute_path(lz_strz(file), out, n, e);
	}
	return not_found(name, e);
}

/* ---- opening ---- */

static const struct plugin *
find_open(const char *path)
{
	for (const struct plugin *p = plugins; p != NULL; p = p->next)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

static void
warn_if_changed(const struct plugin *p)
{
	struct stat st;

	if (stat(p->path, &st) != 0 ||
	    (st.st_ino == p->ino && st.st_dev == p->dev &&
		(int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec ==
		    p->changed_ns))
		return;
	log_warn("plugin.changed",
	    "plugin=%s file=\"%s\" what=\"the file changed since it was opened; restart "
	    "to use the new one\"",
	    p->name, p->path);
}

enum status
registry_open(lz_str name_or_path, lz_str sha256, bool strict, bool is_named_by_person,
    struct err *e)
{
	struct open_request q = { .sha256 = sha256,
		.is_strict = strict && !is_named_by_person,
		.opened = plugins };
	const struct plugin *open;
	char path[PATH_MAX];
	struct plugin *p;
	enum status st;

	q.is_probed = is_path(name_or_path);
	st = registry_path(name_or_path, path, sizeof(path), e);
	if (st != ST_OK)
		return st;
	open = find_open(path);
	if (open != NULL) {
		warn_if_changed(open);
		return ST_OK;
	}
	q.path = path;
	st = open_plugin(&q, &p, e);
	if (st != ST_OK)
		return st;
	registry_add(p);
	log_debug("plugin.open", "plugin=%s version=%s file=\"%s\"", p->name,
	    p->self->version, p->path);
	return ST_OK;
}

static enum status
open_list(const struct part_want *want, size_t count, bool strict, struct err *e)
{
	size_t shipped_count = count > 0 ? 0 : sizeof(shipped) / sizeof(shipped[0]);

	for (size_t i = 0; i < count; i++) {
		enum status st = registry_open(
		    want[i].path, want[i].sha256, strict, want[i].is_named_by_person, e);

		if (st != ST_OK)
			return st;
	}
	for (size_t i = 0; i < shipped_count; i++) {
		enum status st =
		    registry_open(lz_strz(shipped[i]), STR_NONE, strict, false, e);

		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

/* ---- what there is ---- */

static const struct part_info *
at(size_t i)
{
	for (const struct plugin *p = plugins; p != NULL; p = p->next) {
		if (i < p->component_count)
			return &p->component[i].info;
		i -= p->component_count;
	}
	return NULL;
}

static const struct part_info *
find(const char *kind, lz_str name, lz_str *near)
{
	unsigned best = NEAR_EDITS + 1;
	const struct part_info *info;

	if (near != NULL)
		*near = STR_NONE;
	for (size_t i = 0; (info = at(i)) != NULL; i++) {
		unsigned edits;

		if (strcmp(info->kind, kind) != 0)
			continue;
		if (lz_eq(name, info->name))
			return info;
		edits = str_distance(name, lz_strz(info->name), NEAR_EDITS);
		if (edits < best && near != NULL) {
			best = edits;
			*near = lz_strz(info->name);
		}
	}
	return NULL;
}

static void
each_in(const char *dir, void (*fn)(void *arg, const char *path, const char *problem),
    void *arg)
{
	struct dirent **entry = NULL;
	int n = scandir(dir, &entry, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX], absolute[PATH_MAX];
		struct open_request q = { .is_strict = true, .is_quiet = true };
		struct err e;
		int fd;

		if (str_ends(lz_strz(entry[i]->d_name), ".so") &&
		    snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name) <
			(int)sizeof(path) &&
		    absolute_path(lz_strz(path), absolute, sizeof(absolute), &e) ==
			ST_OK) {
			q.path = absolute;
			if (file_check(&q, &fd, &e) != ST_OK) {
				fn(arg, absolute, e.text);
			} else {
				(void)close(fd);
				fn(arg, absolute, NULL);
			}
		}
		free(entry[i]); /* scandir() allocates with malloc() */
	}
	if (n >= 0)
		free(entry);
}

void
registry_each_file(
    void (*fn)(void *arg, const char *path, const char *problem), void *arg)
{
	for (size_t i = 0; dirs != NULL && dirs[i] != NULL; i++)
		each_in(dirs[i], fn, arg);
}

/* ---- parts ---- */

/* Beside each part: what the values of its options live in. */
struct made {
	struct arena *memory;
	json_t *keep;
};

static void
made_free(struct made *m)
{
	if (m == NULL)
		return;
	json_decref(m->keep);
	arena_free(m->memory);
	mem_free(m);
}

static struct made *
made_new(void)
{
	struct made *m = mem_zalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	m->memory = arena_new(PART_MEMORY_BYTES);
	m->keep = json_array();
	if (m->memory != NULL && m->keep != NULL)
		return m;
	made_free(m);
	return NULL;
}

static enum status
run_init(const struct component *c, void *instance, const char *where, struct err *e)
{
	char said[INIT_ERR_BYTES] = "";
	const struct plugin *before;
	int32_t result;

	if (c->self.init == NULL)
		return ST_OK;
	value_forget();
	before = host_enter(c->plugin);
	result = c->self.init(instance, said, sizeof(said));
	host_leave(before);
	if (result == LZ_OK)
		return ST_OK;
	said[sizeof(said) - 1] = '\0';
	if (!plugin_text_is_sane(said, sizeof(said)))
		return err_fail(e, ST_INVALID,
		    "%s: %s '%s' does not start: it answered %d and no sentence", where,
		    c->info.kind, c->info.name, (int)result);
	return err_fail(e, ST_INVALID, "%s: %s '%s' does not start: %s", where,
	    c->info.kind, c->info.name, said);
}

static void
free_part(struct part *p)
{
	if (p == NULL)
		return;
	made_free(p->own);
	mem_free(p->instance);
	json_decref(p->options);
	mem_free(p->name);
	mem_free(p);
}

static struct part *
new_part(const struct component *c, const char *name, const json_t *options)
{
	struct part *p = mem_zalloc(sizeof(*p));

	if (p == NULL)
		return NULL;
	atomic_init(&p->refs, 1);
	p->info = &c->info;
	p->name = mem_strdup(name);
	p->options = options != NULL ? json_deep_copy(options) : json_object();
	/* Never of 0 bytes: plugins compare `self`. */
	p->instance = mem_zalloc(c->self.instance_size > 0 ? c->self.instance_size : 1);
	p->own = made_new();
	if (p->name != NULL && p->options != NULL && p->instance != NULL &&
	    p->own != NULL)
		return p;
	free_part(p);
	return NULL;
}

struct part *
part_make(const struct part_info *info, const char *name, const json_t *options,
    const char *where, struct err *e)
{
	const struct component *c = info->component;
	struct part *p = new_part(c, name, options);
	struct options_context context = { .where = where };
	struct made *m;

	if (p == NULL) {
		(void)err_fail(e, ST_NOMEM, "%s: out of memory", where);
		return NULL;
	}
	m = p->own;
	context.memory = m->memory;
	context.keep = m->keep;
	if (c->offered != NULL)
		offered_seat(c->offered, p->instance);
	if (options_apply(info->options, info->option_count, info->option_size, options,
		p->instance, &context, e) != ST_OK ||
	    run_init(c, p->instance, where, e) != ST_OK) {
		free_part(p);
		return NULL;
	}
	if (c->offered != NULL)
		offered_ref(c->offered);
	return p;
}

void
part_destroy(struct part *p)
{
	const struct component *c = p->info->component;

	if (c->self.fini != NULL) {
		const struct plugin *before = host_enter(c->plugin);

		value_forget();
		c->self.fini(p->instance);
		host_leave(before);
	}
	free_part(p);
	if (c->offered != NULL)
		offered_unref(c->offered);
}

static const struct part_ops ops = { open_list, find, at, part_make, part_destroy };

void
registry_start(const char *const *plugin_dirs)
{
	dirs = plugin_dirs;
	part_set_ops(&ops);
}

void
registry_print_metrics(struct buf *out)
{
	meter_print(out);
}
