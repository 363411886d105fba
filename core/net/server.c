/* server.c - listeners, limits on connections, and what all connections of a loop share.
 *
 * Accepting never spins and never starves: it stops when file descriptors run out (for a
 * tenth of a second) and when the server is full (until somebody leaves; the longest idle
 * keep-alive connection makes room first).
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/conn.h"

enum {
	ACCEPT_BURST = 64, /* per event, so that accepting cannot hold the turn */
	ACCEPT_PAUSE_US = 100000,
	KEPT_SHARE =
	    8, /* of the descriptors a process may have, one in so many is kept */
	KEPT_MOST = 256,
	WARN_EVERY_US = 60 * 1000000,
	NOTSENT_BYTES = 131072, /* unsent bytes the kernel takes for one client */
	ANSWER_HEAD_BYTES = 65536,
	FREE_TALKS = 128,
	PASSED_OVER = 16,
	HEAD_ROOM = HTTP_HEAD_BYTES + HTTP_FIELDS * sizeof(struct http_field),
	KEPT_HEAD_BYTES = 4096
};

void
server_limits_default(struct server_limits *l)
{
	*l = (struct server_limits){
		.head_bytes = HTTP_HEAD_BYTES,
		.body_bytes = 32 << 20,
		.out_high_bytes = 256 << 10,
		.out_low_bytes = 64 << 10,
		.connections = 10000,
		.head_timeout_us = INT64_C(10000000),
		.body_timeout_us = INT64_C(10000000),
		.body_min_rate = 1024,
		.idle_timeout_us = INT64_C(75000000),
		.write_timeout_us = INT64_C(30000000),
		.half_close_us = 50000,
	};
}

/* The date is written once a second, not once an answer. */
const char *
server_date(struct server *s)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
		"Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = (time_t)(loop_now(s->loop)->unix_ms / 1000);
	struct tm t;

	if (now == s->date_s && s->date[0] != '\0')
		return s->date;
	if (gmtime_r(&now, &t) == NULL)
		return s->date;
	(void)snprintf(s->date, sizeof(s->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[t.tm_wday % 7], t.tm_mday % 100, months[t.tm_mon % 12],
	    (t.tm_year + 1900) % 10000, t.tm_hour % 100, t.tm_min % 100, t.tm_sec % 100);
	s->date_s = now;
	return s->date;
}

/* Exchanges come from a short list of used ones. */

struct talk *
talk_new(struct conn *c)
{
	struct server *s = c->s;
	struct talk *t = s->free_talks;

	if (t != NULL) {
		s->free_talks = t->next;
		s->free_count--;
	} else {
		t = mem_zalloc(sizeof(*t));
		if (t == NULL)
			return NULL;
		buf_init(&t->head, HEAD_ROOM);
	}
	buf_init(&t->x.body, 0);
	t->x.user = NULL;
	t->x.is_over = false;
	t->x.peer = c->peer;
	t->x.began = c->began;
	t->c = c;
	t->s = s;
	memset(&t->chunked, 0, sizeof(t->chunked));
	t->is_shown = t->is_stream = t->is_chunked = t->has_no_body = false;
	return t;
}

static void
talk_free(void *arg)
{
	struct talk *t = arg;
	struct server *s = t->s;

	buf_free(&t->x.body);
	buf_reset(&t->head);
	if (t->head.cap > KEPT_HEAD_BYTES)
		buf_free(&t->head);
	if (s->free_count < FREE_TALKS) {
		t->next = s->free_talks;
		s->free_talks = t;
		s->free_count++;
	} else {
		buf_free(&t->head);
		mem_free(t);
	}
}

void
talk_end(struct talk *t)
{
	t->x.is_over = true;
	t->c->talk = NULL;
	t->c = NULL;
	loop_later(t->s->loop, &t->later, talk_free, t);
}

/* Accepting. */

static void pause_accepting(struct server *s, int error);

static void
stop_accepting(struct server *s)
{
	struct listener *l;

	for (l = s->listeners; l != NULL; l = l->next)
		(void)event_del(&l->accepting);
}

static void
start_accepting(struct server *s)
{
	struct listener *l;

	if (s->is_draining || s->is_full || s->is_paused)
		return;
	for (l = s->listeners; l != NULL; l = l->next) {
		if (event_add(&l->accepting, NULL) != 0) {
			pause_accepting(s, ENOMEM);
			return;
		}
	}
}

/* The last descriptors are not for new clients: those that are here already need some to
 * call providers with, and so does the storage. */
static bool
is_tight(int fd)
{
	struct rlimit limit;
	rlim_t kept;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	kept = limit.rlim_cur / KEPT_SHARE;
	return (rlim_t)fd >= limit.rlim_cur - (kept < KEPT_MOST ? kept : KEPT_MOST);
}

/* Would the next client get a descriptor that it may have? */
static bool
has_descriptor(const struct server *s)
{
	int fd = fcntl(s->listeners->fd, F_DUPFD_CLOEXEC, 0);
	bool is_free = fd >= 0 && !is_tight(fd);

	if (fd >= 0)
		(void)io.close(fd);
	return is_free;
}

/* The timer is set all the server's life, so setting it again needs no memory: a pause
 * always ends. Where nobody is connected, one client is let in whatever is left: else a
 * low limit would be the end of serving. */
static void
end_pause(void *arg)
{
	struct server *s = arg;
	bool goes_on = s->is_paused && s->listeners != NULL && s->connections > 0 &&
		       !has_descriptor(s);

	must(loop_timer_set(s->loop, &s->pause, goes_on ? ACCEPT_PAUSE_US : INT64_MAX,
		 end_pause, s) == ST_OK);
	s->is_paused = goes_on;
	if (!goes_on)
		start_accepting(s);
}

/* Out of file descriptors or memory: the waiting clients stay in the kernel's queue, and
 * what is being served is left alone. */
static void
pause_accepting(struct server *s, int error)
{
	int64_t now = loop_now(s->loop)->mono_us;

	metric_add(METRIC_ACCEPT_PAUSED, 1);
	if (s->warned_us == 0 || now - s->warned_us > WARN_EVERY_US) {
		log_warn("net.accept_paused", "connections=%u error=\"%s\"",
		    s->connections, strerror(error));
		s->warned_us = now;
	}
	stop_accepting(s);
	s->is_paused = true;
	must(loop_timer_set(s->loop, &s->pause, ACCEPT_PAUSE_US, end_pause, s) == ST_OK);
}

/* May one more be accepted, if need be in the place of an idle one? */
static bool
has_room(struct server *s)
{
	if (s->connections < s->limits->connections || !TAILQ_EMPTY(&s->idle))
		return true;
	s->is_full = true;
	stop_accepting(s);
	return false;
}

void
server_count_out(struct server *s)
{
	s->connections--;
	metric_add(METRIC_CONNECTIONS, -1);
	if (s->is_full && s->connections < s->limits->connections) {
		s->is_full = false;
		start_accepting(s);
	}
	if (s->is_draining && s->connections == 0 && s->drained != NULL) {
		loop_later(s->loop, &s->tell, s->drained, s->drained_arg);
		s->drained = NULL;
	}
}

/* false: the address has too many already. */
static bool
count_address(struct server *s, const struct net_addr *peer, struct tally_entry **entry)
{
	uint8_t address[16];

	*entry = NULL;
	if (s->limits->per_address == 0 || !net_addr_bytes(peer, address))
		return true;
	if (s->tally == NULL)
		s->tally = tally_new();
	if (s->tally == NULL)
		return false;
	*entry = tally_join(s->tally, address, s->limits->per_address);
	return *entry != NULL;
}

/* Whose request is here already, and only not read yet, is not idle. */
static bool
asks_something(const struct conn *c)
{
	char byte;

	return io.recv(c->fd, &byte, 1, MSG_PEEK) > 0;
}

/* The longest idle one, which makes room; the first few that ask something are passed
 * over, because a flood of connections makes everybody the longest idle soon. */
static struct conn *
idlest(struct server *s)
{
	struct conn *c = TAILQ_FIRST(&s->idle);
	unsigned i;

	for (i = 0; i < PASSED_OVER && c != NULL && asks_something(c); i++)
		c = TAILQ_NEXT(c, link);
	return c != NULL ? c : TAILQ_FIRST(&s->idle);
}

static void
take_client(struct server *s, int fd, const struct net_addr *peer)
{
	struct tally_entry *entry;

	if (!count_address(s, peer, &entry)) {
		metric_add(METRIC_HTTP_REFUSED, 1);
		(void)io.close(fd);
		return;
	}
	if (conn_new(s, fd, peer, entry) != ST_OK) {
		tally_leave(entry);
		pause_accepting(s, ENOMEM);
		return;
	}
	s->connections++;
	metric_add(METRIC_CONNECTIONS, 1);
	/* The newest is the last of the idle ones, and has_room() saw another or room. */
	if (s->connections > s->limits->connections)
		conn_close(idlest(s));
}

/* A failure of the one connection that was to be accepted, not of accepting. */
static bool
is_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO ||
	       error == EPERM || error == ENETDOWN || error == EHOSTUNREACH ||
	       error == ENETUNREACH || error == ETIMEDOUT;
}

static void
let_in(struct server *s, int client, const struct net_addr *peer)
{
	bool was_last = is_tight(client);

	take_client(s, client, peer);
	if (was_last && !s->is_paused)
		pause_accepting(s, EMFILE);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct server *s = l->s;
	struct net_addr peer;
	unsigned i;
	int client;

	(void)what;
	for (i = 0; i < ACCEPT_BURST && !s->is_paused && has_room(s); i++) {
		peer.len = sizeof(peer.sa);
		client = io.accept(fd, (struct sockaddr *)&peer.sa, &peer.len);
		if (client >= 0)
			let_in(s, client, &peer);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (!is_passing(errno))
			pause_accepting(s, errno);
	}
}

enum status
server_listen(struct server *s, int fd, struct err *e)
{
	struct listener *l = mem_zalloc(sizeof(*l));
	int notsent = NOTSENT_BYTES;
	int flags = fcntl(fd, F_GETFL);

	if (l == NULL || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    event_assign(&l->accepting, loop_base(s->loop), fd, EV_READ | EV_PERSIST,
		on_accept, l) != 0) {
		mem_free(l);
		(void)io.close(fd);
		return err_fail(e, l == NULL ? ST_NOMEM : ST_IO,
		    "listening socket: cannot be used: %s",
		    l == NULL ? "out of memory" : strerror(errno));
	}
	/* Inherited by what is accepted. Without it the kernel takes megabytes for a
	 * client that does not read, and out_high_bytes means little. Fails on local
	 * sockets, which have no such buffer. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof(notsent));
	l->s = s;
	l->fd = fd;
	l->next = s->listeners;
	s->listeners = l;
	start_accepting(s);
	return ST_OK;
}

static void
close_listeners(struct server *s)
{
	struct listener *l;

	while ((l = s->listeners) != NULL) {
		s->listeners = l->next;
		(void)event_del(&l->accepting);
		(void)io.close(l->fd);
		mem_free(l);
	}
}

/* Life. */

struct server *
server_new(struct loop *l, const struct server_limits *limits,
    const struct server_ops *ops, void *arg)
{
	struct server *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->scratch = mem_alloc(CONN_SCRATCH_BYTES);
	if (s->scratch == NULL ||
	    loop_timer_set(l, &s->pause, INT64_MAX, end_pause, s) != ST_OK) {
		mem_free(s->scratch);
		mem_free(s);
		return NULL;
	}
	s->limits = limits;
	s->ops = *ops;
	s->arg = arg;
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->active);
	s->head.field = s->field;
	buf_init(&s->text, ANSWER_HEAD_BYTES);
	return s;
}

bool
server_share(struct server *s, struct server *with)
{
	if (with->tally == NULL)
		with->tally = tally_new();
	if (with->tally == NULL)
		return false;
	tally_unref(s->tally);
	s->tally = tally_ref(with->tally);
	return true;
}

unsigned
server_connections(const struct server *s)
{
	return s->connections;
}

void
server_drain(struct server *s, loop_fn *done, void *arg)
{
	struct listener *l;
	struct conn *c;

	/* Who is in the kernel's queue already has been told "connected". */
	for (l = s->listeners; l != NULL; l = l->next)
		on_accept(l->fd, EV_READ, l);
	s->is_draining = true;
	close_listeners(s);
	s->drained = done;
	s->drained_arg = arg;
	while ((c = TAILQ_FIRST(&s->idle)) != NULL)
		conn_close(c);
	if (s->connections == 0 && s->drained != NULL) {
		loop_later(s->loop, &s->tell, done, arg);
		s->drained = NULL;
	}
}

static void
server_bury(void *arg)
{
	struct server *s = arg;
	struct talk *t;

	while ((t = s->free_talks) != NULL) {
		s->free_talks = t->next;
		buf_free(&t->head);
		mem_free(t);
	}
	tally_unref(s->tally);
	buf_free(&s->text);
	mem_free(s->scratch);
	mem_free(s);
}

void
server_free(struct server *s)
{
	struct conn *c;

	if (s == NULL)
		return;
	s->is_draining = true;
	s->drained = NULL;
	close_listeners(s);
	loop_timer_cancel(s->loop, &s->pause);
	while (
	    (c = TAILQ_FIRST(&s->idle)) != NULL || (c = TAILQ_FIRST(&s->active)) != NULL)
		conn_reset(c);
	/* Behind its connections, which the loop frees in this order. */
	loop_later(s->loop, &s->bury, server_bury, s);
}
