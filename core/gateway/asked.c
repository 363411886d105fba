/* asked.c - carries a command's request to a worker, and what came of it back.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/asked.h"

#include "base/json.h"
#include "gateway/requests.h"
#include "gateway/stages.h"
#include "gateway/whole.h"
#include "guard/guard.h"
#include "key/stage.h"

/* ---- back [main] ---- */

static void
home(void *arg)
{
	struct asked *a = arg;

	a->heard(a->arg, a->st, a->result, &a->e);
	a->ops->free(a);
}

void
asked_fail(struct asked *a, enum status st)
{
	a->st = st;
	home(a);
}

static void
go_home(struct asked *a)
{
	loop_post(a->gateway->loop, &a->task, home, a);
}

/* ---- there [worker] ---- */

static void
enlist(struct asked *a)
{
	struct asked **first = &a->worker->asked;

	a->next = *first;
	a->link = first;
	if (a->next != NULL)
		a->next->link = &a->next;
	*first = a;
}

static void
strike_off(struct asked *a)
{
	*a->link = a->next;
	if (a->next != NULL)
		a->next->link = a->link;
}

void
asked_read(struct request *r)
{
	if (r->asked->ops->read != NULL)
		r->asked->ops->read(r->asked, r);
}

void
asked_ends(struct request *r)
{
	struct asked *a = r->asked;

	strike_off(a);
	(void)json_ran_dry();
	a->ops->end(a, r);
	if (a->st == ST_OK && json_ran_dry()) {
		json_decref(a->result);
		a->result = NULL;
		a->st = err_fail(&a->e, ST_NOMEM, "out of memory");
	}
	a->r = NULL;
	go_home(a);
}

static void
begin(void *arg)
{
	struct asked *a = arg;
	struct request *r = requests_make(a->worker, NULL, loop_now(a->worker->loop));

	if (r == NULL) {
		key_unref(a->key);
		a->st = err_fail(&a->e, ST_NOMEM, "out of memory");
		go_home(a);
		return;
	}
	r->asked = a;
	a->r = r;
	enlist(a);
	a->ops->begin(a, r);
	if (a->key != NULL && key_take(r, a->key) != STEP_NEXT) {
		key_unref(a->key);
		stages_end(r);
		return;
	}
	stages_start(r);
}

void
asked_cut_all(struct worker *w)
{
	while (w->asked != NULL) {
		struct request *r = w->asked->r;

		guard_cancel(r);
		request_fail(r, FAULT_CLIENT_GONE, NULL, "the gateway is shutting down");
		stages_end(r);
	}
}

/* ---- asked [main] ---- */

void
asked_start(struct gateway *g, lz_str key, struct asked *a)
{
	a->gateway = g;
	a->worker = &g->worker[0];
	if (key.ptr != NULL) {
		/* Only its count changes. */
		a->key = (struct key *)(uintptr_t)keys_get(g->keys, key);
		if (a->key == NULL) {
			asked_fail(a,
			    err_fail(&a->e, ST_NOT_FOUND,
				"key \"%.*s\": there is none; `latenza key list` shows "
				"them",
				STR_ARG(str_cut(key, 0, 100))));
			return;
		}
		key_ref(a->key);
	}
	loop_post(a->worker->loop, &a->task, begin, a);
}
