/* provider_test.c - `latenza provider test`: one real request, through the gateway, to a
 * provider.
 *
 * It goes the whole way, key to trace, under a key that lives for a minute: what works
 * here works for applications. Without a running gateway, one is started for the test
 * with a data directory of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/alone.h"
#include "cli/backend.h"
#include "cli/out.h"
#include "cli/serve.h"

enum {
	KEY_LIFE_MS = 120000
};

/* ---- what to ask ---- */

/* The provider's cheapest model that has a price, else its first; into out. false: it
 * lists none. */
static bool
choose_model(const json_t *models, const char *provider, char *out, size_t n)
{
	double best = -1;
	const json_t *m;
	size_t i;
	bool has_one = false;

	json_array_foreach(models, i, m)
	{
		double price = out_real(m, "price_output_per_mtok");

		if (strcmp(out_text(m, "provider"), provider) != 0 ||
		    json_is_true(json_object_get(m, "embedding")))
			continue;
		if (has_one && (price < 0 || (best >= 0 && price >= best)))
			continue;
		snprintf(out, n, "%s", out_text(m, "model"));
		best = price;
		has_one = true;
	}
	return has_one;
}

static int
find_model(const struct cli *c, char *out, size_t n)
{
	const char *provider = c->operand[0], *given = cli_text(c, "model");
	json_t *providers = NULL, *models = NULL;
	const json_t *p;
	bool is_known = false;
	size_t i;
	int code = backend_run(c, "provider.list", json_object(), &providers);

	if (code == CLI_DONE)
		code = backend_run(c, "model.list", json_object(), &models);
	json_array_foreach(json_object_get(providers, "providers"), i, p) is_known =
	    is_known || strcmp(out_text(p, "provider"), provider) == 0;
	if (code == CLI_DONE && !is_known) {
		fprintf(stderr,
		    "latenza: provider \"%s\": there is none; `latenza provider list` "
		    "shows them\n",
		    provider);
		code = CLI_FAILED;
	} else if (code == CLI_DONE && given != NULL) {
		snprintf(out, n, "%s", given);
	} else if (code == CLI_DONE &&
		   !choose_model(json_object_get(models, "models"), provider, out, n)) {
		fprintf(stderr,
		    "latenza: provider \"%s\": lists no model; name one with --model\n",
		    provider);
		code = CLI_USAGE;
	}
	json_decref(providers);
	json_decref(models);
	return code;
}

static json_t *
test_key_args(char id[40])
{
	json_t *args = json_object(), *settings = json_object();
	char until[25];
	uint8_t random[8];
	char hex[2 * sizeof(random) + 1];

	crypto_random(random, sizeof(random));
	crypto_hex(random, sizeof(random), hex);
	snprintf(id, 40, "provider-test-%s", hex);
	clock_format(clock_unix_ms() + KEY_LIFE_MS, until);
	json_object_set_new(settings, "name", json_string("latenza provider test"));
	json_object_set_new(settings, "expires_at", json_string(until));
	json_object_set_new(args, "id", json_string(id));
	json_object_set_new(args, "settings", settings);
	return args;
}

/* ---- the request ---- */

/* What the gateway knows of the provider's keys, this request included. owned; NULL: it
 * does not say. */
static json_t *
credentials_now(const struct cli *c)
{
	json_t *result = NULL, *mine = json_array();
	const json_t *one;
	struct err e = { "" };
	size_t i;

	if (backend_ask(c, "provider.list", json_object(), &result, &e) == ST_OK)
		json_array_foreach(json_object_get(result, "credentials"), i, one)
		{
			if (strcmp(out_text(one, "provider"), c->operand[0]) == 0)
				json_array_append(mine, (json_t *)(uintptr_t)one);
		}
	json_decref(result);
	return mine;
}

static int
print_answer(const struct cli *c, const char *model, const struct client_answer *a)
{
	json_t *body = json_parse(buf_str(&a->body), NULL), *out;
	json_t *credentials = credentials_now(c);
	const json_t *error = json_object_get(body, "error");
	bool is_ok = a->status == 200;
	char ms[40], safe[600];

	if (c->wants_json) {
		out = json_object();
		json_object_set_new(out, "provider", json_string(c->operand[0]));
		json_object_set_new(out, "model", json_string(model));
		json_object_set_new(out, "status", json_integer(a->status));
		json_object_set_new(out, "ms", json_real(a->ms));
		json_object_set_new(out, "trace", json_string(a->request_id));
		json_object_set(
		    out, "error", error != NULL ? (json_t *)error : json_null());
		json_object_set(out, "credentials", credentials);
		out_json(out);
		json_decref(out);
	} else {
		printf("%s%s%s %s/%s answered %d in %s\n",
		    out_on(is_ok ? OUT_GREEN : OUT_RED), is_ok ? "ok  " : "FAIL",
		    out_on(OUT_PLAIN), c->operand[0], model, a->status,
		    out_ms(a->ms, ms));
		if (error != NULL)
			printf("     %s\n", out_safe(out_text(error, "message"), 300,
						safe, sizeof(safe)));
		catalogue_print_credentials(credentials, c->operand[0]);
	}
	json_decref(credentials);
	json_decref(body);
	return is_ok ? CLI_DONE : CLI_FAILED;
}

static int
send_one(const struct cli *c, const char *at, const char *secret, const char *model)
{
	struct client_answer answer;
	struct err e = { "" };
	json_t *body;
	char *text;
	int code;

	body = json_pack("{s:o, s:i, s:[{s:s, s:s}]}", "model",
	    json_sprintf("%s/%s", c->operand[0], model), "max_tokens", 16, "messages",
	    "role", "user", "content", "Answer with the word OK.");
	text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (text == NULL) {
		fprintf(stderr, "latenza: the model's name must be UTF-8\n");
		return CLI_USAGE;
	}
	if (client_post(at, "/v1/chat/completions", secret, text, &answer, &e) == ST_OK)
		code = print_answer(c, model, &answer);
	else
		code = backend_fail(&e, CLI_FAILED);
	buf_free(&answer.body);
	mem_free(text);
	return code;
}

/* A gateway serves the data directory of c. */
static int
test_through(const struct cli *c, const char *at, bool is_alone, void *arg)
{
	json_t *key = NULL, *gone = NULL, *args;
	char id[40], model[300];
	int code = find_model(c, model, sizeof(model));

	(void)is_alone;
	(void)arg;
	if (code == CLI_DONE)
		code = backend_run(c, "key.create", test_key_args(id), &key);
	if (code != CLI_DONE)
		return code;
	code = send_one(c, at, out_text(key, "secret"), model);
	args = json_object();
	json_object_set_new(args, "id", json_string(id));
	(void)backend_run(c, "key.rm", args, &gone);
	json_decref(gone);
	json_decref(key);
	return code;
}

int
provider_test_run(struct cli *c)
{
	return alone_run(c, test_through, NULL);
}
