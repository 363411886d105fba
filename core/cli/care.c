/* care.c - reload, db, version: the short ones.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "store/db.h"

static void
print_changes(const json_t *result, const char *none)
{
	const json_t *line, *changes = json_object_get(result, "changes");
	size_t i;

	if (json_array_size(changes) == 0)
		printf("%s\n", none);
	json_array_foreach(changes, i, line) printf("%s\n", json_string_value(line));
}

int
reload_run(struct cli *c)
{
	json_t *result = NULL;
	struct err e = { "" };
	enum status st = backend_ask(c, "reload", json_object(), &result, &e);
	int code = CLI_DONE;

	if (st == ST_GONE)
		code = backend_fail(&e, CLI_FAILED);
	else if (st != ST_OK)
		code = backend_fail(&e, CLI_CONFIG);
	else if (c->wants_json)
		out_json(result);
	else
		print_changes(result, "Reloaded; nothing changed.");
	json_decref(result);
	return code;
}

/* The gateway may stand in another directory. */
static bool
absolute(const char *path, char *out, size_t n)
{
	char here[2048] = "";

	if (*path != '/' && getcwd(here, sizeof(here)) == NULL)
		return false;
	return (size_t)snprintf(out, n, "%s%s%s", here, *here == '\0' ? "" : "/", path) <
	       n;
}

int
db_backup_run(struct cli *c)
{
	json_t *args = json_object(), *result = NULL;
	char to[4096];
	int code;

	if (!absolute(c->operand[0], to, sizeof(to))) {
		json_decref(args);
		out_error("%s: the path is too long", c->operand[0]);
		return CLI_FAILED;
	}
	json_object_set_new(args, "to", json_string(to));
	code = backend_run(c, "db.backup", args, &result);
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		printf("%s and %s.keyring hold everything; who has both has every key's "
		       "hash and "
		       "its pepper.\n",
		    c->operand[0], c->operand[0]);
	json_decref(result);
	return code;
}

static void
print_check(const json_t *r)
{
	if (json_is_true(json_object_get(r, "sound")))
		printf("%ssound%s: ", out_on(OUT_GREEN), out_on(OUT_PLAIN));
	else
		printf("%sdamaged%s: %s\n", out_on(OUT_RED), out_on(OUT_PLAIN),
		    out_text(r, "first_problem"));
	printf("%lld keys, %lld traces, %lld charges, %lld reservations open, %lld sums "
	       "that differ\n",
	    (long long)json_get_int(r, "keys", 0),
	    (long long)json_get_int(r, "traces", 0),
	    (long long)json_get_int(r, "charges", 0),
	    (long long)json_get_int(r, "open_reservations", 0),
	    (long long)json_get_int(r, "spend_differs", 0));
}

int
db_check_run(struct cli *c)
{
	json_t *result = NULL;
	int code = backend_run(c, "db.check", json_object(), &result);

	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		print_check(result);
	if (code == CLI_DONE && !json_is_true(json_object_get(result, "sound")))
		code = CLI_FAILED;
	json_decref(result);
	return code;
}

int
version_run(struct cli *c)
{
	json_t *v = json_object();

	json_object_set_new(v, "version", json_string(LATENZA_VERSION));
	json_object_set_new(
	    v, "plugin_abi", json_sprintf("%d.%d", LZ_ABI_MAJOR, LZ_ABI_MINOR));
	json_object_set_new(v, "database_schema", json_integer(db_schema_version()));
	json_object_set_new(v, "plugin_dir", json_string(LATENZA_PLUGIN_DIR));
	if (c->wants_json)
		out_json(v);
	else
		printf("latenza %s (plugin ABI %s, database schema %d)\n",
		    LATENZA_VERSION, json_string_value(json_object_get(v, "plugin_abi")),
		    db_schema_version());
	json_decref(v);
	return CLI_DONE;
}
