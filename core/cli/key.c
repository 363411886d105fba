/* key.c - `latenza key ...`: settings from a file or options, keys and their money shown.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/settings.h"

#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"

/* Arguments of key.create and key.import; NULL after printing why. */
static json_t *
new_key_args(const struct cli *c)
{
	json_t *settings = settings_read(c), *args;

	if (settings == NULL)
		return NULL;
	args = json_object();
	json_object_set_new(args, "settings", settings);
	if (cli_text(c, "id") != NULL)
		json_object_set_new(args, "id", json_string(cli_text(c, "id")));
	if (cli_has(c, "test"))
		json_object_set_new(args, "test", json_true());
	return args;
}

/* The secret alone goes to standard output, so that `KEY=$(latenza key create …)` works.
 */
static int
print_secret(const struct cli *c, const json_t *key)
{
	if (c->wants_json) {
		out_json(key);
		return CLI_DONE;
	}
	fprintf(stderr, "Key %s (%s). Its secret is shown this once:\n",
	    out_text(key, "id"), out_text(key, "name"));
	printf("%s\n", out_text(key, "secret"));
	return CLI_DONE;
}

int
key_create_run(struct cli *c)
{
	json_t *args = new_key_args(c), *result = NULL;
	int code;

	if (args == NULL)
		return CLI_FAILED;
	code = backend_run(c, "key.create", args, &result);
	if (code == CLI_DONE)
		code = print_secret(c, result);
	json_decref(result);
	return code;
}

/* ---- import ---- */

static int
import_one(const struct cli *c, json_t *args, const char *hex)
{
	json_t *result = NULL;
	int code;

	json_object_set_new(args, "sha256", json_string(hex));
	code = backend_run(c, "key.import", args, &result);
	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		printf("Key %s imported; roll it to give it a secret of our own.\n",
		    out_text(result, "id"));
	json_decref(result);
	return code;
}

/* A line is `NAME SECRET`; the secret is hashed here and goes no further. */
static int
import_line(const struct cli *c, const char *line, size_t n)
{
	const char *end = line + n, *blank, *secret;
	uint8_t hash[CRYPTO_HASH_BYTES];
	char hex[2 * CRYPTO_HASH_BYTES + 1];
	json_t *args;

	while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	if (end == line || *line == '#')
		return CLI_DONE;
	for (blank = end; blank > line && blank[-1] != ' ' && blank[-1] != '\t';)
		blank--;
	secret = blank;
	while (blank > line && (blank[-1] == ' ' || blank[-1] == '\t'))
		blank--;
	if (blank == line) {
		fprintf(stderr, "latenza: --secrets: a line must be NAME SECRET\n");
		return CLI_FAILED;
	}
	crypto_sha256(lz_strn(secret, (size_t)(end - secret)), hash);
	crypto_hex(hash, sizeof(hash), hex);
	args = new_key_args(c);
	if (args == NULL)
		return CLI_FAILED;
	json_object_set_new(json_object_get(args, "settings"), "name",
	    json_stringn(line, (size_t)(blank - line)));
	return import_one(c, args, hex);
}

static int
import_lines(const struct cli *c, const char *path)
{
	struct err e = { "" };
	struct buf text;
	int code = CLI_DONE;

	buf_init(&text, SETTINGS_BYTES);
	if (input_file(path, &text, &e) != ST_OK)
		code = backend_fail(&e, CLI_FAILED);
	for (size_t at = 0; code == CLI_DONE && at < text.len;) {
		const char *line = text.ptr + at;
		const char *end = memchr(line, '\n', text.len - at);
		size_t n = end == NULL ? text.len - at : (size_t)(end - line);

		code = import_line(c, line, n);
		at += n + 1;
	}
	if (text.ptr != NULL)
		crypto_wipe(text.ptr, text.len);
	buf_free(&text);
	return code;
}

int
key_import_run(struct cli *c)
{
	const char *hex = cli_text(c, "sha256"), *secrets = cli_text(c, "secrets");
	json_t *args;

	if ((hex == NULL) == (secrets == NULL)) {
		fprintf(
		    stderr, "latenza: key import: give --sha256 HEX or --secrets FILE\n");
		return CLI_USAGE;
	}
	if (secrets != NULL)
		return import_lines(c, secrets);
	args = new_key_args(c);
	return args == NULL ? CLI_FAILED : import_one(c, args, hex);
}

/* ---- list and show ---- */

static const char *
state_of(const json_t *key)
{
	if (json_is_true(json_object_get(key, "disabled")))
		return "disabled";
	return json_is_true(json_object_get(key, "test")) ? "test" : "live";
}

int
key_list_run(struct cli *c)
{
	static const char *const titles[] = { "ID", "NAME", "SECRET", "STATE", "BUDGET",
		"FROM", NULL };
	json_t *result = NULL, *key;
	struct out_table t;
	size_t i;
	int code = backend_run(c, "key.list", json_object(), &result);

	if (code == CLI_DONE && c->wants_json) {
		out_json(json_object_get(result, "keys"));
	} else if (code == CLI_DONE) {
		out_table(&t, titles);
		json_array_foreach(json_object_get(result, "keys"), i, key)
		{
			out_cell(&t, "%s", out_text(key, "id"));
			out_cell(&t, "%s", out_text(key, "name"));
			out_cell(&t, "%s", out_text(key, "hint"));
			out_cell(&t, "%s", state_of(key));
			settings_budget_cell(&t, key);
			out_cell(&t, "%s", out_text(key, "source"));
		}
		out_print(&t);
	}
	json_decref(result);
	return code;
}

static void
print_key(const json_t *key)
{
	const json_t *live = json_object_get(key, "live");
	char money[40], line[100];

	printf("%s%s%s  %s\n", out_on(OUT_BOLD), out_text(key, "id"), out_on(OUT_PLAIN),
	    state_of(key));
	settings_line("name", out_text(key, "name"));
	settings_line("secret", out_text(key, "hint"));
	settings_line("created", out_text(key, "created_at"));
	if (json_object_get(key, "old_secret_until") != NULL)
		settings_line("old secret until", out_text(key, "old_secret_until"));
	settings_print(json_object_get(key, "settings"));
	settings_print_budgets(key);
	if (live == NULL)
		return;
	snprintf(line, sizeof(line), "%lld, %s reserved",
	    (long long)json_get_int(live, "in_flight", 0),
	    out_money(json_get_int(live, "reserved_nano_eur", 0), money));
	settings_line("in flight", line);
	settings_line("last used", out_text(live, "last_used_at"));
}

int
key_show_run(struct cli *c)
{
	return backend_show(c, "key.show", backend_id(c), NULL, print_key);
}

int
key_disable_run(struct cli *c)
{
	json_t *args = backend_id(c);

	if (cli_has(c, "undo"))
		json_object_set_new(args, "disabled", json_false());
	return backend_show(c, "key.disable", args, NULL, print_key);
}

int
key_roll_run(struct cli *c)
{
	enum {
		DAY_MS = 86400000
	};
	json_t *args = backend_id(c), *result = NULL;
	int code;

	json_object_set_new(
	    args, "keep_old_ms", json_integer(cli_integer(c, "keep-old", DAY_MS)));
	code = backend_run(c, "key.roll", args, &result);
	if (code == CLI_DONE)
		code = print_secret(c, result);
	if (code == CLI_DONE && !c->wants_json &&
	    json_object_get(result, "old_secret_until") != NULL)
		fprintf(stderr, "The old secret works until %s.\n",
		    out_text(result, "old_secret_until"));
	json_decref(result);
	return code;
}

int
key_rm_run(struct cli *c)
{
	json_t *result = NULL;
	int code = backend_run(c, "key.rm", backend_id(c), &result);

	if (code == CLI_DONE && c->wants_json)
		out_json(result);
	else if (code == CLI_DONE)
		printf("Key %s removed; its traces and what it spent stay.\n",
		    c->operand[0]);
	json_decref(result);
	return code;
}
