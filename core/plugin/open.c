/* open.c - one checked file becomes an opened plugin: loaded, entered, and its tables
 * looked through.
 *
 * Nothing is unloaded again: code of a plugin may be on a stack, in a thread-local
 * destructor or in an atexit list of a library it brought (libvirt and Varnish learned it
 * the hard way), so RTLD_NODELETE, and the descriptor stays open too, because glibc knows
 * a loaded object by its path and /proc/self/fd/7 must not come to mean another file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/options.h"
#include "plugin/host.h"

enum {
	COMPONENTS_MAX = 64,
	OPTIONS_MAX = 64,
	INSTANCE_BYTES_MAX = 16 << 20,
	SITE_FILES_MAX = 10000,
	MAJORS_TRIED = 9
};

#define ENTRY "latenza_plugin_v0"
typedef const lz_plugin *entry_fn(const lz_host *host);

/* ---- the tables of each kind ---- */

static const char *
check_provider(const struct component *c)
{
	const lz_provider *p = &c->table.provider;

	if (p->framing > LZ_JSON_ARRAY)
		return "its framing is none that this Latenza knows";
	if (p->routes != NULL && !plugin_text_is_sane(p->routes, PLUGIN_TEXT_BYTES))
		return "its routes are not a plain text";
	if (p->base_url != NULL && !plugin_text_is_sane(p->base_url, PLUGIN_TEXT_BYTES))
		return "its base_url is not a plain text";
	return NULL;
}

static const char *
check_router(const struct component *c)
{
	return c->table.router.pick == NULL ? "it has no pick()" : NULL;
}

static const char *
check_guardrail(const struct component *c)
{
	const lz_guardrail *g = &c->table.guardrail;

	if (g->check == NULL)
		return "it has no check()";
	return (g->phases & (LZ_REQUEST | LZ_RESPONSE)) == 0 ? "it names no phase" : NULL;
}

static const char *
check_sink(const struct component *c)
{
	const lz_sink *s = &c->table.sink;

	if (s->deliver == NULL)
		return "it has no deliver()";
	if (s->max_batch == 0)
		return "its max_batch is 0";
	return s->events != NULL && !plugin_text_is_sane(s->events, PLUGIN_TEXT_BYTES)
		   ? "its events are not a plain text"
		   : NULL;
}

static const char *
check_site(const struct component *c)
{
	const lz_site *s = &c->table.site;

	if (s->files == NULL || s->file_count == 0 || s->file_count > SITE_FILES_MAX ||
	    s->file_size < sizeof(lz_file))
		return "its list of files makes no sense";
	for (uint64_t i = 0; i < s->file_count; i++) {
		const lz_file *f =
		    (const void *)((const char *)s->files + i * s->file_size);

		if (!plugin_text_is_sane(f->path, PLUGIN_TEXT_BYTES) ||
		    f->path[0] == '/' ||
		    !plugin_text_is_sane(f->type, PLUGIN_TEXT_BYTES) ||
		    !plugin_text_is_sane(f->etag, PLUGIN_TEXT_BYTES) ||
		    (f->data == NULL && f->len > 0))
			return "one of its files has no path, type, etag or data";
	}
	return NULL;
}

/* The kinds of component: one row each. has_host: this build calls them. */
static const struct kind {
	const char *id, *name;
	size_t table_size;
	bool has_host;
	const char *(*check)(const struct component *c);
} kinds[] = {
	{ LZ_PROVIDER, "provider", sizeof(lz_provider), true, check_provider },
	{ LZ_ROUTER, "router", sizeof(lz_router), true, check_router },
	{ LZ_GUARDRAIL, "guardrail", sizeof(lz_guardrail), true, check_guardrail },
	{ LZ_SINK, "sink", sizeof(lz_sink), false, check_sink },
	{ LZ_SITE, "site", sizeof(lz_site), false, check_site },
};

static const struct kind *
find_kind(const char *id)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].id, id) == 0)
			return &kinds[i];
	return NULL;
}

/* ---- options ---- */

static size_t
option_size(uint32_t type)
{
	switch (type) {
	case LZ_BOOL_OPTION:
	case LZ_CHOICE_OPTION:
		return sizeof(int32_t);
	case LZ_INT_OPTION:
		return sizeof(int64_t);
	case LZ_REAL_OPTION:
		return sizeof(double);
	case LZ_TEXT_OPTION:
		return sizeof(lz_str);
	case LZ_LIST_OPTION:
		return sizeof(lz_list);
	case LZ_JSON_OPTION:
		return sizeof(const lz_json *);
	default:
		return 0;
	}
}

/* Every value must land inside the instance, where its type may stand. */
static enum status
check_options(const lz_component *c, struct err *e)
{
	if (c->option_count == 0)
		return ST_OK;
	if (c->options == NULL || c->option_count > OPTIONS_MAX ||
	    c->option_size < sizeof(lz_option))
		return err_fail(e, ST_INVALID,
		    "its list of options makes no sense (%u rows of %u bytes)",
		    c->option_count, c->option_size);
	for (uint32_t i = 0; i < c->option_count; i++) {
		const lz_option *o =
		    (const void *)((const char *)c->options + (size_t)i * c->option_size);
		size_t n = option_size(o->type);

		if (!plugin_name_is_sane(o->name) ||
		    !plugin_text_is_sane(o->help, PLUGIN_TEXT_BYTES))
			return err_fail(
			    e, ST_INVALID, "option %u has no name or no help", i);
		if (n == 0)
			return err_fail(e, ST_INVALID,
			    "option '%s' has the unknown type %u", o->name, o->type);
		if (o->offset > c->instance_size || n > c->instance_size - o->offset)
			return err_fail(e, ST_INVALID,
			    "option '%s' lies outside the instance (%zu bytes at %u, the "
			    "instance has %u)",
			    o->name, n, o->offset, c->instance_size);
		if (o->offset % (n > 8 ? 8 : n) != 0)
			return err_fail(e, ST_INVALID,
			    "option '%s' is not aligned (at %u)", o->name, o->offset);
	}
	return options_check_rows(c->options, c->option_count, c->option_size, e);
}

/* ---- components ---- */

static bool
is_taken(const struct plugin *opened, const struct component *c, const char **by)
{
	for (const struct plugin *p = opened; p != NULL; p = p->next)
		for (size_t i = 0; i < p->component_count; i++)
			if (strcmp(p->component[i].info.kind, c->info.kind) == 0 &&
			    strcmp(p->component[i].info.name, c->info.name) == 0) {
				*by = p->name;
				return true;
			}
	return false;
}

static void
describe(struct component *c, const struct kind *k, struct plugin *p)
{
	c->plugin = p;
	c->info = (struct part_info){ .kind = k->name,
		.name = c->self.name,
		.summary = c->self.summary,
		.plugin = p->name,
		.version = p->self != NULL ? p->self->version : NULL,
		.license = p->self != NULL ? p->self->license : NULL,
		.file = p->path,
		.options = c->self.options,
		.option_count = c->self.option_count,
		.option_size = c->self.option_size,
		.base_url =
		    k->check == check_provider ? c->table.provider.base_url : NULL,
		.routes = k->check == check_provider ? c->table.provider.routes : NULL,
		.phases = k->check == check_guardrail ? c->table.guardrail.phases : 0,
		.streams = k->check == check_guardrail && c->table.guardrail.streams != 0,
		.has_host = k->has_host,
		.component = c };
}

static enum status
check_component(const struct open_request *q, struct component *c, const struct kind *k,
    struct plugin *p, struct err *e)
{
	uint32_t table_size;
	const char *why;

	if (!plugin_name_is_sane(c->self.name))
		return err_fail(e, ST_INVALID,
		    "a %s has no proper name; letters, digits and . _ - make one",
		    k->name);
	if (!plugin_text_is_sane(c->self.summary, PLUGIN_TEXT_BYTES))
		return err_fail(e, ST_INVALID, "%s '%s' has no summary in one line",
		    k->name, c->self.name);
	if (c->self.vtable == NULL)
		return err_fail(e, ST_INVALID, "%s '%s' has no table of functions",
		    k->name, c->self.name);
	memcpy(&table_size, c->self.vtable, sizeof(table_size));
	if (table_size < k->table_size)
		return err_fail(e, ST_INVALID,
		    "%s '%s' says that its table has %u bytes; %zu are needed", k->name,
		    c->self.name, table_size, k->table_size);
	memcpy(&c->table, c->self.vtable, k->table_size);
	why = k->check(c);
	if (why != NULL)
		return err_fail(e, ST_INVALID, "%s '%s': %s", k->name, c->self.name, why);
	if (c->self.instance_size > INSTANCE_BYTES_MAX)
		return err_fail(e, ST_LIMIT,
		    "%s '%s' wants instances of %u bytes; %d are the most", k->name,
		    c->self.name, c->self.instance_size, INSTANCE_BYTES_MAX);
	if (check_options(&c->self, e) != ST_OK) {
		err_prefix(e, "%s '%s'", k->name, c->self.name);
		return ST_INVALID;
	}
	describe(c, k, p);
	if (q != NULL && is_taken(q->opened, c, &why))
		return err_fail(e, ST_EXISTS,
		    "%s '%s' is offered by the plugin '%s' already", k->name,
		    c->self.name, why);
	return ST_OK;
}

enum status
open_component(
    const lz_component *given, struct plugin *p, struct component *out, struct err *e)
{
	const struct kind *k = find_kind(given->kind);

	*out = (struct component){ .self = *given };
	if (k == NULL)
		return err_fail(e, ST_INVALID, "'%s' is no kind", given->kind);
	return check_component(NULL, out, k, p, e);
}

static enum status
take_components(const struct open_request *q, struct plugin *p, struct err *e)
{
	const lz_plugin *self = p->self;

	p->component = mem_calloc(self->component_count, sizeof(*p->component));
	if (p->component == NULL)
		return err_fail(e, ST_NOMEM, "out of memory");
	for (uint32_t i = 0; i < self->component_count; i++) {
		struct component *c = &p->component[p->component_count];
		const struct kind *k;
		enum status st;

		*c = (struct component){ 0 };
		memcpy(&c->self,
		    (const char *)self->components + (size_t)i * self->component_size,
		    sizeof(c->self));
		if (c->self.kind == NULL ||
		    !plugin_text_is_sane(c->self.kind, PLUGIN_NAME_BYTES))
			return err_fail(e, ST_INVALID, "component %u names no kind", i);
		k = find_kind(c->self.kind);
		if (k == NULL) {
			if (!q->is_quiet)
				log_warn("plugin.unknown_kind", "plugin=%s kind=\"%s\"",
				    p->name, c->self.kind);
			continue;
		}
		st = check_component(q, c, k, p, e);
		if (st != ST_OK)
			return st;
		for (size_t j = 0; j < p->component_count; j++)
			if (strcmp(p->component[j].info.kind, k->name) == 0 &&
			    strcmp(p->component[j].info.name, c->info.name) == 0)
				return err_fail(e, ST_INVALID, "%s '%s' is there twice",
				    k->name, c->info.name);
		p->component_count++;
	}
	return ST_OK;
}

/* ---- the plugin ---- */

static enum status
check_version(const lz_plugin *self, struct err *e)
{
	if (self->abi_major != LZ_ABI_MAJOR)
		return err_fail(e, ST_INVALID,
		    "was built for ABI %u, this is ABI %d; rebuild it with this "
		    "Latenza's header",
		    self->abi_major, LZ_ABI_MAJOR);
	/* Major 0 is a draft: nothing is promised between its minors. */
	if (self->abi_minor != LZ_ABI_MINOR)
		return err_fail(e, ST_INVALID,
		    "was built with ABI %u.%u, this is ABI %d.%d, and while the ABI is a "
		    "draft both must be the same; rebuild it",
		    self->abi_major, self->abi_minor, LZ_ABI_MAJOR, LZ_ABI_MINOR);
	if (self->needs_minor > LZ_ABI_MINOR)
		return err_fail(e, ST_INVALID,
		    "needs ABI %u.%u, this is ABI %d.%d; use a newer Latenza",
		    self->abi_major, self->needs_minor, LZ_ABI_MAJOR, LZ_ABI_MINOR);
	return ST_OK;
}

static enum status
check_plugin(const lz_plugin *self, struct err *e)
{
	enum status st;

	if (self == NULL)
		return err_fail(e, ST_INVALID,
		    "its entry refused to start (" ENTRY " returned NULL)");
	if (self->magic != LZ_MAGIC)
		return err_fail(e, ST_INVALID,
		    "begins with the magic 0x%08x, wanted 0x%08x; end the file with "
		    "LZ_PLUGIN()",
		    self->magic, LZ_MAGIC);
	st = check_version(self, e);
	if (st != ST_OK)
		return st;
	if (self->size < sizeof(lz_plugin) || self->component_size < sizeof(lz_component))
		return err_fail(e, ST_INVALID,
		    "says that lz_plugin has %u and lz_component %u bytes; %zu and %zu "
		    "are needed",
		    self->size, self->component_size, sizeof(lz_plugin),
		    sizeof(lz_component));
	if (!plugin_name_is_sane(self->name) ||
	    !plugin_text_is_sane(self->version, PLUGIN_NAME_BYTES) ||
	    !plugin_text_is_sane(self->license, PLUGIN_NAME_BYTES))
		return err_fail(e, ST_INVALID, "has no proper name, version or licence");
	if (self->components == NULL || self->component_count == 0 ||
	    self->component_count > COMPONENTS_MAX)
		return err_fail(e, ST_INVALID,
		    "offers %u components; 1 to %d are allowed", self->component_count,
		    COMPONENTS_MAX);
	return ST_OK;
}

/* dlerror() begins with the path it was given, which says nothing to a person. */
static enum status
loader_said(struct err *e)
{
	const char *text = dlerror(), *symbol;

	if (text == NULL)
		text = "the loader says nothing";
	symbol = strstr(text, "undefined symbol: ");
	if (symbol != NULL)
		return err_fail(e, ST_INVALID,
		    "needs the symbol '%s', which nothing here has; link what has it "
		    "into the plugin",
		    symbol + strlen("undefined symbol: "));
	if (strncmp(text, "/proc/self/fd/", 14) == 0 && strstr(text, ": ") != NULL)
		text = strstr(text, ": ") + 2;
	return err_fail(e, ST_INVALID, "cannot be loaded: %s", text);
}

static enum status
find_entry(struct plugin *p, entry_fn **entry, struct err *e)
{
	char name[32];

	*(void **)(void *)entry = dlsym(p->handle, ENTRY);
	if (*entry != NULL)
		return ST_OK;
	for (int major = 1; major <= MAJORS_TRIED; major++) {
		(void)snprintf(name, sizeof(name), "latenza_plugin_v%d", major);
		if (dlsym(p->handle, name) != NULL)
			return err_fail(e, ST_INVALID,
			    "was built for ABI %d, this is ABI %d; use a newer Latenza",
			    major, LZ_ABI_MAJOR);
	}
	return err_fail(e, ST_INVALID,
	    "has no function " ENTRY
	    "; is it a plugin of Latenza, and does it end with LZ_PLUGIN()?");
}

static enum status
load(const struct open_request *q, struct plugin *p, struct err *e)
{
	char path[64];
	entry_fn *entry;
	const struct plugin *before;
	enum status st;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p->fd);
	if (p->handle == NULL)
		p->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (p->handle == NULL)
		return loader_said(e);
	st = find_entry(p, &entry, e);
	if (st != ST_OK)
		return st;
	host_fill(&p->host, p);
	before = host_enter(p);
	p->self = entry(&p->host);
	host_leave(before);
	st = check_plugin(p->self, e);
	if (st != ST_OK)
		return st;
	(void)snprintf(p->name, sizeof(p->name), "%s", p->self->name);
	for (const struct plugin *o = q->opened; o != NULL; o = o->next)
		if (strcmp(o->name, p->name) == 0)
			return err_fail(e, ST_EXISTS,
			    "its name '%s' is taken by %s, which is open; restart to "
			    "change one for the other",
			    p->name, o->path);
	return take_components(q, p, e);
}

/* Files that were mapped and then refused. They cannot be unmapped, and the loader would
 * give the old mapping for a new descriptor, so a second try goes on with the first
 * one's. [main] */
static struct plugin *refused;

static bool
is_same_file(const struct plugin *a, const struct plugin *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static void
forget(struct plugin *p)
{
	(void)io.close(p->fd);
	mem_free(p->path);
	mem_free(p);
}

static void
give_up(struct plugin *p)
{
	mem_free(p->component);
	p->component = NULL;
	p->component_count = 0;
	if (p->handle == NULL) {
		forget(p);
		return;
	}
	p->next = refused;
	refused = p;
}

/* Is the file loaded in an older state? Then what is on disk cannot be had in this
 * process. */
static enum status
find_mapped(const struct open_request *q, struct plugin **p, struct err *e)
{
	for (const struct plugin *o = q->opened; o != NULL; o = o->next)
		if (is_same_file(o, *p))
			return err_fail(e, ST_EXISTS, "is open already, as %s", o->path);
	for (struct plugin **link = &refused, *o; (o = *link) != NULL; link = &o->next) {
		if (!is_same_file(o, *p))
			continue;
		if (o->changed_ns != (*p)->changed_ns)
			return err_fail(e, ST_EXISTS,
			    "was changed in place after it was loaded; restart, or give "
			    "the new one a new file");
		forget(*p);
		*link = o->next;
		*p = o;
		return ST_OK;
	}
	return ST_OK;
}

static struct plugin *
plugin_new(const char *path, int fd)
{
	struct plugin *p = mem_zalloc(sizeof(*p));
	struct stat st;

	if (p == NULL)
		return NULL;
	p->fd = fd;
	p->path = mem_strdup(path);
	if (p->path == NULL || fstat(fd, &st) != 0) {
		mem_free(p->path);
		mem_free(p);
		return NULL;
	}
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	p->changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	return p;
}

enum status
open_plugin(const struct open_request *q, struct plugin **out, struct err *e)
{
	struct plugin *p;
	enum status st;
	int fd;

	st = file_check(q, &fd, e);
	if (st != ST_OK)
		return st;
	if (q->is_probed) {
		st = probe_plugin(q, e);
		if (st != ST_OK) {
			(void)io.close(fd);
			return st;
		}
	}
	p = plugin_new(q->path, fd);
	if (p == NULL) {
		(void)io.close(fd);
		return err_fail(e, ST_NOMEM, "%s: out of memory", q->path);
	}
	st = find_mapped(q, &p, e);
	if (st == ST_OK)
		st = load(q, p, e);
	if (st != ST_OK) {
		err_prefix(e, "%s", q->path);
		give_up(p);
		return st;
	}
	*out = p;
	return ST_OK;
}
