/* http.c - the admin listener: what probes and Prometheus read.
 *
 * It stands on [main]'s loop, away from the workers: a scrape costs a request nothing,
 * and a busy data plane does not make it look dead.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/control.h"

#include <sys/socket.h>

#include "base/mem.h"
#include "base/metric.h"
#include "plugin/registry.h"
#include "net/server.h"
#include "request/fault.h"

enum {
	METRICS_BYTES = 16 << 20,
	ADMIN_BODY_BYTES = 4096,
	ADMIN_CONNECTIONS = 64
};

struct admin_http {
	struct admin_options o;
	struct server_limits limits;
	struct server *server;
	unsigned port;
};

static void
reply(struct exchange *x, int status, const char *type, lz_str body)
{
	struct http_field fields[] = {
		{ STR_LIT("content-type"), lz_strz(type) },
		{ STR_LIT("cache-control"), STR_LIT("no-store") },
	};

	exchange_reply(x, status, fields, 2, body);
}

static void
serve_metrics(struct admin_http *a, struct exchange *x)
{
	struct buf out;

	buf_init(&out, METRICS_BYTES);
	metric_print(&out);
	registry_print_metrics(&out);
	if (a->o.more_metrics != NULL)
		a->o.more_metrics(a->o.arg, &out);
	if (out.failed)
		reply(x, fault_row(FAULT_INTERNAL)->status, "text/plain",
		    STR_LIT("out of memory\n"));
	else
		reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
	buf_free(&out);
}

static void
serve_health(struct admin_http *a, struct exchange *x)
{
	(void)a;
	reply(x, 200, "text/plain", STR_LIT("ok\n"));
}

static void
serve_ready(struct admin_http *a, struct exchange *x)
{
	struct err why = { "" };
	struct buf out;

	if (a->o.is_ready(a->o.arg, &why)) {
		reply(x, 200, "text/plain", STR_LIT("ready\n"));
		return;
	}
	buf_init(&out, sizeof(why.text) + 2);
	buf_addf(&out, "%s\n", why.text);
	reply(x, fault_row(FAULT_NO_PROVIDER)->status, "text/plain", buf_str(&out));
	buf_free(&out);
}

static const struct {
	const char *path;
	void (*serve)(struct admin_http *a, struct exchange *x);
} pages[] = {
	{ "/metrics", serve_metrics },
	{ "/healthz", serve_health },
	{ "/readyz", serve_ready },
};

static void
on_request(void *arg, struct exchange *x)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		if (!str_is(x->head.path, pages[i].path))
			continue;
		if (x->head.method == HTTP_GET || x->head.method == HTTP_HEAD)
			pages[i].serve(arg, x);
		else
			reply(x, fault_row(FAULT_METHOD)->status, "text/plain",
			    STR_LIT("only GET and HEAD\n"));
		return;
	}
	reply(x, fault_row(FAULT_UNKNOWN_URL)->status, "text/plain",
	    STR_LIT("here are /metrics, /healthz and /readyz\n"));
}

static void
on_gone(void *arg, struct exchange *x)
{
	/* Answers are given inside on_request(). */
	(void)arg;
	(void)x;
}

struct admin_http *
admin_http_open(const struct admin_options *o, struct err *e)
{
	static const struct server_ops ops = { .request = on_request, .gone = on_gone };
	struct admin_http *a = mem_zalloc(sizeof(*a));
	struct net_addr bound = { .len = sizeof(bound.sa) };
	int fd;

	if (a == NULL) {
		(void)err_fail(e, ST_NOMEM, "admin.listen: out of memory");
		return NULL;
	}
	a->o = *o;
	server_limits_default(&a->limits);
	a->limits.body_bytes = ADMIN_BODY_BYTES;
	a->limits.connections = ADMIN_CONNECTIONS;
	fd = server_socket(o->listen, false, e);
	if (fd < 0)
		goto fail;
	if (getsockname(fd, (struct sockaddr *)&bound.sa, &bound.len) == 0)
		a->port = net_addr_port(&bound);
	a->server = server_new(o->loop, &a->limits, &ops, a);
	if (a->server != NULL && server_listen(a->server, fd, e) == ST_OK)
		return a;
fail:
	err_prefix(e, "admin.listen");
	admin_http_close(a);
	return NULL;
}

void
admin_http_close(struct admin_http *a)
{
	if (a == NULL)
		return;
	if (a->server != NULL)
		server_free(a->server);
	mem_free(a);
}

unsigned
admin_http_port(const struct admin_http *a)
{
	return a->port;
}
