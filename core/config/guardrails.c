/* guardrails.c - the guardrails that the file names: instances of plugins' components,
 * with what the gateway owns of each of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>

#include "base/json.h"
#include "base/metric.h"
#include "config/instance.h"

enum {
	WHERE_BYTES = 100,
	DEADLINE_MAX_MS = 60000
};

struct guardrail_options {
	lz_str use;
	lz_list on;
	int32_t on_error, mode, stream, default_on;
	int64_t deadline_ms;
};

static const lz_option rows[] = {
	LZ_OPT_TEXT(
	    struct guardrail_options, use, NULL, NULL, "the guardrail of a plugin"),
	LZ_OPT_LIST(struct guardrail_options, on, "", "request|response",
	    "what it looks at; default: all that it can"),
	LZ_OPT_CHOICE(struct guardrail_options, on_error, "closed", "closed|open",
	    "when it fails or is too slow: refuse, or go on without it"),
	LZ_OPT_CHOICE(struct guardrail_options, mode, "enforce", "enforce|monitor",
	    "monitor: its verdicts are recorded, and nothing comes of them"),
	LZ_OPT_INT(struct guardrail_options, deadline_ms, "2s", 1, DEADLINE_MAX_MS,
	    "duration", "the longest that one check may wait for something"),
	LZ_OPT_CHOICE(struct guardrail_options, stream, "auto", "auto|hold|after",
	    "a streamed answer: auto, piece by piece where the guardrail can, else hold; "
	    "hold, all of it is held back until it was checked; after, it is checked "
	    "when it is out already, for the record"),
	LZ_OPT_BOOL(struct guardrail_options, default_on, "false",
	    "it holds for every request; else for those whose key, assistant or "
	    "organization names it"),
};
static const char *const ours[] = { "use", "on", "on_error", "mode", "deadline_ms",
	"stream", "default_on", NULL };
enum {
	ROWS = sizeof(rows) / sizeof(rows[0])
};

/* ---- one ---- */

static uint32_t
phases_of(struct build *b, const struct instance *m, const lz_list *on)
{
	uint32_t phases = 0;

	for (size_t i = 0; i < on->count; i++) {
		bool is_request = str_is(on->items[i], "request");
		uint32_t one = is_request ? LZ_REQUEST : LZ_RESPONSE;

		if ((m->info->phases & one) == 0)
			build_wrong(b, m->where, m->object, "on",
			    "the guardrail \"%s\" does not look at a %s", m->info->name,
			    is_request ? "request" : "response");
		phases |= one;
	}
	if (on->items != NULL && on->count == 0)
		build_wrong(b, m->where, m->object, "on",
		    "is empty; leave it out to look at all that it can, or remove the "
		    "guardrail");
	return on->items != NULL ? phases : m->info->phases;
}

/* What is made of `stream: auto`. */
static enum guardrail_stream
stream_of(const struct instance *m, int32_t said)
{
	if (said == GUARDRAIL_PIECES && !m->info->streams)
		return GUARDRAIL_HOLD;
	return (enum guardrail_stream)said;
}

static void
settle(struct build *b, struct guardrail *g, const struct instance *m,
    const struct guardrail_options *o)
{
	g->phases = phases_of(b, m, &o->on);
	g->is_open = o->on_error != 0;
	g->is_monitor = o->mode != 0;
	g->is_default = o->default_on != 0;
	g->deadline_ms = (unsigned)o->deadline_ms;
	g->stream = stream_of(m, o->stream);
	if ((g->phases & LZ_RESPONSE) != 0 && g->stream == GUARDRAIL_AFTER &&
	    !g->is_monitor)
		build_warn(b, m->where, m->object, "stream",
		    "after: a streamed answer is out when this guardrail sees it; it "
		    "can tell, not prevent");
}

static struct guardrail *
before_of(const struct build *b, const char *name)
{
	const struct config *before = b->o->before;

	for (size_t i = 0; before != NULL && i < before->guardrail_count; i++)
		if (str_is(before->guardrail[i].name, name))
			return &before->guardrail[i];
	return NULL;
}

static void
add(struct build *b, const json_t *root, const char *name, const json_t *object)
{
	char where[WHERE_BYTES];
	struct instance m = { .name = name, .where = where, .object = object };
	struct guardrail_options o = { 0 };
	struct guardrail *g = &b->c->guardrail[b->c->guardrail_count], *before;
	struct options_context host, own;
	const char **names = build_names(b, object);

	(void)snprintf(where, sizeof(where), "guardrails.%s", name);
	m.info = instance_find(b, "guardrail", where, object);
	if (m.info == NULL || names == NULL)
		return;
	m.own = instance_own(b, object, ours);
	/* The gateway's rows do not know the component's, and the other way round. */
	host = build_context(b, where);
	host.ignore = names;
	own = build_context(b, where);
	own.ignore = ours;
	if (build_apply(rows, ROWS, object, &o, &host) &&
	    instance_check(&m, object, &own, NULL) == ST_OK) {
		before = before_of(b, name);
		g->name = lz_strz(name);
		g->info = m.info;
		settle(b, g, &m, &o);
		memcpy(g->options_digest, m.digest, sizeof(m.digest));
		g->part = instance_make(b, root, &m, before != NULL ? before->part : NULL,
		    before != NULL ? before->options_digest : NULL);
		b->c->guardrail_count += g->part != NULL || b->o->is_offline;
	}
	json_decref(m.own);
}

void
guardrails_read(struct build *b, const json_t *root)
{
	const json_t *all = build_object(b, root, "guardrails");
	const char *name;
	json_t *value;

	b->c->guardrail = build_alloc(b, GUARDRAILS * sizeof(*b->c->guardrail));
	if (b->is_out_of_memory)
		return;
	if (all == NULL && json_object_get(root, "guardrails") != NULL)
		build_wrong(b, NULL, root, "guardrails", "is not a map of guardrails");
	json_object_foreach((json_t *)(uintptr_t)all, name, value)
	{
		const json_t *object = build_object(b, all, name);

		if (!instance_name_is_fine(b, "guardrails", "guardrail", all, name))
			continue;
		if (object == NULL)
			build_wrong(b, "guardrails", all, name,
			    "is not a map; write { use: NAME }");
		else if (b->c->guardrail_count == GUARDRAILS)
			build_wrong(b, "guardrails", all, name,
			    "there are more than %d guardrails", GUARDRAILS);
		else
			add(b, root, name, object);
	}
}

void
guardrails_number(struct config *c)
{
	for (size_t i = 0; i < c->guardrail_count; i++)
		c->guardrail[i].counted_as = metric_name(c->guardrail[i].name);
}

/* ---- named elsewhere ---- */

const struct guardrail *
config_guardrail(const struct config *c, lz_str name)
{
	for (size_t i = 0; i < c->guardrail_count; i++)
		if (str_eq(c->guardrail[i].name, name))
			return &c->guardrail[i];
	return NULL;
}

/* One that was refused has had its sentence. */
void
guardrails_check_names(struct build *b, const char *where, const json_t *object,
    const struct key_settings *s)
{
	for (size_t i = 0; i < s->guardrail_count; i++) {
		lz_str name = s->guardrail[i];

		if (config_guardrail(b->c, name) != NULL ||
		    json_object_getn(json_object_get(b->c->tree, "guardrails"), name.ptr,
			name.len) != NULL)
			continue;
		build_wrong(b, where, object, "guardrails",
		    "there is no \"%.*s\" under guardrails", STR_ARG(name));
	}
}

/* ---- told to others ---- */

static json_t *
phases_shown(uint32_t phases)
{
	json_t *list = json_array();

	if ((phases & LZ_REQUEST) != 0)
		(void)json_array_append_new(list, json_string("request"));
	if ((phases & LZ_RESPONSE) != 0)
		(void)json_array_append_new(list, json_string("response"));
	return list;
}

void
config_guardrail_facts(const struct guardrail *g, json_t *out)
{
	static const char *const streams[] = { "pieces", "hold", "after" };
	bool has_answers = (g->phases & LZ_RESPONSE) != 0;

	(void)json_object_set_new(out, "guardrail", json_string(g->name.ptr));
	(void)json_object_set_new(out, "component", json_string(g->info->name));
	(void)json_object_set_new(out, "plugin", json_string(g->info->plugin));
	(void)json_object_set_new(out, "on", phases_shown(g->phases));
	(void)json_object_set_new(
	    out, "on_error", json_string(g->is_open ? "open" : "closed"));
	(void)json_object_set_new(
	    out, "mode", json_string(g->is_monitor ? "monitor" : "enforce"));
	(void)json_object_set_new(
	    out, "deadline_ms", json_integer((json_int_t)g->deadline_ms));
	(void)json_object_set_new(
	    out, "stream", has_answers ? json_string(streams[g->stream]) : json_null());
	(void)json_object_set_new(out, "default_on", json_boolean(g->is_default));
}

json_t *
guardrails_schema(void)
{
	const struct part_ops *ops = part_get_ops();
	json_t *schema = options_schema(rows, ROWS, sizeof(*rows));
	json_t *properties = json_object_get(schema, "properties");
	const struct part_info *info;

	/* All guardrails' options together: which one an entry uses is not known to a
	 * schema. */
	for (size_t i = 0; ops != NULL && (info = ops->at(i)) != NULL; i++) {
		json_t *own;

		if (strcmp(info->kind, "guardrail") != 0)
			continue;
		own =
		    options_schema(info->options, info->option_count, info->option_size);
		(void)json_object_update_missing(
		    properties, json_object_get(own, "properties"));
		json_decref(own);
	}
	return json_pack("{s:s, s:s, s:{s:s}, s:o}", "type", "object", "description",
	    "guardrails by name; a list of names at an organization, an assistant or a "
	    "key says for whom they hold",
	    "propertyNames", "pattern", "^[a-z0-9-]{1,64}$", "additionalProperties",
	    schema);
}

json_t *
guardrails_shown(const struct config *c)
{
	const json_t *written = json_object_get(c->tree, "guardrails");
	json_t *out = json_object_size(written) > 0 ? json_object() : NULL;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)written, name, value)
	{
		lz_str near;
		const struct part_info *info =
		    instance_component(c, "guardrail", json_get_str(value, "use"), &near);
		json_t *one = options_shown(rows, ROWS, sizeof(*rows), value);
		json_t *own = info != NULL
				  ? options_shown(info->options, info->option_count,
					info->option_size, value)
				  : NULL;

		(void)json_object_update_missing(one, own);
		json_decref(own);
		(void)json_object_set_new(out, name, one);
	}
	return out;
}
