/* rows.h - the functions behind the table of commands. Private to admin/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ADMIN_ROWS_H
#define ADMIN_ROWS_H

#include "admin/commands.h"

/* key.c: the member names of a key's settings and how keys are kept stand there. */
command_fn key_create, key_import, key_list, key_show, key_roll, key_disable, key_remove;
/* What is wrong with a new key in itself. */
enum status key_check(struct command_context *c, const json_t *args, struct err *e);
enum status key_check_import(
    struct command_context *c, const json_t *args, struct err *e);
/* profile.c: organisations and assistants */
command_fn profile_create, profile_set, profile_list, profile_show, profile_disable,
    profile_remove;
enum status profile_precheck(
    struct command_context *c, const json_t *args, struct err *e);
/* Are there guardrails of the names in the settings? where: "key". */
enum status profile_check_guardrails(const struct command_context *c, const char *where,
    const struct key_settings *s, struct err *e) MUST_CHECK;
/* May a key have these settings: are its organisation and its assistant there, and do
 * they allow them? */
enum status profile_check_key(struct command_context *c, const struct key_settings *s,
    struct arena *memory, struct err *e);
/* budget.c */
command_fn budget_list;
void budget_add_live(const struct command_gateway *g, json_t *result);
/* Reads one row; it lives in memory. ST_NOT_FOUND. */
enum status profile_find(struct db *db, lz_str id, struct arena *memory,
    struct db_profile *out, struct err *e);
void key_add_live(const struct command_gateway *g, json_t *result);
/* trace.c */
command_fn trace_list, trace_show, trace_erase;
/* catalogue.c: models, providers, configuration */
command_fn model_list, model_show, provider_list, config_show_used, config_changes;
void provider_add_live(const struct command_gateway *g, json_t *result);
/* cost.c: what a usage costs at a model, by the configuration's prices */
command_fn model_cost;
/* route.c, guardrail.c: they are answered by a running gateway. */
typedef void command_start_fn(const struct command_gateway *g, const json_t *args,
    command_heard_fn *heard, void *arg);
command_start_fn route_explain, guardrail_test;
command_fn gateway_wanted; /* says that none runs */
/* guardrail.c */
command_fn guardrail_list;
enum status guardrail_check_test(
    struct command_context *c, const json_t *args, struct err *e);
/* care.c */
command_fn care_reload, care_status, care_backup, care_check;

/* Reads one key's row; it lives in memory. ST_NOT_FOUND. */
enum status key_find(
    struct db *db, lz_str id, struct arena *memory, struct db_key *out, struct err *e);
struct sockaddr_un;
/* Where the control socket is: through *dir_fd, which the caller closes. */
enum status control_address(
    const struct datadir *d, int *dir_fd, struct sockaddr_un *out, struct err *e);

/* Adds a string member; absent strings become null, bytes that are not UTF-8 become
 * U+FFFD. */
void row_set_str(json_t *object, const char *member, lz_str text);
/* "2026-11-22T16:01:10.123Z" */
void row_set_time(json_t *object, const char *member, int64_t unix_ms);
/* A budget of that scope, with what is spent of its period. owned */
json_t *row_budget(
    struct db *db, lz_str scope, const struct key_budget *b, int64_t now_unix_ms);
/* Nano-EUR, or null when below zero: unknown. */
void row_set_nano(json_t *object, const char *member, int64_t nano_eur);

#endif
