/* signals.c - signals as events of the main loop, and systemd's notifications.
 *
 * All threads block them; one waits. A handler could not even take the loop's lock.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/running.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

/* A task is the loop's while it is posted: the same signal again meanwhile is the same
 * wish. */
struct signal_task {
	struct loop_task task;
	struct signals *owner;
	loop_fn *fn;
	atomic_bool is_posted;
};

struct signals {
	struct loop *loop;
	void *arg;
	pthread_t thread;
	struct signal_task reload, end;
	atomic_uint ends;
};

static void
run(void *arg)
{
	struct signal_task *t = arg;

	atomic_store(&t->is_posted, false);
	t->fn(t->owner->arg);
}

static void
post(struct signal_task *t)
{
	if (!atomic_exchange(&t->is_posted, true))
		loop_post(t->owner->loop, &t->task, run, t);
}

static void
fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

static void *
wait_for_signals(void *arg)
{
	struct signals *s = arg;
	sigset_t set;
	int which;

	(void)pthread_setname_np(pthread_self(), "signals");
	fill(&set);
	while (sigwait(&set, &which) == 0) {
		if (which == SIGHUP) {
			post(&s->reload);
		} else {
			atomic_fetch_add(&s->ends, 1);
			post(&s->end);
		}
	}
	return NULL;
}

struct signals *
signals_start(struct loop *loop, loop_fn *reload, loop_fn *end, void *arg)
{
	struct signals *s = mem_zalloc(sizeof(*s));
	sigset_t set;

	if (s == NULL)
		return NULL;
	s->loop = loop;
	s->arg = arg;
	s->reload = (struct signal_task){ .owner = s, .fn = reload };
	s->end = (struct signal_task){ .owner = s, .fn = end };
	fill(&set);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
	    pthread_create(&s->thread, NULL, wait_for_signals, s) != 0) {
		mem_free(s);
		return NULL;
	}
	return s;
}

static void
pass_over(void *arg)
{
	(void)arg;
}

void
signals_stop(struct signals *s)
{
	if (s == NULL)
		return;
	pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
	/* One that came after the loop's last turn is in its list still. */
	s->reload.fn = s->end.fn = pass_over;
	loop_run_posted(s->loop);
	mem_free(s);
}

unsigned
signals_ends(const struct signals *s)
{
	return atomic_load(&s->ends);
}

void
signals_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = path == NULL ? 0 : strlen(path);
	int fd;

	if (n == 0 || n >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, n);
	if (*path == '@')
		sa.sun_path[0] = '\0'; /* Linux's abstract names */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}
