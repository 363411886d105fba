/* child.c - work in a child process: what crashes, loops or exits there does so alone.
 *
 * The child speaks to us through a pipe, a line at a time, each with its mark. Whatever
 * else ends it (a signal, exit(), the clock) is told with what it said last that it does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"

enum {
	SLICE_MS = 20,
	LINE_BYTES = 600,
	TALK_BYTES = 65536
};

void
child_tell(const struct talk *t, enum child_mark mark, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;
	size_t n;

	line[0] = (char)mark;
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
	child_say_fn *say;
	void *arg;
	int failures;
};

static void
take_line(struct child *c, const char *line)
{
	switch (line[0]) {
	case CHILD_DOES:
		(void)snprintf(c->doing, sizeof(c->doing), "%s", line + 1);
		break;
	case CHILD_PASSED:
	case CHILD_WARNED:
	case CHILD_FAILED:
		c->failures += line[0] == CHILD_FAILED;
		c->say(c->arg, (enum child_mark)line[0], line + 1);
		break;
	case CHILD_DONE:
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
	c->say(c->arg, CHILD_FAILED, text);
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
	c->say(c->arg, CHILD_FAILED, text);
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

int
child_run(
    child_work_fn *work, const void *what, unsigned max_ms, child_say_fn *say, void *arg)
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
		work(&t, what);
		child_tell(&t, CHILD_DONE, "%s", "");
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
