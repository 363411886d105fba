/* explain.c - a command's question: who would serve this request, and why not the others.
 *
 * The request crosses the stages up to "explain", as the dry run of a client does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/json.h"
#include "base/mem.h"
#include "gateway/asked.h"
#include "gateway/routes.h"

struct explanation {
	struct asked asked; /* first */
	struct buf body;
	char *strategy; /* NULL: the key's */
	enum request_kind kind;
};

static struct explanation *
explanation_of(struct asked *a)
{
	return (struct explanation *)(void *)a;
}

static void
begin(struct asked *a, struct request *r)
{
	struct explanation *x = explanation_of(a);

	r->route = routes_of_kind(x->kind);
	r->kind = x->kind;
	r->body = x->body; /* moved */
	buf_init(&x->body, 0);
}

static void
read_as_header(struct asked *a, struct request *r)
{
	const char *strategy = explanation_of(a)->strategy;

	r->is_dry_run = true;
	r->strategy_asked = strategy != NULL ? lz_strz(strategy) : STR_NONE;
}

static void
end(struct asked *a, struct request *r)
{
	if (r->fault != FAULT_NONE) {
		a->st = err_fail(&a->e, ST_INVALID, "%.*s", STR_ARG(r->fault_message));
		return;
	}
	a->result = json_parse(buf_str(&r->answer), &a->e);
	a->st = a->result != NULL ? ST_OK : ST_NOMEM;
}

static void
forget(struct asked *a)
{
	struct explanation *x = explanation_of(a);

	buf_free(&x->body);
	mem_free(x->strategy);
	mem_free(x);
}

void
gateway_explain(struct gateway *g, const struct gateway_question *q,
    gateway_heard_fn *heard, void *arg)
{
	static const struct asked_ops ops = { begin, read_as_header, end, forget };
	struct explanation *x = mem_zalloc(sizeof(*x));
	struct err e;

	if (x == NULL) {
		heard(arg, err_fail(&e, ST_NOMEM, "out of memory"), NULL, &e);
		return;
	}
	x->asked.ops = &ops;
	x->asked.heard = heard;
	x->asked.arg = arg;
	x->kind =
	    json_object_get(q->body, "input") != NULL ? REQUEST_EMBEDDINGS : REQUEST_CHAT;
	buf_init(&x->body, GATEWAY_QUESTION_BYTES);
	if (q->strategy.ptr != NULL)
		x->strategy = mem_dup(q->strategy.ptr, q->strategy.len);
	if (!json_print(q->body, &x->body))
		asked_fail(&x->asked,
		    err_fail(&x->asked.e, ST_LIMIT, "body: is larger than 1 MiB"));
	else if (q->strategy.ptr != NULL && x->strategy == NULL)
		asked_fail(&x->asked, err_fail(&x->asked.e, ST_NOMEM, "out of memory"));
	else
		asked_start(g, q->key, &x->asked);
}
