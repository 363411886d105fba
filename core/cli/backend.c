/* backend.c - a command's way to its data.
 *
 * The gateway is asked first. Only when none serves the directory does this process take
 * the directory's lock, so there is never more than one writer, and no moment between
 * "nobody serves it" and "I have it".
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/control.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "cli/out.h"
#include "config/yaml.h"

enum {
	PATH_BYTES = 4096,
	FILE_BYTES = 1 << 20,
	ERRORS_BYTES = 1 << 20
};

int
backend_fail(const struct err *e, int code)
{
	out_error("%s", e->text);
	return code;
}

/* ---- configuration ---- */

int
backend_config_path(const struct cli *c, char *out, size_t n)
{
	const char *given = cli_text(c, "config");

	if (config_find(given, out, n))
		return CLI_DONE;
	if (given != NULL) {
		out_error("%s: there is no such file", given);
		return CLI_CONFIG;
	}
	*out = '\0';
	return CLI_DONE;
}

struct config *
backend_config(const struct cli *c, bool is_offline)
{
	char path[PATH_BYTES];
	struct config *config;
	struct buf errors;
	struct err e = { "" };

	if (backend_config_path(c, path, sizeof(path)) != CLI_DONE)
		return NULL;
	buf_init(&errors, ERRORS_BYTES);
	config =
	    config_load(&(struct config_options){ .path = *path == '\0' ? NULL : path,
			    .is_offline = is_offline },
		&errors, &e);
	if (config == NULL) {
		if (errors.len > 0)
			fwrite(errors.ptr, 1, errors.len, stderr);
		else
			fprintf(stderr, "%s\n", e.text);
	}
	buf_free(&errors);
	return config;
}

/* The file as far as it can be read, for what does not depend on the rest being right.
 * NULL: not at all. */
static json_t *
read_tree(const char *path)
{
	struct yaml_source *source = NULL;
	json_t *tree = NULL;
	struct buf text;
	char *room;
	ssize_t n = 0;
	int fd = io.open(path, O_RDONLY | O_NONBLOCK, 0); /* it may be a pipe */

	if (fd < 0)
		return NULL;
	buf_init(&text, FILE_BYTES + 1);
	room = buf_room(&text, FILE_BYTES);
	if (room != NULL && (n = io.read(fd, room, FILE_BYTES)) > 0)
		tree = yaml_parse(lz_strn(room, (size_t)n), path, &source, NULL);
	yaml_source_free(source);
	buf_free(&text);
	(void)io.close(fd);
	return tree;
}

int
backend_data_dir(const struct cli *c, char *out, size_t n)
{
	const char *given = cli_text(c, "data");
	struct config_options o = { .is_offline = true };
	char path[PATH_BYTES];
	struct config *config;
	json_t *tree = NULL;
	struct err e = { "" };
	lz_str data;

	if (given != NULL) {
		snprintf(out, n, "%s", given);
		return CLI_DONE;
	}
	if (backend_config_path(c, path, sizeof(path)) != CLI_DONE)
		return CLI_CONFIG;
	o.path = *path == '\0' ? NULL : path;
	config = config_load(&o, NULL, &e);
	if (config != NULL) {
		data = config->data;
	} else {
		tree = read_tree(path);
		data = json_get_str(tree, "data");
	}
	snprintf(out, n, "%.*s", STR_ARG(data));
	if (config != NULL)
		config_unref(config);
	config_reap();
	json_decref(tree);
	return *out != '\0' ? CLI_DONE : backend_fail(&e, CLI_CONFIG);
}

/* ---- with a gateway ---- */

enum status
backend_ask(
    const struct cli *c, const char *name, json_t *args, json_t **result, struct err *e)
{
	struct datadir d = { .lock_fd = -1 };
	enum status st = ST_GONE;

	*result = NULL;
	if (backend_data_dir(c, d.path, sizeof(d.path)) == CLI_DONE)
		st = control_ask(&d, name, args, result, e);
	else
		(void)err_fail(e, ST_GONE, "the data directory is not known");
	json_decref(args);
	return st;
}

/* ---- without one ---- */

/* What may be made before the first `serve`: then the directory is, too. */
static bool
makes_something(const char *name)
{
	static const char *const makers[] = { "key.create", "key.import", "org.create",
		"assistant.create" };

	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++)
		if (strcmp(name, makers[i]) == 0)
			return true;
	return false;
}

static enum status
open_directory(const char *path, const char *name, struct datadir *d, struct err *e)
{
	enum status st = datadir_open(path, DATADIR_COMMAND, d, e);

	if (st == ST_NOT_FOUND && makes_something(name))
		st = datadir_open(path, DATADIR_SERVE, d, e);
	return st;
}

/* As the gateway does it: `secrets.master` stands in for the keyring's own pepper. */
static enum status
apply_master(const struct config *config, struct keyring *keyring, struct err *e)
{
	const json_t *secrets =
	    config == NULL ? NULL : json_object_get(config->tree, "secrets");
	lz_str text = json_get_str(secrets, "master"), value;
	struct arena *memory;
	bool is_literal;
	enum status st;

	if (text.ptr == NULL)
		return ST_OK;
	memory = arena_new(FILE_BYTES);
	if (memory == NULL)
		return err_fail(e, ST_NOMEM, "secrets.master: out of memory");
	st = options_resolve(text, memory, &value, &is_literal, e);
	if (st == ST_OK)
		crypto_hmac(value, STR_LIT("latenza key pepper"), keyring->pepper);
	else
		err_prefix(e, "secrets.master");
	arena_free(memory);
	return st;
}

/* Segments that a killed gateway left hold requests which the database does not know yet.
 */
static void
warn_of_spool(const struct datadir *d)
{
	char path[PATH_BYTES];
	unsigned segments = 0;
	struct dirent *entry;
	DIR *dir;

	if (datadir_file(d, "spool", path, sizeof(path)) != ST_OK ||
	    (dir = opendir(path)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		segments += entry->d_name[0] != '.';
	closedir(dir);
	if (segments > 0)
		fprintf(stderr, "latenza: note: the last gateway did not end in order; "
				"the newest requests "
				"appear here after the next `latenza serve`\n");
}

static void
use_timezone(const struct config *config)
{
	setenv("TZ",
	    config != NULL && config->timezone.len > 0 ? config->timezone.ptr : "UTC", 1);
	tzset();
}

static enum status
run_with_database(const struct command *row, struct command_context *context,
    struct datadir *d, const json_t *args, json_t **result, struct err *e)
{
	struct keyring keyring;
	char path[PATH_BYTES];
	enum status st;

	st = keyring_open(d, &keyring, e);
	if (st == ST_OK)
		st = apply_master(context->config, &keyring, e);
	if (st == ST_OK && datadir_file(d, "latenza.db", path, sizeof(path)) != ST_OK)
		st = err_fail(e, ST_LIMIT, "%s: the path is too long", d->path);
	if (st != ST_OK)
		return st;
	context->db = db_open(path, makes_something(row->name) ? DB_CREATE : DB_OPEN, e);
	if (context->db == NULL)
		return ST_IO;
	context->keyring = &keyring;
	if (!makes_something(row->name))
		warn_of_spool(d);
	st = command_run(context, row, args, result, e);
	db_close(context->db);
	context->db = NULL;
	context->keyring = NULL;
	crypto_wipe(&keyring, sizeof(keyring));
	return st;
}

static enum status
run_here(const struct cli *c, const char *dir, const char *name, const json_t *args,
    json_t **result, struct err *e)
{
	const struct command *row = command_find(lz_strz(name));
	struct command_context context = { .now_unix_ms = clock_unix_ms() };
	struct datadir d = { .lock_fd = -1 };
	struct config *config;
	enum status st;

	must(row != NULL);
	snprintf(d.path, sizeof(d.path), "%s", dir);
	config = cli_text(c, "data") != NULL && cli_text(c, "config") == NULL
		     ? NULL
		     : backend_config(c, true);
	context.config = config;
	context.data = &d;
	use_timezone(config);
	if (row->needs_db == COMMAND_DB_NOT) {
		st = command_run(&context, row, args, result, e);
	} else {
		/* Nothing is made for what is refused anyway. */
		st = command_precheck(&context, row, args, e);
		if (st == ST_OK)
			st = open_directory(dir, name, &d, e);
		if (st == ST_NOT_FOUND && row->needs_db == COMMAND_DB_IF_THERE) {
			e->text[0] = '\0';
			st = command_run(&context, row, args, result, e);
		} else if (st == ST_OK) {
			st = run_with_database(row, &context, &d, args, result, e);
			datadir_close(&d);
		}
	}
	if (config != NULL)
		config_unref(config);
	config_reap();
	return st;
}

int
backend_run(const struct cli *c, const char *name, json_t *args, json_t **result)
{
	struct datadir d = { .lock_fd = -1 };
	struct err e = { "" };
	enum status st;
	int code;

	*result = NULL;
	code = backend_data_dir(c, d.path, sizeof(d.path));
	if (code == CLI_DONE) {
		st = control_ask(&d, name, args, result, &e);
		if (st == ST_GONE)
			st = run_here(c, d.path, name, args, result, &e);
		if (st != ST_OK)
			code = backend_fail(&e, CLI_FAILED);
	}
	json_decref(args);
	return code;
}

int
backend_show(const struct cli *c, const char *name, json_t *args, const char *member,
    void (*print)(const json_t *result))
{
	json_t *result = NULL;
	int code = backend_run(c, name, args, &result);
	const json_t *shown = member != NULL ? json_object_get(result, member) : result;

	if (code == CLI_DONE && c->wants_json)
		out_json(shown);
	else if (code == CLI_DONE)
		print(shown);
	json_decref(result);
	return code;
}

json_t *
backend_id(const struct cli *c)
{
	json_t *args = json_object();

	json_object_set_new(args, "id", json_string(c->operand[0]));
	return args;
}
