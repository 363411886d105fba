/* scripts.c - scripts as components of the registry: what `policies` in the file become.
 *
 * lua/ knows scripts and plugin/ knows components; this joins them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/scripts.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "config/policy.h"
#include "gateway/kept.h"
#include "plugin/host.h"
#include "plugin/registry.h"

static void
seat(void *origin, void *instance, const lz_host *host)
{
	script_seat(origin, instance, host);
}

static void
release(void *origin)
{
	script_unref(origin);
}

static const struct part_info *
offer(struct script *s, const char *path, struct err *e)
{
	const lz_component *c = script_component(s);
	struct offer o = { .component = c,
		.file = path,
		.license = "as it says",
		.seat = seat,
		.release = release };
	char name[SCRIPT_NAME_BYTES + 5], version[9];

	(void)snprintf(name, sizeof(name), "lua:%s", c->name);
	crypto_hex(script_digest(s), 4, version); /* enough to tell two of them apart */
	o.name = name;
	o.version = version;
	o.origin = s;
	return registry_offer(&o, e);
}

static const struct part_info *
same_as_before(const struct script *s, const struct policy *before, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct script *old = registry_origin(before[i].info);

		/* One that was switched off is given another chance by a reload. */
		if (memcmp(script_digest(old), script_digest(s), CRYPTO_HASH_BYTES) ==
			0 &&
		    !script_is_off(old))
			return before[i].info;
	}
	return NULL;
}

/* ---- the test beside a script ---- */

struct first_failure {
	char text[400];
};

static void
hear_case(void *arg, const char *name, const char *why)
{
	struct first_failure *f = arg;

	if (why != NULL && f->text[0] == '\0')
		(void)snprintf(
		    f->text, sizeof(f->text), "its test \"%.80s\" fails: %s", name, why);
}

/* ST_OK also when there is none. */
static enum status
test(struct script *s, const char *path,
    enum status (*read)(const char *path, struct buf *text, struct err *e), struct err *e)
{
	struct first_failure first = { "" };
	char beside[PATH_MAX];
	unsigned failed;
	lz_host host;
	enum status st;

	if (!script_test_path(path, beside, sizeof(beside)) || access(beside, F_OK) != 0)
		return ST_OK;
	host_fill(&host, NULL);
	st = script_test_open(beside, read, &s, 1, &host, hear_case, &first, &failed, e);
	return st == ST_OK && failed > 0
		   ? err_fail(e, ST_INVALID, "%s: %s", script_file(s), first.text)
		   : st;
}

void
scripts_limits(const struct policy_terms *t, struct script_limits *out)
{
	*out = script_limits_usual;
	out->visit_steps = (uint64_t)t->cpu_ms * SCRIPT_STEPS_PER_MS;
	if (out->slice_steps > out->visit_steps)
		out->slice_steps = out->visit_steps;
	out->wall_ms = (uint32_t)t->wall_ms;
	out->memory_bytes = (size_t)t->memory_bytes;
	if (out->string_bytes > out->memory_bytes / 4)
		out->string_bytes = out->memory_bytes / 4;
	out->callouts = (uint32_t)t->callouts;
}

static const struct part_info *
load(const struct policy_want *w,
    enum status (*read)(const char *path, struct buf *text, struct err *e),
    const struct policy *before, size_t before_count, struct err *e)
{
	struct script_limits limits;
	struct script_source like = { .limits = &limits,
		.http = w->terms.http,
		.http_count = w->terms.http_count,
		.wrong = w->wrong,
		.wrong_arg = w->wrong_arg };
	const struct part_info *info;
	struct script *s;

	scripts_limits(&w->terms, &limits);
	s = script_open(w->path, read, &like, e);
	info = s != NULL ? same_as_before(s, before, before_count) : NULL;
	if (s != NULL && info == NULL && test(s, w->path, read, e) != ST_OK) {
		script_unref(s);
		s = NULL;
	}
	if (s != NULL)
		e->text[0] = '\0'; /* what was tried on the way is no news */
	else if (w->kept != NULL) {
		like.wrong = NULL; /* of what is kept nobody asked */
		s = kept_load(w->kept, w->path, &like);
	}
	if (s == NULL)
		return NULL;
	if (info != NULL) {
		registry_offer_ref(info);
		script_unref(s);
		return info;
	}
	info = offer(s, w->path, e);
	if (info == NULL)
		script_unref(s);
	return info;
}

static const struct policy_ops ops = { load, registry_offer_unref };

void
scripts_start(void)
{
	policy_set_ops(&ops);
}
