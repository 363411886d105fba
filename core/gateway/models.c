/* models.c - the model list, from the same filters as a request: allowlist and test mark.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/models.h"

#include <inttypes.h>

#include "gateway/answer.h"
#include "key/stage.h"

enum {
	LIST_BYTES = 4 << 20
};

static bool
may_use(const struct request *r, const struct target *t)
{
	return (!r->key->is_test || t->provider->is_test) && key_allows(r, t->model->id);
}

/* The first of them that the key may use; NULL: none. */
static const struct target *
first_of(const struct request *r, lz_str asked, const struct target *const *t, size_t n)
{
	for (size_t i = 0; key_allows(r, asked) && i < n; i++)
		if (may_use(r, t[i]))
			return t[i];
	return NULL;
}

static void
add_model(const struct request *r, struct buf *b, lz_str prefix, lz_str id, lz_str owner)
{
	/* its day, so that answers of the same day are the same */
	int64_t created = r->began.unix_ms / 1000 / 86400 * 86400;
	struct buf name;

	buf_init(&name, 600);
	buf_add_str(&name, prefix);
	buf_add_str(&name, id);
	buf_add_z(b, "{\"id\":");
	buf_add_json(b, buf_str(&name));
	b->failed |= name.failed;
	buf_addf(
	    b, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":", created);
	buf_add_json(b, owner);
	buf_add_char(b, '}');
	buf_free(&name);
}

void
models_list(struct request *r)
{
	const struct config *c = r->config;
	struct buf b;
	size_t n = 0;

	buf_init(&b, LIST_BYTES);
	buf_add_z(&b, "{\"object\":\"list\",\"data\":[");
	/* A name that several providers serve is listed once, under the first. */
	for (size_t i = 0; i < c->name_count; i++) {
		const struct model_name *m = &c->name[i];
		const struct target *t = first_of(r, m->id, m->target, m->count);

		if (t == NULL)
			continue;
		buf_add_z(&b, n++ > 0 ? "," : "");
		add_model(r, &b, STR_NONE, m->id, t->provider->name);
	}
	for (size_t i = 0; i < c->router_count; i++) {
		buf_add_z(&b, n++ > 0 ? "," : "");
		add_model(r, &b, STR_LIT("latenza/"), lz_strz(c->router[i]->name),
		    STR_LIT("latenza"));
	}
	buf_add_z(&b, "]}");
	answer_json(r, 200, &b);
}

static bool
show(struct request *r, lz_str id, struct buf *b)
{
	const struct target *found[REQUEST_CANDIDATES];
	struct target *made = arena_alloc(r->arena, sizeof *made);
	const struct target *t;
	size_t n;

	if (str_starts(id, "latenza/")) {
		lz_str name = str_cut(id, strlen("latenza/"), id.len);

		if (config_router(r->config, name) == NULL)
			return false;
		add_model(r, b, STR_NONE, id, STR_LIT("latenza"));
		return true;
	}
	b->failed = made == NULL;
	n = made != NULL
		? config_targets(r->config, id, found, REQUEST_CANDIDATES, made, r->arena)
		: 0;
	t = first_of(r, id, found, n);
	if (t != NULL)
		add_model(r, b, STR_NONE, id, t->provider->name);
	return t != NULL;
}

static int
hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* SDKs write the slashes of a model's name as %2F. A percent sign without two digits
 * stands for itself. */
static lz_str
decoded(struct request *r, lz_str s)
{
	char *out = arena_alloc(r->arena, s.len + 1);
	size_t n = 0;

	if (out == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.len; i++) {
		bool is_code = s.ptr[i] == '%' && i + 2 < s.len &&
			       hex_of(s.ptr[i + 1]) >= 0 && hex_of(s.ptr[i + 2]) >= 0;

		out[n++] = is_code
			       ? (char)(hex_of(s.ptr[i + 1]) * 16 + hex_of(s.ptr[i + 2]))
			       : s.ptr[i];
		i += is_code ? 2 : 0;
	}
	return lz_strn(out, n);
}

void
models_show(struct request *r)
{
	lz_str path = r->x->head.path;
	lz_str id = decoded(r, str_cut(path, strlen("/v1/models/"), path.len));
	struct buf b;

	buf_init(&b, 4096);
	if (show(r, id, &b) || b.failed || id.ptr == NULL)
		answer_json(r, 200, &b);
	else
		request_fail(r, FAULT_MODEL_NOT_FOUND, "model",
		    "the model '%.*s' does not exist here, or this key may not use it",
		    STR_ARG(str_cut(id, 0, 200)));
}
