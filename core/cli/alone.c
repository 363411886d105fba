/* alone.c - a gateway for one command alone, where none runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/alone.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/backend.h"
#include "cli/serve.h"

enum {
	START_TRIES = 400, /* of 25 ms */
	PAUSE_NS = 25000000
};

/* The first address on which the gateway of c listens. CLI_FAILED: it does not answer. */
static int
find_gateway(const struct cli *c, char *at, size_t n)
{
	json_t *status = NULL;
	struct err e = { "" };
	enum status st = backend_ask(c, "status", json_object(), &status, &e);
	const json_t *first = json_array_get(json_object_get(status, "listen"), 0);

	snprintf(at, n, "%s", json_is_string(first) ? json_string_value(first) : "");
	json_decref(status);
	return st == ST_OK && *at != '\0' ? CLI_DONE : CLI_FAILED;
}

static _Noreturn void
serve(const struct cli *c, const char *dir)
{
	struct running r = { .data_dir = dir, .has_no_admin = true };
	char path[4096];
	int code = backend_config_path(c, path, sizeof(path));

	r.config = (struct config_options){ .path = *path == '\0' ? NULL : path,
		.listen = "127.0.0.1:0",
		.is_quiet = true };
	log_set_level(LOG_LEVEL_ERROR);
	if (code == CLI_DONE)
		code = running_start(&r);
	if (code == CLI_DONE)
		code = running_serve(&r);
	_exit(code);
}

static int
work_alone(const struct cli *c, const char *dir, alone_fn *work, void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct cli there = *c;
	pid_t child = fork();
	char at[100];
	int code = CLI_FAILED, ended = 0;

	if (child == 0)
		serve(c, dir);
	there.options = json_deep_copy(c->options);
	json_object_set_new(there.options, "data", json_string(dir));
	for (int i = 0; child > 0 && i < START_TRIES; i++) {
		if (waitpid(child, &ended, WNOHANG) == child) {
			/* It has said why. */
			json_decref(there.options);
			return WIFEXITED(ended) ? WEXITSTATUS(ended) : CLI_FAILED;
		}
		code = find_gateway(&there, at, sizeof(at));
		if (code == CLI_DONE)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (code == CLI_DONE)
		code = work(&there, at, true, arg);
	else
		fprintf(stderr, "latenza: the gateway for the test did not start\n");
	if (child > 0) {
		(void)kill(child, SIGTERM);
		(void)waitpid(child, &ended, 0);
	}
	json_decref(there.options);
	return code;
}

int
alone_run(const struct cli *c, alone_fn *work, void *arg)
{
	char at[100], dir[4096];
	struct err e = { "" };
	int code;

	if (find_gateway(c, at, sizeof(at)) == CLI_DONE)
		return work(c, at, false, arg);
	if (serve_temporary(dir, sizeof(dir), &e) != ST_OK)
		return backend_fail(&e, CLI_FAILED);
	code = work_alone(c, dir, work, arg);
	serve_remove(dir);
	return code;
}
