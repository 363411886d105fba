/* test_many.c - many calls at once: the books balance.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

/* Whatever happens, the books balance. */

enum {
	SLOTS = 40,
	MOODY_CALLS = 1500
};

static void
say_much(struct line *l)
{
	static const char zeros[100000];

	say(l, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
	say_n(l, zeros, sizeof(zeros));
	say_n(l, zeros, sizeof(zeros));
	say_n(l, zeros, sizeof(zeros));
}

/* false: and then the connection ends. */
static bool
answer_in_a_mood(struct line *l, unsigned mood)
{
	switch (mood) {
	case 0:
		return false;
	case 1:
		slam(l);
		return false;
	case 2:
		say(l, "HTTP/1.1 200 OK\r\nConte");
		slam(l);
		return false;
	case 3:
		say(l,
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		nap_ms(3);
		say(l, "1\r\nd\r\n0\r\n\r\n");
		return true;
	case 4:
		say(l, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
		return false;
	case 5:
		say_much(l);
		return true;
	case 6: /* in one piece: later, it would be the answer to what was asked since */
		say(l, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		       "HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n");
		return true;
	case 7:
		nap_ms(20);
		say(l, ok_text);
		return true;
	case 8:
		say(l, ok_text);
		return false;
	default:
		say(l, ok_text);
		return true;
	}
}

static void
moody(struct line *l)
{
	unsigned dice = l->nth * 7919;

	do
		dice = dice * 1103515245 + 12345;
	while (hear(l) && answer_in_a_mood(l, dice >> 16 & 15));
}

struct chaos;

struct slot {
	struct chaos *k;
	struct upstream_call *call;
};

struct chaos {
	struct bench b;
	struct slot slot[SLOTS];
	struct upstream_request q;
	struct loop_timer tick;
	unsigned dice, sent, done, cancelled;
	char url[64];
};

static unsigned
roll(struct chaos *k, unsigned sides)
{
	k->dice = k->dice * 1103515245 + 12345;
	return (k->dice >> 16) % sides;
}

static void
move(struct chaos *k)
{
	struct slot *t = &k->slot[roll(k, SLOTS)];
	unsigned what = roll(k, 6);

	if (t->call == NULL)
		return;
	if (what == 0) {
		upstream_cancel(t->call);
		t->call = NULL;
		k->cancelled++;
	} else if (what < 3) {
		upstream_pause(t->call);
	} else {
		upstream_resume(t->call);
	}
}

static void
on_chaos_head(void *arg, int status, const lz_header *h, size_t n)
{
	struct slot *t = arg;

	(void)h;
	(void)n;
	if (status != 200)
		fail_msg("a call got what nobody asked for");
	move(t->k);
}

static void
on_chaos_data(void *arg, lz_str bytes)
{
	struct slot *t = arg;

	(void)bytes;
	move(t->k);
}

static void
on_chaos_done(void *arg, const struct upstream_result *r)
{
	struct slot *t = arg;

	(void)r;
	t->k->done++;
	t->call = NULL;
	move(t->k);
}

static void
on_tick(void *arg)
{
	static const struct upstream_ops wild = { on_chaos_head, on_chaos_data,
		on_chaos_done };
	struct chaos *k = arg;
	struct err e;
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		struct slot *t = &k->slot[i];

		if (t->call == NULL && k->sent < MOODY_CALLS) {
			t->call = upstream_send(k->b.u, &k->q, &wild, t, &e);
			assert_non_null(t->call);
			k->sent++;
			k->b.calls++;
		} else if (t->call != NULL && k->sent == MOODY_CALLS) {
			upstream_resume(t->call);
		}
	}
	for (i = 0; i < 4 && k->sent < MOODY_CALLS; i++)
		move(k);
	if (k->sent == MOODY_CALLS && upstream_active(k->b.u) == 0)
		loop_stop(k->b.loop);
	else
		assert_int_equal(
		    loop_timer_set(k->b.loop, &k->tick, 1000, on_tick, k), ST_OK);
}

static void
test_a_thousand_calls_and_random_moves_leave_the_books_balanced(void **state)
{
	struct upstream_options o = { .shard_active = 16 };
	struct chaos *k = calloc(1, sizeof(*k));

	(void)state;
	bench_open(&k->b, moody, &o);
	for (unsigned i = 0; i < SLOTS; i++)
		k->slot[i].k = k;
	k->q = post(&k->b, k->url, "{}");
	k->q.first_byte_timeout_ms = 1000;
	k->q.total_timeout_ms = 5000;
	assert_int_equal(loop_timer_set(k->b.loop, &k->tick, 1, on_tick, k), ST_OK);
	loop_run(k->b.loop);
	assert_int_equal(k->done + k->cancelled, MOODY_CALLS);
	assert_true(k->done > MOODY_CALLS / 4);
	engine->balance(k->b.u);
	bench_close(&k->b);
	free(k);
}

static void
transfer_over(struct tls *tls)
{
	struct upstream_options o = { .ca_file = tls != NULL ? tls_ca(tls) : NULL,
		.shard_active = 40 };
	struct upstream_request q;
	struct bench b;
	char url[64];

	bench_open_tls(&b, answer_echo, &o, tls);
	q = post(&b, url, "");
	transfer_5000(&b, &q);
	assert_int_equal(atomic_load(&b.p->requests), b.calls);
	assert_true(atomic_load(&b.p->lines) <= 2 * 64); /* and they are kept */
	engine->balance(b.u);
	bench_close(&b);
}

static void
test_5000_transfers_each_get_their_own_answer(void **state)
{
	(void)state;
	transfer_over(NULL);
}

static void
test_5000_transfers_over_tls_each_get_their_own_answer(void **state)
{
	struct tls *tls;

	(void)state;
	need(CAN_TLS);
	tls = tls_new(false);
	transfer_over(tls);
	tls_free(tls);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_thousand_calls_and_random_moves_leave_the_books_balanced),
		cmocka_unit_test(test_5000_transfers_each_get_their_own_answer),
		cmocka_unit_test(test_5000_transfers_over_tls_each_get_their_own_answer),
	};

	return run_suite("many", tests, sizeof(tests) / sizeof(tests[0]));
}
