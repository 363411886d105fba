/* command.h - a subcommand as a row: parsing, help and shell completion are made from it.
 * Private to cli/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "cli/cli.h"

enum {
	CLI_OPERANDS = 64
};

enum option_kind {
	OPTION_SWITCH, /* true */
	OPTION_TEXT,
	OPTION_INTEGER,
	OPTION_NUMBER,   /* may have decimals */
	OPTION_LIMIT,    /* integer or "unlimited" */
	OPTION_DURATION, /* "30s", "24h"; milliseconds */
	OPTION_BUDGET,   /* number or "unlimited" */
	OPTION_LIST,     /* "a,b"; may be repeated */
	OPTION_PAIRS     /* NAME=VALUE; may be repeated */
};

struct cli_option {
	const char *name; /* without its dashes; NULL ends the list */
	char letter;      /* 0: none */
	enum option_kind kind;
	const char *value; /* what help calls the value; NULL for switches */
	const char *help;
};

struct cli;
struct cli_command {
	const char *name;     /* "key create" */
	const char *operands; /* as help shows them: "[FILE]"; "" */
	unsigned least, most; /* how many */
	const char *summary;  /* one line */
	const char *more;     /* what --help adds; NULL */
	const struct cli_option *options;
	int (*run)(struct cli *c); /* an exit code */
};

/* One invocation. */
struct cli {
	const char *program; /* argv[0] */
	const struct cli_command *command;
	json_t *options; /* by name; an option that was not given is absent */
	const char *operand[CLI_OPERANDS];
	unsigned operand_count;
	bool wants_json;
	bool wants_help; /* `latenza help key create` */
};

const struct cli_command *cli_commands(size_t *count);

/* ---- parse.c ---- */
/* Finds the row and reads options and operands. Returns CLI_DONE, or CLI_USAGE after
 * saying what is wrong. c->command is NULL when argv names a noun alone or nothing: help
 * is wanted. */
int cli_parse(struct cli *c, int argc, char **argv);
bool cli_has(const struct cli *c, const char *option);
const char *cli_text(const struct cli *c, const char *option); /* NULL: not given */
int64_t cli_integer(const struct cli *c, const char *option, int64_t otherwise);

/* ---- input.c ---- */
/* Reads a whole file, or standard input for "-", up to the buffer's maximum. ST_IO,
 * ST_LIMIT */
enum status input_file(const char *path, struct buf *out, struct err *e) MUST_CHECK;

/* ---- typed.c ---- */
/* What --option NAME=VALUE says, as a file would: by these rows, texts and choices as
 * they are typed, the others JSON. What no row knows is there too, to be refused. owned.
 */
json_t *cli_typed_options(
    const struct cli *c, const lz_option *rows, uint32_t count, uint32_t size);

/* ---- help.c ---- */
void help_all(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct cli_command *row);
/* The rows' common options; ends with a NULL name. */
extern const struct cli_option cli_common[];
int help_completion(struct cli *c); /* `latenza completion bash` */

/* ---- the families ---- */
int serve_run(struct cli *c);
int demo_run(struct cli *c);
int init_run(struct cli *c);
int check_run(struct cli *c);
int doctor_run(struct cli *c);
int reload_run(struct cli *c);
int key_create_run(struct cli *c);
int key_import_run(struct cli *c);
int key_list_run(struct cli *c);
int key_show_run(struct cli *c);
int key_roll_run(struct cli *c);
int key_disable_run(struct cli *c);
int key_rm_run(struct cli *c);
/* of both `org` and `assistant` */
int profile_write_run(struct cli *c); /* create, set */
int profile_list_run(struct cli *c);
int profile_show_run(struct cli *c);
int profile_disable_run(struct cli *c);
int profile_rm_run(struct cli *c);
int budget_list_run(struct cli *c);
int traces_list_run(struct cli *c);
int traces_show_run(struct cli *c);
int traces_tail_run(struct cli *c);
int traces_export_run(struct cli *c);
int traces_erase_run(struct cli *c);
int model_list_run(struct cli *c);
int model_show_run(struct cli *c);
int route_explain_run(struct cli *c);
int guardrail_list_run(struct cli *c);
int guardrail_test_run(struct cli *c);
int provider_list_run(struct cli *c);
int provider_test_run(struct cli *c);
/* What provider.list says of keys, as a table. provider: its keys; NULL: everybody's that
 * something was sent with. */
void catalogue_print_credentials(const json_t *list, const char *provider);
int plugin_list_run(struct cli *c);
int plugin_info_run(struct cli *c);
int plugin_check_run(struct cli *c);
int plugin_new_run(struct cli *c);
int plugin_run_run(struct cli *c);
int policy_test_run(struct cli *c);
int policy_check_run(struct cli *c);
int policy_new_run(struct cli *c);
int policy_init_run(struct cli *c);
int policy_run_run(struct cli *c);
int policy_bench_run(struct cli *c);
int policy_replay_run(struct cli *c);
int config_show_run(struct cli *c);
int config_schema_run(struct cli *c);
int config_diff_run(struct cli *c);
int db_backup_run(struct cli *c);
int db_check_run(struct cli *c);
int version_run(struct cli *c);

#endif
