/* survive.c - every call that can fail, fails: once, and from then on.
 *
 * usage: survive [--scene NAME] [--call NAME] [--thread NAME] [--stride N] [--offset N]
 *                [--k K] [--once | --lasting] [--list]
 *
 * A scene is run unharmed until its calls are counted; then with the k-th call of each
 * kind failing, for each k (or every N-th). After each, stage.c looks whether all is
 * well. Runs happen in a child, which is made anew where it died; the log of all is
 * survive.log in the current directory or $SURVIVE_LOG; the gateway's files are in
 * /dev/shm, or $TMPDIR where that has no room. One line of JSON for each kind, and exit
 * code 1 if anything was wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/serve.h"
#include "faults/provider.h"
#include "faults/scenes.h"
#include "faults/seam.h"

/* Leaks are looked for where the program was linked with a leak checker. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
const char *__lsan_default_suppressions(void);

/* What the dynamic linker keeps, the leak checker knows by its caller: which is
 * seam.c's malloc() here. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:_dl_map_object_deps\n";
}

enum {
	WARM_UPS = 3,
	BEYOND = 3, /* a run that fails may call more often than one that does not */
	BATCH = 64, /* runs between two looks into the books */
	DIED_MOST = 10
};

/* What a child tells, also one that dies. */
struct board {
	unsigned counts[SEAM_CALLS][SEAM_THREADS];
	unsigned next;               /* the k that is to be tried next */
	unsigned at;                 /* the k that is being tried; 0: none */
	unsigned runs;               /* something failed in them */
	unsigned right, failed, cut; /* how they ended */
	unsigned wrongs;
	char why[2000];
};

struct job {
	const struct scene *scene;
	struct seam_plan plan;
	unsigned last, stride;
};

static struct board *board;
static unsigned provider_port;

static void note_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
note_wrong(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (board->wrongs++ == 0)
		(void)vsnprintf(board->why, sizeof(board->why), fmt, args);
	va_end(args);
}

/* ---- in the child ---- */

static void
count_verdict(enum verdict v)
{
	board->right += v == VERDICT_RIGHT;
	board->failed += v == VERDICT_FAILED;
	board->cut += v == VERDICT_CUT;
}

static bool
run_once(struct stage *s, const struct scene *scene, const struct seam_plan *plan)
{
	enum verdict v;
	bool has_failed;

	s->why[0] = '\0';
	seam_arm(plan);
	v = scene->run(s, s->reply);
	has_failed = seam_disarm();
	if (v == VERDICT_WRONG)
		note_wrong("k=%u: %s", plan->k, s->reply->why);
	else if (v != VERDICT_RIGHT && !has_failed)
		note_wrong("k=%u: nothing failed, and verdict %d: %.300s", plan->k, v,
		    s->reply->wire);
	if (has_failed) {
		board->runs++;
		count_verdict(v);
	}
	if (v != VERDICT_WRONG && scene->check != NULL && !scene->check(s, v))
		note_wrong("k=%u: %s", plan->k,
		    s->why[0] != '\0' ? s->why : "it does not start again");
	else if (s->is_running && !stage_is_well(s))
		note_wrong("k=%u: %s", plan->k, s->why);
	else
		return true;
	return false;
}

static void
look_closer(struct stage *s, unsigned k)
{
	if (s->is_running && !stage_books_agree(s))
		note_wrong("up to k=%u: %s", k, s->why);
	if (__lsan_do_recoverable_leak_check != NULL &&
	    __lsan_do_recoverable_leak_check() != 0)
		note_wrong("up to k=%u: memory is lost, see the log", k);
}

/* Who called, to the log; then it dies of the signal as it would have. */
static void
on_crash(int which)
{
	void *caller[40];
	char name[16] = "", text[64];

	(void)pthread_getname_np(pthread_self(), name, sizeof(name));
	(void)!write(2, text,
	    (size_t)snprintf(text, sizeof(text), "signal %d in %s\n", which, name));

	backtrace_symbols_fd(
	    caller, backtrace(caller, sizeof(caller) / sizeof(caller[0])), 2);
	(void)raise(which);
}

static void
prepare(struct stage *s, const struct scene *scene)
{
	struct sigaction crash = { .sa_handler = on_crash,
		.sa_flags = (int)(SA_RESETHAND | SA_ONSTACK) };

	(void)sigaction(SIGSEGV, &crash, NULL);
	(void)sigaction(SIGABRT, &crash, NULL);
	stage_seat_libraries();
	seam_install();
	stage_open(s, provider_port);
	if (scene->is_first)
		return;
	if (!stage_start(s) || !stage_is_well(s)) {
		note_wrong("it does not start unharmed: %s", s->why);
		exit(1);
	}
	stage_store(s);
}

/* Scenes of a start begin with the gateway ended, those of an end with it running. */
static void
set_scene(struct stage *s, const struct scene *scene)
{
	bool wants_running = !scene->is_cold || strcmp(scene->name, "end") == 0;

	if (wants_running && !s->is_running)
		(void)stage_start(s);
	if (!wants_running)
		stage_stop(s);
}

static void
count_calls(struct stage *s, const struct scene *scene)
{
	struct seam_plan none = { .k = 0 };

	for (int i = 0; i < (scene->is_first ? 1 : WARM_UPS); i++) {
		set_scene(s, scene);
		if (!run_once(s, scene, &none))
			return;
	}
	for (int c = 0; c < SEAM_CALLS; c++)
		for (int t = 0; t < SEAM_THREADS; t++)
			board->counts[c][t] =
			    seam_count((enum seam_call)c, (enum seam_thread)t);
}

static void
child(const struct job *j)
{
	static struct stage s;
	struct seam_plan plan = j->plan;

	(void)dup2(2, 1); /* commands print */
	prepare(&s, j->scene);
	if (plan.k == 0)
		count_calls(&s, j->scene);
	for (unsigned n = 1; plan.k > 0 && board->next <= j->last; n++) {
		plan.k = board->at = board->next;
		board->next += j->stride;
		set_scene(&s, j->scene);
		if (!run_once(&s, j->scene, &plan))
			break;
		board->at = 0;
		if (n % BATCH == 0) {
			look_closer(&s, plan.k);
			/* Each start looks through the files that all starts left. A new
			 * directory has its first one behind it, as prepare() leaves it.
			 */
			if (j->scene->is_cold) {
				stage_open_again(&s);
				if (!stage_start(&s))
					note_wrong("it does not start again: %s", s.why);
			}
		}
		if (j->scene->is_first)
			break;
	}
	look_closer(&s, plan.k);
	stage_stop(&s);
	serve_remove(s.dir);
	exit(0);
}

/* ---- in the parent ---- */

static void
run_child(const struct job *j)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(j);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		note_wrong("k=%u: died of signal %d (%s)", board->at, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		note_wrong(
		    "k=%u: exit code %d, see the log", board->at, WEXITSTATUS(status));
}

static void
count_scene(const struct scene *scene)
{
	struct job j = { .scene = scene };

	memset(board, 0, sizeof(*board));
	run_child(&j);
}

static bool
report(const struct job *j)
{
	printf("{\"scene\":\"%s\",\"call\":\"%s\",\"thread\":\"%s\",\"mode\":\"%s\","
	       "\"runs\":%u,\"right\":%u,\"failed\":%u,\"cut\":%u,\"wrong\":%u",
	    j->scene->name, seam_call_name(j->plan.call),
	    seam_thread_name(j->plan.thread), j->plan.is_lasting ? "lasting" : "once",
	    board->runs, board->right, board->failed, board->cut, board->wrongs);
	if (board->wrongs > 0) {
		printf(",\"why\":\"");
		for (const char *p = board->why; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				(void)putchar('\\');
			(void)putchar((unsigned char)*p < ' ' ? ' ' : *p);
		}
		(void)putchar('"');
	}
	printf("}\n");
	(void)fflush(stdout);
	return board->wrongs == 0;
}

static bool
run_job(const struct job *j)
{
	memset(board, 0, sizeof(*board));
	board->next = j->plan.k;
	while (board->next <= j->last && board->wrongs < DIED_MOST)
		run_child(j);
	return report(j);
}

/* ---- what is asked for ---- */

struct wanted {
	const char *scene, *call, *thread;
	unsigned stride, offset, k;
	bool has_once, has_lasting;
};

static bool
is_wanted(const char *filter, const char *name)
{
	return filter == NULL || strcmp(filter, name) == 0;
}

static bool
run_modes(const struct wanted *w, struct job *j, unsigned count)
{
	bool is_fine = true;

	j->stride =
	    j->plan.call == SEAM_MEMORY || j->plan.call == SEAM_LIBRARY ? w->stride : 1;
	j->last = w->k > 0 ? w->k : count + BEYOND;
	j->plan.k = w->k > 0 ? w->k : 1 + w->offset % j->stride;
	j->plan.is_lasting = false;
	if (w->has_once)
		is_fine = run_job(j) && is_fine;
	j->plan.is_lasting = true;
	if (w->has_lasting)
		is_fine = run_job(j) && is_fine;
	return is_fine;
}

static bool
run_scene(const struct wanted *w, const struct scene *scene)
{
	unsigned counts[SEAM_CALLS][SEAM_THREADS];
	bool is_fine = true;

	count_scene(scene);
	if (board->wrongs > 0) {
		struct job j = { .scene = scene };

		(void)report(&j);
		return false;
	}
	memcpy(counts, board->counts, sizeof(counts));
	for (int c = 0; c < SEAM_CALLS; c++) {
		for (int t = 0; t < SEAM_THREADS; t++) {
			struct job j = { .scene = scene,
				.plan = { .call = (enum seam_call)c,
				    .thread = (enum seam_thread)t } };

			if (counts[c][t] > 0 &&
			    is_wanted(w->call, seam_call_name(j.plan.call)) &&
			    is_wanted(w->thread, seam_thread_name(j.plan.thread)))
				is_fine = run_modes(w, &j, counts[c][t]) && is_fine;
		}
	}
	return is_fine;
}

static void
list(void)
{
	for (unsigned i = 0; i < scene_count; i++)
		printf("%s\n", scenes[i].name);
	exit(0);
}

static void
read_words(struct wanted *w, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--list") == 0)
			list();
		else if (strcmp(argv[i], "--once") == 0)
			w->has_lasting = false;
		else if (strcmp(argv[i], "--lasting") == 0)
			w->has_once = false;
		else if (strcmp(argv[i], "--scene") == 0)
			w->scene = argv[++i];
		else if (strcmp(argv[i], "--call") == 0)
			w->call = argv[++i];
		else if (strcmp(argv[i], "--thread") == 0)
			w->thread = argv[++i];
		else if (strcmp(argv[i], "--stride") == 0)
			w->stride = (unsigned)atoi(value), i++;
		else if (strcmp(argv[i], "--offset") == 0)
			w->offset = (unsigned)atoi(value), i++;
		else if (strcmp(argv[i], "--k") == 0)
			w->k = (unsigned)atoi(value), i++;
		else {
			fprintf(stderr, "survive: what is %s?\n", argv[i]);
			exit(2);
		}
	}
	if (w->stride == 0)
		w->stride = 1;
}

int
main(int argc, char **argv)
{
	struct wanted w = { .has_once = true, .has_lasting = true };
	const char *log = getenv("SURVIVE_LOG");
	bool is_fine = true;
	int fd;

	read_words(&w, argc, argv);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = open(log != NULL ? log : "survive.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (board == MAP_FAILED || fd < 0 || dup2(fd, 2) < 0) {
		perror("survive");
		return 2;
	}
	provider_port = provider_start();
	for (unsigned i = 0; i < scene_count; i++) {
		if (is_wanted(w.scene, scenes[i].name))
			is_fine = run_scene(&w, &scenes[i]) && is_fine;
	}
	return is_fine ? 0 : 1;
}
