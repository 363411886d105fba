/* init.c - `latenza init`: a commented latenza.yaml from what the environment holds, a
 * data directory, a first key.
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
#include "cli/out.h"

enum {
	PATH_BYTES = 4096,
	FILE_BYTES = 65536
};

#define FIRST_KEY "first"

/* Where provider keys usually stand, and who serves them. base_url NULL: the plugin knows
 * it. */
static const struct known {
	const char *variable, *name, *plugin, *base_url, *example;
} known[] = {
	{ "OPENAI_API_KEY", "openai", "openai", NULL, "gpt-4o-mini" },
	{ "MISTRAL_API_KEY", "mistral", "mistral", NULL, "mistral-small-latest" },
	{ "GEMINI_API_KEY", "google", "compatible",
	    "https://generativelanguage.googleapis.com/v1beta/openai",
	    "google/gemini-2.0-flash" },
	{ "ANTHROPIC_API_KEY", "anthropic", "anthropic", NULL, "claude-haiku-4-5" },
	{ "GROQ_API_KEY", "groq", "compatible", "https://api.groq.com/openai/v1",
	    "groq/llama-3.1-8b-instant" },
	{ "DEEPSEEK_API_KEY", "deepseek", "compatible", "https://api.deepseek.com/v1",
	    "deepseek/deepseek-chat" },
	{ "OPENROUTER_API_KEY", "openrouter", "compatible",
	    "https://openrouter.ai/api/v1", "openrouter/auto" },
	{ "XAI_API_KEY", "xai", "compatible", "https://api.x.ai/v1", "xai/grok-3-mini" },
};

static bool
is_set(const struct known *k)
{
	const char *v = getenv(k->variable);

	return v != NULL && *v != '\0';
}

/* ---- the file ---- */

static void
add_provider(struct buf *out, const struct known *k)
{
	buf_addf(out, "  %s:\n", k->name);
	if (strcmp(k->plugin, k->name) != 0)
		buf_addf(out, "    plugin: %s\n", k->plugin);
	if (k->base_url != NULL)
		buf_addf(out, "    base_url: %s\n", k->base_url);
	buf_addf(out, "    api_keys: [env:%s]\n", k->variable);
	if (k->base_url != NULL)
		buf_addf(out,
		    "    # Its models answer as `%s/MODEL`. To price them, so that keys "
		    "with a "
		    "budget may\n"
		    "    # use them, list them:\n"
		    "    # models: [ { id: MODEL, price_input_per_mtok: 0.1, "
		    "price_output_per_mtok: 0.3 } ]\n",
		    k->name);
}

/* The model to try, from the first provider found; the echo when there is none. */
static const char *
add_providers(struct buf *out)
{
	const char *example = NULL;

	buf_add_z(out, "providers:\n");
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!is_set(&known[i]))
			continue;
		add_provider(out, &known[i]);
		example = example != NULL ? example : known[i].example;
	}
	buf_add_z(out, "  # Answers with what it is asked, and costs nothing: for tests, "
		       "reached by test "
		       "keys.\n"
		       "  echo: { plugin: echo, test: true }\n"
		       "  # A server of your own, say vLLM, Ollama or llama.cpp:\n"
		       "  # local: { plugin: compatible, base_url: "
		       "http://127.0.0.1:8000/v1, price: free,\n"
		       "  #          models: [ { id: Qwen/Qwen2.5-7B, context_window: "
		       "32768 } ] }\n\n");
	return example != NULL ? example : "echo-1";
}

static const char *
write_text(struct buf *out, const char *listen, const char *data)
{
	const char *example;

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
	example = add_providers(out);
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
	return example;
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
	const char *dir = c->operand_count > 0 ? c->operand[0] : ".";

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_fail(e, ST_IO, "%s: %s", dir, strerror(errno));
	if (realpath(dir, out) == NULL || strlen(out) + 32 > n)
		return err_fail(e, ST_IO, "%s: %s", dir, strerror(errno));
	return ST_OK;
}

/* The first key: a live one where there is a real provider. Its secret goes to out. */
static int
make_key(const struct cli *c, const char *path, bool is_test, char *out, size_t n)
{
	struct cli there = *c;
	json_t *args = json_object(), *settings = json_object(), *key = NULL;
	int code;

	there.options = json_object();
	json_object_set_new(there.options, "config", json_string(path));
	json_object_set_new(settings, "name", json_string("First key"));
	json_object_set_new(settings, "rate_limit", json_integer(60));
	json_object_set_new(args, "settings", settings);
	json_object_set_new(args, "id", json_string(FIRST_KEY));
	json_object_set_new(args, "test", json_boolean(is_test));
	code = backend_run(&there, "key.create", args, &key);
	snprintf(out, n, "%s", out_text(key, "secret"));
	json_decref(key);
	json_decref(there.options);
	return code;
}

static void
say_what_next(const struct cli *c, const char *path, const char *key, const char *model,
    const char *listen)
{
	if (c->wants_json) {
		json_t *out = json_object();

		json_object_set_new(out, "config", json_string(path));
		json_object_set_new(out, "key", json_string(key));
		json_object_set_new(out, "model", json_string(model));
		out_json(out);
		json_decref(out);
		return;
	}
	printf("Wrote %s. The first key, shown this once: %s\n\n"
	       "  %s serve -c %s\n"
	       "  curl http://%s/v1/chat/completions -H 'Authorization: Bearer %s' -H "
	       "'Content-Type: application/json' -d "
	       "'{\"model\":\"%s\",\"messages\":[{\"role\":"
	       "\"user\",\"content\":\"Hello\"}]}'\n"
	       "  %s traces list -c %s\n",
	    path, key, c->program, path, listen, key, model, c->program, path);
}

int
init_run(struct cli *c)
{
	const char *listen = cli_text(c, "listen"), *given = cli_text(c, "data"), *model;
	char dir[PATH_BYTES], path[PATH_BYTES], data[PATH_BYTES], key[100] = "";
	struct err e = { "" };
	struct buf text;
	bool is_test;
	int code = CLI_DONE;

	buf_init(&text, FILE_BYTES);
	listen = listen != NULL ? listen : "127.0.0.1:8080";
	if (choose_directory(c, dir, sizeof(dir), &e) != ST_OK)
		return backend_fail(&e, CLI_FAILED);
	snprintf(path, sizeof(path), "%.4000s/latenza.yaml", dir);
	snprintf(data, sizeof(data), "%.4000s/latenza-data", dir);
	model = write_text(&text, listen, given != NULL ? given : data);
	is_test = strcmp(model, "echo-1") == 0;
	if (write_file(path, &text, cli_has(c, "force"), &e) != ST_OK)
		code = backend_fail(&e, CLI_FAILED);
	buf_free(&text);
	if (code == CLI_DONE)
		code = make_key(c, path, is_test, key, sizeof(key));
	if (code == CLI_DONE)
		say_what_next(c, path, key, model, listen);
	return code;
}
