/* care.c - commands that look after a gateway: reload, status, backup, check.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/rows.h"

#include "base/json.h"

static enum status
need_gateway(const struct command_context *c, struct err *e)
{
	return c->gateway != NULL
		   ? ST_OK
		   : err_fail(e, ST_NOT_FOUND,
			 "no gateway serves %s; start one with `latenza serve`",
			 c->data->path);
}

enum status
care_reload(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	json_t *report = NULL;
	enum status st = need_gateway(c, e);

	(void)args;
	if (st != ST_OK)
		return st;
	st = c->gateway->reload(c->gateway->arg, &report, e);
	if (report != NULL)
		json_object_update(result, report);
	json_decref(report);
	return st;
}

enum status
care_status(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	enum status st = need_gateway(c, e);
	json_t *now;

	(void)args;
	if (st != ST_OK)
		return st;
	now = c->gateway->status(c->gateway->arg);
	if (now != NULL)
		json_object_update(result, now);
	json_decref(now);
	return ST_OK;
}

enum status
care_backup(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	lz_str to = json_get_str(args, "to");
	char keyring[4096];
	enum status st;

	if (!str_starts(to, "/"))
		return err_fail(
		    e, ST_INVALID, "db.backup: \"to\" must be an absolute path");
	if (datadir_file(c->data, "keyring", keyring, sizeof(keyring)) != ST_OK)
		return err_fail(e, ST_LIMIT, "%s: the path is too long", c->data->path);
	st = db_backup(c->db, to.ptr, keyring, e);
	if (st == ST_OK)
		row_set_str(result, "database", to);
	return st;
}

enum status
care_check(struct command_context *c, const json_t *args, json_t *result, struct err *e)
{
	struct db_check found;
	enum status st = db_check(c->db, &found, e);

	(void)args;
	if (st != ST_OK)
		return st;
	json_object_set_new(
	    result, "sound", json_boolean(found.first_problem[0] == '\0'));
	json_object_set_new(result, "keys", json_integer(found.keys));
	json_object_set_new(result, "traces", json_integer(found.traces));
	json_object_set_new(result, "charges", json_integer(found.charges));
	json_object_set_new(
	    result, "open_reservations", json_integer(found.open_reservations));
	json_object_set_new(result, "spend_differs", json_integer(found.spend_differs));
	row_set_str(result, "first_problem",
	    found.first_problem[0] == '\0' ? STR_NONE : lz_strz(found.first_problem));
	return ST_OK;
}
