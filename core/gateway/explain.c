/* explain.c - carries a command's request to a worker and waits for its table.
 *
 * [main] waits as it does for the storage thread: a router answers at once or is cut
 * after 200 ms.
 *
 * SPDX-License-Identifier: MIT
 */
#include "gateway/explain.h"

#include <pthread.h>
#include <string.h>
#include "gateway/requests.h"
#include "gateway/routes.h"
#include "gateway/stages.h"
#include "gateway/whole.h"
#include "key/stage.h"

struct explanation {
	struct loop_task task;
	struct worker *worker;
	const struct gateway_question *asked;
	struct key *key; /* a reference, taken by the request */
	struct buf *table;
	struct err *e;
	enum status st;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool is_over;
};

static void
tell(struct explanation *x, enum status st)
{
	pthread_mutex_lock(&x->lock);
	x->st = st;
	x->is_over = true;
	pthread_cond_signal(&x->over);
	pthread_mutex_unlock(&x->lock);
}

void
explanation_begins(struct request *r)
{
	r->is_dry_run = true;
	r->strategy_asked = r->explanation->asked->strategy;
}

void
explanation_ends(struct request *r)
{
	struct explanation *x = r->explanation;

	if (r->fault == FAULT_NONE) {
		buf_add_str(x->table, buf_str(&r->answer));
		tell(x, x->table->failed ? ST_NOMEM : ST_OK);
		return;
	}
	err_fail(x->e, ST_INVALID, "%.*s", STR_ARG(r->fault_message));
	tell(x, ST_INVALID);
}

static void
begin(void *arg)
{
	struct explanation *x = arg;
	struct request *r = requests_make(x->worker, NULL, loop_now(x->worker->loop));

	if (r == NULL) {
		key_unref(x->key);
		tell(x, err_fail(x->e, ST_NOMEM, "out of memory"));
		return;
	}
	r->explanation = x;
	r->route = routes_of_kind(x->asked->kind);
	r->kind = x->asked->kind;
	if (key_take(r, x->key) != STEP_NEXT) {
		key_unref(x->key);
		stages_end(r);
		return;
	}
	buf_init(&r->body, x->asked->body.len + 1);
	buf_add_str(&r->body, x->asked->body);
	stages_start(r);
}

enum status
gateway_explain(struct gateway *g, const struct gateway_question *asked,
    struct buf *table, struct err *e)
{
	struct explanation x = { .worker = &g->worker[0],
		.asked = asked,
		.table = table,
		.e = e,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.over = PTHREAD_COND_INITIALIZER };

	/* Only its count changes. */
	x.key = (struct key *)(uintptr_t)keys_get(g->keys, asked->key);
	if (x.key == NULL)
		return err_fail(
		    e, ST_NOT_FOUND, "key \"%.*s\": there is none", STR_ARG(asked->key));
	key_ref(x.key);
	loop_post(x.worker->loop, &x.task, begin, &x);
	pthread_mutex_lock(&x.lock);
	while (!x.is_over)
		pthread_cond_wait(&x.over, &x.lock);
	pthread_mutex_unlock(&x.lock);
	pthread_cond_destroy(&x.over);
	pthread_mutex_destroy(&x.lock);
	return x.st;
}
