/* from_parts.c - the sections of a latenza.yaml that converters fill: providers that are
 * alike are one, names are unique, limits stay within bounds.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/from.h"

enum {
	ATTEMPTS_MOST = 8,
	NAME_BYTES = 200,
	HOUR_MS = 3600000,
	LEAST_MS = 100
};

const struct from_vendor *
from_vendor(const struct from_vendor *table, const char *name)
{
	for (; table->name != NULL; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

/* Who has no plugin may still have a door that one of ours goes through. */
void
from_say_nobody(struct from *f, const json_t *object, const char *member,
    const char *where, const char *text, const char *vendor, const struct from_vendor *v)
{
	if (v != NULL && v->instead != NULL)
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "\"%s\" is left out: no plugin here is for %s; its address for "
		    "OpenAI's dialect is %s: write a provider with plugin: compatible",
		    text, vendor, v->instead);
	else
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "\"%s\" is left out: no plugin here speaks to %s; put a server that "
		    "speaks OpenAI's dialect before it, as plugin: compatible",
		    text, *vendor != '\0' ? vendor : "whom it names");
}

/* ---- providers ---- */

static bool
is_free_name(const struct from *f, const char *name)
{
	return strcmp(name, "latenza") != 0 &&
	       json_object_get(f->providers, name) == NULL &&
	       json_object_get(f->reserved, name) == NULL;
}

/* A name that is its plugin's says the plugin. */
static void
say_plugin(const char *name, json_t *object)
{
	const char *plugin = json_string_value(json_object_get(object, "plugin"));

	if (plugin != NULL && strcmp(plugin, name) == 0)
		(void)json_object_del(object, "plugin");
}

const char *
from_provider(struct from *f, const char *name, json_t *object)
{
	char stem[FROM_NAME], chosen[FROM_NAME + 16];
	json_t *kept = json_deep_copy(object);
	const char *known;
	json_t *other;

	json_object_foreach(f->providers, known, other)
	{
		json_t *mine = json_deep_copy(object);
		bool is_same;

		say_plugin(known, mine);
		is_same = json_equal(mine, other);
		json_decref(mine);
		if (is_same) {
			json_decref(kept);
			json_decref(object);
			return known;
		}
	}
	from_slug(name, "", stem);
	(void)snprintf(chosen, sizeof(chosen), "%s", stem);
	for (unsigned i = 2; !is_free_name(f, chosen); i++)
		(void)snprintf(chosen, sizeof(chosen), "%s-%u", stem, i);
	say_plugin(chosen, kept);
	(void)json_object_set_new(f->providers, chosen, kept);
	json_decref(object);
	return json_object_iter_key(json_object_iter_at(f->providers, chosen));
}

bool
from_is_address(const char *url)
{
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* The address as this gateway wants it: no slash at the end, the vendor's suffix. */
static void
set_url(struct from *f, const json_t *object, const char *member, const char *where,
    const struct from_vendor *v, const char *url, json_t *provider)
{
	char value[FROM_VALUE + 8];
	size_t n;

	if (from_reference(f, url, value)) {
		if (v->suffix != NULL)
			from_say(f, FROM_REMARK, object, member, where,
			    "the address in %s must end in %s here", value + 4,
			    v->suffix);
		(void)json_object_set_new(provider, "base_url", json_string(value));
		return;
	}
	n = strlen(value);
	while (n > 0 && value[n - 1] == '/')
		value[--n] = '\0';
	if (v->suffix != NULL && !str_ends(lz_strz(value), v->suffix))
		(void)snprintf(value + n, sizeof(value) - n, "%s", v->suffix);
	(void)json_object_set_new(provider, "base_url", json_string(value));
}

bool
from_address(struct from *f, const json_t *object, const char *member, const char *where,
    const struct from_vendor *v, const char *url, json_t *provider)
{
	char ignored[FROM_VALUE];

	if (url != NULL && !from_is_address(url) && !from_reference(f, url, ignored)) {
		from_say(f, FROM_ERROR, object, member, where,
		    "is not an address; it must begin with http:// or https://");
		return false;
	}
	if (url != NULL && strlen(url) >= FROM_VALUE) {
		from_say(f, FROM_ERROR, object, member, where, "is longer than %d bytes",
		    FROM_VALUE - 1);
		return false;
	}
	if (url == NULL && v->url_variable == NULL && v->needs_url) {
		from_say(f, FROM_ERROR, object, NULL, where,
		    "has no address, and %s has none that is everybody's", v->name);
		return false;
	}
	(void)json_object_set_new(provider, v->preset != NULL ? "preset" : "plugin",
	    json_string(v->preset != NULL ? v->preset : v->plugin));
	if (url != NULL) {
		set_url(f, object, member, where, v, url, provider);
	} else if (v->needs_url) {
		char value[FROM_VALUE];

		(void)snprintf(value, sizeof(value), "env:%s", v->url_variable);
		(void)json_object_set_new(f->variables, v->url_variable, json_true());
		(void)json_object_set_new(provider, "base_url", json_string(value));
	} else if (v->base_url != NULL) {
		(void)json_object_set_new(provider, "base_url", json_string(v->base_url));
	}
	return true;
}

/* ---- models ---- */

bool
from_is_name(struct from *f, const json_t *object, const char *member, const char *where,
    const char *name)
{
	bool is_fine = *name != '\0' && strlen(name) <= NAME_BYTES &&
		       strncmp(name, "latenza/", 8) != 0;

	for (const char *p = name; *p != '\0'; p++)
		is_fine = is_fine && (unsigned char)*p > ' ' && *p != 0x7f && *p != '*';
	if (!is_fine)
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "\"%.200s\" was left out: a model's name has 1 to %d bytes, no "
		    "blanks or *, and does not begin with latenza/; give it another one",
		    name, NAME_BYTES);
	return is_fine;
}

static json_t *
deployments_of(struct from *f, const char *name)
{
	return json_list_in(json_object_in(f->models, name), "to");
}

static json_t *
weight_of(double weight)
{
	return weight >= 1 && weight < 1e6 && fabs(weight - floor(weight)) < 1e-9
		   ? json_integer((json_int_t)weight)
		   : json_real(weight);
}

void
from_deployment(struct from *f, const char *name, const char *provider, const char *model,
    double weight, json_t *facts)
{
	json_t *to = deployments_of(f, name), *d;
	size_t i;

	json_array_foreach(to, i, d)
	{
		const json_t *before = json_object_get(d, "weight");

		if (!str_is(json_get_str(d, "provider"), provider) ||
		    !str_is(json_get_str(d, "model"), model))
			continue;
		if (weight > 0) {
			weight += before != NULL ? json_number_value(before) : 1;
			(void)json_object_set_new(d, "weight", weight_of(weight));
		}
		json_decref(facts);
		return;
	}
	d = json_object();
	(void)json_object_set_new(d, "provider", json_string(provider));
	(void)json_object_set_new(d, "model", json_string(model));
	if (weight <= 0)
		(void)json_object_set_new(d, "weight", json_integer(0));
	else if (weight < 1 || weight > 1)
		(void)json_object_set_new(d, "weight", weight_of(weight));
	if (facts != NULL)
		(void)json_object_update(d, facts);
	json_decref(facts);
	(void)json_array_append_new(to, d);
}

/* ---- routing ---- */

void
from_attempts(struct from *f, const json_t *object, const char *member, const char *where,
    double attempts)
{
	double bounded = attempts > ATTEMPTS_MOST ? ATTEMPTS_MOST : attempts;

	if (attempts > bounded)
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "%.0f attempts are more than routing.attempts takes; it is %d",
		    attempts, ATTEMPTS_MOST);
	(void)json_object_set_new(
	    f->routing, "attempts", json_integer((json_int_t)bounded));
}

/* The whole request, and the first byte too: the other gateways have one limit, and an
 * answer that does not stream brings its first byte at its end. */
void
from_timeout(struct from *f, const json_t *object, const char *member, const char *where,
    double ms)
{
	double bounded = fmin(fmax(ms, LEAST_MS), HOUR_MS);

	if (ms > bounded || ms < bounded)
		from_say(f, FROM_NO_TWIN, object, member, where,
		    "%g ms is outside of routing.timeout_ms; it is %.0f", ms, bounded);
	(void)json_object_set_new(
	    f->routing, "timeout_ms", json_integer((json_int_t)bounded));
	(void)json_object_set_new(
	    f->routing, "first_byte_timeout_ms", json_integer((json_int_t)bounded));
}
