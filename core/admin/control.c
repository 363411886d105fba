/* control.c - the gateway's side of the control socket.
 *
 * Everything happens on [main]; a row that needs the database is carried to the storage
 * thread and waited for, so a command sees every trace whose request has its answer. A
 * key that a row changed is published before the command is answered: whoever reads
 * "done" may use it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "admin/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/rows.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/server.h"
#include "request/fault.h"

enum {
	ARGS_BYTES = 1 << 20,
	ANSWER_BYTES = 64 << 20,
	CHANGED_KEY_BYTES = 1 << 20,
	CONNECTIONS = 32
};

#define COMMAND_PATH "/command/"

struct control {
	struct control_options o;
	struct server_limits limits;
	struct server *server;
	char path[4096];
};

/* One command on its way. */
struct job {
	const struct command *row;
	json_t *args;
	struct command_context c;
	struct arena *memory; /* of what changed */
	struct db_key changed;
	struct db_profile changed_profile;
	bool is_removed;
	json_t *result;
	struct err e;
	enum status st;
};

/* What failed came after the row was there. */
static void
say_written(struct job *j)
{
	bool is_key = j->c.changed_key[0] != '\0';

	err_prefix(&j->e, "%s \"%s\" was written, and is in force after a restart",
	    is_key ? "key" : "organization",
	    is_key ? j->c.changed_key : j->c.changed_profile);
}

static bool
is_change(const struct job *j)
{
	return j->c.changed_key[0] != '\0' || j->c.changed_profile[0] != '\0';
}

/* A row that a running gateway starts, and answers when it is over. */
struct later {
	struct exchange *x; /* NULL: who asked has left */
	json_t *args;
};

static enum status
read_back(struct job *j, struct db *db)
{
	if (j->c.changed_key[0] != '\0')
		return key_find(
		    db, lz_strz(j->c.changed_key), j->memory, &j->changed, &j->e);
	return profile_find(
	    db, lz_strz(j->c.changed_profile), j->memory, &j->changed_profile, &j->e);
}

static void
run_with_database(void *arg, struct db *db)
{
	struct job *j = arg;
	enum status found;

	j->c.db = db;
	j->st = command_run(&j->c, j->row, j->args, &j->result, &j->e);
	if (j->st != ST_OK || !is_change(j))
		return;
	found = read_back(j, db);
	j->is_removed = found == ST_NOT_FOUND;
	if (!j->is_removed)
		j->st = found;
	if (j->st != ST_OK)
		say_written(j);
}

static void
publish(struct job *j)
{
	const struct command_gateway *g = j->c.gateway;

	if (j->st != ST_OK || !is_change(j))
		return;
	if (j->c.changed_key[0] != '\0')
		j->st = g->key_changed(g->arg, lz_strz(j->c.changed_key),
		    j->is_removed ? NULL : &j->changed, &j->e);
	else
		j->st = g->profile_changed(g->arg, lz_strz(j->c.changed_profile),
		    j->is_removed ? NULL : &j->changed_profile, &j->e);
	if (j->st == ST_NOMEM)
		say_written(j);
}

static void
run(struct control *c, struct job *j)
{
	j->c = (struct command_context){
		.data = c->o.data,
		.keyring = c->o.keyring,
		.config = c->o.config(c->o.arg),
		.gateway = c->o.gateway,
		.now_unix_ms = loop_now(c->o.loop)->unix_ms,
	};
	j->memory = arena_new(CHANGED_KEY_BYTES);
	if (j->memory == NULL) {
		j->st = err_fail(&j->e, ST_NOMEM, "%s: out of memory", j->row->name);
		return;
	}
	if (j->row->needs_db != COMMAND_DB_NOT)
		storage_call(c->o.storage, run_with_database, j);
	else
		j->st = command_run(&j->c, j->row, j->args, &j->result, &j->e);
	publish(j);
	if (j->st == ST_OK && j->row->add_live != NULL)
		j->row->add_live(c->o.gateway, j->result);
	arena_free(j->memory);
}

/* ---- the wire ---- */

/* What is said where there is no memory for the answer. */
#define LOST(why) "{\"status\":\"limit reached\",\"error\":\"" why "\",\"result\":null}"

static const char lost[] =
    LOST("the answer is too large, or there is no memory for it; ask for less at once");
static const char lost_and_done[] =
    LOST("done, but the answer is too large, or there is no memory for it");
static const char lost_halfway[] =
    LOST("it failed, and may have been done in part; there is no memory for the answer, "
	 "see the log");

static lz_str
what_if_lost(const struct job *j)
{
	if (!j->row->is_change)
		return STR_LIT(lost);
	return j->c.is_done || is_change(j) ? STR_LIT(lost_and_done)
					    : STR_LIT(lost_halfway);
}

static void
answer(struct exchange *x, enum status st, const struct err *e, json_t *result,
    lz_str if_lost)
{
	static const struct http_field json_type = { { "content-type", 12 },
		{ "application/json", 16 } };
	bool lacks = st == ST_OK && json_ran_dry();
	json_t *all = json_object();
	lz_str text;
	struct buf out;

	(void)json_ran_dry();
	buf_init(&out, ANSWER_BYTES);
	row_set_str(all, "status", lz_strz(status_name(st)));
	if (st != ST_OK)
		row_set_str(all, "error", lz_strz(e->text));
	json_object_set(all, "result", result != NULL ? result : json_null());
	if (!lacks && all != NULL && !json_ran_dry() && json_print(all, &out))
		text = buf_str(&out);
	else
		text = if_lost;
	exchange_reply(x, 200, &json_type, 1, text);
	json_decref(all);
	buf_free(&out);
}

static const struct command *
find_row(const struct exchange *x, struct err *e)
{
	lz_str path = x->head.path;
	const struct command *row = NULL;

	if (x->head.method == HTTP_POST && str_starts(path, COMMAND_PATH))
		row = command_find(str_cut(path, strlen(COMMAND_PATH), path.len));
	if (row == NULL)
		(void)err_fail(e, ST_NOT_FOUND,
		    "%.*s: no such command; POST " COMMAND_PATH "NAME, for example "
		    "" COMMAND_PATH "key.list",
		    STR_ARG(str_cut(path, 0, 100)));
	return row;
}

static void
on_heard(void *arg, enum status st, json_t *result, const struct err *e)
{
	struct later *l = arg;

	(void)json_ran_dry(); /* what others did meanwhile */
	if (l->x != NULL) {
		l->x->user = NULL;
		answer(l->x, st, e, result, STR_LIT(lost));
	}
	json_decref(result);
	json_decref(l->args);
	mem_free(l);
}

/* Takes j->args. */
static void
start(struct control *c, struct job *j, struct exchange *x)
{
	struct later *l = mem_zalloc(sizeof(*l));

	j->c = (struct command_context){ .data = c->o.data,
		.config = c->o.config(c->o.arg),
		.gateway = c->o.gateway };
	j->st = l == NULL ? err_fail(&j->e, ST_NOMEM, "%s: out of memory", j->row->name)
			  : command_precheck(&j->c, j->row, j->args, &j->e);
	if (j->st != ST_OK) {
		answer(x, j->st, &j->e, NULL, STR_LIT(lost));
		json_decref(j->args);
		mem_free(l);
		return;
	}
	l->x = x;
	l->args = j->args;
	x->user = l;
	j->row->start(c->o.gateway, j->args, on_heard, l);
}

static void
on_request(void *arg, struct exchange *x)
{
	struct job j = { .st = ST_OK };
	lz_str body = x->body.len == 0 ? STR_LIT("{}") : buf_str(&x->body);
	json_t *args = NULL;

	(void)json_ran_dry();
	j.row = find_row(x, &j.e);
	if (j.row == NULL) {
		answer(x, ST_NOT_FOUND, &j.e, NULL, STR_LIT(lost));
		return;
	}
	args = json_parse(body, &j.e);
	if (args == NULL) {
		answer(x, ST_INVALID, &j.e, NULL, STR_LIT(lost));
		return;
	}
	j.args = args;
	if (j.row->start != NULL) {
		start(arg, &j, x);
		return;
	}
	run(arg, &j);
	answer(x, j.st, &j.e, j.result, what_if_lost(&j));
	json_decref(j.result);
	json_decref(args);
}

static void
on_gone(void *arg, struct exchange *x)
{
	struct later *l = x->user;

	(void)arg;
	if (l != NULL)
		l->x = NULL;
}

/* ---- the socket ---- */

/* A unix address holds 107 bytes, a data directory's path may be longer: so the directory
 * is named by descriptor. */
enum status
control_address(
    const struct datadir *d, int *dir_fd, struct sockaddr_un *out, struct err *e)
{
	*dir_fd = io.open(d->path, O_PATH | O_DIRECTORY, 0);
	if (*dir_fd < 0)
		return err_fail(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
		    "%s: cannot be opened: %s", d->path, strerror(errno));
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET,
	    *dir_fd);
	return ST_OK;
}

/* Returns a listening socket, or -1. */
static int
listen_at(struct control *c, struct err *e)
{
	struct sockaddr_un sa;
	int dir_fd, fd = -1;

	if (datadir_file(c->o.data, CONTROL_SOCKET, c->path, sizeof(c->path)) != ST_OK ||
	    control_address(c->o.data, &dir_fd, &sa, e) != ST_OK)
		return -1;
	/* The directory is locked for us: a socket that lies there is an earlier run's.
	 */
	(void)io.unlink(c->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Linux makes the socket's file with the mode that the descriptor has at bind().
	 */
	if (fd < 0 || fchmod(fd, 0600) != 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, CONNECTIONS) != 0) {
		(void)err_fail(
		    e, ST_IO, "%s: control socket: %s", c->path, strerror(errno));
		if (fd >= 0)
			(void)io.close(fd);
		fd = -1;
	}
	(void)io.close(dir_fd);
	return fd;
}

struct control *
control_open(const struct control_options *o, struct err *e)
{
	static const struct server_ops ops = { .request = on_request, .gone = on_gone };
	struct control *c = mem_zalloc(sizeof(*c));
	int fd;

	if (c == NULL) {
		(void)err_fail(e, ST_NOMEM, "control socket: out of memory");
		return NULL;
	}
	c->o = *o;
	server_limits_default(&c->limits);
	c->limits.body_bytes = ARGS_BYTES;
	c->limits.connections = CONNECTIONS;
	fd = listen_at(c, e);
	if (fd < 0)
		goto fail;
	c->server = server_new(o->loop, &c->limits, &ops, c);
	if (c->server == NULL) {
		(void)err_fail(e, ST_NOMEM, "control socket: out of memory");
		(void)io.close(fd);
		goto fail;
	}
	if (server_listen(c->server, fd, e) == ST_OK)
		return c;
fail:
	control_close(c);
	return NULL;
}

void
control_close(struct control *c)
{
	if (c == NULL)
		return;
	if (c->server != NULL) {
		(void)io.unlink(c->path);
		server_free(c->server);
	}
	mem_free(c);
}
