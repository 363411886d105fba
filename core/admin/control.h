/* control.h - the unix socket <data>/latenza.sock (0600) through which commands reach a
 * running gateway, and the admin listener for probes and metrics.
 *
 * The socket speaks HTTP/1.1, by the same strict server as the public port: POST
 * /command/NAME with the arguments as a JSON object is answered with {"status": "ok",
 * "result": {…}}, or with another status of base/status.h and "error", the sentence. So
 * `curl --unix-socket` works for whoever has no `latenza` at hand.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include "admin/commands.h"
#include "net/loop.h"
#include "store/storage.h"

#define CONTROL_SOCKET "latenza.sock"

struct control;
struct control_options {
	struct loop *loop; /* [main]'s */
	const struct datadir *data;
	const struct keyring *keyring;
	struct storage *storage; /* rows that need the database run on its thread */
	const struct config *(*config)(void *arg); /* the one in force */
	const struct command_gateway *gateway;
	void *arg;
};
/* Takes the place of a socket that an earlier run left. options: copied; what they point
 * at is kept until control_close(). NULL with a sentence. [main] owned: control_close()
 */
struct control *control_open(const struct control_options *o, struct err *e);
void control_close(struct control *c); /* and removes the socket; NULL is fine */

/* The other side, for commands. ST_GONE: no gateway serves this directory. Else the row's
 * own status, its sentence in e; *result is owned, NULL when the gateway could not be
 * understood. */
enum status control_ask(const struct datadir *d, const char *name, const json_t *args,
    json_t **result, struct err *e) MUST_CHECK;

/* The admin listener: GET /metrics, /healthz, /readyz. */
struct admin_http;
struct admin_options {
	struct loop *loop;
	const struct net_addr *listen;
	bool (*is_ready)(void *arg, struct err *why);
	/* Appends metrics that are not rows of base/metric: per target, per budget. May
	 * be NULL. */
	void (*more_metrics)(void *arg, struct buf *out);
	void *arg;
};
/* options: copied. NULL with a sentence. [main] owned: admin_http_close() */
struct admin_http *admin_http_open(const struct admin_options *o, struct err *e);
void admin_http_close(struct admin_http *a);          /* NULL is fine */
unsigned admin_http_port(const struct admin_http *a); /* as bound */

#endif
