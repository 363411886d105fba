/* probe.c - a plugin is tried in a child process first: what crashes, loops or exits
 * there does so alone.
 *
 * The child speaks to us through a pipe, a line at a time: '@' what it is about to do,
 * '+' a check that passed, '-' one that failed, '.' the end. Whatever else ends it (a
 * signal, exit(), the clock) is told with the last '@'.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "config/options.h"
#include "plugin/host.h"
#include "plugin/registry.h"

enum {
	CHECK_MS = 20000,
	INSTANCES = 1000,
	SLICE_MS = 20,
	LINE_BYTES = 600,
	TALK_BYTES = 65536
};

struct talk {
	int fd; /* the child's end */
};

static void tell_line(const struct talk *t, char mark, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static void
tell_line(const struct talk *t, char mark, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;
	size_t n;

	line[0] = mark;
	va_start(args, fmt);
	(void)vsnprintf(line + 1, sizeof(line) - 2, fmt, args);
	va_end(args);
	n = strlen(line);
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n++] = '\n';
	(void)!write(
	    t->fd, line, n); /* the reader may be gone: then nobody asks any more */
}

/* ---- the parent's side ---- */

struct child {
	pid_t pid;
	int fd;
	int64_t until_us;
	struct buf line;
	char doing[LINE_BYTES];
	bool is_done; /* said '.' */
	void (*say)(void *arg, bool is_ok, const char *what);
	void *arg;
	int failures;
};

static void
take_line(struct child *c, const char *line)
{
	switch (line[0]) {
	case '@':
		(void)snprintf(c->doing, sizeof(c->doing), "%s", line + 1);
		break;
	case '+':
	case '-':
		c->failures += line[0] == '-';
		c->say(c->arg, line[0] == '+', line + 1);
		break;
	case '.':
		c->is_done = true;
		break;
	default:
		break;
	}
}

static void
take_lines(struct child *c)
{
	char *end;

	while (
	    c->line.len > 0 && (end = memchr(c->line.ptr, '\n', c->line.len)) != NULL) {
		*end = '\0';
		take_line(c, c->line.ptr);
		buf_take(&c->line, (size_t)(end - c->line.ptr) + 1);
	}
}

/* false: nothing more will come. */
static bool
read_some(struct child *c)
{
	char *room = buf_room(&c->line, LINE_BYTES);
	ssize_t n = room != NULL ? io.read(c->fd, room, LINE_BYTES) : 0;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	c->line.len += (size_t)n;
	take_lines(c);
	return n > 0;
}

/* The child is gone; it stays a zombie, so that its number, and its group's, cannot be
 * another's yet. */
static bool
is_gone(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid != 0;
}

/* Reads until the child is done, gone or late. The pipe's end says nothing: a child may
 * close it and go on, a grandchild may keep it open. false: it is late. */
static bool
listen_to(struct child *c)
{
	bool is_open = true;

	while (!c->is_done) {
		struct pollfd p = { .fd = is_open ? c->fd : -1, .events = POLLIN };
		bool was_gone = is_gone(c->pid);

		if (poll(&p, 1, was_gone ? 0 : SLICE_MS) > 0)
			is_open = read_some(c);
		else if (was_gone)
			break; /* and nothing of what it said is left in the pipe */
		if (!is_open && was_gone)
			break;
		if (clock_mono_us() > c->until_us)
			return false;
	}
	return true;
}

static void
say_signal(struct child *c, int sig)
{
	char text[2 * LINE_BYTES];

	c->failures++;
	(void)snprintf(text, sizeof(text), "crashed with signal %d (%s) while %s", sig,
	    strsignal(sig), c->doing);
	c->say(c->arg, false, text);
}

static void
say_end(struct child *c, bool is_in_time, int how)
{
	char text[2 * LINE_BYTES];

	if (c->is_done)
		return;
	if (is_in_time && WIFSIGNALED(how)) {
		say_signal(c, WTERMSIG(how));
		return;
	}
	c->failures++;
	if (!is_in_time)
		(void)snprintf(
		    text, sizeof(text), "did not come back in time while %s", c->doing);
	else
		(void)snprintf(text, sizeof(text),
		    "ended the process (exit status %d) while %s", WEXITSTATUS(how),
		    c->doing);
	c->say(c->arg, false, text);
}

/* What a plugin does in the child must neither reach our children nor write a core file
 * nor outlive us. */
static void
become_child(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM,
		SIGALRM };
	struct rlimit none = { 0, 0 };
	sigset_t all;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setrlimit(RLIMIT_CORE, &none);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		(void)signal(faults[i], SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_UNBLOCK, &all, NULL);
}

/* Runs work(t, q) in a child. Number of failures, its own end included; -1: no child
 * could be made. */
static int
run_child(const struct open_request *q,
    void (*work)(const struct talk *t, const struct open_request *q), unsigned max_ms,
    void (*say)(void *arg, bool is_ok, const char *what), void *arg)
{
	struct child c = { .say = say, .arg = arg, .doing = "starting" };
	int ends[2], how = 0;
	bool is_in_time;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	(void)fflush(
	    NULL); /* or a child that calls exit() writes our buffers once more */
	c.pid = fork();
	if (c.pid == 0) {
		struct talk t = { ends[1] };

		(void)close(ends[0]);
		become_child();
		work(&t, q);
		tell_line(&t, '.', "%s", "");
		_exit(0);
	}
	(void)io.close(ends[1]);
	c.fd = ends[0];
	if (c.pid < 0) {
		(void)io.close(c.fd);
		return -1;
	}
	buf_init(&c.line, TALK_BYTES);
	c.until_us = clock_mono_us() + (int64_t)max_ms * 1000;
	is_in_time = listen_to(&c);
	/* Its whole group: what it left behind holds our files open. */
	(void)kill(-c.pid, SIGKILL);
	(void)kill(c.pid, SIGKILL);
	(void)waitpid(c.pid, &how, 0);
	say_end(&c, is_in_time, how);
	(void)io.close(c.fd);
	buf_free(&c.line);
	return c.failures;
}

/* ---- before it is opened in earnest ---- */

static void
probe_work(const struct talk *t, const struct open_request *asked)
{
	struct open_request q = *asked;
	struct plugin *p;
	struct err e;

	q.is_probed = false;
	q.is_quiet = true;
	tell_line(t, '@', "%s", "it was loaded");
	if (open_plugin(&q, &p, &e) != ST_OK)
		tell_line(t, '-', "%s", e.text);
}

struct verdict {
	const char *path;
	struct err *e;
};

static void
keep_verdict(void *arg, bool is_ok, const char *what)
{
	struct verdict *v = arg;
	size_t n = strlen(v->path);

	if (is_ok)
		return;
	/* What the child found wrong names the file; how the child ended does not. */
	if (strncmp(what, v->path, n) == 0)
		(void)err_fail(v->e, ST_INVALID, "%s", what);
	else
		(void)err_fail(v->e, ST_INVALID, "%s: %s", v->path, what);
}

enum status
probe_plugin(const struct open_request *q, struct err *e)
{
	struct verdict v = { q->path, e };
	int failures = run_child(q, probe_work, PLUGIN_PROBE_MS, keep_verdict, &v);

	if (failures < 0)
		return err_fail(e, ST_IO, "%s: no child process to try it in: %s",
		    q->path, strerror(errno));
	return failures == 0 ? ST_OK : ST_INVALID;
}

/* ---- `latenza plugin check` ---- */

/* Some value that satisfies the row, for options without a default. owned. */
static json_t *
sample(const lz_option *o)
{
	const char *rule = o->rule != NULL ? o->rule : "";

	switch (o->type) {
	case LZ_BOOL_OPTION:
		return json_true();
	case LZ_INT_OPTION:
		return json_integer((json_int_t)(o->min < o->max ? o->min : 1));
	case LZ_REAL_OPTION:
		return json_real(o->min < o->max ? o->min : 1);
	case LZ_CHOICE_OPTION:
		return json_stringn(rule, strcspn(rule, "|"));
	case LZ_LIST_OPTION:
		return json_array();
	case LZ_JSON_OPTION:
		return json_object();
	default:
		return json_string(
		    strcmp(rule, "url") == 0 ? "http://127.0.0.1:9/" : "sample");
	}
}

static const lz_option *
row(const struct part_info *info, uint32_t i)
{
	return (
	    const void *)((const char *)info->options + (size_t)i * info->option_size);
}

static json_t *
samples(const struct part_info *info)
{
	json_t *j = json_object();

	for (uint32_t i = 0; i < info->option_count; i++)
		if (row(info, i)->otherwise == NULL)
			(void)json_object_set_new(
			    j, row(info, i)->name, sample(row(info, i)));
	return j;
}

/* Every option is given what it cannot be; each must be refused. */
static void
check_nonsense(const struct talk *t, const struct part_info *info)
{
	for (uint32_t i = 0; i <= info->option_count; i++) {
		const char *name =
		    i < info->option_count ? row(info, i)->name : "no-such-option";
		json_t *j = samples(info);
		struct part *p;
		struct err e;

		if (i < info->option_count && row(info, i)->type == LZ_JSON_OPTION) {
			json_decref(j);
			continue;
		}
		(void)json_object_set_new(j, name, json_object());
		p = part_make(info, info->name, j, info->name, &e);
		json_decref(j);
		if (p == NULL)
			continue;
		part_destroy(p);
		tell_line(
		    t, '-', "%s '%s': takes {} for %s", info->kind, info->name, name);
		return;
	}
	tell_line(t, '+', "%s '%s': nonsense in its %u options is refused", info->kind,
	    info->name, info->option_count);
}

static void
check_instances(const struct talk *t, const struct part_info *info)
{
	json_t *j = samples(info);
	struct err e;

	tell_line(t, '@', "an instance of %s '%s' was made and destroyed", info->kind,
	    info->name);
	for (int i = 0; i < INSTANCES; i++) {
		struct part *p = part_make(info, info->name, j, info->name, &e);

		if (p == NULL) {
			/* init() may well refuse made-up values; its defaults it must
			 * take. */
			tell_line(t, json_object_size(j) > 0 ? '+' : '-',
			    "%s '%s': does not start with %s: %s", info->kind, info->name,
			    json_object_size(j) > 0
				? "made-up values for what is required"
				: "its own defaults",
			    e.text);
			json_decref(j);
			return;
		}
		part_destroy(p);
	}
	json_decref(j);
	tell_line(t, '+', "%s '%s': %d instances made and destroyed", info->kind,
	    info->name, INSTANCES);
}

static void
check_work(const struct talk *t, const struct open_request *asked)
{
	struct open_request q = *asked;
	struct plugin *p;
	struct err e;
	int fd;

	q.is_quiet = true;
	q.is_strict = true;
	if (file_check(&q, &fd, &e) == ST_OK)
		tell_line(t, '+',
		    "file: a whole shared object that only root and the user that runs "
		    "latenza may write");
	else
		tell_line(t, '+', "file: note: %s",
		    e.text); /* open_plugin() says whether it matters */
	q.is_strict = asked->is_strict;
	tell_line(t, '@', "it was loaded");
	if (open_plugin(&q, &p, &e) != ST_OK) {
		tell_line(t, '-', "%s", e.text);
		return;
	}
	tell_line(t, '+', "entry: %s %s (%s), ABI %u.%u, %zu of %u components known here",
	    p->name, p->self->version, p->self->license, p->self->abi_major,
	    p->self->abi_minor, p->component_count, p->self->component_count);
	for (size_t i = 0; i < p->component_count; i++) {
		const struct part_info *info = &p->component[i].info;

		if (!info->has_host)
			tell_line(t, '+',
			    "%s '%s': note: this Latenza has no host for the kind yet",
			    info->kind, info->name);
		tell_line(
		    t, '@', "the options of %s '%s' were parsed", info->kind, info->name);
		check_nonsense(t, info);
		check_instances(t, info);
	}
}

int
registry_check(
    const char *path, void (*say)(void *arg, bool is_ok, const char *what), void *arg)
{
	struct open_request q = { 0 };
	char absolute[4096];
	struct err e;
	int failures;

	if (registry_path(lz_strz(path), absolute, sizeof(absolute), &e) != ST_OK) {
		say(arg, false, e.text);
		return 1;
	}
	q.path = absolute;
	failures = run_child(&q, check_work, CHECK_MS, say, arg);
	if (failures < 0) {
		say(arg, false, "no child process to try it in");
		return 1;
	}
	return failures;
}
