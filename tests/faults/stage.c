/* stage.c - the gateway of `latenza serve`, started and ended inside the test.
 *
 * SPDX-License-Identifier: MIT
 */
#include "faults/stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/metric.h"
#include "cli/cli.h"
#include "cli/serve.h"
#include "config/part.h"
#include "faults/provider.h"
#include "faults/seam.h"
#include "gateway/whole.h"
#include "net/loop.h"
#include "net/upstream.h"
#include "plugin/registry.h"
#include "request/fault.h"
#include "request/live.h"
#include "small_catalogue.h"

const char *const stage_turn_key[2] = { "survive-turn-even-0123",
	"survive-turn-odd-01234" };

/* ---- start and end ---- */

void
stage_seat_libraries(void)
{
	sigset_t ends;
	struct err e;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	seam_exempt();
	json_start();
	loop_start();
	fault_start();
	registry_start(registry_default_dirs(NULL));
	if (db_start(&e) != ST_OK || upstream_start(&e) != ST_OK)
		abort();
}

#define PRICES(factor)                                                                   \
	"context_window: 32768, max_output_tokens: 4096, price_input_per_mtok: " factor  \
	", price_output_per_mtok: 2"

/* The tests' guardrails, built beside this program. */
static const char *
guards_file(char *room, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", room, size);
	char *end;

	if (n <= 0 || (size_t)n == size)
		abort();
	room[n] = '\0';
	for (int i = 0; i < 2; i++) {
		end = strrchr(room, '/');
		if (end == NULL)
			abort();
		*end = '\0';
	}
	end = room + strlen(room);
	(void)snprintf(end, size - (size_t)(end - room), "/harness/.libs/guards.so");
	return room;
}

void
stage_write_config(struct stage *s, unsigned turn)
{
	FILE *f = fopen(s->config, "w");
	char room[4096];

	if (f == NULL)
		abort();
	(void)fprintf(f,
	    "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\ndata: %s\nworkers: 1\n"
	    "plugins: [ compatible, echo, cheapest, patterns, '%s' ]\nplugin_files: "
	    "warn\n"
	    "fx: { eur_per_usd: 0.5, date: 2026-11-20 }\nledger: { sync_ms: 0 }\n"
	    "routing: { default: cheapest, attempts: 3 }\n"
	    "providers:\n"
	    "  echo: { plugin: echo, test: true }\n"
	    "  a: { plugin: compatible, base_url: 'http://127.0.0.1:%u/a', api_keys: "
	    "[sk-a],"
	    " models: [ { id: spare, " PRICES(
		"1") " } ] }\n"
		     "  b: { plugin: compatible, base_url: 'http://127.0.0.1:%u/b', "
		     "api_keys: [sk-b],"
		     " models: [ { id: spare, " PRICES("1.0001") " }",
	    s->data, guards_file(room, sizeof(room)), s->provider_port, s->provider_port);
	for (const char *const *m = (const char *const[]){ "plain", "fresh", "reset",
		 "slow", "tools", NULL };
	     *m != NULL; m++)
		(void)fprintf(f, ", { id: %s, " PRICES("1") " }", *m);
	(void)fprintf(f,
	    " ] }\nkeys:\n"
	    "  payer: { name: Payer, budget_monthly_eur: 1000, secret: " STAGE_KEY " }\n"
	    "  poor: { name: Poor, budget_monthly_eur: 0.000001, secret: " STAGE_POOR
	    " }\n"
	    "  watched: { name: Watched, guardrails: [mask, block], "
	    "secret: " STAGE_WATCHED " }\n"
	    "  patient: { name: Patient, guardrails: [think], secret: " STAGE_PATIENT
	    " }\n"
	    "  moved: { name: Moved, guardrails: [move], secret: " STAGE_MOVED " }\n"
	    "  again: { name: Again, guardrails: [again], secret: " STAGE_AGAIN " }\n"
	    "  turn: { name: Turn, secret: %s }\n"
	    "guardrails:\n"
	    "  mask: { use: patterns, words: [two, Count], action: mask, replacement: "
	    "'2' }\n"
	    "  block: { use: patterns, words: [forbidden] }\n"
	    "  think: { use: word, word: two, with: '2', delay_ms: 1 }\n"
	    "  move: { use: word, word: Count, action: reroute, with: fresh, on: "
	    "[request] }\n"
	    "  again: { use: word, word: two, action: again, with: " PROVIDER_PLEA
	    ", on: [response] }\n",
	    stage_turn_key[turn % 2]);
	if (fclose(f) != 0)
		abort();
}

/* In memory, where there is room: nobody pulls the plug here, and a start and its end
 * wait for a disk ten times as long as they work. */
static const char *
room_for_files(void)
{
	static const char memory[] = "/dev/shm";
	const char *tmp = getenv("TMPDIR");
	struct statvfs v;

	if (access(memory, W_OK) == 0 && statvfs(memory, &v) == 0 &&
	    v.f_bavail >= (512UL << 20) / v.f_frsize)
		return memory;
	return tmp == NULL ? "/tmp" : tmp;
}

static void
make_dir(struct stage *s)
{
	(void)snprintf(s->dir, sizeof(s->dir), "%.40s/survive-XXXXXX", room_for_files());
	if (mkdtemp(s->dir) == NULL)
		abort();
	(void)snprintf(s->config, sizeof(s->config), "%s/latenza.yaml", s->dir);
	(void)snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
	stage_write_config(s, s->turn);
}

void
stage_open(struct stage *s, unsigned provider_port)
{
	memset(s, 0, sizeof(*s));
	s->provider_port = provider_port;
	s->reply = calloc(1, sizeof(*s->reply));
	s->probe = calloc(1, sizeof(*s->probe));
	if (s->reply == NULL || s->probe == NULL || sem_init(&s->started, 0, 0) != 0)
		abort();
	s->reply->fd = s->probe->fd = -1;
	make_dir(s);
}

void
stage_open_again(struct stage *s)
{
	stage_stop(s);
	serve_remove(s->dir);
	make_dir(s);
}

static void *
run_main(void *arg)
{
	struct stage *s = arg;

	(void)pthread_setname_np(pthread_self(), "main");
	s->running = (struct running){ .config = { .path = s->config } };
	s->code = running_start(&s->running);
	if (s->code == CLI_DONE) {
		s->port = gateway_port(s->running.gateway, 0);
		s->admin_port = admin_http_port(s->running.admin);
	}
	(void)sem_post(&s->started);
	if (s->code == CLI_DONE)
		(void)running_serve(&s->running);
	return NULL;
}

bool
stage_start(struct stage *s)
{
	if (pthread_create(&s->main, NULL, run_main, s) != 0)
		abort();
	while (sem_wait(&s->started) != 0)
		;
	s->is_running = s->code == CLI_DONE;
	if (!s->is_running)
		(void)pthread_join(s->main, NULL);
	return s->is_running;
}

void
stage_stop(struct stage *s)
{
	if (!s->is_running)
		return;
	(void)kill(getpid(), SIGTERM);
	(void)pthread_join(s->main, NULL);
	s->is_running = false;
}

struct errand {
	void (*fn)(void *arg);
	void *arg;
};

static void *
run_errand(void *arg)
{
	const struct errand *one = arg;

	(void)pthread_setname_np(pthread_self(), "main");
	one->fn(one->arg);
	return NULL;
}

void
stage_as_main(void (*fn)(void *arg), void *arg)
{
	struct errand one = { fn, arg };
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_errand, &one) != 0)
		abort();
	(void)pthread_join(thread, NULL);
}

/* ---- requests ---- */

enum verdict
stage_chat(
    struct stage *s, struct reply *r, const char *key, const char *model, bool is_stream)
{
	const char *text = strcmp(model, "tools") == 0 ? NULL : PROVIDER_TEXT;
	char body[512];

	(void)snprintf(body, sizeof(body),
	    "{\"model\":\"%s\",%s%s\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"Count to three\"}]}",
	    model, is_stream ? "\"stream\":true," : "",
	    text == NULL ? "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
			   "\"look\",\"parameters\":{\"type\":\"object\"}}}],"
			 : "");
	caller_ask(
	    r, caller_connect(s->port), "POST", "/v1/chat/completions", key, body, NULL);
	if (strcmp(key, STAGE_WATCHED) == 0 || strcmp(key, STAGE_PATIENT) == 0 ||
	    strcmp(key, STAGE_AGAIN) == 0)
		text = STAGE_WATCHED_TEXT;
	return is_stream ? caller_judge_stream(r, text) : caller_judge_chat(r, text);
}

enum verdict
stage_command(struct stage *s, struct reply *r, const char *name, const char *args,
    const char *holds)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/command/%s", name);
	caller_ask(r, caller_connect_control(s->data), "POST", path, NULL, args, NULL);
	return caller_judge_command(r, holds);
}

void
stage_acknowledge(struct stage *s, const struct reply *r)
{
	if (s->ids < STAGE_IDS && r->id[0] != '\0')
		memcpy(s->id[s->ids++], r->id, sizeof(r->id));
}

int
stage_turn(struct stage *s)
{
	bool serves[2];

	for (int i = 0; i < 2; i++) {
		enum verdict v =
		    stage_chat(s, s->probe, stage_turn_key[i], "plain", false);

		serves[i] = v == VERDICT_RIGHT;
		if (!serves[i] && s->probe->status != 401)
			return -1;
	}
	return serves[0] == serves[1] ? -1 : serves[1];
}

/* ---- is it well ---- */

static bool
fail(struct stage *s, const char *what)
{
	(void)snprintf(s->why, sizeof(s->why), "%s", what);
	return false;
}

static void
add_in_flight(void *arg, struct live *l)
{
	*(int64_t *)arg += atomic_load(&l->in_flight) != 0;
}

/* What is not at rest; NULL: all is. */
static const char *
unrest(struct stage *s)
{
	struct gateway *g = s->running.gateway;
	const struct key *k = keys_get(gateway_keys(g), STR_LIT("payer"));
	int64_t called = 0;

	live_each(add_in_flight, &called);
	if (metric_sum(METRIC_IN_FLIGHT) != 0)
		return "a request is in flight for ever";
	if (metric_sum(METRIC_CONNECTIONS) != 0)
		return "a connection is open for ever";
	if (called != 0)
		return "a provider's call is counted in flight for ever";
	if (ledger_reserved_total(g->ledger) != 0)
		return "money is reserved for ever";
	if (k == NULL || atomic_load(&k->live->in_flight) != 0)
		return "a key has a request in flight for ever";
	return NULL;
}

static bool
comes_to_rest(struct stage *s)
{
	const struct timespec soon = { .tv_nsec = 200000 };
	const char *what = "";

	for (int i = 0; i < 50000; i++) {
		what = unrest(s);
		if (what == NULL)
			return true;
		(void)nanosleep(&soon, NULL);
	}
	return fail(s, what);
}

static void
nothing(void *arg, struct db *d)
{
	(void)arg;
	(void)d;
}

void
stage_store(struct stage *s)
{
	storage_call(gateway_storage(s->running.gateway), nothing, NULL);
}

/* The scenes' own failures open breakers, as they should; here they may not. */
static void
forgive(void *arg, struct live *l)
{
	(void)arg;
	atomic_store(&l->failures, 0);
	atomic_store(&l->open_until_us, 0);
	atomic_store(&l->probe_us, 0);
}

/* A ledger that could not be written is tried again ten times a second: until then 503 is
 * the right answer. */
static bool
is_served(struct stage *s)
{
	const struct timespec soon = { .tv_nsec = 20000000 };

	for (int i = 0; i < 250; i++) {
		if (stage_chat(s, s->probe, STAGE_KEY, "plain", false) == VERDICT_RIGHT)
			return true;
		if (s->probe->status != 503 ||
		    strstr(s->probe->wire, "\"storage_full\"") == NULL)
			return false;
		(void)nanosleep(&soon, NULL);
	}
	return false;
}

bool
stage_is_well(struct stage *s)
{
	if (!comes_to_rest(s))
		return false;
	live_each(forgive, NULL);
	if (is_served(s)) {
		stage_acknowledge(s, s->probe);
		return true;
	}
	(void)snprintf(s->why, sizeof(s->why),
	    "it does not serve the next request: status %d, complete %d, late %d: %.400s "
	    "%s",
	    s->probe->status, s->probe->is_complete, s->probe->is_late, s->probe->wire,
	    s->probe->why);
	return false;
}

/* ---- the books ---- */

struct books {
	struct stage *s;
	int64_t traced, spent;
	struct db_check check;
	char why[400];
	bool is_fine;
};

static bool
add_trace(void *arg, const struct db_trace *t)
{
	struct books *b = arg;

	if (str_is(t->t.key, "payer") && t->t.cost_nano_eur > 0)
		b->traced += t->t.cost_nano_eur;
	return true;
}

static void
see_trace(
    void *arg, const struct db_trace *t, lz_str request, lz_str answer, lz_str candidates)
{
	(void)request;
	(void)answer;
	(void)candidates;
	*(struct record_trace *)arg = t->t;
}

static bool
has_all_acknowledged(struct books *b, struct db *d)
{
	struct err e = { "" };

	for (unsigned i = 0; i < b->s->ids; i++) {
		struct record_trace t = { .status = 0 };

		if (db_trace_show(d, lz_strz(b->s->id[i]), see_trace, &t, &e) != ST_OK ||
		    t.status != 200 || t.cost_nano_eur < PROVIDER_COST) {
			(void)snprintf(b->why, sizeof(b->why),
			    "answered, and its trace is wrong: %s: status %d cost %lld "
			    "%s",
			    b->s->id[i], t.status, (long long)t.cost_nano_eur, e.text);
			return false;
		}
	}
	return true;
}

static void
look_into_books(void *arg, struct db *d)
{
	struct books *b = arg;
	struct db_trace_filter all = { .limit = 10000000 };
	struct err e = { "" };
	struct period now;

	period_at(PERIOD_MONTH, clock_unix_ms(), &now);
	if (!has_all_acknowledged(b, d))
		return;
	if (db_check(d, &b->check, &e) != ST_OK ||
	    db_trace_each(d, &all, add_trace, b, &e) != ST_OK ||
	    db_spend_get(d, STR_LIT("key:payer"), lz_strz(now.label), &b->spent, &e) !=
		ST_OK)
		(void)snprintf(b->why, sizeof(b->why), "%s", e.text);
	else if (b->check.first_problem[0] != '\0' || b->check.open_reservations != 0 ||
		 b->check.spend_differs != 0)
		(void)snprintf(b->why, sizeof(b->why),
		    "db check: open %lld, differs %lld: %s",
		    (long long)b->check.open_reservations,
		    (long long)b->check.spend_differs, b->check.first_problem);
	else if (b->spent != b->traced)
		(void)snprintf(b->why, sizeof(b->why), "spent %lld, traced %lld",
		    (long long)b->spent, (long long)b->traced);
	else
		b->is_fine = true;
}

bool
stage_books_agree(struct stage *s)
{
	struct gateway *g = s->running.gateway;
	const struct key *k = keys_get(gateway_keys(g), STR_LIT("payer"));
	struct books b = { .s = s };
	struct budget_view v;

	if (!comes_to_rest(s))
		return false;
	storage_call(gateway_storage(g), look_into_books, &b);
	ledger_view(k->budget[0], clock_unix_ms(), &v);
	if (b.is_fine && v.spent_nano_eur != b.spent) {
		(void)snprintf(b.why, sizeof(b.why),
		    "the ledger says %lld, the database %lld",
		    (long long)v.spent_nano_eur, (long long)b.spent);
		b.is_fine = false;
	}
	s->ids = 0;
	return b.is_fine || fail(s, b.why);
}
