/* routes.c - the route table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/routes.h"

#include "gateway/answer.h"
#include "gateway/inside.h"
#include "gateway/models.h"

extern const struct stage stages_call[];

static void
answer_healthz(struct request *r)
{
	struct buf b;

	buf_init(&b, 64);
	buf_add_z(&b, "{\"status\":\"ok\"}");
	answer_json(r, 200, &b);
}

static void
add_member(struct buf *b, const char *name, const char *text)
{
	buf_addf(b, ",\"%s\":", name);
	buf_add_json(b, lz_strz(text));
}

/* A refused configuration does not make a gateway unready: the last good one serves. It
 * is said all the same. */
static void
answer_readyz(struct request *r)
{
	struct err why = { "" }, refused = { "" };
	bool is_ready = inside_is_ready(r->worker->gateway, &why);
	struct buf b;

	buf_init(&b, 4096);
	buf_add_z(&b, is_ready ? "{\"status\":\"ready\"" : "{\"status\":\"not ready\"");
	if (!is_ready)
		add_member(&b, "reason", why.text);
	if (inside_config_refused(r->worker->gateway, &refused))
		add_member(&b, "config_refused", refused.text);
	buf_add_char(&b, '}');
	answer_json(r, is_ready ? 200 : fault_row(FAULT_NO_PROVIDER)->status, &b);
}

static const struct route routes[] = {
	{ "chat", HTTP_POST, "/v1/chat/completions", REQUEST_CHAT, true, true,
	    stages_call, NULL },
	{ "embeddings", HTTP_POST, "/v1/embeddings", REQUEST_EMBEDDINGS, true, true,
	    stages_call, NULL },
	{ "models", HTTP_GET, "/v1/models", REQUEST_CHAT, true, false, NULL,
	    models_list },
	{ "model", HTTP_GET, "/v1/models/", REQUEST_CHAT, true, false, NULL,
	    models_show },
	{ "healthz", HTTP_GET, "/healthz", REQUEST_CHAT, false, false, NULL,
	    answer_healthz },
	{ "readyz", HTTP_GET, "/readyz", REQUEST_CHAT, false, false, NULL,
	    answer_readyz },
};
enum {
	ROUTES = sizeof routes / sizeof routes[0]
};

static bool
path_is(const struct route *t, lz_str path)
{
	size_t n = strlen(t->path);

	if (t->path[n - 1] == '/')
		return path.len > n && memcmp(path.ptr, t->path, n) == 0;
	return str_is(path, t->path);
}

const struct route *
routes_find(const struct http_head *h, enum fault *fault)
{
	enum http_method method = h->method == HTTP_HEAD ? HTTP_GET : h->method;

	*fault = FAULT_UNKNOWN_URL;
	for (size_t i = 0; i < ROUTES; i++) {
		if (!path_is(&routes[i], h->path))
			continue;
		if (routes[i].method == method)
			return &routes[i];
		*fault = FAULT_METHOD;
	}
	return NULL;
}

/* The stages that guard money and texts must all be there, in this order, wherever one of
 * them is. */
void
routes_check(void)
{
	static const char *const wanted[] = { "admit", "guardrails", "again",
		"candidates", "next", "reserve", "attempt", "answer" };
	const size_t count = sizeof(wanted) / sizeof(wanted[0]);

	for (size_t i = 0; i < ROUTES; i++) {
		size_t seen = 0;

		must((routes[i].stages != NULL) != (routes[i].answer != NULL));
		if (routes[i].stages == NULL)
			continue;
		must(routes[i].needs_key);
		for (const struct stage *s = routes[i].stages; s->run != NULL; s++)
			if (seen < count && strcmp(s->name, wanted[seen]) == 0)
				seen++;
		must(seen == count);
	}
}

const struct route *
routes_at(size_t i)
{
	return i < ROUTES ? &routes[i] : NULL;
}

const struct route *
routes_of_kind(enum request_kind kind)
{
	size_t i = 0;

	while (routes[i].stages == NULL || routes[i].kind != kind) {
		i++;
		must(i < ROUTES);
	}
	return &routes[i];
}
