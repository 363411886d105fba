/* transfers.c - 5,000 calls, each with a body of its own that must come back to it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

enum {
	TRANSFERS = 5000,
	AT_ONCE = 64,
	BODY_MOST = 3000
};

struct many {
	struct bench *b;
	struct upstream_request q;
	unsigned sent, done;
};

struct echo {
	struct many *m;
	unsigned nth;
	size_t len, got;
	char body[BODY_MOST];
};

static void send_next(struct echo *e);

static void
on_echo_head(void *arg, int status, const lz_header *h, size_t n)
{
	(void)arg;
	(void)h;
	(void)n;
	assert_int_equal(status, 200);
}

static void
on_echo_data(void *arg, lz_str bytes)
{
	struct echo *e = arg;

	assert_true(e->got + bytes.len <= e->len);
	assert_memory_equal(bytes.ptr, e->body + e->got, bytes.len);
	e->got += bytes.len;
}

static void
on_echo_done(void *arg, const struct upstream_result *r)
{
	struct echo *e = arg;

	if (r->end != UPSTREAM_DONE)
		fail_msg(
		    "transfer %u: %s, %s", e->nth, upstream_end_name(r->end), r->detail);
	assert_int_equal(e->got, e->len);
	if (++e->m->done == TRANSFERS)
		loop_stop(e->m->b->loop);
	else if (e->m->sent < TRANSFERS)
		send_next(e);
}

static void
send_next(struct echo *e)
{
	static const struct upstream_ops echo_ops = { on_echo_head, on_echo_data,
		on_echo_done };
	struct many *m = e->m;
	struct err err;
	size_t i;

	e->nth = m->sent++;
	e->got = 0;
	e->len = 20 + e->nth * 7919 % (BODY_MOST - 20);
	for (i = 0; i < e->len; i++)
		e->body[i] = (char)('a' + (e->nth + i * i) % 26);
	m->q.part_count = 1 + e->nth % 2;
	m->q.part[0] = lz_strn(e->body, m->q.part_count == 1 ? e->len : 10);
	m->q.part[1] = lz_strn(e->body + 10, e->len - 10);
	m->b->calls++;
	assert_non_null(upstream_send(m->b->u, &m->q, &echo_ops, e, &err));
}

void
transfer_5000(struct bench *b, const struct upstream_request *q)
{
	struct echo *echo = calloc(AT_ONCE, sizeof(*echo));
	struct many m = { .b = b, .q = *q };
	unsigned i;

	assert_non_null(echo);
	for (i = 0; i < AT_ONCE; i++) {
		echo[i].m = &m;
		send_next(&echo[i]);
	}
	loop_post(b->loop, &b->task, do_nothing, NULL);
	loop_run(b->loop);
	assert_int_equal(m.done, TRANSFERS);
	free(echo);
}
