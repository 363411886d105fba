/* workers.c - one thread per CPU, each with its own loop, sockets, upstream connections
 * and spool.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/metric.h"
#include "call/call.h"
#include "gateway/asked.h"
#include "gateway/requests.h"
#include "gateway/whole.h"

enum {
	RETRY_US = 100000 /* as often as the spool tries a device that fails */
};

static void
retry_flush(void *arg)
{
	struct worker *w = arg;

	loop_want_flush(w->loop);
}

/* What a failure left is written as soon as the device takes it, though nobody asks. */
static enum status
flush_spool(void *arg)
{
	struct worker *w = arg;
	enum status st = spool_flush(w->spool);

	if (spool_health(w->spool) == ST_OK || w->flush_timer.place != 0)
		return st;
	if (loop_timer_set(w->loop, &w->flush_timer, RETRY_US, retry_flush, w) != ST_OK)
		loop_want_flush(w->loop); /* then in the next turn, whatever wakes it */
	return st;
}

/* A worker's share. The kernel spreads connections over workers by their addresses, so a
 * full worker may refuse while its neighbour has room; together they never hold more. */
static unsigned
share_of(int64_t whole, unsigned workers)
{
	return (unsigned)(whole / workers + (whole % workers != 0));
}

static void
set_limits(struct server_limits *out, const struct config *c, unsigned workers)
{
	server_limits_default(out);
	out->head_bytes = (size_t)c->limits.head_bytes;
	out->body_bytes = (size_t)c->limits.body_bytes;
	out->connections = share_of(c->limits.connections, workers);
	out->per_address = (unsigned)c->limits.connections_per_address;
	out->head_timeout_us = c->limits.head_timeout_ms * 1000;
	out->body_timeout_us = c->limits.body_timeout_ms * 1000;
	out->idle_timeout_us = c->limits.idle_timeout_ms * 1000;
	out->write_timeout_us = c->limits.write_timeout_ms * 1000;
}

static enum status
make_worker(struct gateway *g, unsigned i, struct err *e)
{
	struct worker *w = &g->worker[i];
	struct upstream_options upstream = {
		.idle_ms = 60000, .shard_active = 256, .max_idle = 512
	};

	w->number = i;
	w->gateway = g;
	w->storage = g->storage;
	w->pool = g->pool;
	w->config = g->config;
	config_ref(g->config);
	set_limits(&w->limits, w->config, g->worker_count);
	crypto_random(&w->id_state, sizeof w->id_state);
	w->loop = g->loops[i];
	w->spool = g->spools[i];
	loop_set_flush(w->loop, flush_spool, w);
	w->upstream = upstream_new(w->loop, &upstream, e);
	if (w->upstream == NULL)
		return ST_NOMEM;
	w->server = server_new(w->loop, &w->limits, &requests_ops, w);
	if (w->server == NULL || (i > 0 && !server_share(w->server, g->worker[0].server)))
		return err_fail(e, ST_NOMEM, "workers: out of memory");
	return ST_OK;
}

enum status
workers_make(struct gateway *g, struct err *e)
{
	g->worker = mem_calloc(g->worker_count, sizeof *g->worker);
	if (g->worker == NULL)
		return err_fail(e, ST_NOMEM, "workers: out of memory");
	for (unsigned i = 0; i < g->worker_count; i++) {
		enum status st = make_worker(g, i, e);

		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

/* 0.0.0.0:80 and [::]:80 take the same connections, and both are ours. */
static bool
is_port_ours(const struct gateway *g, size_t k)
{
	for (size_t i = 0; i < k; i++)
		if (net_addr_port(&g->bound[i]) == net_addr_port(&g->bound[k]))
			return true;
	return false;
}

/* Port 0 is chosen by the first worker's socket; the others join it. */
static enum status
listen_on(struct gateway *g, size_t k, struct err *e)
{
	bool is_ours;

	g->bound[k] = g->config->listen[k];
	is_ours = is_port_ours(g, k);
	for (unsigned i = 0; i < g->worker_count; i++) {
		int fd = server_socket(&g->bound[k], is_ours || i > 0, e);
		enum status st;

		if (fd < 0)
			return ST_IO;
		g->bound[k].len = sizeof g->bound[k].sa;
		if (getsockname(
			fd, (struct sockaddr *)&g->bound[k].sa, &g->bound[k].len) != 0)
			return err_fail(
			    e, ST_IO, "listen: getsockname: %s", strerror(errno));
		st = server_listen(g->worker[i].server, fd, e);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

enum status
workers_listen(struct gateway *g, struct err *e)
{
	for (size_t k = 0; k < g->config->listen_count && k < GATEWAY_LISTENS; k++) {
		enum status st = listen_on(g, k, e);

		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof name, "worker-%u", w->number);
	pthread_setname_np(pthread_self(), name);
	metric_thread_start();
	loop_run(w->loop);
	return NULL;
}

enum status
workers_start(struct gateway *g, struct err *e)
{
	sigset_t all, before;
	enum status st = ST_OK;

	sigfillset(&all); /* signals are [main]'s */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (unsigned i = 0; i < g->worker_count && st == ST_OK; i++) {
		int error =
		    pthread_create(&g->worker[i].thread, NULL, run, &g->worker[i]);

		if (error != 0)
			st = err_fail(e, ST_IO, "workers: cannot start a thread: %s",
			    strerror(error));
		else
			g->running++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return st;
}

/* ---- a new configuration ---- */

struct handover {
	struct loop_task task;
	struct worker *worker;
	struct config *config;
};

static void
take_config(void *arg)
{
	struct handover *h = arg;
	struct config *old = h->worker->config;

	h->worker->config = h->config;
	set_limits(&h->worker->limits, h->config, h->worker->gateway->worker_count);
	config_unref(old);
	mem_free(h);
}

void
workers_configure(struct gateway *g, struct config *c)
{
	for (unsigned i = 0; i < g->worker_count; i++) {
		struct handover *h = mem_zalloc(sizeof *h);

		if (h == NULL) { /* this worker keeps the configuration it has, which is a
				    good one */
			log_error(
			    "reload.partial", "worker=%u reason=\"out of memory\"", i);
			continue;
		}
		h->worker = &g->worker[i];
		h->config = c;
		config_ref(c);
		loop_post(g->worker[i].loop, &h->task, take_config, h);
	}
}

/* ---- the end ---- */

static void
count_drained(void *arg) /* [main] */
{
	struct gateway *g = arg;

	if (g->to_drain > 0 && --g->to_drain == 0) {
		loop_timer_cancel(g->loop, &g->drain_timer);
		g->drain_done(g->drain_arg);
	}
}

static void
server_is_empty(void *arg)
{
	struct worker *w = arg;

	loop_post(
	    w->gateway->loop, &w->gateway->drained[w->number], count_drained, w->gateway);
}

static void
begin_drain(void *arg)
{
	struct worker *w = arg;

	server_drain(w->server, server_is_empty, w);
}

void
workers_drain(struct gateway *g)
{
	g->to_drain = g->worker_count;
	for (unsigned i = 0; i < g->worker_count; i++)
		loop_post(g->worker[i].loop, &g->drain[i], begin_drain, &g->worker[i]);
}

/* Cuts what is still open. Each request is settled and traced on its own loop, whose
 * barrier runs once more before the loop ends. */
static void
end_worker(void *arg)
{
	struct worker *w = arg;

	asked_cut_all(w);
	server_free(w->server);
	w->server = NULL;
	loop_want_flush(w->loop);
	loop_stop(w->loop);
}

void
workers_stop(struct gateway *g)
{
	for (unsigned i = 0; i < g->running; i++)
		loop_post(g->worker[i].loop, &g->ending[i], end_worker, &g->worker[i]);
	for (unsigned i = 0; i < g->running; i++)
		pthread_join(g->worker[i].thread, NULL);
	g->running = 0;
}

/* After the threads ended. */
void
workers_free(struct gateway *g)
{
	for (unsigned i = 0; g->worker != NULL && i < g->worker_count; i++) {
		struct worker *w = &g->worker[i];

		server_free(w->server);
		upstream_free(w->upstream);
		loop_run_posted(w->loop); /* the pool's */
		if (w->spool != NULL && spool_flush(w->spool) != ST_OK)
			log_error("spool.unwritten", "worker=%u", i);
		config_unref(w->config);
		while (w->spare_count > 0)
			arena_free(w->spare_arena[--w->spare_count]);
	}
	mem_free(g->worker);
	g->worker = NULL;
}

void
inside_drained(struct request *r)
{
	call_drained(r);
}
