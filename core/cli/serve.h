/* serve.h - what serve, demo and `provider test` share. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli/command.h"
#include "cli/running.h"

enum {
	SERVE_PLUGINS = 64
};
/* The plugins that --plugin names. */
unsigned serve_plugins(const struct cli *c, struct part_want out[SERVE_PLUGINS]);

/* ---- client.c: one HTTP request to a gateway nearby, blocking ---- */
struct client_answer {
	int status; /* 0: none came */
	char request_id[64];
	struct buf body; /* of the answer, chunks put together; freed by the caller */
	double ms;
};
/* at: "127.0.0.1:8080"; 0.0.0.0 and [::] stand for this machine. key: NULL for none.
 * ST_OK whatever the status. */
enum status client_post(const char *at, const char *path, const char *key,
    const char *body, struct client_answer *out, struct err *e) MUST_CHECK;

/* A directory of our own under $TMPDIR; into out. */
enum status serve_temporary(char *out, size_t n, struct err *e) MUST_CHECK;
void serve_remove(const char *dir); /* the directory and all in it */

#endif
