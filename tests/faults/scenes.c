/* scenes.c - the scenes, as a table at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "faults/scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "faults/provider.h"
#include "faults/seam.h"

/* ---- requests ---- */

static enum verdict
chat_as(struct stage *s, struct reply *r, const char *model, bool is_stream)
{
	enum verdict v = stage_chat(s, r, STAGE_KEY, model, is_stream);

	if (v == VERDICT_RIGHT)
		stage_acknowledge(s, r);
	stage_store(s);
	return v;
}

static enum verdict
run_plain(struct stage *s, struct reply *r)
{
	return chat_as(s, r, "plain", false);
}

/* A new connection to the provider, which closes it. */
static enum verdict
run_fresh(struct stage *s, struct reply *r)
{
	return chat_as(s, r, "fresh", false);
}

static enum verdict
run_stream(struct stage *s, struct reply *r)
{
	return chat_as(s, r, "plain", true);
}

static enum verdict
run_tools(struct stage *s, struct reply *r)
{
	enum verdict v = stage_chat(s, r, STAGE_KEY, "tools", false);

	return v == VERDICT_RIGHT ? stage_chat(s, r, STAGE_KEY, "tools", true) : v;
}

/* Nothing of what is masked may come out, whatever fails. */
static enum verdict
chat_masked(struct stage *s, struct reply *r, const char *key, bool is_stream)
{
	enum verdict v = stage_chat(s, r, key, "plain", is_stream);

	if (strstr(r->wire, "two") != NULL)
		return wrong(r, "what is masked came out");
	return v;
}

static enum verdict
chat_masked_twice(struct stage *s, struct reply *r, const char *key)
{
	enum verdict v = chat_masked(s, r, key, false);

	return v == VERDICT_RIGHT ? chat_masked(s, r, key, true) : v;
}

static enum verdict
run_watched(struct stage *s, struct reply *r)
{
	return chat_masked_twice(s, r, STAGE_WATCHED);
}

/* The guardrail answers later: prompt, answer, and each piece of a stream wait. */
static enum verdict
run_patient(struct stage *s, struct reply *r)
{
	return chat_masked_twice(s, r, STAGE_PATIENT);
}

/* The model that was asked for serves nobody here. */
static enum verdict
run_moved(struct stage *s, struct reply *r)
{
	enum verdict v = stage_chat(s, r, STAGE_MOVED, "plain", false);

	if (v == VERDICT_RIGHT && strstr(r->wire, "x-latenza-model: fresh") == NULL)
		return wrong(r, "the model that the guardrail left out served");
	return v;
}

/* Two attempts, or an honest error: never the first answer. */
static enum verdict
run_again(struct stage *s, struct reply *r)
{
	return chat_masked(s, r, STAGE_AGAIN, false);
}

static enum verdict
run_blocked(struct stage *s, struct reply *r)
{
	caller_ask(r, caller_connect(s->port), "POST", "/v1/chat/completions",
	    STAGE_WATCHED,
	    "{\"model\":\"plain\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"forbidden\"}]}",
	    NULL);
	r->why[0] = '\0';
	return caller_judge(r, 400, "\"content_policy_violation\"");
}

static enum verdict
run_refused(struct stage *s, struct reply *r)
{
	(void)stage_chat(s, r, "no-key-of-this-gateway", "plain", false);
	r->why[0] = '\0';
	return caller_judge(r, 401, "\"invalid_api_key\"");
}

static enum verdict
run_garbage(struct stage *s, struct reply *r)
{
	caller_ask(r, caller_connect(s->port), "POST", "/v1/chat/completions", STAGE_KEY,
	    "{\"model\":\"plain\",\"messages\":[{\"role\":\"user\",}]}", NULL);
	return caller_judge(r, 400, "\"invalid_request_error\"");
}

static enum verdict
run_failover(struct stage *s, struct reply *r)
{
	enum verdict v = stage_chat(s, r, STAGE_KEY, "spare", true);

	stage_store(s);
	return v;
}

static enum verdict
run_budget(struct stage *s, struct reply *r)
{
	(void)stage_chat(s, r, STAGE_POOR, "plain", false);
	r->why[0] = '\0';
	return caller_judge(r, 429, "\"insufficient_quota\"");
}

/* More than 64 KB, and a plugin that looks into it: the tree is built in the pool. */
static enum verdict
run_large(struct stage *s, struct reply *r)
{
	enum {
		BYTES = 80000
	};
	static char body[BYTES + 200];
	int n = snprintf(body, sizeof(body),
	    "{\"model\":\"echo/"
	    "echo-large\",\"messages\":[{\"role\":\"user\",\"content\":\"");

	memset(body + n, 'x', BYTES);
	(void)snprintf(body + n + BYTES, 100, "\"}]}");
	caller_ask(r, caller_connect(s->port), "POST", "/v1/chat/completions",
	    stage_turn_key[s->turn], body, NULL);
	return caller_judge(r, 200, "xxxxxxxx");
}

/* More than a worker folds, and scans: the pool does both, and the second again, since
 * the guardrails change it. */
static enum verdict
run_folded(struct stage *s, struct reply *r)
{
	enum {
		LETTERS = 150000
	};
	static char body[2 * LETTERS + 200];
	int n = snprintf(body, sizeof(body),
	    "{\"model\":\"plain\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"Count to three\"}],\"pad\":\"");

	for (int i = 0; i < LETTERS; i++)
		memcpy(body + n + 2 * i, "\xc3\xa9", 2);
	(void)snprintf(body + n + 2 * LETTERS, 100, "\"}");
	caller_ask(r, caller_connect(s->port), "POST", "/v1/chat/completions",
	    STAGE_WATCHED, body, NULL);
	if (strstr(r->wire, "two") != NULL)
		return wrong(r, "what is masked came out");
	return caller_judge_chat(r, STAGE_WATCHED_TEXT);
}

static enum verdict
run_leave(struct stage *s, struct reply *r)
{
	static const char body[] = "{\"model\":\"slow\",\"stream\":true,\"messages\":"
				   "[{\"role\":\"user\",\"content\":\"Go\"}]}";

	caller_ask(r, caller_connect(s->port), "POST", "/v1/chat/completions", STAGE_KEY,
	    body, "\"one \"");
	caller_reset(r);
	if (r->is_late)
		return wrong(r, "silence");
	if (strstr(r->wire, "\"one \"") != NULL)
		return VERDICT_RIGHT;
	return caller_judge_stream(r, PROVIDER_TEXT);
}

static enum verdict
run_reset(struct stage *s, struct reply *r)
{
	enum verdict whole = stage_chat(s, r, STAGE_KEY, "reset", false), streamed;

	if (whole == VERDICT_RIGHT || whole == VERDICT_WRONG)
		return wrong(r, "a whole answer from a reset connection");
	streamed = stage_chat(s, r, STAGE_KEY, "reset", true);
	stage_store(s);
	/* As it should be: an error in the stream. */
	return streamed == VERDICT_RIGHT    ? wrong(r, "a whole stream from a reset one")
	       : streamed == VERDICT_FAILED ? VERDICT_RIGHT
					    : streamed;
}

static enum verdict
run_models(struct stage *s, struct reply *r)
{
	caller_ask(
	    r, caller_connect(s->port), "GET", "/v1/models", STAGE_KEY, NULL, NULL);
	return caller_judge(r, 200, "\"id\":\"tools\"");
}

static enum verdict
run_metrics(struct stage *s, struct reply *r)
{
	caller_ask(r, caller_connect(s->admin_port), "GET", "/metrics", NULL, NULL, NULL);
	return caller_judge(r, 200, "latenza_budget_limit_eur{key=\"payer\"");
}

/* ---- commands ---- */

static enum verdict
run_traces(struct stage *s, struct reply *r)
{
	return stage_command(s, r, "traces.list", "{\"limit\":5}", "\"model\":\"plain\"");
}

static enum verdict
run_show(struct stage *s, struct reply *r)
{
	char args[64];

	(void)snprintf(args, sizeof(args), "{\"id\":\"%s\"}", s->probe->id);
	return stage_command(s, r, "traces.show", args, "\"model_asked\":\"plain\"");
}

static enum verdict
run_status(struct stage *s, struct reply *r)
{
	enum verdict v = stage_command(s, r, "status", "{}", "\"keys\":");

	return v == VERDICT_RIGHT
		   ? stage_command(s, r, "provider.list", "{}", "\"provider\":\"b\"")
		   : v;
}

static enum verdict
run_backup(struct stage *s, struct reply *r)
{
	char args[160];

	(void)snprintf(
	    args, sizeof(args), "{\"to\":\"%s/backup-%u.db\"}", s->dir, ++s->serial);
	return stage_command(s, r, "db.backup", args, "backup-");
}

static bool
check_backup(struct stage *s, enum verdict v)
{
	char path[160];
	struct err e = { "" };
	struct db_check c = { 0 };
	struct stat st;
	struct db *d;

	(void)snprintf(path, sizeof(path), "%s/backup-%u.db", s->dir, s->serial);
	if (stat(path, &st) != 0)
		return v != VERDICT_RIGHT;
	/* The name that was taken first, and could not be given back. */
	if (v != VERDICT_RIGHT && st.st_size == 0)
		return unlink(path) == 0;
	d = db_open(path, DB_READ, &e);
	if (d == NULL || db_check(d, &c, &e) != ST_OK || c.first_problem[0] != '\0')
		(void)snprintf(
		    s->why, sizeof(s->why), "the backup: %s %s", e.text, c.first_problem);
	db_close(d);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/backup-%u.db.keyring", s->dir, s->serial);
	(void)unlink(path);
	return s->why[0] == '\0';
}

static enum verdict
run_create(struct stage *s, struct reply *r)
{
	char args[160], secret[128] = "";
	const char *at;
	enum verdict v;

	(void)snprintf(args, sizeof(args),
	    "{\"id\":\"made-%u\",\"settings\":{\"name\":\"Made\",\"budget_monthly_eur\":"
	    "5}}",
	    ++s->serial);
	v = stage_command(s, r, "key.create", args, "\"secret\":\"lz_live_");
	s->is_made = v == VERDICT_RIGHT;
	if (!s->is_made)
		return v;
	at = strstr(r->body, "\"secret\":\"") + 10;
	(void)snprintf(secret, sizeof(secret), "%.*s", (int)strcspn(at, "\""), at);
	v = stage_chat(s, r, secret, "plain", false);
	return r->status == 401 ? wrong(r, "the key that was made is refused") : v;
}

/* Said to have failed: it can be made. */
static bool
check_create(struct stage *s, enum verdict v)
{
	char args[160];

	if (v != VERDICT_FAILED || s->is_made)
		return true;
	(void)snprintf(args, sizeof(args), "{\"id\":\"made-%u\"}", s->serial);
	if (stage_command(s, s->probe, "key.show", args, "made") == VERDICT_FAILED)
		return true;
	/* Or it is said what became of it. */
	if (strstr(s->reply->body, "was written") != NULL ||
	    strstr(s->reply->body, "done, but") != NULL)
		return true;
	(void)snprintf(s->why, sizeof(s->why),
	    "said to have failed, and the key is there: %.300s: %.300s", s->reply->body,
	    s->probe->body);
	return false;
}

static enum verdict
run_reload(struct stage *s, struct reply *r)
{
	stage_write_config(s, !s->turn);
	return stage_command(s, r, "reload", "{}", "changes");
}

static bool
check_reload(struct stage *s, enum verdict v)
{
	int turn = stage_turn(s);

	if (turn >= 0 && v == VERDICT_CUT)
		s->turn = (unsigned)turn;
	else if (v == VERDICT_RIGHT || strstr(s->reply->body, "done, but") != NULL)
		s->turn = !s->turn;
	if (turn == (int)s->turn)
		return true;
	/* It did not become whole, and says so: both keys, or the new one. */
	if (v == VERDICT_FAILED && strstr(s->reply->body, "done in part") != NULL) {
		stage_write_config(s, s->turn);
		if (stage_command(s, s->probe, "reload", "{}", "changes") ==
			VERDICT_RIGHT &&
		    stage_turn(s) == (int)s->turn)
			return true;
	}
	(void)snprintf(s->why, sizeof(s->why),
	    "said %d, and configuration %d is in force: %.300s", v, turn, s->reply->body);
	return false;
}

/* ---- start and end ---- */

static enum verdict
run_start(struct stage *s, struct reply *r)
{
	if (!stage_start(s))
		return VERDICT_FAILED;
	return chat_as(s, r, "fresh", false);
}

static bool
check_cold(struct stage *s, enum verdict v)
{
	(void)v;
	return s->is_running || stage_start(s);
}

static enum verdict
run_end(struct stage *s, struct reply *r)
{
	(void)r;
	stage_stop(s);
	return VERDICT_RIGHT;
}

/* ---- the command line ---- */

struct command_line {
	char *argv[8];
	int argc, code;
	char said[4000];
};

/* What it prints is kept, and goes on to the log. */
static void
run_command_line(void *arg)
{
	struct command_line *c = arg;
	FILE *f = tmpfile();
	int was = dup(1);

	if (f == NULL || was < 0 || dup2(fileno(f), 1) < 0)
		abort();
	c->code = cli_main(c->argc, c->argv);
	(void)fflush(stdout);
	(void)dup2(was, 1);
	(void)close(was);
	rewind(f);
	c->said[fread(c->said, 1, sizeof(c->said) - 1, f)] = '\0';
	(void)fclose(f);
	(void)fputs(c->said, stderr);
}

/* holds: what it says where it ends as expected; NULL: anything. */
static enum verdict
command_line(
    struct reply *r, int expected, const char *holds, char *a, char *b, char *c, char *d)
{
	struct command_line one = { .argv = { "latenza", a, b, c, d } };

	while (one.argv[one.argc] != NULL)
		one.argc++;
	stage_as_main(run_command_line, &one);
	if (one.code == expected && holds != NULL && strstr(one.said, holds) == NULL)
		return wrong(r, "said to be fine, and it is not what was to be read");
	if (one.code == expected)
		return VERDICT_RIGHT;
	return one.code == CLI_DONE ? wrong(r, "said to be fine") : VERDICT_FAILED;
}

static enum verdict
run_check(struct stage *s, struct reply *r)
{
	return command_line(
	    r, CLI_DONE, "3 providers, 9 models, 7 keys", "check", "-c", s->config, NULL);
}

static enum verdict
run_errors(struct stage *s, struct reply *r)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/wrong.yaml", s->dir);
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	(void)fputs(
	    "listen: nowhere\nproviders:\n  a: { plugin: compatible, base_url: 3,\n"
	    "       models: [ { id: x, price_input_per_mtok: much } ] }\n"
	    "  b: { plugin: missing }\nkeys: { k: { secret: short, rate: 1 } }\n"
	    "routing: { default: none }\nunknown: [1, {a: b}]\n",
	    f);
	(void)fclose(f);
	return command_line(r, CLI_CONFIG, NULL, "check", "-c", path, NULL);
}

static enum verdict
run_keys(struct stage *s, struct reply *r)
{
	return command_line(r, CLI_DONE, NULL, "key", "list", "--data", s->data);
}

/* ---- the table ---- */

const struct scene scenes[] = {
	{ "plain", run_plain, NULL, false, false },
	{ "fresh", run_fresh, NULL, false, false },
	{ "stream", run_stream, NULL, false, false },
	{ "tools", run_tools, NULL, false, false },
	{ "watched", run_watched, NULL, false, false },
	{ "blocked", run_blocked, NULL, false, false },
	{ "patient", run_patient, NULL, false, false },
	{ "moved", run_moved, NULL, false, false },
	{ "again", run_again, NULL, false, false },
	{ "refused", run_refused, NULL, false, false },
	{ "garbage", run_garbage, NULL, false, false },
	{ "failover", run_failover, NULL, false, false },
	{ "budget", run_budget, NULL, false, false },
	{ "large", run_large, NULL, false, false },
	{ "folded", run_folded, NULL, false, false },
	{ "leave", run_leave, NULL, false, false },
	{ "reset", run_reset, NULL, false, false },
	{ "models", run_models, NULL, false, false },
	{ "metrics", run_metrics, NULL, false, false },
	{ "traces", run_traces, NULL, false, false },
	{ "show", run_show, NULL, false, false },
	{ "status", run_status, NULL, false, false },
	{ "backup", run_backup, check_backup, false, false },
	{ "create", run_create, check_create, false, false },
	{ "reload", run_reload, check_reload, false, false },
	{ "start", run_start, check_cold, true, false },
	{ "load", run_start, check_cold, true, true },
	{ "end", run_end, check_cold, true, false },
	{ "check", run_check, check_cold, true, false },
	{ "errors", run_errors, check_cold, true, false },
	{ "keys", run_keys, check_cold, true, false },
};
const unsigned scene_count = sizeof(scenes) / sizeof(scenes[0]);
