/* upstream_sock.c - the sockets of libcurl's connections, and the origins they lead to.
 *
 * A tentative socket is watched as libcurl says and forgotten when it says so. A lasting
 * one is a connection that carried a request: it is known by origin and local port, so
 * that its next use is recognised, and rests in a list by age.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/mem.h"

enum {
	SOCKS_FIRST = 64,
	DRAIN_BYTES = 4096,
	DRAIN_READS = 16
};

/* Origins. */

struct origin *
origin_get(struct upstream *u, uint64_t hash, bool is_shared)
{
	struct origin **bucket = &u->origin[hash & (ORIGIN_BUCKETS - 1)];
	struct origin *o;

	for (o = *bucket; o != NULL && o->hash != hash; o = o->next)
		;
	if (o == NULL) {
		o = mem_zalloc(sizeof(*o));
		if (o == NULL)
			return NULL;
		o->hash = hash;
		o->is_shared = is_shared;
		o->next = *bucket;
		*bucket = o;
	}
	o->refs++;
	return o;
}

void
origin_unref(struct upstream *u, struct origin *o)
{
	struct origin **link;

	if (o == NULL || --o->refs > 0)
		return;
	link = &u->origin[o->hash & (ORIGIN_BUCKETS - 1)];
	while (*link != o)
		link = &(*link)->next;
	*link = o->next;
	mem_free(o);
}

/* Sockets, by file descriptor. */

struct sock *
sock_find(const struct upstream *u, curl_socket_t fd)
{
	return fd >= 0 && (size_t)fd < u->sock_room ? u->sock[fd] : NULL;
}

static bool
sock_make_room(struct upstream *u, curl_socket_t fd)
{
	size_t room = u->sock_room > 0 ? u->sock_room : SOCKS_FIRST;
	struct sock **sock;

	if ((size_t)fd < u->sock_room)
		return true;
	while (room <= (size_t)fd)
		room *= 2;
	sock = mem_realloc(u->sock, room * sizeof(struct sock *));
	if (sock == NULL)
		return false;
	memset(sock + u->sock_room, 0, (room - u->sock_room) * sizeof(struct sock *));
	u->sock = sock;
	u->sock_room = room;
	return true;
}

bool
sock_watch_reading(struct sock *k, bool on)
{
	if (k->is_reading != on &&
	    (on ? event_add(&k->readable, NULL) : event_del(&k->readable)) != 0)
		return false;
	k->is_reading = on;
	return true;
}

bool
sock_watch_writing(struct sock *k, bool on)
{
	if (k->is_writing != on &&
	    (on ? event_add(&k->writable, NULL) : event_del(&k->writable)) != 0)
		return false;
	k->is_writing = on;
	return true;
}

struct sock *
sock_new(struct shard *s, curl_socket_t fd)
{
	struct upstream *u = s->u;
	struct event_base *base = loop_base(u->loop);
	struct sock *k;

	if (!sock_make_room(u, fd))
		return NULL;
	k = mem_zalloc(sizeof(*k));
	if (k == NULL)
		return NULL;
	k->shard = s;
	k->fd = fd;
	if (event_assign(&k->readable, base, fd, EV_READ | EV_PERSIST, shard_on_readable,
		k) != 0 ||
	    event_assign(&k->writable, base, fd, EV_WRITE | EV_PERSIST, shard_on_writable,
		k) != 0) {
		mem_free(k);
		return NULL;
	}
	u->sock[fd] = k;
	return k;
}

/* Resting connections: in a list by age, and counted for the choice of a shard. */

void
sock_rest(struct sock *k)
{
	struct upstream *u = k->shard->u;

	if (k->is_idle || k->origin == NULL || k->users != NULL || k->wants != 0)
		return;
	k->is_idle = true;
	k->idle_since_us = upstream_now_us(u);
	k->idle_prev = u->idle_last;
	k->idle_next = NULL;
	*(k->idle_prev != NULL ? &k->idle_prev->idle_next : &u->idle_first) = k;
	u->idle_last = k;
	k->shard->idle++;
	k->origin->idle[k->shard->index]++;
	/* Without memory to watch it or for the timer it is found out when it is used
	 * again. */
	(void)sock_watch_reading(k, true);
	if (u->sweep.place == 0)
		(void)!loop_timer_set(
		    u->loop, &u->sweep, (int64_t)u->o.idle_ms * 1000, shard_on_sweep, u);
}

void
sock_unrest(struct sock *k)
{
	struct upstream *u = k->shard->u;

	if (!k->is_idle)
		return;
	k->is_idle = false;
	*(k->idle_prev != NULL ? &k->idle_prev->idle_next : &u->idle_first) =
	    k->idle_next;
	*(k->idle_next != NULL ? &k->idle_next->idle_prev : &u->idle_last) = k->idle_prev;
	k->shard->idle--;
	k->origin->idle[k->shard->index]--;
}

/* Ends a resting connection. libcurl has no call for that, but it finds the socket closed
 * when it looks at it the next time, and drops it. It looks no further than the first
 * byte, so none may be left. */
void
sock_retire(struct sock *k)
{
	char rest[DRAIN_BYTES];
	unsigned i;

	sock_unrest(k);
	(void)sock_watch_reading(k, false);
	for (i = 0;
	     i < DRAIN_READS && io.recv(k->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
		;
	(void)shutdown(k->fd, SHUT_RDWR);
}

/* Has the kept connection been closed by the other side, or does it hold bytes that
 * nobody asked for? */
bool
sock_is_unfit(const struct sock *k)
{
	char byte;
	ssize_t n = io.recv(k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Lasting sockets: the connections that carried a request. */

static struct sock **
port_bucket(struct upstream *u, int port)
{
	return &u->port[(unsigned)port & (PORT_BUCKETS - 1)];
}

struct sock *
sock_by_port(const struct upstream_call *c, int port)
{
	struct sock *k = *port_bucket(c->u, port);

	while (k != NULL &&
	       (k->port != port || k->shard != c->shard || k->origin != c->origin))
		k = k->port_next;
	return k;
}

static int
local_port(curl_socket_t fd)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return -1;
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return sa.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&sa)->sin_port)
				       : -1;
}

/* The socket that the call opened and that won, when several addresses were tried. */
static curl_socket_t
try_by_port(const struct upstream_call *c, int port)
{
	unsigned i, n = c->tried < TRIES_MAX ? c->tried : TRIES_MAX;

	for (i = 1; i <= n; i++) {
		curl_socket_t fd = c->tries[(c->tried - i) % TRIES_MAX];

		if (local_port(fd) == port)
			return fd;
	}
	return CURL_SOCKET_BAD;
}

struct sock *
sock_adopt(struct upstream_call *c, int port)
{
	struct upstream *u = c->u;
	curl_socket_t fd = try_by_port(c, port);
	struct sock *k = sock_find(u, fd);

	if (fd == CURL_SOCKET_BAD)
		return NULL;
	if (k == NULL)
		k = sock_new(c->shard, fd);
	if (k == NULL)
		return NULL;
	k->origin = c->origin;
	k->origin->refs++;
	k->origin->open[c->shard->index]++;
	c->shard->open++;
	k->port = port;
	k->port_next = *port_bucket(u, port);
	*port_bucket(u, port) = k;
	return k;
}

static void
sock_unadopt(struct sock *k)
{
	struct upstream *u = k->shard->u;
	struct sock **link = port_bucket(u, k->port);

	sock_unrest(k);
	while (*link != k)
		link = &(*link)->port_next;
	*link = k->port_next;
	k->shard->open--;
	k->origin->open[k->shard->index]--;
	origin_unref(u, k->origin);
}

void
sock_leave(struct upstream_call *c)
{
	struct upstream_call **link;

	if (c->sock == NULL)
		return;
	for (link = &c->sock->users; *link != c; link = &(*link)->sock_next)
		;
	*link = c->sock_next;
	c->sock = NULL;
}

void
sock_free(struct sock *k)
{
	if (k == NULL)
		return;
	while (k->users != NULL)
		sock_leave(k->users);
	if (k->origin != NULL)
		sock_unadopt(k);
	(void)sock_watch_reading(k, false);
	(void)sock_watch_writing(k, false);
	k->shard->u->sock[k->fd] = NULL;
	mem_free(k);
}
