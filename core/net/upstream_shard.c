/* upstream_shard.c - libcurl's multi handles on the loop, and which of them a call goes
 * to.
 *
 * libcurl says what to wait for; the loop tells it what happened. Two things are done
 * better than by the book. A connection stays watched while it rests, so a call on it
 * costs no epoll_ctl. And libcurl 7.88.1 takes a kept connection for alive when bytes
 * wait on it, and would give those to the next caller as its answer: here such a
 * connection is shut down, at once when the loop sees them and at the latest before a
 * request is written on it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/upstream_curl.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	TURN_ROUNDS =
	    8 /* of libcurl wanting to run again at once; then others come first */
};

static void
stop_waiting(struct upstream_call *c)
{
	if (c->is_waiting)
		c->origin->waiting[c->shard->index]--;
	c->is_waiting = false;
}

/* Two calls on one connection: HTTP/2, or the first has ended in this very round of
 * libcurl's and is not reaped yet. */
static bool
is_multiplexed(struct sock *k)
{
	long version = CURL_HTTP_VERSION_NONE;

	if (!k->origin->is_shared)
		return false;
	(void)curl_easy_getinfo(k->users->h.easy, CURLINFO_HTTP_VERSION, &version);
	k->is_http2 =
	    version == CURL_HTTP_VERSION_NONE || version >= CURL_HTTP_VERSION_2_0;
	return k->is_http2;
}

bool
shard_connected(struct upstream_call *c, int port)
{
	struct sock *k = c->tried > 0 ? sock_adopt(c, port) : sock_by_port(c, port);

	stop_waiting(c);
	if (k == NULL)
		return true;
	if (k->users != NULL && !is_multiplexed(k))
		sock_leave(k->users);
	if (c->tried == 0 && !k->is_http2 && sock_is_unfit(k))
		return false;
	sock_unrest(k);
	c->sock = k;
	c->sock_next = k->users;
	k->users = c;
	return true;
}

/* What libcurl asks of us. */

/* A socket that cannot be watched: whose it is, is not always known, and none may wait
 * for ever. */
static void
fail_all(struct shard *s)
{
	struct upstream_call *c;

	for (c = s->u->calls; c != NULL; c = c->next)
		if (c->shard == s)
			upstream_fail(
			    c, UPSTREAM_NOMEM, "out of memory in the transfer engine");
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct shard *s = arg;
	struct sock *k = sock_find(s->u, fd);

	(void)easy;
	(void)unused;
	if (what != CURL_POLL_REMOVE) {
		if (k == NULL)
			k = sock_new(s, fd);
		if (k == NULL || !sock_watch_writing(k, (what & CURL_POLL_OUT) != 0) ||
		    ((what & CURL_POLL_IN) != 0 && !sock_watch_reading(k, true)))
			fail_all(s);
		else
			k->wants = what;
	} else if (k != NULL && k->origin == NULL) {
		sock_free(k);
	} else if (k != NULL) {
		k->wants = 0;
		(void)sock_watch_writing(k, false);
		sock_rest(k);
	}
	return 0;
}

static void
kick(struct shard *s)
{
	if (!s->is_kicked)
		s->u->kicked++;
	s->is_kicked = true;
	upstream_kick(s->u);
}

static void
on_timer(void *arg)
{
	kick(arg);
}

static int
on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct shard *s = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_cancel(s->u->loop, &s->timer);
	else if (timeout_ms == 0 || loop_timer_set(s->u->loop, &s->timer,
					(int64_t)timeout_ms * 1000, on_timer, s) != ST_OK)
		kick(s);
	return 0;
}

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct upstream_call *c = arg;
	struct sock *k;
	int fd;

	(void)purpose;
	if (c->phase != PHASE_CONNECT) {
		upstream_fail(c, UPSTREAM_STALE,
		    "the kept connection was closed before any answer");
		return CURL_SOCKET_BAD;
	}
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
	if (fd < 0) {
		/* Other errors are of one address family, and the next address may do. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			upstream_fail(c, UPSTREAM_REFUSED,
			    "no file descriptor or memory for a socket");
		return CURL_SOCKET_BAD;
	}
	c->tries[c->tried++ % TRIES_MAX] = fd;
	/* libcurl 7.88.1 closes a connection attempt that failed without telling anybody
	 * (cf_socket_close()); when the next attempt gets the same number, epoll has
	 * forgotten it and libcurl sees no reason to ask again. */
	k = sock_find(c->u, fd);
	if (k != NULL) {
		bool was_reading = k->is_reading, was_writing = k->is_writing;

		if (!sock_watch_reading(k, false) || !sock_watch_writing(k, false) ||
		    !sock_watch_reading(k, was_reading) ||
		    !sock_watch_writing(k, was_writing))
			fail_all(k->shard);
	}
	return fd;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	struct upstream *u = arg;

	sock_free(sock_find(u, fd));
	return io.close(fd);
}

CURLcode
shard_seat(struct upstream_call *c)
{
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(c->h.easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	rc |= curl_easy_setopt(c->h.easy, CURLOPT_OPENSOCKETDATA, c);
	rc |= curl_easy_setopt(c->h.easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	/* Not the call: the connection may outlive it. */
	rc |= curl_easy_setopt(c->h.easy, CURLOPT_CLOSESOCKETDATA, c->u);
	return rc;
}

/* What happened, told to libcurl. */

static void
shard_close(struct shard *s)
{
	(void)curl_multi_cleanup(s->multi);
	s->multi = NULL;
	loop_timer_cancel(s->u->loop, &s->timer);
}

/* After a lack of memory in singlesocket() a multi handle of 7.88.1 is left with an
 * emptied table that it divides by the size of, next time. It is thrown away with all
 * that it does. */
static void
shard_break(struct shard *s)
{
	struct upstream_call *c;

	fail_all(s);
	for (c = s->u->calls; c != NULL; c = c->next)
		if (c->shard == s)
			upstream_over(c, CURLE_OUT_OF_MEMORY);
	shard_close(s);
}

static void
reap(struct shard *s)
{
	struct upstream_call *c;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(s->multi, &left)) != NULL) {
		if (msg->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c) ==
			CURLE_OK)
			upstream_over(c, msg->data.result);
	}
}

static void
act(struct shard *s, curl_socket_t fd, int mask)
{
	int running;

	if (curl_multi_socket_action(s->multi, fd, mask, &running) == CURLM_OK)
		reap(s);
	else
		shard_break(s);
	upstream_tell(s->u);
}

/* Connections that libcurl keeps but that are closed go away with its next new transfer.
 * When there is none to come and nothing left of use, the handle is made anew instead, so
 * that no file descriptor lingers. */
static void
recycle(struct shard *s)
{
	if (s->active == 0 && s->idle == 0 && s->open > 0)
		shard_close(s);
}

void
shard_on_sweep(void *arg)
{
	struct upstream *u = arg;
	int64_t limit = (int64_t)u->o.idle_ms * 1000;
	struct sock *k;

	while ((k = u->idle_first) != NULL) {
		struct shard *s = k->shard;
		int64_t left = k->idle_since_us + limit - upstream_now_us(u);

		if (left > 0) {
			/* Without memory for it, the next connection that comes to rest
			 * sets the timer. */
			(void)!loop_timer_set(
			    u->loop, &u->sweep, left, shard_on_sweep, u);
			return;
		}
		sock_retire(k);
		recycle(s);
	}
}

void
shard_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct sock *k = arg;
	struct shard *s = k->shard;

	(void)what;
	if (k->wants & CURL_POLL_IN) {
		act(s, fd, CURL_CSELECT_IN);
	} else if (k->is_idle && !k->is_http2) {
		/* What made it readable may be read already: acting on one socket,
		 * libcurl also runs others. */
		if (!sock_is_unfit(k))
			return;
		sock_retire(k);
		recycle(s);
	} else {
		/* The transfer is paused, or HTTP/2 keeps house. libcurl asks when it
		 * wants to read. */
		(void)sock_watch_reading(k, false);
	}
}

void
shard_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sock *k = arg;

	(void)what;
	act(k->shard, fd, CURL_CSELECT_OUT);
}

static void
run_kicked_once(struct upstream *u)
{
	unsigned i;

	for (i = 0; i < u->shards; i++) {
		struct shard *s = u->shard[i];

		if (!s->is_kicked)
			continue;
		s->is_kicked = false;
		u->kicked--;
		if (s->multi != NULL)
			act(s, CURL_SOCKET_TIMEOUT, 0);
	}
}

void
shards_run_kicked(struct upstream *u)
{
	unsigned rounds;

	for (rounds = 0; rounds < TURN_ROUNDS && u->kicked > 0; rounds++)
		run_kicked_once(u);
}

/* Shards. */

static enum status
shard_open(struct shard *s)
{
	const struct upstream_options *o = &s->u->o;
	long most = (long)(o->max_idle > o->shard_active ? o->max_idle : o->shard_active);
	CURLMcode rc = CURLM_OK;

	if (s->multi != NULL)
		return ST_OK;
	s->multi = curl_multi_init();
	if (s->multi == NULL)
		return ST_NOMEM;
	rc |= curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	rc |= curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
	rc |= curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	rc |= curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
	/* Left alone it is 4 x the transfers there are, so that connections close
	 * whenever load falls. */
	rc |= curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, most);
	if (rc == CURLM_OK)
		return ST_OK;
	(void)curl_multi_cleanup(s->multi);
	s->multi = NULL;
	return ST_NOMEM;
}

static struct shard *
shard_new(struct upstream *u)
{
	struct shard *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->u = u;
	s->index = u->shards;
	u->shard[u->shards++] = s;
	return s;
}

/* Is a connection to be had there that no call before this one will take? */
static bool
has_connection(const struct shard *s, const struct origin *o)
{
	if (o->is_shared)
		return o->open[s->index] > 0 || o->waiting[s->index] > 0;
	return o->idle[s->index] > o->waiting[s->index];
}

/* The least loaded of those that have a connection, else the least loaded, else a new
 * one. */
static struct shard *
shard_pick(struct upstream *u, const struct origin *o)
{
	struct shard *best = NULL, *least = NULL, *s;
	unsigned i;

	for (i = 0; i < u->shards; i++) {
		s = u->shard[i];
		if (least == NULL || s->active < least->active)
			least = s;
		if (s->active < u->o.shard_active && has_connection(s, o) &&
		    (best == NULL || s->active < best->active))
			best = s;
	}
	if (best != NULL)
		return best;
	if (least != NULL &&
	    (least->active < u->o.shard_active || u->shards == SHARDS_MAX))
		return least;
	s = shard_new(u);
	return s != NULL ? s : least;
}

enum status
shard_add(struct upstream_call *c)
{
	struct shard *s = shard_pick(c->u, c->origin);

	if (s == NULL || shard_open(s) != ST_OK ||
	    curl_multi_add_handle(s->multi, c->h.easy) != CURLM_OK)
		return ST_NOMEM;
	c->shard = s;
	s->active++;
	c->is_waiting = true;
	c->origin->waiting[s->index]++;
	return ST_OK;
}

/* 7.88.1 writes down that a stream is reset, but sends it with the next frame only; the
 * provider would go on for nobody. Resuming another stream of the connection sends what
 * is written down. */
static void
send_reset(const struct upstream_call *c, struct sock *k)
{
	struct upstream_call *n;

	if (c->u->is_dead || c->code == CURLE_OUT_OF_MEMORY)
		return; /* the multi handle goes, with all connections */
	for (n = k->users; n != NULL; n = n->sock_next)
		if (curl_easy_pause(n->h.easy, CURLPAUSE_RECV) == CURLE_OK &&
		    curl_easy_pause(n->h.easy, CURLPAUSE_CONT) == CURLE_OK)
			return;
	if (k->is_idle)
		sock_retire(k);
}

void
shard_remove(struct upstream_call *c)
{
	struct shard *s = c->shard;
	struct sock *k;
	long version = 0;

	if (s == NULL)
		return;
	stop_waiting(c);
	(void)curl_multi_remove_handle(s->multi, c->h.easy);
	s->active--;
	c->shard = NULL;
	k = c->sock;
	if (k == NULL)
		return;
	if (c->origin->is_shared && c->status != 0 &&
	    curl_easy_getinfo(c->h.easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK)
		k->is_http2 = version >= CURL_HTTP_VERSION_2_0;
	sock_leave(c);
	sock_rest(k);
	if (k->is_http2 && (!c->is_over || c->has_failed))
		send_reset(c, k);
}

void
shards_free(struct upstream *u)
{
	unsigned i;

	for (i = 0; i < u->shards; i++) {
		struct shard *s = u->shard[i];

		if (s->multi != NULL)
			(void)curl_multi_cleanup(s->multi);
		loop_timer_cancel(u->loop, &s->timer);
		mem_free(s);
	}
	u->shards = 0;
	loop_timer_cancel(u->loop, &u->sweep);
	mem_free(u->sock);
}
