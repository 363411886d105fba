/* gateway.c - start, reload, drain, stop.
 *
 * Order of a start: configuration, data directory, recovery of the spool, keys and spend,
 * sockets, threads; the workers last, by gateway_serve(), when the other doors of the
 * process are open. Nothing listens before recovery is done, and a start that fails has
 * changed nothing that a user would miss.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/gateway.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/tell.h"
#include "call/call.h"
#include "config/policy.h"
#include "gateway/kept.h"
#include "gateway/requests.h"
#include "gateway/routes.h"
#include "gateway/whole.h"
#include "guard/guard.h"
#include "plugin/registry.h"

static unsigned
cpu_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > GATEWAY_WORKERS ? GATEWAY_WORKERS : (unsigned)n;
}

/* ---- start, step by step ---- */

static enum status
start_config(struct gateway *g, struct err *e)
{
	g->config = config_load(&g->options, NULL, e);
	if (g->config == NULL)
		return ST_INVALID;
	log_set_level(g->config->log_level);
	setenv("TZ", g->config->timezone.len > 0 ? g->config->timezone.ptr : "UTC",
	    1); /* budget periods; before threads */
	tzset();
	atomic_store(&g->provider_count, g->config->provider_count);
	g->worker_count = g->config->workers > 0 ? g->config->workers : cpu_count();
	return ST_OK;
}

static enum status
note_start(struct gateway *g, struct err *e)
{
	struct as_started *s = &g->started;
	const struct config *c = g->config;

	for (size_t i = 0; i < c->listen_count; i++)
		s->listen[i] = c->listen[i];
	s->listen_count = c->listen_count;
	s->workers = c->workers;
	s->data = mem_dup(c->data.ptr, c->data.len);
	s->timezone = mem_dup(c->timezone.ptr, c->timezone.len);
	return s->data != NULL && s->timezone != NULL
		   ? ST_OK
		   : err_fail(e, ST_NOMEM, "gateway: out of memory");
}

static enum status
start_data(struct gateway *g, const char *dir, struct err *e)
{
	enum status st = datadir_open(
	    dir != NULL ? dir : g->config->data.ptr, DATADIR_SERVE, &g->data, e);

	if (st != ST_OK)
		return st;
	g->has_data = true;
	st = keyring_open(&g->data, &g->keyring, e);
	if (st == ST_OK &&
	    g->config->master_secret.len >
		0) /* the operator's master secret stands in for the file's own */
		crypto_hmac(g->config->master_secret, STR_LIT("latenza key pepper"),
		    g->keyring.pepper);
	return st;
}

static enum status
start_storage(struct gateway *g, struct err *e)
{
	const struct config *c = g->config;
	struct storage_options o = { .data = &g->data,
		.sync_ms = c->ledger_sync_ms,
		.batch_ms = 100,
		.uncertain = (enum db_uncertain)c->ledger_uncertain,
		.keep_traces_ms = c->keep_traces_ms,
		.keep_content_ms = c->keep_content_ms,
		.content_queue_bytes = 32u << 20 };

	g->storage = storage_open(&o, e);
	return g->storage != NULL ? ST_OK : ST_IO;
}

static enum status
start_loops(struct gateway *g, struct err *e)
{
	for (unsigned i = 0; i < g->worker_count; i++) {
		g->loops[i] = loop_new(e);
		if (g->loops[i] == NULL)
			return ST_NOMEM;
	}
	g->ledger = ledger_new();
	g->keys = keys_new(g->keyring.pepper, g->ledger, g->loops, g->worker_count);
	g->pool = pool_new(2, 256, e);
	if (g->ledger == NULL || g->keys == NULL || g->pool == NULL)
		return err_fail(e, ST_NOMEM, "gateway: out of memory");
	return publish_all(g, storage_db(g->storage), e);
}

static enum status
start_spools(struct gateway *g, struct err *e)
{
	char dir[4096];
	enum status st = datadir_file(&g->data, "spool", dir, sizeof dir);

	for (unsigned i = 0; st == ST_OK && i < g->worker_count; i++) {
		struct spool_options o = { .dir = g->spool_dir,
			.worker = i,
			.boot = g->data.boot,
			.segment_bytes = 16u << 20,
			.buffer_bytes = 8u << 20 };

		if (g->spool_dir == NULL)
			o.dir = g->spool_dir = mem_strdup(dir);
		g->spools[i] = spool_open(&o, e);
		if (g->spools[i] == NULL)
			st = ST_IO;
	}
	return st;
}

static void
log_started(const struct gateway *g)
{
	for (size_t k = 0; k < g->config->listen_count; k++) {
		char where[80];

		net_addr_format(&g->bound[k], where, sizeof where);
		log_info("gateway.ready", "listen=%s workers=%u keys=%zu providers=%zu",
		    where, g->worker_count, keys_count(g->keys),
		    g->config->provider_count);
	}
}

static void
set_refused(struct gateway *g, const char *why)
{
	pthread_mutex_lock(&g->refused_lock);
	err_fail(&g->refused, ST_INVALID, "%s", why);
	pthread_mutex_unlock(&g->refused_lock);
}

/* What serves now is what a later start falls back to. */
static void
keep_policies(const struct gateway *g)
{
	char folder[4096];

	if (datadir_file(&g->data, "policies", folder, sizeof(folder)) == ST_OK)
		kept_save(folder, g->config);
}

/* Scripts whose last good version serves are told as a refused reload is. */
static void
say_stale(struct gateway *g)
{
	char why[sizeof(((struct err *)0)->text)];

	for (size_t i = 0; i < g->config->policy_count; i++) {
		const struct policy *p = &g->config->policy[i];

		if (p->refused.ptr == NULL)
			continue;
		(void)snprintf(why, sizeof(why),
		    "%.*s: its last good version serves; %.*s", STR_ARG(p->path),
		    STR_ARG(p->refused));
		set_refused(g, why);
	}
}

struct gateway *
gateway_start(const struct gateway_options *o, struct err *e)
{
	struct gateway *g = mem_zalloc(sizeof *g);
	enum status st;

	if (g == NULL) {
		(void)err_fail(e, ST_NOMEM, "gateway: out of memory");
		return NULL;
	}
	routes_check();
	call_start();
	guard_start();
	requests_start();
	pthread_mutex_init(&g->refused_lock, NULL);
	g->options = *o->config;
	g->options.is_served = true;
	g->options.data = o->data_dir;
	g->loop = o->loop;
	st = start_config(g, e);
	if (st == ST_OK)
		st = note_start(g, e);
	if (st == ST_OK)
		st = start_data(g, o->data_dir, e);
	if (st == ST_OK)
		st = start_storage(g, e);
	if (st == ST_OK)
		st = start_loops(g, e);
	if (st == ST_OK)
		st = start_spools(g, e);
	if (st == ST_OK)
		st = workers_make(g, e);
	if (st == ST_OK)
		st = workers_listen(g, e);
	if (st == ST_OK)
		st = storage_start(g->storage, g->spools, g->worker_count, e);
	if (st != ST_OK) {
		gateway_stop(g);
		return NULL;
	}
	return g;
}

enum status
gateway_serve(struct gateway *g, struct err *e)
{
	enum status st = workers_start(g, e);

	if (st != ST_OK)
		return st;
	keep_policies(g);
	say_stale(g);
	log_started(g);
	return ST_OK;
}

/* ---- reload ---- */

bool
inside_config_refused(struct gateway *g, struct err *why)
{
	pthread_mutex_lock(&g->refused_lock);
	*why = g->refused;
	pthread_mutex_unlock(&g->refused_lock);
	return why->text[0] != 0;
}

/* What a running process cannot change is said, at each reload, and the old value stays.
 */
static bool
needs_restart(const struct gateway *g, const struct config *next)
{
	const struct as_started *s = &g->started;
	bool is_same = next->listen_count == s->listen_count &&
		       next->workers == s->workers && lz_eq(next->data, s->data) &&
		       lz_eq(next->timezone, s->timezone);

	for (size_t i = 0; is_same && i < s->listen_count; i++)
		is_same = net_addr_is_same(&next->listen[i], &s->listen[i]);
	return !is_same;
}

static json_t *
make_report(const struct config *before, const struct config *after, bool restart)
{
	struct buf lines;
	json_t *report;

	buf_init(&lines, 1 << 20);
	config_diff(before, after, &lines);
	if (restart)
		buf_add_z(&lines,
		    "! listen, data, workers and ledger.timezone stay as they were at "
		    "the start; restart to change them\n");
	report = json_pack("{s:o}", "changes",
	    json_stringn(lines.ptr != NULL ? lines.ptr : "", lines.len));
	buf_free(&lines);
	return report;
}

/* Who asked for the reload is to know, too. */
static void
say_halfway(const struct err *why, struct err *e)
{
	struct err first = *e;

	log_error("reload.keys", "reason=\"%s\"", why->text);
	(void)err_fail(e, ST_NOMEM,
	    "%.180s; and the keys that were before could not be put back (%.80s): it "
	    "was done in part, reload again",
	    first.text, why->text);
}

enum status
gateway_reload(struct gateway *g, json_t **report, struct err *e)
{
	struct config_options o = g->options;
	struct config *before = g->config, *next;
	bool restart;
	enum status st;

	o.before = before;
	next = config_load(&o, NULL, e);
	if (next == NULL) {
		set_refused(g, e->text);
		metric_add(METRIC_RELOADS_REFUSED, 1);
		tell(TELL_CONFIG_REJECTED, "reason=\"%s\"", e->text);
		return ST_INVALID;
	}
	g->config = next;
	st = publish_file_keys(g, before, NULL, e);
	if (st != ST_OK) { /* the keys' own rules: put the old ones back in force */
		struct err ignored;

		g->config = before;
		if (publish_file_keys(g, next, NULL, &ignored) != ST_OK)
			say_halfway(&ignored, e);
		config_unref(next);
		set_refused(g, e->text);
		metric_add(METRIC_RELOADS_REFUSED, 1);
		tell(TELL_CONFIG_REJECTED, "reason=\"%s\"", e->text);
		return st;
	}
	restart = needs_restart(g, next);
	if (restart)
		log_warn("reload.restart_needed",
		    "changed=\"listen, data, workers or ledger.timezone\"");
	if (report != NULL)
		*report = make_report(before, next, restart);
	set_refused(g, "");
	keep_policies(g);
	log_set_level(next->log_level);
	storage_set_retention(g->storage, next->keep_traces_ms, next->keep_content_ms);
	atomic_store(&g->provider_count, next->provider_count);
	workers_configure(g, next);
	config_unref(before);
	config_reap();
	metric_add(METRIC_RELOADS, 1);
	log_info("config.reloaded", "keys=%zu providers=%zu", keys_count(g->keys),
	    next->provider_count);
	return ST_OK;
}

/* ---- the end ---- */

static void
drain_late(void *arg)
{
	struct gateway *g = arg;

	if (g->to_drain == 0)
		return;
	log_warn("gateway.drain_timeout", "workers=%u", g->to_drain);
	g->to_drain = 0;
	g->drain_done(g->drain_arg);
}

void
gateway_drain(struct gateway *g, unsigned drain_ms, loop_fn *done, void *arg)
{
	if (g->is_draining)
		return;
	g->is_draining = true;
	g->drain_done = done;
	g->drain_arg = arg;
	if (loop_timer_set(g->loop, &g->drain_timer, (int64_t)drain_ms * 1000, drain_late,
		g) != ST_OK)
		log_warn("gateway.drain", "reason=\"no timer: waiting without limit\"");
	workers_drain(g);
}

void
gateway_stop(struct gateway *g)
{
	if (g == NULL)
		return;
	loop_timer_cancel(g->loop, &g->drain_timer);
	workers_stop(g);
	pool_free(
	    g->pool); /* what it was doing comes home to loops that are still there */
	/* A worker may have been empty too late for [main]'s last turn: its word is
	 * memory of ours. */
	if (g->is_draining)
		loop_run_posted(g->loop);
	workers_free(g);
	storage_stop(g->storage);
	for (unsigned i = 0; i < g->worker_count; i++)
		spool_close(g->spools[i]);
	keys_free(g->keys);
	ledger_free(g->ledger);
	for (unsigned i = 0; i < g->worker_count; i++)
		loop_free(g->loops[i]);
	config_unref(g->config);
	config_reap();
	if (g->has_data)
		datadir_close(&g->data);
	crypto_wipe(&g->keyring, sizeof g->keyring);
	pthread_mutex_destroy(&g->refused_lock);
	mem_free(g->spool_dir);
	mem_free(g->started.data);
	mem_free(g->started.timezone);
	mem_free(g);
}

/* ---- asked by others ---- */

bool
inside_is_ready(struct gateway *g, struct err *why)
{
	if (storage_health(g->storage, why) != ST_OK)
		return false;
	if (g->is_draining) {
		err_fail(why, ST_GONE, "the gateway is shutting down");
		return false;
	}
	if (atomic_load(&g->provider_count) == 0) {
		err_fail(why, ST_NOT_FOUND,
		    "no provider is configured; set OPENAI_API_KEY or run 'latenza "
		    "demo'");
		return false;
	}
	return true;
}

bool
gateway_is_ready(struct gateway *g, struct err *why)
{
	return inside_is_ready(g, why);
}

unsigned
inside_worker_count(const struct gateway *g)
{
	return g->worker_count;
}

struct keys *
inside_keys(struct gateway *g)
{
	return g->keys;
}

const struct config *
gateway_config(const struct gateway *g)
{
	return g->config;
}

const struct datadir *
gateway_datadir(const struct gateway *g)
{
	return &g->data;
}

const struct keyring *
gateway_keyring(const struct gateway *g)
{
	return &g->keyring;
}

struct storage *
gateway_storage(struct gateway *g)
{
	return g->storage;
}

struct keys *
gateway_keys(struct gateway *g)
{
	return g->keys;
}

struct ledger *
gateway_ledger(struct gateway *g)
{
	return g->ledger;
}

unsigned
gateway_port(const struct gateway *g, size_t i)
{
	return i < g->started.listen_count ? net_addr_port(&g->bound[i]) : 0;
}
