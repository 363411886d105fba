/* policy_open.c - scripts opened as the gateway would: under the limits and grants that
 * the configuration's `policies` give them.
 *
 * A script that the configuration does not name has the usual limits, and may ask for
 * every address: nothing is reached from here anyway.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "config/config.h"
#include "gateway/scripts.h"

/* ---- which entry is meant ---- */

static bool
is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* What a script calls itself is known when it is loaded. */
static bool
is_called(const struct policy *p, lz_str name)
{
	struct script_limits limits;
	const struct script_source like = { .limits = &limits };
	struct err ignored;
	struct script *s;
	bool is;

	scripts_limits(&p->terms, &limits);
	s = script_open(p->path.ptr, input_file, &like, &ignored);
	is = s != NULL && str_is(name, script_component(s)->name);
	script_unref(s);
	return is;
}

/* A name has no slash and no ".lua", and is no file. */
static bool
is_name(const char *what)
{
	struct stat is;

	return str_starts(lz_strz(what), "lua:") ||
	       (strchr(what, '/') == NULL && !str_ends(lz_strz(what), ".lua") &&
		   stat(what, &is) != 0);
}

static const struct policy *
named(const struct config *config, const char *what, struct err *e)
{
	lz_str name = lz_strz(what);
	const struct policy *found = NULL;

	if (str_starts(name, "lua:"))
		name = str_cut(name, 4, name.len);
	for (size_t i = 0; i < config->policy_count; i++) {
		const struct policy *p = &config->policy[i];

		if (!is_called(p, name))
			continue;
		if (found != NULL) { /* a router and a guardrail may share one */
			(void)err_fail(e, ST_INVALID,
			    "%.60s: is in %.*s and in %.*s; name the file", what,
			    STR_ARG(found->path), STR_ARG(p->path));
			return NULL;
		}
		found = p;
	}
	if (found == NULL)
		(void)err_fail(e, ST_NOT_FOUND,
		    "%.60s: there is no file of that name, and no script under "
		    "`policies` "
		    "of %s that is called so and loads",
		    what, config->path != NULL ? config->path : "a latenza.yaml");
	return found;
}

static const struct policy *
of_file(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->policy_count; i++)
		if (is_same_file(config->policy[i].path.ptr, path))
			return &config->policy[i];
	return NULL;
}

/* ---- opened ---- */

static struct config *
read_policies(const struct cli *c, struct err *e)
{
	struct config_options o = { .only_policies = true, .is_offline = true };
	char path[POLICY_PATH_BYTES];

	if (config_find(cli_text(c, "config"), path, sizeof(path)))
		o.path = path;
	return config_load(&o, NULL, e);
}

/* p: NULL: nobody names it. */
static struct script *
open_under(struct policy_opening *o, const struct config *config, const struct policy *p,
    const char *path, struct err *e)
{
	struct script_source like = {
		.limits = &o->limits, .wrong = o->wrong, .wrong_arg = o->wrong_arg
	};

	o->limits = script_limits_usual;
	o->from[0] = '\0';
	if (p != NULL) {
		scripts_limits(&p->terms, &o->limits);
		like.http = p->terms.http;
		like.http_count = p->terms.http_count;
		(void)snprintf(o->from, sizeof(o->from), "%s:%u", config->path, p->line);
	}
	return script_open(path, input_file, &like, e);
}

struct script *
policy_open(
    const struct cli *c, const char *what, struct policy_opening *o, struct err *e)
{
	struct config *config = read_policies(c, e);
	const struct policy *p;
	struct script *s = NULL;

	o->code = CLI_CONFIG;
	if (config == NULL)
		return NULL;
	o->code = CLI_FAILED;
	if (!is_name(what))
		s = open_under(o, config, of_file(config, what), what, e);
	else if ((p = named(config, what, e)) != NULL)
		s = open_under(o, config, p, p->path.ptr, e);
	config_unref(config);
	config_reap();
	return s;
}

struct fake *
policy_fake(const struct policy_opening *o)
{
	struct fake *f = fake_new(policy_host());

	if (f != NULL && o->from[0] == '\0')
		fake_grant_all(f);
	return f;
}

/* ---- told ---- */

json_t *
policy_limits_json(const struct policy_opening *o)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "from",
	    o->from[0] != '\0' ? json_string(o->from) : json_null(), "steps",
	    (json_int_t)o->limits.visit_steps, "timeout_ms",
	    (json_int_t)o->limits.wall_ms, "memory_bytes",
	    (json_int_t)o->limits.memory_bytes, "calls", (json_int_t)o->limits.callouts);
}

void
policy_limits_print(const struct policy_opening *o, char *out, size_t n)
{
	(void)snprintf(out, n, "%llu steps, %u ms, %zu KiB, calls: %u; %s",
	    (unsigned long long)o->limits.visit_steps, o->limits.wall_ms,
	    o->limits.memory_bytes / 1024, o->limits.callouts,
	    o->from[0] != '\0' ? o->from : "the usual ones, no `policies` names it");
}
