/* init.c - `latenza init`: a commented latenza.yaml from what the environment holds, or
 * from another gateway's configuration; a data directory, a first key.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "cli/backend.h"
#include "cli/from.h"
#include "cli/out.h"
#include "config/presets.h"

enum {
	PATH_BYTES = 4096,
	FILE_BYTES = 1 << 20, /* what a configuration may have */
	ERRORS_BYTES = 1 << 16
};

#define FIRST_KEY "first"

static bool
is_set(const char *variable)
{
	const char *v = variable != NULL ? getenv(variable) : NULL;

	return v != NULL && *v != '\0';
}

static const char *
word(const json_t *preset, const char *name)
{
	return json_string_value(json_object_get(preset, name));
}

/* ---- the file ---- */

/* A preset that is named as its plugin says nothing that the plugin does not. */
static bool
is_plugins_own(const char *name, const json_t *preset)
{
	const char *plugin = word(preset, "plugin");

	return plugin != NULL && strcmp(plugin, name) == 0;
}

static void
add_provider(struct buf *out, const char *name, const json_t *preset)
{
	buf_addf(out, "  %s:\n", name);
	if (!is_plugins_own(name, preset))
		buf_addf(out, "    preset: %s\n", name);
	if (word(preset, "base_url_env") != NULL)
		buf_addf(out, "    base_url: env:%s\n", word(preset, "base_url_env"));
	buf_addf(out, "    api_keys: [env:%s]\n", word(preset, "env"));
	if (!is_plugins_own(name, preset))
		buf_addf(out,
		    "    # Its models answer as `%s/MODEL`. To price them, so that keys "
		    "with a "
		    "budget may\n"
		    "    # use them, list them:\n"
		    "    # models: [ { id: MODEL, price_input_per_mtok: 0.1, "
		    "price_output_per_mtok: 0.3 } ]\n",
		    name);
}

/* The model to try, from the first provider found, into example; the echo when there is
 * none. */
static void
add_providers(struct buf *out, char *example, size_t n)
{
	json_t *presets = presets_load(), *preset;
	const char *name;

	(void)snprintf(example, n, "echo-1");
	buf_add_z(out, "providers:\n");
	json_object_foreach(presets, name, preset)
	{
		const char *model = word(preset, "example"),
			   *address = word(preset, "base_url_env");

		if (!is_set(word(preset, "env")) || (address != NULL && !is_set(address)))
			continue;
		add_provider(out, name, preset);
		if (model != NULL && strcmp(example, "echo-1") == 0)
			(void)snprintf(example, n, "%s%s%s",
			    is_plugins_own(name, preset) ? "" : name,
			    is_plugins_own(name, preset) ? "" : "/", model);
	}
	json_decref(presets);
	buf_add_z(out, "  # Answers with what it is asked, and costs nothing: for tests, "
		       "reached by test "
		       "keys.\n"
		       "  echo: { plugin: echo, test: true, price: free }\n"
		       "  # A server of your own, say vLLM, Ollama or llama.cpp:\n"
		       "  # local: { plugin: compatible, base_url: "
		       "http://127.0.0.1:8000/v1, price: free,\n"
		       "  #          models: [ { id: Qwen/Qwen2.5-7B, context_window: "
		       "32768 } ] }\n\n");
}

static void
write_text(struct buf *out, const char *listen, const char *data, char *example, size_t n)
{
	buf_addf(out,
	    "# latenza.yaml - `latenza config schema` prints what may stand here;\n"
	    "# `latenza check` tells what is wrong, `latenza reload` takes changes "
	    "over.\n\n"
	    "listen: %s\n"
	    "admin: { listen: 127.0.0.1:8081 }   # /metrics, /healthz, /readyz\n"
	    "data: %s\n\n"
	    "# Prices are in USD; budgets are in EUR. Check the rate from time to time.\n"
	    "fx: { eur_per_usd: 0.92, date: 2026-11-20 }\n\n",
	    listen, data);
	add_providers(out, example, n);
	buf_add_z(out,
	    "# routing: { default: balanced, attempts: 3, timeout_ms: 60000 }\n"
	    "# retention: { traces: 90d, content: 7d }\n"
	    "# limits: { body_bytes: 32MiB, in_flight: 10000 }\n\n"
	    "# Keys may be declared here, or made with `latenza key create`:\n"
	    "# keys:\n"
	    "#   backend: { name: Production backend, rate_limit: 120, "
	    "budget_monthly_eur: 250,\n"
	    "#              model_allowlist: [gpt-4o], secret: "
	    "file:/run/secrets/key-backend }\n");
}

static enum status
write_file(const char *path, const struct buf *text, bool may_replace, struct err *e)
{
	int flags = O_WRONLY | O_CREAT | (may_replace ? O_TRUNC : O_EXCL);
	int fd = io.open(path, flags, 0644);
	bool is_written;

	if (fd < 0 && errno == EEXIST)
		return err_fail(e, ST_EXISTS,
		    "%s: is there already; --force replaces it, `latenza check` reads it",
		    path);
	if (fd < 0)
		return err_fail(e, ST_IO, "%s: %s", path, strerror(errno));
	is_written = io.write(fd, text->ptr, text->len) == (ssize_t)text->len;
	if (io.close(fd) != 0 || !is_written)
		return err_fail(e, ST_IO, "%s: could not be written whole", path);
	return ST_OK;
}

/* ---- the steps ---- */

static enum status
choose_directory(const struct cli *c, char *out, size_t n, struct err *e)
{
	unsigned at = cli_has(c, "from") ? 1 : 0; /* FILE comes before it */
	const char *dir = c->operand_count > at ? c->operand[at] : ".";

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_fail(e, ST_IO, "%s: %s", dir, strerror(errno));
	if (realpath(dir, out) == NULL || strlen(out) + 32 > n)
		return err_fail(e, ST_IO, "%s: %s", dir, strerror(errno));
	return ST_OK;
}

static bool
has_key(const struct cli *c, const char *id)
{
	json_t *result = NULL;
	const json_t *key;
	bool is_there = false;
	size_t i;

	if (backend_run(c, "key.list", json_object(), &result) != CLI_DONE)
		return false;
	json_array_foreach(json_object_get(result, "keys"), i, key)
	{
		is_there = is_there || strcmp(out_text(key, "id"), id) == 0;
	}
	json_decref(result);
	return is_there;
}

/* The first key: a live one where there is a real provider. Its secret goes to out; "":
 * the key is there since the last time. taken: keys of the file, whose ids are not free.
 */
static int
make_key(const struct cli *c, const char *path, const json_t *taken, bool is_test,
    char *out, size_t n)
{
	const char *id = json_object_get(taken, FIRST_KEY) == NULL ? FIRST_KEY : "init";
	struct cli there = *c;
	json_t *args, *key = NULL;
	int code = CLI_DONE;

	there.options = json_pack("{s:s}", "config", path);
	if (!cli_has(c, "force") || !has_key(&there, id)) {
		args = json_pack("{s:{s:s, s:i}, s:s, s:b}", "settings", "name",
		    "First key", "rate_limit", 60, "id", id, "test", (int)is_test);
		code = backend_run(&there, "key.create", args, &key);
		snprintf(out, n, "%s", out_text(key, "secret"));
	}
	json_decref(key);
	json_decref(there.options);
	return code;
}

/* Beside what was written: what the conversion said. */
static void
add_said(const struct from *f, json_t *out)
{
	if (f->said[FROM_NO_TWIN] == NULL)
		return;
	(void)json_object_set(out, "no_twin", f->said[FROM_NO_TWIN]);
	(void)json_object_set(out, "notes", f->said[FROM_REMARK]);
}

static void
say_what_next(const struct cli *c, const struct from *f, const char *path,
    const char *key, const char *model, const char *listen)
{
	if (c->wants_json) {
		json_t *out = json_object();

		json_object_set_new(out, "config", json_string(path));
		json_object_set_new(
		    out, "key", *key != '\0' ? json_string(key) : json_null());
		json_object_set_new(out, "model", json_string(model));
		add_said(f, out);
		out_json(out);
		json_decref(out);
		return;
	}
	printf("Wrote %s. %s%s\n\n"
	       "  %s serve -c %s\n"
	       "  curl http://%s/v1/chat/completions -H 'Authorization: Bearer %s' -H "
	       "'Content-Type: application/json' -d "
	       "'{\"model\":\"%s\",\"messages\":[{\"role\":"
	       "\"user\",\"content\":\"Hello\"}]}'\n"
	       "  %s traces list -c %s\n",
	    path,
	    *key != '\0' ? "The first key, shown this once: "
			 : "The first key is there since the last time.",
	    key, c->program, path, listen, *key != '\0' ? key : "KEY", model, c->program,
	    path);
}

/* ---- from another gateway ---- */

static enum status
check_text(const struct buf *text, struct err *e)
{
	struct buf errors;
	struct config *config;

	if (text->failed)
		return err_fail(e, ST_LIMIT,
		    "the configuration would be larger than %d bytes; convert it in "
		    "parts, and take keys over with `latenza key import`",
		    FILE_BYTES);
	buf_init(&errors, ERRORS_BYTES);
	config = config_load(
	    &(struct config_options){
		.path = "latenza.yaml", .text = buf_str(text), .is_offline = true },
	    &errors, e);
	if (config == NULL && errors.len > 0) {
		fwrite(errors.ptr, 1, errors.len, stderr);
		(void)err_fail(e, ST_INVALID,
		    "the converted configuration would be refused as above; nothing was "
		    "written");
	}
	buf_free(&errors);
	if (config == NULL)
		return ST_INVALID;
	config_unref(config);
	config_reap();
	return ST_OK;
}

/* Before anything is made: a converted file is not written unless it passes `latenza
 * check --offline`. */
static enum status
check_converted(const struct from *f, const char *listen, struct err *e)
{
	struct buf text;
	enum status st;

	buf_init(&text, FILE_BYTES - PATH_BYTES);
	from_write(f, listen, "latenza-data", &text);
	st = check_text(&text, e);
	buf_free(&text);
	return st;
}

/* A name to try; without one, any model of the first provider. */
static void
choose_model(const struct from *f, char *out, size_t n)
{
	const char *name = json_object_iter_key(json_object_iter(f->models));

	if (name == NULL)
		(void)snprintf(out, n, "%s/MODEL",
		    json_object_iter_key(json_object_iter(f->providers)));
	else
		(void)snprintf(out, n, "%s", name);
}

static int
usage(const struct cli *c)
{
	bool is_from = cli_has(c, "from");

	if (!is_from && cli_has(c, "keys"))
		out_error("--keys goes with --from; `latenza key import` takes keys "
			  "over into a gateway that is there");
	else if (!is_from && c->operand_count > 1)
		out_error("init takes one DIR, and with --from FILE and DIR");
	else
		return CLI_DONE;
	return CLI_USAGE;
}

/* ---- all of it ---- */

struct init {
	const struct cli *c;
	struct from from; /* empty without --from */
	const char *listen;
	char model[200], dir[PATH_BYTES], path[PATH_BYTES], data[PATH_BYTES], key[100];
};

static enum status
write_all(struct init *i, struct err *e)
{
	const char *given = cli_text(i->c, "data");
	const char *data = given != NULL ? given : i->data;
	bool is_from = i->from.providers != NULL;
	enum status st = is_from ? check_converted(&i->from, i->listen, e) : ST_OK;
	struct buf text;

	if (st == ST_OK)
		st = choose_directory(i->c, i->dir, sizeof(i->dir), e);
	if (st != ST_OK)
		return st;
	buf_init(&text, FILE_BYTES);
	snprintf(i->path, sizeof(i->path), "%.4000s/latenza.yaml", i->dir);
	snprintf(i->data, sizeof(i->data), "%.4000s/latenza-data", i->dir);
	if (is_from) {
		choose_model(&i->from, i->model, sizeof(i->model));
		from_write(&i->from, i->listen, data, &text);
	} else {
		write_text(&text, i->listen, data, i->model, sizeof(i->model));
	}
	st = write_file(i->path, &text, cli_has(i->c, "force"), e);
	buf_free(&text);
	return st;
}

int
init_run(struct cli *c)
{
	struct init i = { .c = c, .listen = cli_text(c, "listen") };
	struct err e = { "" };
	int code = usage(c);

	i.listen = i.listen != NULL ? i.listen : "127.0.0.1:8080";
	if (code == CLI_DONE && cli_has(c, "from"))
		code = from_read(c, &i.from);
	if (code == CLI_DONE && write_all(&i, &e) != ST_OK)
		code = backend_fail(&e, CLI_FAILED);
	if (code == CLI_DONE && i.from.providers != NULL && !c->wants_json)
		from_tell(&i.from);
	if (code == CLI_DONE)
		code = make_key(c, i.path, i.from.keys, strcmp(i.model, "echo-1") == 0,
		    i.key, sizeof(i.key));
	if (code == CLI_DONE)
		say_what_next(c, &i.from, i.path, i.key, i.model, i.listen);
	from_free(&i.from);
	return code;
}
