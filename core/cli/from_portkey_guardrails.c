/* from_portkey_guardrails.c - guardrails of Portkey: their lists, their checks, and what
 * a config says of them.
 *
 * There guardrails belong to a config; here to keys, organizations, or everything: so
 * each is told to be named.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from_portkey.h"

static const char *const flags[] = { "deny", "async", "on_fail", "on_success",
	"on_failure", "id", "name", "type", "checks", "sequential" };

/* ---- a guardrail ---- */

static bool
is_flag(const char *name)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i], name) == 0)
			return true;
	return false;
}

/* { checks: [ { id, parameters } ] } */
static void
convert_checks(const struct portkey_hook *h, const json_t *list)
{
	const json_t *check;
	size_t i;

	json_array_foreach(list, i, check)
	{
		char where[FROM_WHERE + 40];
		const char *id;

		(void)snprintf(where, sizeof(where), "%s.checks[%zu]", h->where, i);
		id = json_is_object(check) ? from_text(h->f, check, "id", where) : NULL;
		if (id == NULL)
			from_say(h->f, FROM_ERROR, h->object, NULL, where, "has no id");
		else
			portkey_check(h, id, json_object_get(check, "parameters"),
			    &(struct portkey_place){ check, "id", where, "parameters" });
	}
}

static void
convert_hook(struct portkey_hook *h)
{
	const char *id = from_text(h->f, h->object, "id", h->where), *name;
	json_t *value;

	from_slug(id != NULL ? id : h->phase, "", h->name);
	h->denies = json_is_true(json_object_get(h->object, "deny"));
	h->is_async = json_is_true(json_object_get(h->object, "async"));
	if (!from_is_empty(json_object_get(h->object, "on_fail")) ||
	    !from_is_empty(json_object_get(h->object, "on_failure")) ||
	    !from_is_empty(json_object_get(h->object, "on_success")))
		from_say(h->f, FROM_NO_TWIN, h->object, NULL, h->where,
		    "on_fail and on_success have no twin: verdicts stand in the trace");
	convert_checks(h, from_list(h->f, h->object, "checks", h->where));
	json_object_foreach((json_t *)(uintptr_t)h->object, name, value)
	{
		if (!is_flag(name))
			portkey_check(h, name, value,
			    &(struct portkey_place){ h->object, name, h->where, name });
	}
}

void
portkey_guardrails(struct from *f, const json_t *node, const char *where)
{
	static const struct {
		const char *member, *phase;
	} lists[] = { { "input_guardrails", "request" },
		{ "before_request_hooks", "request" },
		{ "output_guardrails", "response" },
		{ "after_request_hooks", "response" } };

	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		char written[FROM_NAME];
		const char *member = portkey_written(node, lists[k].member, written);
		const json_t *list = from_list(f, node, member, where), *one;
		size_t i;

		json_array_foreach(list, i, one)
		{
			struct portkey_hook h = {
				.f = f, .object = one, .phase = lists[k].phase
			};

			(void)snprintf(h.where, sizeof(h.where), "%.150s%s%s[%zu]", where,
			    *where != '\0' ? "." : "", member, i);
			if (json_is_object(one))
				convert_hook(&h);
			else
				from_say(f,
				    json_is_string(one) ? FROM_NO_TWIN : FROM_ERROR, node,
				    member, where,
				    json_is_string(one)
					? "the %zu. is kept at Portkey, and was left "
					  "out; "
					  "write what it does under guardrails:"
					: "the %zu. is no guardrail",
				    i + 1);
		}
	}
}
