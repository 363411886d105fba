/* diff.c - what a reload would change, one line each, without a secret in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "config/build.h"

enum {
	PATH_BYTES = 400,
	VALUE_BYTES = 200
};

struct diffing {
	struct buf *out;
	char path[PATH_BYTES];
	size_t len;
};

static void
add_value(struct diffing *d, const json_t *value)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	if (!json_print(value, &text))
		buf_add_z(d->out, "...");
	else if (text.len > VALUE_BYTES)
		buf_addf(d->out, "%.*s...", VALUE_BYTES, text.ptr);
	else
		buf_add_str(d->out, buf_str(&text));
	buf_free(&text);
}

/* Enters a member; gives back what leave() needs. */
static size_t
enter(struct diffing *d, const char *name)
{
	size_t before = d->len, n = strlen(name);

	if (before + n + 2 > sizeof(d->path))
		return before;
	if (before > 0)
		d->path[d->len++] = '.';
	memcpy(d->path + d->len, name, n + 1);
	d->len += n;
	return before;
}

static void
leave(struct diffing *d, size_t before)
{
	d->len = before;
	d->path[before] = '\0';
}

static void
line(struct diffing *d, char sign, const json_t *from, const json_t *to)
{
	buf_addf(d->out, "%c %s", sign, d->path);
	if (from != NULL && to != NULL) {
		buf_add_char(d->out, ' ');
		add_value(d, from);
		buf_add_z(d->out, " -> ");
		add_value(d, to);
	} else if (!json_is_object(from) && !json_is_object(to)) {
		buf_add_char(d->out, ' ');
		add_value(d, from != NULL ? from : to);
	}
	buf_add_char(d->out, '\n');
}

static void
compare(struct diffing *d, const json_t *a, const json_t *b)
{
	const char *name;
	json_t *value;

	if (!json_is_object(a) || !json_is_object(b)) {
		if (!json_equal(a, b))
			line(d, '~', a, b);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)a, name, value)
	{
		const json_t *other = json_object_get(b, name);
		size_t before = enter(d, name);

		if (other == NULL)
			line(d, '-', value, NULL);
		else
			compare(d, value, other);
		leave(d, before);
	}
	json_object_foreach((json_t *)(uintptr_t)b, name, value)
	{
		size_t before = enter(d, name);

		if (json_object_get(a, name) == NULL)
			line(d, '+', NULL, value);
		leave(d, before);
	}
}

/* ---- what the shown values hide ---- */

static bool
same_secrets(const struct provider *a, const struct provider *b)
{
	if (a->api_key_count != b->api_key_count)
		return true; /* their number is seen already */
	for (size_t i = 0; i < a->api_key_count; i++) {
		if (!str_eq(a->api_keys[i], b->api_keys[i]))
			return false;
	}
	return true;
}

static bool
same_headers(const struct provider *a, const struct provider *b)
{
	if (a->header_count != b->header_count)
		return true;
	for (size_t i = 0; i < a->header_count; i++) {
		if (!str_eq(a->headers[i].value, b->headers[i].value) &&
		    str_eq(a->headers[i].name, b->headers[i].name))
			return false;
	}
	return true;
}

static void
compare_providers(const struct config *a, const struct config *b, struct buf *out)
{
	for (size_t i = 0; i < a->provider_count; i++) {
		for (size_t k = 0; k < b->provider_count; k++) {
			const struct provider *x = &a->provider[i], *y = &b->provider[k];

			if (!str_eq(x->name, y->name))
				continue;
			if (!same_secrets(x, y))
				buf_addf(out,
				    "~ providers.%.*s.api_keys (a secret changed)\n",
				    STR_ARG(x->name));
			if (!same_headers(x, y))
				buf_addf(out,
				    "~ providers.%.*s.headers (a value changed)\n",
				    STR_ARG(x->name));
			if (x->info != y->info ||
			    memcmp(x->options_digest, y->options_digest,
				sizeof(x->options_digest)) != 0)
				buf_addf(out,
				    "~ providers.%.*s (a new instance of its plugin)\n",
				    STR_ARG(x->name));
		}
	}
}

static bool
same_secret(const struct config_key *a, const struct config_key *b)
{
	return a->has_sha256 == b->has_sha256 && str_eq(a->secret, b->secret) &&
	       memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

static const struct config_key *
key_named(const struct config *c, lz_str id)
{
	for (size_t i = 0; i < c->key_count; i++) {
		if (str_eq(c->key[i].id, id))
			return &c->key[i];
	}
	return NULL;
}

void
config_diff(const struct config *a, const struct config *b, struct buf *out)
{
	struct diffing d = { .out = out };
	json_t *shown_a = config_shown(a), *shown_b = config_shown(b);

	compare(&d, shown_a, shown_b);
	json_decref(shown_a);
	json_decref(shown_b);
	compare_providers(a, b, out);
	if (memcmp(a->catalogue_digest, b->catalogue_digest,
		sizeof(a->catalogue_digest)) != 0 &&
	    str_eq(a->catalogue, b->catalogue))
		buf_add_z(out, "~ catalogue (the file changed)\n");
	for (size_t i = 0; i < a->key_count; i++) {
		const struct config_key *other = key_named(b, a->key[i].id);

		if (other != NULL && !same_secret(&a->key[i], other))
			buf_addf(out, "~ keys.%.*s (its secret changed)\n",
			    STR_ARG(a->key[i].id));
	}
}
