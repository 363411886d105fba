/* policy_new.c - `latenza policy new`: a script that works, and its test; `policy init`:
 * a folder for scripts, in which editors and luacheck know the API.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/policy.h"
#include "cli/project.h"

enum {
	NAME_BYTES = 40
};

/* What is written: a template, and its name in the folder, where @NAME@ is the script's.
 */
struct item {
	const char *template, *file;
};
static const struct item guardrail[] = {
	{ "policy_guardrail.lua", "@NAME@.lua" },
	{ "policy_guardrail_test.lua", "@NAME@_test.lua" },
};
static const struct item router[] = {
	{ "policy_router.lua", "@NAME@.lua" },
	{ "policy_router_test.lua", "@NAME@_test.lua" },
};
static const struct item surroundings[] = {
	{ "luarc.json.in", ".luarc.json" },
	{ "latenza.d.lua", "latenza.d.lua" },
	{ "luacheckrc", ".luacheckrc" },
	{ "policy_guardrail.lua", "@NAME@.lua" },
	{ "policy_guardrail_test.lua", "@NAME@_test.lua" },
};
#define COUNT(list) (sizeof(list) / sizeof(list[0]))

static bool
is_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= NAME_BYTES && s[0] >= 'a' && s[0] <= 'z' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n &&
	       !str_ends(lz_strz(s), "_test");
}

static enum status
write_item(struct project_files *files, const char *folder, const char *name,
    const struct item *item, struct err *e)
{
	const struct project_change change = { "@NAME@", "", name, "" };
	struct buf path, text;
	enum status st;

	buf_init(&path, PROJECT_PATH_BYTES);
	buf_init(&text, PROJECT_FILE_BYTES);
	buf_addf(&path, "%s/", folder);
	project_add(&path, item->file, &change, 1);
	buf_add_char(&path, '\0');
	project_add(&text, project_template(item->template), &change, 1);
	st = path.failed ? err_fail(e, ST_LIMIT, "%.60s...: is too long", folder)
			 : project_write(files, path.ptr, &text, e);
	buf_free(&path);
	buf_free(&text);
	return st;
}

static void
print_made(const struct cli *c, const struct project_files *files, const char *folder)
{
	json_t *j, *list;

	if (!c->wants_json) {
		for (unsigned i = 0; i < files->count; i++)
			printf("%s\n", files->path[i]);
		printf("Next: latenza policy test %s\n", folder);
		return;
	}
	list = json_array();
	for (unsigned i = 0; i < files->count; i++)
		(void)json_array_append_new(list, json_string(files->path[i]));
	j = json_pack("{s:o}", "files", list);
	out_json(j);
	json_decref(j);
}

/* All of the items, in a folder that is made if it is not there; or none. */
static int
write_items(const struct cli *c, const char *folder, const char *name,
    const struct item *items, size_t count)
{
	struct project_files files = { .count = 0 };
	bool is_new = mkdir(folder, 0777) == 0;
	enum status st = ST_OK;
	struct err e = { "" };

	if (!is_new && errno != EEXIST)
		st = err_fail(&e, ST_IO, "%s: %s", folder, strerror(errno));
	for (size_t i = 0; i < count && st == ST_OK; i++)
		st = write_item(&files, folder, name, &items[i], &e);
	if (st == ST_OK) {
		print_made(c, &files, folder);
		return CLI_DONE;
	}
	project_take_back(&files);
	if (is_new)
		(void)rmdir(folder);
	return backend_fail(&e, CLI_FAILED);
}

int
policy_new_run(struct cli *c)
{
	const char *name = c->operand[0], *kind = cli_text(c, "kind");
	const char *folder = c->operand_count > 1 ? c->operand[1] : ".";

	if (!is_name(name)) {
		out_error(
		    "\"%.60s\" is no name for a policy; 1 to %d of a-z, 0-9 and `_`, "
		    "a letter first, and no _test at its end",
		    name, NAME_BYTES);
		return CLI_USAGE;
	}
	if (kind != NULL && strcmp(kind, "guardrail") == 0)
		return write_items(c, folder, name, guardrail, COUNT(guardrail));
	if (kind != NULL && strcmp(kind, "router") == 0)
		return write_items(c, folder, name, router, COUNT(router));
	out_error("--kind: %s%.40s%s guardrail or router", kind != NULL ? "\"" : "",
	    kind != NULL ? kind : "is missing;", kind != NULL ? "\" is not" : "");
	return CLI_USAGE;
}

int
policy_init_run(struct cli *c)
{
	return write_items(c, c->operand_count > 0 ? c->operand[0] : ".", "example",
	    surroundings, COUNT(surroundings));
}
