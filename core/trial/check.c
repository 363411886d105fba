/* check.c - `latenza plugin check`: the file, what it exports and needs, its options, its
 * instances. What happens when it is called is check_calls.c's.
 *
 * All of it runs in a child process, under the gateway's own host first, as it would be
 * opened in earnest, then under the fake one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "trial/check.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/options.h"
#include "plugin/object.h"
#include "plugin/registry.h"

enum {
	CHECK_MS = 60000,
	INSTANCES = 1000,
	WARM_UP = 50,
	GROWS_BYTES = 8, /* an instance: less is the allocator's own */
	NAMES_BYTES = 400,
	OPTIONS_BYTES = 1 << 20
};

/* ---- what the file exports and needs ---- */

struct names {
	unsigned count, ours;
	char text[NAMES_BYTES];
};

static void
add_name(struct names *n, const char *name)
{
	size_t len = strlen(n->text);

	n->count++;
	(void)snprintf(
	    n->text + len, sizeof(n->text) - len, "%s%s", len > 0 ? ", " : "", name);
}

static void
note_export(void *arg, const char *name)
{
	if (strcmp(name, "latenza_plugin_v0") != 0)
		add_name(arg, name);
}

static void
check_exports(const struct talk *t, const struct plugin *p)
{
	struct names extra = { 0 };

	object_each_export(p->handle, note_export, &extra);
	if (extra.count == 0)
		child_tell(t, CHILD_PASSED, "symbols: exports latenza_plugin_v0 alone");
	else
		child_tell(t, CHILD_WARNED,
		    "symbols: exports %u more than latenza_plugin_v0: %s; compile with "
		    "-fvisibility=hidden, or make them static",
		    extra.count, extra.text);
}

/* Libraries that the gateway brings along: a plugin shares its copy, whatever version it
 * was built against. */
static const char *const ours[] = { "libjansson.", "libcurl.", "libevent", "libsqlite3.",
	"libyaml", "liblua", "libutf8proc.", "liblatenza" };

static void
note_needed(void *arg, const char *name)
{
	struct names *n = arg;

	add_name(n, name);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		n->ours += str_starts(lz_strz(name), ours[i]);
}

static void
check_needed(const struct talk *t, const struct plugin *p)
{
	struct names n = { 0 };

	object_each_needed(p->handle, note_needed, &n);
	if (n.count == 0)
		child_tell(t, CHILD_PASSED, "libraries: needs none");
	else if (n.ours == 0)
		child_tell(t, CHILD_PASSED, "libraries: needs %s", n.text);
	else
		child_tell(t, CHILD_WARNED,
		    "libraries: needs %s; it shares the gateway's own copy of some of "
		    "them, in the gateway's version: use lz->json_* and lz->http() "
		    "instead",
		    n.text);
}

/* ---- options ---- */

static const lz_option *
row(const struct part_info *info, uint32_t i)
{
	return options_row(info->options, info->option_size, i);
}

static bool
is_rule(const lz_option *o, const char *rule)
{
	return o->rule != NULL && strcmp(o->rule, rule) == 0;
}

/* A value that satisfies the row; owned. */
static json_t *
legal(const lz_option *o)
{
	const char *rule = o->rule != NULL ? o->rule : "";
	json_t *list;

	switch (o->type) {
	case LZ_BOOL_OPTION:
		return json_true();
	case LZ_INT_OPTION:
		return json_integer((json_int_t)(o->min < o->max ? o->min : 1));
	case LZ_REAL_OPTION:
		return json_real(o->min < o->max ? o->min : 1);
	case LZ_CHOICE_OPTION:
		return json_stringn(rule, strcspn(rule, "|"));
	case LZ_LIST_OPTION:
		list = json_array();
		for (double n = o->min < o->max ? o->min : 0; n > 0; n--)
			(void)json_array_append_new(list,
			    *rule == '\0' || is_rule(o, "secret") ? json_string("sample")
			    : is_rule(o, "url") ? json_string("http://127.0.0.1:9/")
						: json_stringn(rule, strcspn(rule, "|")));
		return list;
	case LZ_JSON_OPTION:
		return json_object();
	default:
		return json_string(is_rule(o, "url") ? "http://127.0.0.1:9/" : "sample");
	}
}

json_t *
check_samples(const struct part_info *info)
{
	json_t *j = json_object();

	for (uint32_t i = 0; i < info->option_count; i++)
		if (row(info, i)->otherwise == NULL)
			(void)json_object_set_new(
			    j, row(info, i)->name, legal(row(info, i)));
	return j;
}

/* A value of the right type that the row may not take; NULL: every one may be taken.
 * owned */
static json_t *
out_of_range(const lz_option *o)
{
	switch (o->type) {
	case LZ_INT_OPTION:
		return o->min < o->max ? json_integer((json_int_t)o->max + 1) : NULL;
	case LZ_REAL_OPTION:
		return o->min < o->max ? json_real(o->max + 1) : NULL;
	case LZ_CHOICE_OPTION:
		return json_string("no such choice");
	case LZ_TEXT_OPTION:
		return is_rule(o, "url") ? json_string("no url") : NULL;
	default:
		return NULL;
	}
}

/* NULL: every type may be taken. owned */
static json_t *
wrong_type(const lz_option *o)
{
	if (o->type == LZ_JSON_OPTION)
		return NULL; /* its schema is the plugin's own business */
	return o->type == LZ_BOOL_OPTION ? json_string("perhaps") : json_object();
}

/* Is the component made with this value? value: taken. */
static bool
takes(const struct part_info *info, const char *name, json_t *value, struct err *e)
{
	json_t *j = check_samples(info);
	struct options_context context = { .where = info->name,
		.memory = arena_new(OPTIONS_BYTES),
		.keep = json_array() };
	enum status st = ST_NOMEM;

	(void)json_object_set_new(j, name, value);
	if (context.memory != NULL)
		st = options_check(
		    info->options, info->option_count, info->option_size, j, &context, e);
	arena_free(context.memory);
	json_decref(context.keep);
	json_decref(j);
	return st == ST_OK;
}

/* The number of rows that were given something wrong; each must have refused it. */
static bool
refuses(const struct talk *t, const struct part_info *info, const lz_option *o,
    json_t *value, const char *what)
{
	struct err e;

	if (value == NULL || !takes(info, o->name, value, &e))
		return true;
	child_tell(t, CHILD_FAILED, "%s '%s': option %s takes a value %s", info->kind,
	    info->name, o->name, what);
	return false;
}

static bool
check_row(const struct talk *t, const struct part_info *info, const lz_option *o)
{
	struct err e;

	if (o->type != LZ_JSON_OPTION && !takes(info, o->name, legal(o), &e)) {
		child_tell(t, CHILD_FAILED,
		    "%s '%s': option %s refuses a value that its row allows: %s",
		    info->kind, info->name, o->name, e.text);
		return false;
	}
	return refuses(t, info, o, wrong_type(o), "of a wrong type") &&
	       refuses(t, info, o, out_of_range(o), "out of range");
}

static void
check_options(const struct talk *t, const struct part_info *info)
{
	struct err e;
	bool is_good = true;

	child_tell(
	    t, CHILD_DOES, "the options of %s '%s' were parsed", info->kind, info->name);
	for (uint32_t i = 0; i < info->option_count; i++)
		is_good = check_row(t, info, row(info, i)) && is_good;
	if (takes(info, "no-such-option", json_true(), &e)) {
		child_tell(t, CHILD_FAILED, "%s '%s': takes an option that it has not",
		    info->kind, info->name);
		is_good = false;
	}
	if (is_good)
		child_tell(t, CHILD_PASSED,
		    "%s '%s': nonsense in its %u options is refused: wrong types, values "
		    "out of range, unknown names",
		    info->kind, info->name, info->option_count);
}

/* Each row's legal value goes through init(), which may well refuse it, but must come
 * back. */
static void
check_legal_values(const struct talk *t, const struct part_info *info)
{
	for (uint32_t i = 0; i < info->option_count; i++) {
		json_t *j = check_samples(info);
		struct part *p;
		struct err e;

		(void)json_object_set_new(j, row(info, i)->name, legal(row(info, i)));
		child_tell(t, CHILD_DOES,
		    "an instance of %s '%s' was made with a legal value for %s",
		    info->kind, info->name, row(info, i)->name);
		p = part_make(info, info->name, j, info->name, &e);
		json_decref(j);
		if (p != NULL)
			part_destroy(p);
	}
}

/* ---- instances ---- */

static unsigned
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static size_t
used_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static bool
make_and_destroy(
    const struct part_info *info, const json_t *options, int times, struct err *e)
{
	for (int i = 0; i < times; i++) {
		struct part *p = part_make(info, info->name, options, info->name, e);

		if (p == NULL)
			return false;
		part_destroy(p);
	}
	return true;
}

static void
tell_growth(const struct talk *t, const struct part_info *info, size_t before,
    size_t after, unsigned files)
{
	size_t bytes = after > before ? (after - before) / INSTANCES : 0;

	if (bytes >= GROWS_BYTES)
		child_tell(t, CHILD_WARNED,
		    "%s '%s': memory grows by %zu bytes an instance: fini() gives back "
		    "less than init() took",
		    info->kind, info->name, bytes);
	else if (files > INSTANCES / 2)
		child_tell(t, CHILD_WARNED,
		    "%s '%s': %u files stay open after %d instances: fini() closes less "
		    "than init() opened",
		    info->kind, info->name, files, INSTANCES);
	else
		child_tell(t, CHILD_PASSED, "%s '%s': %d instances made and destroyed",
		    info->kind, info->name, INSTANCES);
}

/* false: there is no instance to be called. */
static bool
check_instances(const struct talk *t, const struct part_info *info)
{
	json_t *j = check_samples(info);
	bool is_made_up = json_object_size(j) > 0, is_made;
	size_t before;
	unsigned files;
	struct err e;

	child_tell(t, CHILD_DOES, "an instance of %s '%s' was made and destroyed",
	    info->kind, info->name);
	is_made = make_and_destroy(info, j, WARM_UP, &e);
	before = used_bytes();
	files = open_files();
	is_made = is_made && make_and_destroy(info, j, INSTANCES, &e);
	if (is_made)
		tell_growth(t, info, before, used_bytes(), open_files() - files);
	else
		/* init() may well refuse made-up values; its defaults it must take. */
		child_tell(t, is_made_up ? CHILD_PASSED : CHILD_FAILED,
		    "%s '%s': does not start with %s: %s", info->kind, info->name,
		    is_made_up ? "made-up values for what is required"
			       : "its own defaults",
		    e.text);
	json_decref(j);
	return is_made;
}

/* ---- all of it ---- */

static void
check_component(
    const struct talk *t, const struct plugin *p, const struct part_info *info)
{
	bool is_made;

	if (!info->has_host)
		child_tell(t, CHILD_PASSED,
		    "%s '%s': note: this Latenza has no host for the kind yet",
		    info->kind, info->name);
	check_options(t, info);
	check_legal_values(t, info);
	is_made = check_instances(t, info);
	if (is_made)
		check_calls(t, p->path, info);
}

static void
check_work(const struct talk *t, const void *asked)
{
	struct open_request q = *(const struct open_request *)asked;
	bool was_strict = q.is_strict, is_strictly_fine;
	struct err e, note = { "" };
	struct plugin *p;
	int fd;

	q.is_quiet = true;
	q.is_strict = true;
	is_strictly_fine = file_check(&q, &fd, &note) == ST_OK;
	if (is_strictly_fine)
		child_tell(t, CHILD_PASSED,
		    "file: a whole shared object that only root and the user that runs "
		    "latenza may write");
	q.is_strict = was_strict;
	child_tell(t, CHILD_DOES, "it was loaded");
	if (open_plugin(&q, &p, &e) != ST_OK) {
		child_tell(t, CHILD_FAILED, "%s", e.text);
		return;
	}
	if (!is_strictly_fine) /* it does not matter here */
		child_tell(t, CHILD_PASSED, "file: note: %s", note.text);
	child_tell(t, CHILD_PASSED,
	    "entry: %s %s (%s), ABI %u.%u, %zu of %u components known here", p->name,
	    p->self->version, p->self->license, p->self->abi_major, p->self->abi_minor,
	    p->component_count, p->self->component_count);
	check_exports(t, p);
	check_needed(t, p);
	for (size_t i = 0; i < p->component_count; i++)
		check_component(t, p, &p->component[i].info);
}

int
trial_check(const char *path, child_say_fn *say, void *arg)
{
	struct open_request q = { 0 };
	char absolute[4096];
	struct err e;
	int failures;

	if (registry_path(lz_strz(path), absolute, sizeof(absolute), &e) != ST_OK) {
		say(arg, CHILD_FAILED, e.text);
		return 1;
	}
	q.path = absolute;
	failures = child_run(check_work, &q, CHECK_MS, say, arg);
	if (failures < 0) {
		say(arg, CHILD_FAILED, "no child process to try it in");
		return 1;
	}
	return failures;
}
