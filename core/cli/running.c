/* running.c - a gateway in this process, from its first thread to its last.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/running.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "cli/cli.h"

enum {
	DRAIN_MS = 30000,
	ERRORS_BYTES = 1 << 20
};

/* ---- what commands ask for ---- */

static const struct config *
config_in_force(void *arg)
{
	struct running *r = arg;

	return gateway_config(r->gateway);
}

static json_t *
lines_of(lz_str text)
{
	json_t *list = json_array();

	for (size_t at = 0; at < text.len;) {
		const char *end = memchr(text.ptr + at, '\n', text.len - at);
		size_t n = end == NULL ? text.len - at : (size_t)(end - text.ptr) - at;

		if (n > 0)
			json_array_append_new(list, json_stringn(text.ptr + at, n));
		at += n + 1;
	}
	return list;
}

static enum status
reload(void *arg, json_t **report, struct err *e)
{
	struct running *r = arg;
	json_t *changes = NULL;
	enum status st;

	signals_notify("RELOADING=1");
	st = gateway_reload(r->gateway, &changes, e);
	config_reap();
	signals_notify("READY=1");
	if (st == ST_OK && report != NULL)
		*report = json_pack(
		    "{so}", "changes", lines_of(json_get_str(changes, "changes")));
	json_decref(changes);
	return st;
}

static enum status
diff(void *arg, json_t **report, struct err *e)
{
	struct running *r = arg;
	struct config_options o = r->config;
	struct config *next;
	struct buf lines;

	o.before = gateway_config(r->gateway);
	next = config_load(&o, NULL, e);
	if (next == NULL)
		return ST_INVALID;
	buf_init(&lines, ERRORS_BYTES);
	config_diff(o.before, next, &lines);
	*report = json_pack("{so}", "changes", lines_of(buf_str(&lines)));
	buf_free(&lines);
	config_unref(next);
	config_reap();
	return ST_OK;
}

static enum status
key_changed(void *arg, lz_str id, const struct db_key *k, struct err *e)
{
	struct running *r = arg;

	return gateway_key_changed(r->gateway, id, k, e);
}

static void
explain(void *arg, const json_t *args, command_heard_fn *heard, void *heard_arg)
{
	struct running *r = arg;

	gateway_explain(r->gateway,
	    &(struct gateway_question){ .key = json_get_str(args, "key"),
		.strategy = json_get_str(args, "strategy"),
		.body = json_object_get(args, "body") },
	    heard, heard_arg);
}

static void
guard_test(void *arg, const json_t *args, command_heard_fn *heard, void *heard_arg)
{
	struct running *r = arg;

	gateway_guard_test(r->gateway,
	    &(struct gateway_guard_question){ .key = json_get_str(args, "key"),
		.names = json_object_get(args, "names"),
		.body = json_object_get(args, "body"),
		.text = json_get_str(args, "text"),
		.is_answer = str_is(json_get_str(args, "phase"), "response"),
		.stream_every = json_get_int(args, "stream_every", 0) },
	    heard, heard_arg);
}

static enum status
profile_changed(void *arg, lz_str id, const struct db_profile *p, struct err *e)
{
	struct running *r = arg;

	return gateway_profile_changed(r->gateway, id, p, e);
}

static bool
is_ready(void *arg, struct err *why)
{
	struct running *r = arg;

	return gateway_is_ready(r->gateway, why);
}

/* ---- signals ---- */

static void
on_reload(void *arg)
{
	struct err e = { "" };

	/* gateway_reload() logs both outcomes. */
	(void)reload(arg, NULL, &e);
}

static void
on_drained(void *arg)
{
	struct running *r = arg;

	loop_stop(r->loop);
}

static void
on_end(void *arg)
{
	struct running *r = arg;

	if (signals_ends(r->signals) > 1) {
		log_warn("gateway.cut", "why=\"asked to end twice\"");
		loop_stop(r->loop);
		return;
	}
	signals_notify("STOPPING=1");
	log_info("gateway.drain", "longest_s=%d", DRAIN_MS / 1000);
	gateway_drain(r->gateway, DRAIN_MS, on_drained, r);
}

/* ---- start ---- */

/* Says why the gateway did not start; all that is wrong, when the configuration is. */
static int
say_why(const struct running *r, const struct err *e)
{
	struct err again = { "" };
	struct config *c;
	struct buf errors;
	int code = CLI_FAILED;

	buf_init(&errors, ERRORS_BYTES);
	c = config_load(&r->config, &errors, &again);
	if (c != NULL) {
		fprintf(stderr, "latenza: %s\n", e->text);
		config_unref(c);
	} else {
		fwrite(errors.ptr == NULL ? "" : errors.ptr, 1, errors.len, stderr);
		if (errors.len == 0)
			fprintf(stderr, "%s\n", again.text);
		code = CLI_CONFIG;
	}
	buf_free(&errors);
	config_reap();
	return code;
}

static enum status
open_admin(struct running *r, struct err *e)
{
	const struct config *c = gateway_config(r->gateway);

	if (!c->has_admin || r->has_no_admin)
		return ST_OK;
	r->admin = admin_http_open(&(struct admin_options){ .loop = r->loop,
				       .listen = &c->admin_listen,
				       .is_ready = is_ready,
				       .more_metrics = live_metrics,
				       .arg = r },
	    e);
	return r->admin != NULL ? ST_OK : ST_IO;
}

static enum status
open_control(struct running *r, struct err *e)
{
	r->commands = (struct command_gateway){ .arg = r,
		.reload = reload,
		.diff = diff,
		.key_changed = key_changed,
		.profile_changed = profile_changed,
		.key_live = live_key,
		.budget_live = live_budget,
		.provider_live = live_providers,
		.credential_live = live_credentials,
		.status = live_status,
		.explain = explain,
		.guard_test = guard_test };
	r->control = control_open(&(struct control_options){ .loop = r->loop,
				      .data = gateway_datadir(r->gateway),
				      .keyring = gateway_keyring(r->gateway),
				      .storage = gateway_storage(r->gateway),
				      .config = config_in_force,
				      .gateway = &r->commands,
				      .arg = r },
	    e);
	return r->control != NULL ? ST_OK : ST_IO;
}

static void
stop(struct running *r)
{
	signals_stop(r->signals); /* before the gateway, which a late one would ask */
	control_close(r->control);
	admin_http_close(r->admin);
	if (r->gateway != NULL)
		gateway_stop(r->gateway);
	if (r->loop != NULL)
		loop_free(r->loop);
	config_reap();
}

int
running_start(struct running *r)
{
	struct err e = { "out of memory" };
	enum status st;
	int code;

	metric_thread_start();
	r->since_unix_ms = clock_unix_ms();
	r->loop = loop_new(&e);
	if (r->loop != NULL)
		r->signals = signals_start(r->loop, on_reload, on_end, r);
	if (r->signals != NULL)
		r->gateway = gateway_start(
		    &(struct gateway_options){
			.config = &r->config, .data_dir = r->data_dir, .loop = r->loop },
		    &e);
	if (r->gateway == NULL) {
		code = say_why(r, &e);
		stop(r);
		return code;
	}
	st = open_control(r, &e);
	if (st == ST_OK)
		st = open_admin(r, &e);
	if (st == ST_OK) /* the last: whoever is served finds those doors open */
		st = gateway_serve(r->gateway, &e);
	if (st == ST_OK)
		return CLI_DONE;
	fprintf(stderr, "latenza: %s\n", e.text);
	stop(r);
	return CLI_FAILED;
}

int
running_serve(struct running *r)
{
	signals_notify("READY=1");
	loop_run(r->loop);
	stop(r);
	log_info("gateway.end", "served_s=%lld",
	    (long long)(clock_unix_ms() - r->since_unix_ms) / 1000);
	return CLI_DONE;
}
