/* commands.h - what the command line can ask of a gateway, as one table.
 *
 * While a gateway owns the data directory, a command runs inside it (control.h);
 * otherwise the command's own process opens the database and runs the same function. A
 * row says where it must run: with the database, or on [main] with the gateway and its
 * configuration.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include <jansson.h>
#include "config/config.h"
#include "store/datadir.h"
#include "store/db.h"

/* What came of a command that took its time; result is owned by who hears it, NULL unless
 * st is ST_OK. [main] */
typedef void command_heard_fn(
    void *arg, enum status st, json_t *result, const struct err *e);

/* What a running gateway offers to commands. All [main]. */
struct command_gateway {
	void *arg;
	/* Builds and swaps the configuration again; the report says what changed. */
	enum status (*reload)(void *arg, json_t **report, struct err *e);
	/* What reload would change, changing nothing. */
	enum status (*diff)(void *arg, json_t **report, struct err *e);
	/* A key was written (k) or removed (k NULL) in the database: publish it. */
	enum status (*key_changed)(
	    void *arg, lz_str id, const struct db_key *k, struct err *e);
	/* The same of an organisation or an assistant. */
	enum status (*profile_changed)(
	    void *arg, lz_str id, const struct db_profile *p, struct err *e);
	/* Live figures: of a key (NULL: unknown), of every target, of the whole. owned.
	 */
	json_t *(*key_live)(void *arg, lz_str id);
	void (*budget_live)(void *arg, json_t *row); /* adds to a row of `budget list` */
	json_t *(*provider_live)(void *arg);
	json_t *(*credential_live)(void *arg); /* of every provider's keys */
	json_t *(*status)(void *arg);
	/* What the rows of the same names ask, with their arguments. They are answered
	 * later, or at once from inside. */
	void (*explain)(
	    void *arg, const json_t *args, command_heard_fn *heard, void *heard_arg);
	void (*guard_test)(
	    void *arg, const json_t *args, command_heard_fn *heard, void *heard_arg);
};

enum {
	COMMAND_ID_BYTES = 128, /* of a key's slug, with its NUL */
	COMMAND_PROFILE_BYTES = 2 * KEY_PROFILE_BYTES + 2, /* "acme/support" */
	COMMAND_TRACES_MAX = 500 /* rows of one answer; more are asked for with `after` */
};

struct command;

struct command_context {
	struct db *db; /* NULL for rows that need none */
	const struct datadir *data;
	const struct keyring *keyring;
	const struct config *config; /* the one in force; offline the file's, or NULL */
	const struct command_gateway *gateway; /* NULL: no gateway runs */
	int64_t now_unix_ms;
	const struct command *row; /* the one that runs */
	/* Set by a row that changed a key; whoever runs it publishes that key afterwards.
	 */
	char changed_key[COMMAND_ID_BYTES];
	char changed_profile[COMMAND_PROFILE_BYTES]; /* the same of an organisation or an
							assistant */
	bool is_done; /* the row ran to its end, whatever becomes of its answer */
};

struct command_arg {
	const char *name; /* NULL ends the list */
	json_type type;   /* JSON_TRUE stands for both booleans */
	bool is_required;
};

typedef enum status command_fn(
    struct command_context *c, const json_t *args, json_t *result, struct err *e);

enum command_db {
	COMMAND_DB_NOT,
	COMMAND_DB_NEEDED,
	/* Without one it answers from the configuration, in which nobody is missing then:
	 * whoever was made by command is in a database. */
	COMMAND_DB_IF_THERE
};

struct command {
	const char *name; /* "key.create" */
	enum command_db needs_db;
	bool is_change; /* what it did stands, also where its answer is lost */
	const struct command_arg *args;
	/* Fills in result, an object; also partly on failure. */
	command_fn *run;
	/* Then, where a gateway runs, on [main]: adds its live figures. May be NULL. */
	void (*add_live)(const struct command_gateway *g, json_t *result);
	/* Refuses what run() would whatever the database holds. May be NULL. */
	enum status (*precheck)(
	    struct command_context *c, const json_t *args, struct err *e);
	/* In a running gateway, instead of run(): what takes its time, after precheck().
	 * May be NULL. */
	void (*start)(const struct command_gateway *g, const json_t *args,
	    command_heard_fn *heard, void *arg);
};

/* The rows of `guardrail.list` as the file alone has them. owned */
json_t *command_file_guardrails(const struct config *c);

const struct command *command_find(lz_str name); /* NULL: there is none */
/* Checks args against the row: an unknown member, a missing one or one of a wrong type is
 * named. ST_INVALID */
enum status command_check(
    const struct command *row, const json_t *args, struct err *e) MUST_CHECK;
/* As command_run() begins, without a database: before one is made for the row's sake. */
enum status command_precheck(struct command_context *c, const struct command *row,
    const json_t *args, struct err *e) MUST_CHECK;
/* Checks args and runs the row. *result: owned, also on failure (NULL only without
 * memory). Statuses are the row's: ST_NOT_FOUND, ST_EXISTS, ST_INVALID, ST_DENIED, or the
 * database's. */
enum status command_run(struct command_context *c, const struct command *row,
    const json_t *args, json_t **result, struct err *e) MUST_CHECK;

#endif
