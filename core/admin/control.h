/* control.h - the unix socket <data>/latenza.sock: one JSON object a line in, one out; 0600.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include "admin/commands.h"
#include "net/loop.h"
#include "store/storage.h"

struct control;
struct control_options {
	struct loop *loop;	      /* [main]'s */
	const struct datadir *data;
	const struct keyring *keyring;
	struct storage *storage;      /* commands run on its thread through storage_call() */
	const struct config *(*config)(void *arg); /* the one in force */
	const struct command_gateway *gateway;
	void *arg;
};
struct control *control_open(const struct control_options *o, struct err *e); /* [main] owned: control_close() */
void control_close(struct control *c);

/* The other side, for commands. ST_NOT_FOUND: no gateway serves this directory. */
enum status control_ask(const struct datadir *d, const char *name, const json_t *args, json_t **result, struct err *e) MUST_CHECK;

/* The admin listener: /metrics, /healthz, /readyz over net/server on [main]'s loop. */
struct admin_http;
struct admin_options {
	struct loop *loop;
	const struct net_addr *listen;
	bool (*is_ready)(void *arg, struct err *why);
	void (*before_metrics)(void *arg, struct buf *more); /* appends rows that are not counters (per target, budgets) */
	void *arg;
};
struct admin_http *admin_http_open(const struct admin_options *o, struct err *e);
void admin_http_close(struct admin_http *a);
unsigned admin_http_port(const struct admin_http *a);

#endif
