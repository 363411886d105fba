/* demo.c - `latenza demo`: a gateway to look at, without any account.
 *
 * The configuration is the text below, the provider is `echo`, and everything is removed
 * at the end. Sample requests are sent before the prompt appears, so that traces, budgets
 * and metrics have something to show.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "cli/out.h"
#include "cli/serve.h"

#define DEMO_KEY_VARIABLE "LATENZA_DEMO_KEY"

static const char demo_config[] = //
    "admin: { listen: 127.0.0.1:0 }\n"
    "fx: { eur_per_usd: 0.92, date: 2026-11-20 }\n"
    "providers:\n"
    "  echo: { plugin: echo, test: true }\n"
    "keys:\n"
    "  demo:\n"
    "    name: Demo key\n"
    "    rate_limit: 600\n"
    "    budget_monthly_eur: 25\n"
    "    secret: env:" DEMO_KEY_VARIABLE "\n";

static const struct {
	const char *model, *text, *more;
} samples[] = {
	{ "echo-1", "Explain AI routing in one sentence.", ",\"user\":\"ada\"" },
	{ "echo-1", "What does a virtual key do?",
	    ",\"user\":\"ada\",\"metadata\":{\"surface\":\"docs\"}" },
	{ "echo-large", "Summarise the history of the telegraph.",
	    ",\"user\":\"grace\"" },
	{ "echo-1", "Stream this, please.", ",\"stream\":true,\"user\":\"grace\"" },
	{ "echo-tools", "What is the weather in Ghent?",
	    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\","
	    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
	    "\"string\"}}}"
	    "}}]" },
	{ "echo-fail-429", "The provider is busy.", "" },
	{ "echo-fail-500", "The provider is broken.", "" },
	{ "echo-cut", "The provider hangs up.", ",\"stream\":true" },
	{ "no-such-model", "Nobody serves this.", "" },
};

static void
send_samples(const char *at, const char *key)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		struct client_answer answer;
		struct err e;
		char body[1000];

		snprintf(body, sizeof(body),
		    "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%"
		    "s\"}]%s}",
		    samples[i].model, samples[i].text, samples[i].more);
		(void)!client_post(at, "/v1/chat/completions", key, body, &answer, &e);
		buf_free(&answer.body);
	}
}

static const char *
choose_listen(const struct cli *c)
{
	static const char usual[] = "127.0.0.1:8080";
	const char *given = cli_text(c, "listen");
	struct net_addr a;
	struct err e;

	if (given != NULL)
		return given;
	return net_addr_parse(lz_strz(usual), &a, &e) == ST_OK && net_addr_is_free(&a)
		   ? usual
		   : "127.0.0.1:0";
}

/* What scripts read: one line of JSON. */
static void
print_json(const char *at, const char *key, const char *dir, const struct running *r)
{
	json_t *out = json_object();

	json_object_set_new(out, "base_url", json_sprintf("http://%s/v1", at));
	json_object_set_new(out, "key", json_string(key));
	json_object_set_new(out, "data", json_string(dir));
	if (r->admin != NULL)
		json_object_set_new(out, "metrics_url",
		    json_sprintf(
			"http://127.0.0.1:%u/metrics", admin_http_port(r->admin)));
	out_json_line(stdout, out);
	json_decref(out);
}

static void
print_text(const struct cli *c, const char *at, const char *key, const char *dir,
    const struct running *r)
{
	const char *bold = out_on(OUT_BOLD), *plain = out_on(OUT_PLAIN);

	printf("%sLatenza demo%s: the provider is an echo, and all of this goes when you "
	       "press "
	       "Ctrl-C.\n\n"
	       "  Base URL  http://%s/v1\n"
	       "  Key       %s\n",
	    bold, plain, at, key);
	if (r->admin != NULL)
		printf("  Metrics   http://127.0.0.1:%u/metrics\n",
		    admin_http_port(r->admin));
	printf(
	    "\n%sTry%s, in another terminal:\n\n"
	    "  curl http://%s/v1/chat/completions -H 'Authorization: Bearer %s' \\\n"
	    "    -H 'Content-Type: application/json' \\\n"
	    "    -d '{\"model\":\"echo-1\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"Hello\"}]}'\n\n"
	    "  %s traces list --data %s\n"
	    "  %s key show demo --data %s\n\n"
	    "Real models: put a provider's key into the environment, then `%s init`.\n\n",
	    bold, plain, at, key, c->program, dir, c->program, dir, c->program);
}

static int
run_in(struct cli *c, const char *dir)
{
	struct part_want plugins[SERVE_PLUGINS];
	struct running r = { .data_dir = dir };
	char key[CRYPTO_KEY_CHARS + 1], at[100];
	const json_t *listen;
	json_t *status;
	int code;

	crypto_key_mint(true, key);
	if (setenv(DEMO_KEY_VARIABLE, key, 1) != 0) {
		fprintf(stderr, "latenza: %s\n", strerror(errno));
		return CLI_FAILED;
	}
	r.config = (struct config_options){ .text = lz_strz(demo_config),
		.listen = choose_listen(c),
		.plugins = plugins,
		.plugin_count = serve_plugins(c, plugins) };
	code = running_start(&r);
	if (code != CLI_DONE)
		return code;
	status = live_status(&r);
	listen = json_array_get(json_object_get(status, "listen"), 0);
	snprintf(at, sizeof(at), "%s",
	    json_is_string(listen) ? json_string_value(listen) : "");
	json_decref(status);
	if (!cli_has(c, "no-traffic"))
		send_samples(at, key);
	if (c->wants_json)
		print_json(at, key, dir, &r);
	else
		print_text(c, at, key, dir, &r);
	fflush(stdout);
	return running_serve(&r);
}

int
demo_run(struct cli *c)
{
	char dir[4096];
	struct err e;
	int code;

	if (serve_temporary(dir, sizeof(dir), &e) != ST_OK) {
		fprintf(stderr, "latenza: %s\n", e.text);
		return CLI_FAILED;
	}
	code = run_in(c, dir);
	serve_remove(dir);
	return code;
}
