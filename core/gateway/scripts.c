/* scripts.c - scripts as components of the registry: what `policies` in the file become.
 *
 * lua/ knows scripts and plugin/ knows components; this joins them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/scripts.h"

#include <stdio.h>

#include "base/log.h"
#include "config/policy.h"
#include "lua/script.h"
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

static const struct part_info *
load(const struct policy_want *w,
    enum status (*read)(const char *path, struct buf *text, struct err *e),
    const struct policy *before, size_t before_count, struct err *e)
{
	struct script_limits limits = script_limits_usual;
	struct script_source like = {
		.limits = &limits, .http = w->http, .http_count = w->http_count
	};
	const struct part_info *info;
	struct script *s;

	limits.visit_steps = (uint64_t)w->cpu_ms * SCRIPT_STEPS_PER_MS;
	if (limits.slice_steps > limits.visit_steps)
		limits.slice_steps = limits.visit_steps;
	limits.wall_ms = (uint32_t)w->wall_ms;
	limits.memory_bytes = (size_t)w->memory_bytes;
	if (limits.string_bytes > limits.memory_bytes / 4)
		limits.string_bytes = limits.memory_bytes / 4;
	limits.callouts = (uint32_t)w->callouts;
	s = script_open(w->path, read, &like, e);
	if (s == NULL)
		return NULL;
	info = same_as_before(s, before, before_count);
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
