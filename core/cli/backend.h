/* backend.h - where a command's question goes: to the gateway that serves the data
 * directory, else to the database itself. Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_BACKEND_H
#define CLI_BACKEND_H

#include "cli/command.h"
#include "config/config.h"

/* Prints "latenza: SENTENCE" and returns the exit code. */
int backend_fail(const struct err *e, int code);

/* Where the configuration file is: into out, "" when there is none. CLI_CONFIG after
 * saying that -c names none. */
int backend_config_path(const struct cli *c, char *out, size_t n);
/* The configuration of the file, secrets not resolved unless asked. NULL after printing
 * every error. */
struct config *backend_config(const struct cli *c, bool is_offline);
/* The data directory, by --data, the file, or the default; also when the rest of the file
 * is wrong. */
int backend_data_dir(const struct cli *c, char *out, size_t n);

/* Runs a row of admin/commands; args: taken. *result: owned, may be NULL on failure.
 * Returns an exit code after printing what is wrong. */
int backend_run(const struct cli *c, const char *name, json_t *args, json_t **result);
/* Runs it and prints the result, or its member: as JSON where that is wanted, else
 * print() does. args: taken. */
int backend_show(const struct cli *c, const char *name, json_t *args, const char *member,
    void (*print)(const json_t *result));
json_t *backend_id(const struct cli *c); /* { "id": the operand }; owned */
/* The same only where a gateway runs: ST_GONE when none does. Prints nothing. args:
 * taken. */
enum status backend_ask(const struct cli *c, const char *name, json_t *args,
    json_t **result, struct err *e) MUST_CHECK;

#endif
