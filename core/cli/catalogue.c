/* catalogue.c - models, providers and the configuration, shown.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/backend.h"
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* ---- models ---- */

static void
add_price(struct out_table *t, const json_t *target, const char *member)
{
	double price = out_real(target, member);

	if (json_object_get(target, "price") != NULL)
		out_cell(t, "free");
	else if (price < 0)
		out_cell(t, "-");
	else
		out_cell(t, "%g", price);
}

static void
add_count(struct out_table *t, const json_t *target, const char *member)
{
	int64_t v = out_nano(target, member);

	if (v < 0)
		out_cell(t, "-");
	else
		out_cell(t, "%lld", (long long)v);
}

/* "-": nothing is known. */
static const char *
capabilities_text(const json_t *target, char *line, size_t size)
{
	const json_t *one;
	size_t i, n = 0;

	*line = '\0';
	json_array_foreach(json_object_get(target, "capabilities"), i, one) n +=
	    (size_t)snprintf(line + n, n < size ? size - n : 0, "%s%s", i > 0 ? " " : "",
		json_string_value(one));
	return *line == '\0' ? "-" : line;
}

static void
print_targets(const json_t *targets)
{
	static const char *const titles[] = { "MODEL", "PROVIDER", ">CONTEXT", ">OUTPUT",
		">$/M IN", ">$/M OUT", "CAN", NULL };
	const json_t *target;
	struct out_table t;
	char can[200];
	size_t i;

	out_table(&t, titles);
	json_array_foreach(targets, i, target)
	{
		out_cell(&t, "%s", out_text(target, "name"));
		out_cell(&t, "%s", out_text(target, "provider"));
		add_count(&t, target, "context_window");
		add_count(&t, target, "max_output_tokens");
		add_price(&t, target, "price_input_per_mtok");
		add_price(&t, target, "price_output_per_mtok");
		out_cell(&t, "%s", capabilities_text(target, can, sizeof(can)));
	}
	out_print(&t);
}

/* ---- one model ---- */

static void
print_fact(const char *label, const char *text, const char *source)
{
	char safe[300], from[200];

	printf("  %-16s %s", label, out_safe(text, 200, safe, sizeof(safe)));
	if (source != NULL && strcmp(source, "-") != 0)
		printf(" (%s)", out_safe(source, 160, from, sizeof(from)));
	putchar('\n');
}

static void
add_dollars(struct buf *b, const json_t *of, const char *member, const char *what)
{
	double price = out_real(of, member);

	if (b->len > 0)
		buf_add_z(b, ", ");
	if (price < 0)
		buf_addf(b, "%s unknown", what);
	else
		buf_addf(b, "$%g %s", price, what);
}

/* The four prices of a model or of one of its tiers, in one line. */
static void
print_prices(const char *label, const json_t *of, const char *source)
{
	struct buf line;

	buf_init(&line, 400);
	if (json_object_get(of, "price") != NULL) {
		buf_add_z(&line, "free");
	} else {
		add_dollars(&line, of, "price_input_per_mtok", "in");
		add_dollars(&line, of, "price_output_per_mtok", "out");
		add_dollars(&line, of, "price_cached_input_per_mtok", "cached in");
		add_dollars(&line, of, "price_cache_write_per_mtok", "cache write");
		if (out_real(of, "price_cache_write_1h_per_mtok") >= 0)
			add_dollars(&line, of, "price_cache_write_1h_per_mtok",
			    "cache write for an hour");
	}
	buf_add_char(&line, '\0');
	print_fact(label, line.ptr, source);
	buf_free(&line);
}

static void
print_tiers(const json_t *target)
{
	const json_t *tier;
	char label[40];
	size_t i;

	json_array_foreach(json_object_get(target, "price_tiers"), i, tier)
	{
		(void)snprintf(label, sizeof(label), "  above %lld",
		    (long long)out_nano(tier, "above"));
		print_prices(label, tier, NULL);
	}
}

static void
print_count(const char *label, const json_t *target, const char *member)
{
	char text[40] = "unknown";

	if (out_nano(target, member) >= 0)
		(void)snprintf(text, sizeof(text), "%lld tokens",
		    (long long)out_nano(target, member));
	print_fact(label, text, NULL);
}

static void
print_quality(const json_t *target)
{
	char text[40] = "unknown";

	if (out_real(target, "quality") >= 0)
		(void)snprintf(
		    text, sizeof(text), "%g of 1", out_real(target, "quality"));
	print_fact("quality", text, out_text(target, "quality_source"));
}

static void
print_source(const json_t *target)
{
	char text[40], source[200];

	if (out_real(target, "price_input_per_mtok") < 0)
		return;
	(void)snprintf(text, sizeof(text), "%.39s", out_text(target, "price_date"));
	(void)snprintf(
	    source, sizeof(source), "%.199s", out_text(target, "price_source"));
	print_fact("  as of", strcmp(text, "-") == 0 ? "unknown" : text, source);
}

static void
print_served(const json_t *target)
{
	const json_t *weight = json_object_get(target, "weight");
	struct buf line;

	buf_init(&line, 1000);
	buf_addf(&line, "%s, as %s", out_text(target, "provider"),
	    out_text(target, "upstream_model"));
	if (weight != NULL)
		buf_addf(&line, ", weight %g", json_number_value(weight));
	buf_add_char(&line, '\0');
	print_fact("served by", line.ptr, NULL);
	buf_free(&line);
}

static void
print_facts(const json_t *targets)
{
	const json_t *target;
	char name[300], can[200];
	size_t i;

	json_array_foreach(targets, i, target)
	{
		printf("%s%s%s%s%s\n", i > 0 ? "\n" : "", out_on(OUT_BOLD),
		    out_safe(out_text(target, "name"), 200, name, sizeof(name)),
		    json_is_true(json_object_get(target, "deprecated"))
			? " (its vendor ends it)"
			: "",
		    out_on(OUT_PLAIN));
		print_served(target);
		print_count("context window", target, "context_window");
		print_count("longest answer", target, "max_output_tokens");
		print_prices("$/M tokens", target, NULL);
		print_tiers(target);
		print_source(target);
		print_fact("can", capabilities_text(target, can, sizeof(can)), NULL);
		print_quality(target);
	}
}

int
model_list_run(struct cli *c)
{
	return backend_show(c, "model.list", json_object(), "models", print_targets);
}

int
model_show_run(struct cli *c)
{
	json_t *args = json_object();

	json_object_set_new(args, "model", json_string(c->operand[0]));
	return backend_show(c, "model.show", args, "targets", print_facts);
}

/* ---- providers ---- */

static void
print_providers(const json_t *list)
{
	static const char *const titles[] = { "PROVIDER", "PLUGIN", ">KEYS", ">MODELS",
		"BASE URL", NULL };
	const json_t *p;
	struct out_table t;
	size_t i;

	out_table(&t, titles);
	json_array_foreach(list, i, p)
	{
		out_cell(&t, "%s%s", out_text(p, "provider"),
		    json_is_true(json_object_get(p, "test")) ? " (test)" : "");
		out_cell(&t, "%s", out_text(p, "plugin"));
		add_count(&t, p, "keys");
		add_count(&t, p, "models");
		out_cell(&t, "%s", out_text(p, "base_url"));
	}
	out_print(&t);
}

/* Targets that were called since the gateway started. */
static void
print_health(const json_t *targets)
{
	static const char *const titles[] = { "TARGET", "HEALTH", ">CALLS", ">ERRORS",
		">FIRST TOKEN", ">IN FLIGHT", NULL };
	const json_t *target;
	struct out_table t;
	char ms[40];
	size_t i;

	if (json_array_size(targets) == 0)
		return;
	putchar('\n');
	out_table(&t, titles);
	json_array_foreach(targets, i, target)
	{
		out_cell(&t, "%s", out_text(target, "target"));
		out_cell(&t, "%s", out_text(target, "health"));
		add_count(&t, target, "samples");
		out_cell(&t, "%g %%", out_real(target, "error_pct"));
		out_cell(&t, "%s", out_ms(out_real(target, "ttft_ms"), ms));
		add_count(&t, target, "in_flight");
	}
	out_print(&t);
}

static void
add_credential(struct out_table *t, const json_t *one)
{
	double rests_ms = (double)out_nano(one, "rests_ms");
	char ms[40];

	out_cell(t, "%s #%lld", out_text(one, "provider"),
	    (long long)out_nano(one, "position"));
	out_cell(t, "%s", out_text(one, "credential"));
	out_cell(t, "%s", out_text(one, "state"));
	out_cell(t, "%s", rests_ms > 0 ? out_ms(rests_ms, ms) : "-");
	add_count(t, one, "attempts");
	add_count(t, one, "refused");
	add_count(t, one, "limited");
}

static bool
is_shown(const json_t *one, const char *provider)
{
	return provider != NULL ? strcmp(out_text(one, "provider"), provider) == 0
				: out_nano(one, "attempts") > 0;
}

void
catalogue_print_credentials(const json_t *list, const char *provider)
{
	static const char *const titles[] = { "KEY AT", "CREDENTIAL", "STATE", ">RESTS",
		">ATTEMPTS", ">REFUSED", ">LIMITED", NULL };
	const json_t *one;
	struct out_table t;
	size_t i, shown = 0;

	json_array_foreach(list, i, one) shown += is_shown(one, provider);
	if (shown == 0)
		return;
	putchar('\n');
	out_table(&t, titles);
	json_array_foreach(list, i, one)
	{
		if (is_shown(one, provider))
			add_credential(&t, one);
	}
	out_print(&t);
}

int
provider_list_run(struct cli *c)
{
	json_t *result = NULL;
	int code = backend_run(c, "provider.list", json_object(), &result);

	if (code == CLI_DONE && c->wants_json) {
		out_json(result);
	} else if (code == CLI_DONE) {
		print_providers(json_object_get(result, "providers"));
		print_health(json_object_get(result, "targets"));
		catalogue_print_credentials(json_object_get(result, "credentials"), NULL);
	}
	json_decref(result);
	return code;
}

/* ---- configuration ---- */

int
config_show_run(struct cli *c)
{
	json_t *result = NULL;
	int code = backend_run(c, "config.show", json_object(), &result);

	/* JSON is YAML too, so that what is shown may be used. */
	if (code == CLI_DONE)
		out_json(json_object_get(result, "config"));
	json_decref(result);
	return code;
}

int
config_schema_run(struct cli *c)
{
	json_t *schema = config_schema();

	(void)c;
	if (schema == NULL) {
		fprintf(stderr, "latenza: out of memory\n");
		return CLI_FAILED;
	}
	out_json(schema);
	json_decref(schema);
	return CLI_DONE;
}

static int
diff_running(struct cli *c)
{
	const json_t *line;
	json_t *result = NULL;
	size_t i;
	int code = backend_run(c, "config.diff", json_object(), &result);

	if (code == CLI_DONE && c->wants_json)
		out_json(json_object_get(result, "changes"));
	else
		json_array_foreach(json_object_get(result, "changes"), i, line)
		    printf("%s\n", json_string_value(line));
	json_decref(result);
	return code;
}

static struct config *
load(const char *path)
{
	struct err e = { "" };
	struct config *config = config_load(
	    &(struct config_options){ .path = path, .is_offline = true }, NULL, &e);

	if (config == NULL)
		(void)backend_fail(&e, CLI_CONFIG);
	return config;
}

static int
diff_files(struct cli *c)
{
	struct config *a = load(c->operand[0]),
		      *b = a == NULL ? NULL : load(c->operand[1]);
	struct buf lines;

	buf_init(&lines, 1 << 20);
	if (b != NULL) {
		config_diff(a, b, &lines);
		fwrite(lines.len == 0 ? "" : lines.ptr, 1, lines.len, stdout);
	}
	buf_free(&lines);
	if (b != NULL)
		config_unref(b);
	if (a != NULL)
		config_unref(a);
	config_reap();
	return b != NULL ? CLI_DONE : CLI_CONFIG;
}

int
config_diff_run(struct cli *c)
{
	if (c->operand_count == 1) {
		fprintf(stderr, "latenza: config diff: takes no file, or two\n");
		return CLI_USAGE;
	}
	return c->operand_count == 2 ? diff_files(c) : diff_running(c);
}
