/* running.h - a gateway in this process: engine, control socket, admin listener, signals.
 * For serve, demo and `provider test`. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_RUNNING_H
#define CLI_RUNNING_H

#include "admin/control.h"
#include "gateway/gateway.h"

struct running {
	struct config_options config; /* kept by the gateway for reloads */
	const char *data_dir;         /* NULL: the file's */
	bool has_no_admin;            /* leave admin.listen alone */

	struct loop *loop;
	struct gateway *gateway;
	struct command_gateway commands;
	struct control *control;
	struct admin_http *admin;
	struct signals *signals;
	int64_t since_unix_ms;
};

/* Signals are blocked in every thread from here on. Fill in the first members. CLI_DONE;
 * CLI_CONFIG or CLI_FAILED after printing why. */
int running_start(struct running *r);
/* Serves until a signal ends it; then frees everything. */
int running_serve(struct running *r);

/* ---- signals.c ---- */
/* A thread that waits for SIGHUP, SIGTERM and SIGINT and calls back on [main]. NULL: out
 * of memory or threads. */
struct signals *signals_start(
    struct loop *loop, loop_fn *reload, loop_fn *end, void *arg);
/* What came too late for the loop is passed over. After loop_run(), while those are there
 * who posted to it. NULL is fine. */
void signals_stop(struct signals *s);
unsigned signals_ends(const struct signals *s); /* how often the end was asked for */
/* Tells systemd, if it started us: "READY=1". */
void signals_notify(const char *state);

/* ---- live.c: what commands and metrics learn of a running gateway; arg is the struct
 * running ---- */
json_t *live_key(void *arg, lz_str id);
void live_budget(void *arg, json_t *row);
json_t *live_providers(void *arg);
json_t *live_credentials(void *arg);
json_t *live_status(void *arg);
void live_metrics(void *arg, struct buf *out);

#endif
