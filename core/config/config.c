/* config.c - latenza.yaml to one immutable, counted snapshot.
 *
 * Everything new is built beside what serves; the caller swaps when nothing is wrong. The
 * last reference may fall on any thread, but parts may only be given back on main: dead
 * configurations wait in a list that config_reap() empties.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/build.h"

enum {
	FILE_BYTES = 1 << 20, /* the most that yaml_parse() takes */
	PATH_BYTES = 4096,
	PIPE_MS = 5000
};

static _Atomic(struct config *) dead; /* linked by next */

/* ---- life ---- */

static void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->provider_count; i++)
		part_unref(c->provider[i].part);
	for (size_t i = 0; i < c->router_count; i++)
		part_unref(c->router[i]);
	for (size_t i = 0; i < c->guardrail_count; i++)
		part_unref(c->guardrail[i].part);
	policies_free(c);
	json_decref(c->tree);
	json_decref(c->keep);
	mem_free(c->path);
	arena_free(c->memory);
	mem_free(c);
}

static struct config *
config_new(void)
{
	struct config *c = mem_zalloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	atomic_init(&c->refs, 1);
	c->memory = arena_new(CONFIG_ARENA_BYTES);
	c->keep = json_array();
	if (c->memory != NULL && c->keep != NULL)
		return c;
	config_free(c);
	return NULL;
}

void
config_ref(struct config *c)
{
	(void)atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void
config_unref(struct config *c)
{
	if (c == NULL ||
	    atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	c->next = atomic_load(&dead);
	while (!atomic_compare_exchange_weak(&dead, &c->next, c))
		;
}

void
config_reap(void)
{
	struct config *next, *c = atomic_exchange(&dead, NULL);

	for (; c != NULL; c = next) {
		next = c->next;
		config_free(c);
	}
}

/* ---- the text ---- */

/* A pipe may be slow, but nobody may be on its other end: opening it does not wait, and
 * reading it not for long. */
static bool
waited(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return errno == EAGAIN && poll(&p, 1, PIPE_MS) > 0;
}

static enum status
read_fd(int fd, const char *path, struct buf *text, struct err *e)
{
	for (;;) {
		char *room = buf_room(text, 16384);
		ssize_t n;

		if (room == NULL)
			return err_fail(e, ST_LIMIT, "%s: is larger than 1 MiB", path);
		n = io.read(fd, room, 16384);
		if (n < 0 && (errno == EINTR || waited(fd)))
			continue;
		if (n < 0)
			return err_fail(
			    e, ST_IO, "%s: cannot be read: %s", path, strerror(errno));
		if (n == 0)
			return ST_OK;
		text->len += (size_t)n;
	}
}

enum status
build_read_text(const char *path, struct buf *text, struct err *e)
{
	enum status st;
	int fd = io.open(path, O_RDONLY | O_NONBLOCK, 0);
	struct stat is;

	if (fd < 0)
		return err_fail(
		    e, ST_IO, "%s: cannot be opened: %s", path, strerror(errno));
	st = read_fd(fd, path, text, e);
	if (st == ST_OK && text->len == 0 && fstat(fd, &is) == 0 && S_ISFIFO(is.st_mode))
		st = err_fail(e, ST_IO, "%s: nothing came through this pipe", path);
	(void)io.close(fd);
	return st;
}

/* The folder that relative paths start at; absent: the working directory. false: out of
 * memory. */
static bool
folder_of(const char *path, char **folder)
{
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	*folder = NULL;
	if (slash == NULL)
		return true;
	*folder = slash == path ? mem_strdup("/") : mem_dup(path, (size_t)(slash - path));
	return *folder != NULL;
}

/* ---- building ---- */

static void
check_whole(struct build *b, const json_t *root)
{
	if (b->c->provider_count == 0 &&
	    json_object_size(json_object_get(root, "providers")) == 0)
		build_warn(
		    b, NULL, root, "providers", "there are none: nothing can be served");
}

static void
build_parts(struct build *b, const json_t *root)
{
	const json_t *providers = build_object(b, root, "providers");
	const json_t *organizations = build_object(b, root, "organizations");
	const json_t *keys = build_object(b, root, "keys");

	if (!json_is_object(root)) {
		build_wrong(b, NULL, root, NULL, "the file is not a map of sections");
		return;
	}
	if (providers == NULL && json_object_get(root, "providers") != NULL)
		build_wrong(b, NULL, root, "providers", "is not a map of providers");
	if (organizations == NULL && json_object_get(root, "organizations") != NULL)
		build_wrong(
		    b, NULL, root, "organizations", "is not a map of organizations");
	if (keys == NULL && json_object_get(root, "keys") != NULL)
		build_wrong(b, NULL, root, "keys", "is not a map of keys");
	if (b->o->only_policies) {
		policies_read(b, root);
		return;
	}
	sections_read(b, root);
	if (!plugins_open(b, root))
		return; /* whatever else is wrong would be told of plugins that are not
			   there */
	policies_read(b, root);
	routers_read(b, root);
	guardrails_read(b, root);
	providers_read(b, providers);
	names_read(b, json_object_get(root, "models"));
	models_finish(b);
	organizations_read(b, organizations);
	keys_read(b, keys);
	check_whole(b, root);
}

static bool
keep_warnings(struct build *b)
{
	struct config *c = b->c;

	c->warning = build_alloc(b, (b->complaint_count + 1) * sizeof(*c->warning));
	if (c->warning == NULL)
		return false;
	for (size_t i = 0; i < b->complaint_count; i++)
		c->warning[c->warning_count++] = (char *)(uintptr_t)b->complaint[i].text;
	return true;
}

/* Everything found wrong, or the warnings kept. */
static enum status
conclude(struct build *b, struct buf *errors, struct err *e)
{
	bool is_told = false;

	if (b->is_out_of_memory)
		return err_fail(e, ST_NOMEM, "configuration: out of memory");
	if (build_errors_since(b, 0) == 0)
		return keep_warnings(b)
			   ? ST_OK
			   : err_fail(e, ST_NOMEM, "configuration: out of memory");
	for (size_t i = 0; i < b->complaint_count; i++) {
		const struct complaint *k = &b->complaint[i];

		if (k->how == OPTIONS_WARNING)
			continue;
		if (!is_told)
			(void)err_fail(e, ST_INVALID, "%s", k->text);
		is_told = true;
		if (errors != NULL) {
			buf_add_z(errors, k->text);
			buf_add_char(errors, '\n');
		}
	}
	return ST_INVALID;
}

static enum status
build_config(
    struct build *b, lz_str text, const char *name, struct buf *errors, struct err *e)
{
	struct config *c = b->c;
	enum status st;

	c->tree = yaml_parse(text, name, &b->source, e);
	if (c->tree == NULL) {
		if (errors != NULL)
			buf_addf(errors, "%s\n", e->text);
		return ST_INVALID;
	}
	if (json_is_null(c->tree)) {
		json_decref(c->tree);
		c->tree = json_object();
	}
	/* Neither that nor `true` has a place of its own. */
	if (c->tree == NULL || json_object_size(c->tree) == 0)
		b->is_out_of_memory =
		    c->tree == NULL || !yaml_set_line(b->source, c->tree, 1);
	crypto_sha256(text, c->digest);
	if (b->o->path != NULL && b->o->text.ptr == NULL)
		b->is_out_of_memory |= (c->path = mem_strdup(b->o->path)) == NULL;
	if (!b->is_out_of_memory)
		build_parts(b, c->tree);
	st = conclude(b, errors, e);
	yaml_source_free(b->source);
	b->source = NULL;
	mem_free(b->complaint);
	return st;
}

struct config *
config_load(const struct config_options *o, struct buf *errors, struct err *e)
{
	struct build b = { .o = o };
	const char *name = o->path != NULL ? o->path : "(built-in)";
	enum status st = ST_OK;
	char *folder = NULL;
	struct buf text;
	struct err unasked;

	if (e == NULL)
		e = &unasked;
	buf_init(&text, FILE_BYTES + 32768);
	if (o->text.ptr == NULL && o->path != NULL)
		st = build_read_text(o->path, &text, e);
	if (st != ST_OK && errors != NULL)
		buf_addf(errors, "%s\n", e->text);
	if (st == ST_OK && folder_of(o->path, &folder))
		b.c = config_new();
	if (st == ST_OK && b.c == NULL) {
		(void)err_fail(e, ST_NOMEM, "configuration: out of memory");
		st = ST_NOMEM;
	}
	if (st == ST_OK) {
		b.folder = folder;
		st = build_config(
		    &b, o->text.ptr != NULL ? o->text : buf_str(&text), name, errors, e);
	}
	mem_free(folder);
	crypto_wipe(text.ptr, text.len);
	buf_free(&text);
	if (st == ST_OK) {
		guardrails_number(b.c);
		return b.c;
	}
	config_free(b.c);
	return NULL;
}

/* ---- where the file is ---- */

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
add_place(char *out, size_t n, const char *place)
{
	size_t at = strlen(out);

	(void)snprintf(out + at, n - at, "%s%s", at > 0 ? ", " : "", place);
}

bool
config_find(const char *given, char *out, size_t n)
{
	const char *named = given != NULL ? given : getenv("LATENZA_CONFIG");
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char user[PATH_BYTES] = "";
	const char *places[] = { "./latenza.yaml", user, "/etc/latenza/latenza.yaml" };

	out[0] = '\0';
	/* What somebody named is the file, there or not: another one must not be used in
	 * its place. */
	if (named != NULL && *named != '\0') {
		(void)snprintf(out, n, "%s", named);
		return true;
	}
	if (xdg != NULL && *xdg == '/')
		(void)snprintf(user, sizeof(user), "%s/latenza/latenza.yaml", xdg);
	else if (home != NULL && *home == '/')
		(void)snprintf(
		    user, sizeof(user), "%s/.config/latenza/latenza.yaml", home);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i][0] != '\0' && is_there(places[i])) {
			(void)snprintf(out, n, "%s", places[i]);
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i][0] != '\0')
			add_place(out, n, places[i]);
	}
	return false;
}
