/* http_stub.c - the real server with a trivial application behind it, for tools that
 * judge or load an HTTP server.
 *
 * usage: http_stub [PORT]   (0 or none: any free one; the port is printed)
 * POST /v1/chat/completions with a JSON object, and GET /healthz, are answered 200;
 * /stream sends ten events; all else is 404. It ends when its standard input does.
 *
 * SPDX-License-Identifier: MIT
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/server.h"

static const struct http_field json_type = { { "content-type", 12 },
	{ "application/json", 16 } };
static const struct http_field event_type = { { "content-type", 12 },
	{ "text/event-stream", 17 } };

static void
answer(struct exchange *x, int status, const char *body)
{
	exchange_reply(x, status, &json_type, 1, lz_strz(body));
}

static void
stream(struct exchange *x)
{
	int i;

	exchange_begin(x, 200, &event_type, 1);
	for (i = 0; i < 9; i++)
		(void)exchange_write(x, STR_LIT("data: {\"n\":1}\n\n"));
	exchange_finish(x, STR_LIT("data: [DONE]\n\n"));
}

static void
on_request(void *arg, struct exchange *x)
{
	bool is_object = x->body.len > 1 && x->body.ptr[0] == '{' &&
			 x->body.ptr[x->body.len - 1] == '}';

	(void)arg;
	if (x->head.method == HTTP_POST && str_is(x->head.path, "/v1/chat/completions"))
		answer(x, is_object ? 200 : 400,
		    is_object ? "{\"ok\":true}" : "{\"error\":\"not JSON\"}");
	else if (x->head.method == HTTP_GET && str_is(x->head.path, "/healthz"))
		answer(x, 200, "{\"status\":\"ok\"}");
	else if (x->head.method == HTTP_POST && str_is(x->head.path, "/stream"))
		stream(x);
	else
		answer(x, 404, "{\"error\":\"not found\"}");
}

static void
on_refuse(void *arg, const struct http_refusal *why, struct buf *body, struct buf *fields)
{
	(void)arg;
	(void)fields;
	buf_add_z(body, "{\"error\":");
	buf_add_json(body, lz_strz(why->why));
	buf_add_char(body, '}');
}

static void
on_stdin(evutil_socket_t fd, short what, void *arg)
{
	char room[64];

	(void)what;
	if (read(fd, room, sizeof(room)) <= 0)
		loop_stop(arg);
}

static unsigned
port_of(int fd)
{
	struct net_addr a;

	a.len = sizeof(a.sa);
	if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) != 0)
		return 0;
	return net_addr_port(&a);
}

int
main(int argc, char **argv)
{
	static const struct server_ops ops = { .request = on_request,
		.refuse = on_refuse };
	char text[32];
	struct server_limits limits;
	struct net_addr a;
	struct err e;
	struct loop *l;
	struct server *s;
	struct event *input;
	int fd;

	loop_start();
	server_limits_default(&limits);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
	if (net_addr_parse(lz_strz(text), &a, &e) != ST_OK ||
	    (fd = server_socket(&a, false, &e)) < 0 || (l = loop_new(&e)) == NULL) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	s = server_new(l, &limits, &ops, NULL);
	if (s == NULL || server_listen(s, fd, &e) != ST_OK) {
		(void)fprintf(stderr, "no server\n");
		return 1;
	}
	(void)printf("%u\n", port_of(fd));
	(void)fflush(stdout);
	input = event_new(loop_base(l), STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, l);
	(void)event_add(input, NULL);
	loop_run(l);
	event_free(input);
	server_free(s);
	loop_free(l);
	return 0;
}
