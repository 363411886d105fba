/* commands.h - what the command line can ask of a gateway, as one table: served through the control socket while a gateway
 * owns the data directory, run in the command's own process otherwise. The same function serves both.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include <jansson.h>
#include "config/config.h"
#include "store/datadir.h"
#include "store/db.h"

/* What a running gateway offers to commands; NULL members when there is none. All [main]. */
struct command_gateway {
	void *arg;
	/* Builds and swaps the configuration again. */
	enum status (*reload)(void *arg, json_t **report, struct err *e);
	/* A key was written, changed or removed in the database: publish it (k NULL: removed). */
	enum status (*key_changed)(void *arg, lz_str id, const struct db_key *k, struct err *e);
	/* Live figures: budgets of a key, health of targets, readiness. owned. */
	json_t *(*key_live)(void *arg, lz_str id);
	json_t *(*provider_live)(void *arg);
	json_t *(*status)(void *arg);
	/* One real call through a provider's target, for `provider test`; `answer` runs later on [main]. */
	enum status (*provider_test)(void *arg, lz_str provider, lz_str model, void (*answer)(void *arg2, json_t *report),
	    void *arg2, struct err *e);
};

struct command_context {
	struct db *db;		      /* open, on the thread that runs the command */
	const struct datadir *data;
	const struct keyring *keyring; /* with secrets.master applied */
	const struct config *config;   /* may be NULL offline */
	const struct command_gateway *gateway; /* NULL: no gateway runs */
	int64_t now_unix_ms;
	/* Set by a command that changed a key: published by the caller on [main] after the database committed. */
	char changed_key[128];
};

/* Runs "key.create" and so on. args: an object; *result: owned, also partly filled on failure. Unknown members of args are
 * refused by name. ST_NOT_FOUND: no such command or object. */
enum status command_run(struct command_context *c, const char *name, const json_t *args, json_t **result, struct err *e);
/* Streams (traces.tail) are polled by the client: traces.list with `after`. */

#endif
