/* policy.c - `latenza policy check` and `test`: scripts as files, before a gateway has
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/policy.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "cli/out.h"
#include "config/options.h"
#include "plugin/host.h"

enum {
	DEPTH = 8, /* of folders in folders */
	FILES = 2000,
	LINE_BYTES = 2000
};

const lz_host *
policy_host(void)
{
	static lz_host host;

	if (host.size == 0)
		host_fill(&host, NULL);
	return &host;
}

bool
policy_is_router(const struct script *s)
{
	return strcmp(script_component(s)->kind, LZ_ROUTER) == 0;
}

/* ---- the files that are meant ---- */

static void
add_file(json_t *files, const char *path)
{
	json_t *one;
	size_t i;

	json_array_foreach(
	    files, i, one) if (strcmp(json_string_value(one), path) == 0) return;
	(void)json_array_append_new(files, json_string(path));
}

static int
is_shown(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Tests below a folder ("": this one), in the order of their names. */
static enum status
add_folder(json_t *files, const char *folder, unsigned depth, struct err *e)
{
	enum status st = ST_OK;
	struct dirent **list;
	int n = scandir(*folder != '\0' ? folder : ".", &list, is_shown, alphasort);

	if (n < 0)
		return err_fail(e, ST_IO, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < n; i++) {
		char path[POLICY_PATH_BYTES];
		struct stat is;

		if (snprintf(path, sizeof(path), "%s%s%s", folder,
			*folder != '\0' ? "/" : "",
			list[i]->d_name) >= (int)sizeof(path) ||
		    lstat(path, &is) != 0 || st != ST_OK)
			is.st_mode = 0;
		free(list[i]);
		if (S_ISDIR(is.st_mode) && depth < DEPTH)
			st = add_folder(files, path, depth + 1, e);
		else if (S_ISREG(is.st_mode) && str_ends(lz_strz(path), "_test.lua"))
			add_file(files, path);
		if (st == ST_OK && json_array_size(files) > FILES)
			st = err_fail(
			    e, ST_LIMIT, "%s: more than %d tests", folder, FILES);
	}
	free(list);
	return st;
}

/* DIR, NAME_test.lua, or NAME.lua, of which the test beside it is meant. */
static enum status
add_operand(json_t *files, const char *what, struct err *e)
{
	char path[POLICY_PATH_BYTES];
	struct stat is;

	if (stat(what, &is) != 0)
		return err_fail(e, ST_IO, "%s: %s", what, strerror(errno));
	if (S_ISDIR(is.st_mode))
		return add_folder(files, what, 0, e);
	if (script_test_path(what, path, sizeof(path))) {
		if (stat(path, &is) != 0)
			return err_fail(e, ST_NOT_FOUND,
			    "%s: there is no test beside it; it would be %s", what, path);
		add_file(files, path);
		return ST_OK;
	}
	if (!str_ends(lz_strz(what), "_test.lua"))
		return err_fail(e, ST_INVALID,
		    "%s: is no folder, no NAME.lua and no NAME_test.lua", what);
	add_file(files, what);
	return ST_OK;
}

/* ---- test ---- */

struct testing {
	const struct cli *c;
	const char *path;
	json_t *cases;
	unsigned passed, failed;
};

static void
print_case(const struct testing *t, const char *name, const char *why)
{
	char safe[LINE_BYTES], safe_why[LINE_BYTES];

	printf("%s%s%s %s: %s\n", out_on(why == NULL ? OUT_GREEN : OUT_RED),
	    why == NULL ? "ok  " : "FAIL", out_on(OUT_PLAIN), t->path,
	    out_safe(name, LINE_BYTES / 4, safe, sizeof(safe)));
	if (why != NULL)
		printf("     %s\n",
		    out_safe(why, LINE_BYTES / 4, safe_why, sizeof(safe_why)));
}

static void
say(void *arg, const char *name, const char *why)
{
	struct testing *t = arg;
	json_t *one = json_object();

	if (why == NULL)
		t->passed++;
	else
		t->failed++;
	if (!t->c->wants_json)
		print_case(t, name, why);
	json_object_set_new(one, "file", json_string(t->path));
	json_object_set_new(one, "name", json_string(name));
	json_object_set_new(one, "ok", json_boolean(why == NULL));
	if (why != NULL)
		json_object_set_new(one, "why", json_string(why));
	json_array_append_new(t->cases, one);
}

static void
run_file(struct testing *t, const char *path)
{
	char script[POLICY_PATH_BYTES];
	struct policy_opening opening = { .wrong = NULL };
	struct err e = { "" };
	struct script *s;
	unsigned failed;
	enum status st = ST_INVALID;

	t->path = path;
	(void)snprintf(script, sizeof(script), "%.*s.lua",
	    (int)(strlen(path) - strlen("_test.lua")), path);
	s = policy_open(t->c, script, &opening, &e);
	if (s != NULL)
		st = script_test_open(
		    path, input_file, &s, 1, policy_host(), say, t, &failed, &e);
	if (st != ST_OK)
		say(t, s != NULL ? "runs" : "its script loads", e.text);
	script_unref(s);
}

int
policy_test_run(struct cli *c)
{
	struct testing t = { .c = c, .cases = json_array() };
	json_t *files = json_array(), *result, *one;
	enum status st = ST_OK;
	struct err e = { "" };
	size_t i;

	for (unsigned n = 0; n < c->operand_count && st == ST_OK; n++)
		st = add_operand(files, c->operand[n], &e);
	if (c->operand_count == 0)
		st = add_folder(files, "", 0, &e);
	if (st == ST_OK && json_array_size(files) == 0)
		st = err_fail(&e, ST_NOT_FOUND,
		    "there is no NAME_test.lua in %s; `latenza policy new` writes one",
		    c->operand_count > 0 ? c->operand[0] : "this folder");
	if (st == ST_OK)
		json_array_foreach(files, i, one) run_file(&t, json_string_value(one));
	json_decref(files);
	if (st != ST_OK) {
		out_error("%s", e.text);
	} else if (c->wants_json) {
		result = json_pack("{s:O, s:i, s:i}", "cases", t.cases, "passed",
		    (int)t.passed, "failed", (int)t.failed);
		out_json(result);
		json_decref(result);
	} else {
		printf("%u of %u cases passed\n", t.passed, t.passed + t.failed);
	}
	json_decref(t.cases);
	return st == ST_OK && t.failed == 0 ? CLI_DONE : CLI_FAILED;
}

/* ---- check ---- */

struct check {
	const struct cli *c;
	json_t *lines;
	const char *path; /* of the file at hand */
	unsigned failed, warned;
};

static void
tell_line(struct check *k, const char *is, const char *path, const char *what)
{
	enum out_style style = *is == 'o' ? OUT_GREEN : *is == 'w' ? OUT_YELLOW : OUT_RED;
	json_t *one = json_object();

	k->failed += *is == 'F';
	k->warned += *is == 'w';
	if (!k->c->wants_json)
		printf(
		    "%s%s%s %s: %s\n", out_on(style), is, out_on(OUT_PLAIN), path, what);
	json_object_set_new(one, "file", json_string(path));
	json_object_set_new(one, "ok", json_boolean(*is != 'F'));
	json_object_set_new(one, "warning", json_boolean(*is == 'w'));
	json_object_set_new(one, "what", json_string(what));
	json_array_append_new(k->lines, one);
}

static void
check_options(struct check *k, const char *path, const lz_component *part)
{
	char line[300];

	for (uint32_t i = 0; i < part->option_count; i++) {
		const lz_option *o = options_row(part->options, part->option_size, i);

		if (strcmp(o->help, SCRIPT_NO_HELP) != 0)
			continue;
		(void)snprintf(line, sizeof(line),
		    "option '%.60s' has no help; write help = \"what it does\"", o->name);
		tell_line(k, "warn", path, line);
	}
}

/* Tests, and declarations for editors: `policy check *.lua` names them too. */
static bool
is_beside(const char *path)
{
	return str_ends(lz_strz(path), "_test.lua") || str_ends(lz_strz(path), ".d.lua");
}

static void
hear_wrong(void *arg, const char *sentence)
{
	struct check *k = arg;

	tell_line(k, "FAIL", k->path, sentence);
}

static void
check_file(struct check *k, const char *path)
{
	struct policy_opening opening = { .wrong = hear_wrong, .wrong_arg = k };
	unsigned failed = k->failed;
	char test[POLICY_PATH_BYTES], line[300];
	const lz_component *part;
	struct err e = { "" };
	struct script *s = NULL;
	struct stat is;

	if (is_beside(path)) {
		tell_line(k, "ok  ", path, "no policy: `latenza policy test` runs tests");
		return;
	}
	k->path = path;
	s = policy_open(k->c, path, &opening, &e);
	if (s == NULL && k->failed == failed)
		tell_line(k, "FAIL", path, e.text);
	if (s == NULL)
		return;
	part = script_component(s);
	check_options(k, path, part);
	if (!script_test_path(path, test, sizeof(test)))
		tell_line(k, "warn", path, "its name does not end in .lua");
	else if (stat(test, &is) != 0)
		tell_line(k, "warn", path,
		    "there is no test beside it; `latenza policy new` shows what one "
		    "looks like");
	(void)snprintf(line, sizeof(line), "%s '%.60s', %u options; use: lua:%.60s",
	    policy_is_router(s) ? "router" : "guardrail", part->name, part->option_count,
	    part->name);
	tell_line(k, "ok  ", path, line);
	script_unref(s);
}

int
policy_check_run(struct cli *c)
{
	struct check k = { .c = c, .lines = json_array() };

	for (unsigned i = 0; i < c->operand_count; i++)
		check_file(&k, c->operand[i]);
	if (c->wants_json)
		out_json(k.lines);
	json_decref(k.lines);
	return k.failed > 0 ? CLI_FAILED : k.warned > 0 ? CLI_WARNED : CLI_DONE;
}
