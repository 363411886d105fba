/* test_guard_storm.c - a thousand requests whose guardrails all think at once, in timers,
 * in the pool and in threads of their own, while callers leave, attempts fail, deadlines
 * pass and the gateway stops: every callback is heard exactly once, nobody is told of an
 * end that he did not wait for, and what a thread looks at stays where it is.
 *
 * LATENZA_PLAY_SEED  the dice's seed
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "guard/plain.h"
#include "guard_play.h"
#include "net/pool.h"
#include "plugin/host.h"

enum {
	STORM = 1000,
	STORM_GUARDS = 3,
	STORM_US = 500,
	POSTERS = 256,
	LARGE_LETTERS = 20000, /* of two bytes: more than a worker folds */
	LARGE_EVERY = 10
};

static void
play_give_up(const char *why)
{
	fail_msg("%s", why);
}

static struct pool *pool;
static uint64_t dice;
static atomic_long read_by_pool;
static long asked, heard, heard_gone, finish_refused, entered_large;
static char large[2 * LARGE_LETTERS + 1];

static uint64_t
roll(uint64_t sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice % sides;
}

/* ---- the guardrail ---- */

struct thought {
	lz_str text; /* as it was shown */
	lz_token token;
	int32_t result;
};

static void
came(lz_call *c, int32_t error, void *ud)
{
	struct thought *t = ud;

	heard++;
	heard_gone += error == LZ_E_GONE;
	/* Who is gone says something all the same: nobody may hear it. */
	if (play_host.finish(c, error == LZ_OK ? t->result : LZ_BLOCK) != LZ_OK)
		finish_refused++;
	else if (error != LZ_OK)
		fail_msg("who is gone was heard");
}

/* [pool] Slowly, so that the call is over before it is read. */
static void
look(void *ud)
{
	struct thought *t = ud;
	long sum = 0;

	(void)usleep(STORM_US * 2);
	for (size_t i = 0; i < t->text.len; i++)
		sum += t->text.ptr[i] == 'a' || t->text.ptr[i] == '\xc3' ||
		       t->text.ptr[i] == '\xa9';
	if (sum != (long)t->text.len)
		abort();
	atomic_fetch_add(&read_by_pool, 1);
}

static void *
post(void *ud)
{
	struct thought *t = ud;

	/* The visit's memory may be gone: only what was copied is used. */
	(void)play_host.post(t->token, came, t);
	return NULL;
}

static pthread_t poster[POSTERS];
static struct thought posted[POSTERS];
static unsigned posters;

/* Whoever is entered finds nothing left to fold that would hold the worker up. */
static void
look_for_work(lz_call *c)
{
	const struct visit *v = visit_behind(c);

	if (v->texts == NULL)
		return;
	assert_false(plain_is_much(v->texts));
	for (size_t i = 0; i < v->texts->count; i++)
		entered_large += v->texts->item[i].shown.text.len >= 2 * LARGE_LETTERS;
}

static int32_t
storm_check(void *self, lz_call *c)
{
	struct thought *t;
	size_t n;
	int32_t result = LZ_E_FAIL;

	(void)self;
	if (roll(4) == 0) /* nothing is looked at, nothing asked for */
		return roll(8) == 0 ? LZ_FLAG : LZ_OK;
	t = play_host.alloc(c, sizeof(*t));
	n = play_host.texts(c);
	look_for_work(c);
	if (t == NULL)
		return LZ_E_NOMEM;
	t->text = n > 0 ? play_host.text(c, n - 1)->text : STR_LIT("");
	t->result = roll(8) == 0 ? LZ_BLOCK : roll(4) == 0 ? LZ_FLAG : LZ_OK;
	switch (roll(5)) {
	case 0:
		result = play_host.after(c, (uint32_t)roll(8), came, t);
		break;
	case 1:
	case 2:
		result = play_host.offload(c, look, came, t);
		if (result == LZ_E_LIMIT)
			result = play_host.after(c, 1, came, t);
		break;
	case 3:
		if (posters < POSTERS) {
			struct thought *mine = &posted[posters];

			*mine = (struct thought){ .token = play_host.token(c),
				.result = t->result };
			if (pthread_create(&poster[posters], NULL, post, mine) == 0)
				posters++;
			/* Whether it is heard depends on who is first. */
			return LZ_PENDING;
		}
		result = play_host.after(c, 0, came, t);
		break;
	default:
		return t->result;
	}
	if (result != LZ_OK)
		return LZ_E_FAIL;
	asked++;
	return LZ_PENDING;
}

/* ---- a request ---- */

struct one {
	struct request r;
	struct worker worker;
	struct guard_stream *stream;
	bool is_over, is_freed, waits, is_large;
	unsigned said;
};

static struct one storm[STORM];
static struct config config;
static struct guardrail row[STORM_GUARDS];
static struct component component;
static struct part part;
static int over, freed;

static void
free_one(struct one *o)
{
	assert_false(o->is_freed);
	buf_free(&o->r.body);
	guard_free(&o->r);
	arena_free(o->r.arena);
	o->is_freed = true;
	freed++;
}

static void
released(struct request *r)
{
	free_one((struct one *)(void *)r);
}

static void
end_one(struct one *o)
{
	assert_false(o->is_over);
	guard_stream_free(o->stream);
	o->stream = NULL;
	o->is_over = true;
	o->r.is_finished = true;
	guard_end(&o->r);
	over++;
	if (o->r.holds == 0)
		free_one(o);
}

static void
storm_go_on(struct request *r, enum step s)
{
	struct one *o = (struct one *)(void *)r;

	assert_true(o->waits && s != STEP_WAIT);
	o->waits = false;
	end_one(o);
}

/* A thread of the pool has let go of it. */
static void
storm_let_go(struct request *r)
{
	if (r->holds == 0)
		released(r);
}

static const struct request_ops storm_ops = { .go_on = storm_go_on,
	.let_go = storm_let_go };

static void
storm_text(void *arg, unsigned choice, lz_str member, lz_str text, lz_str for_trace)
{
	(void)arg, (void)choice, (void)member, (void)text, (void)for_trace;
}

static void
storm_piece(
    void *arg, unsigned choice, enum guard_place place, lz_str object, lz_str for_trace)
{
	(void)arg, (void)choice, (void)place, (void)for_trace;
	assert_true(lz_eq(object, "{\"tool_calls\":[{\"function\":{\"arguments\":"
				  "\"{\\\"aaa\\\":\\\"aaaaaaaa\\\"}\"}}]}"));
}

static void stream_goes(struct one *o);

static void
stream_go_on(void *arg)
{
	struct one *o = arg;

	assert_true(o->waits && !o->is_over);
	o->waits = false;
	stream_goes(o);
}

static const struct guard_stream_ops stream_ops = { storm_text, storm_piece,
	stream_go_on };

/* Says more until it waits, is refused, or has said all. */
static void
stream_goes(struct one *o)
{
	enum guard_run ran = guard_stream_run(o->stream, o->said > 20);

	while (ran == GUARD_RAN && o->said <= 20) {
		assert_true(guard_stream_text(o->stream, 0, STR_LIT("content"),
		    o->is_large && o->said == 10
			? lz_strz(large)
			: STR_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
		if (roll(4) == 0)
			assert_true(guard_stream_piece(o->stream, 0, GUARD_IN_DELTA,
			    STR_LIT("{\"tool_calls\":[{\"function\":{\"arguments\":\""
				    "{\\\"aaa\\\":\\\"aaaaaaaa\\\"}\"}}]}")));
		o->said++;
		ran = guard_stream_run(o->stream, o->said > 20);
	}
	if (ran == GUARD_WAITS)
		o->waits = true;
	else
		end_one(o);
}

static void
begin_stream(struct one *o)
{
	o->stream = guard_stream_new(&o->r, &stream_ops, o);
	assert_non_null(o->stream);
	o->said = 0;
	stream_goes(o);
}

static void
begin_one(struct one *o, bool is_stream)
{
	static const char head[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
				   "\"content\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	enum step s;

	o->worker = (struct worker){ .loop = play_loop, .pool = pool };
	o->r.worker = &o->worker;
	o->r.config = &config;
	o->r.ops = &storm_ops;
	o->r.arena = arena_new(REQUEST_ARENA_BYTES);
	if (roll(2) == 0) /* the others have none, however slow the machine is */
		o->r.deadline_us =
		    loop_now(play_loop)->mono_us + (int64_t)roll(20) * 50000;
	buf_init(&o->r.body, sizeof(head) + sizeof(large) + 8);
	buf_add_z(&o->r.body, head);
	buf_add_z(&o->r.body, o->is_large ? large : "");
	buf_add_z(&o->r.body, "\"}]}");
	assert_int_equal(guard_choose(&o->r, NULL, 0), STEP_NEXT);
	if (is_stream) {
		begin_stream(o);
		return;
	}
	s = guard_request(&o->r);
	o->waits = s == STEP_WAIT;
	if (!o->waits)
		end_one(o);
}

/* The caller leaves; an attempt fails, and another begins; or nothing. */
static void
strike(struct one *o)
{
	if (o->is_over)
		return;
	if (o->stream != NULL && roll(3) == 0) {
		guard_stream_free(o->stream);
		o->waits = false;
		begin_stream(o);
	} else if (roll(3) == 0) {
		guard_cancel(&o->r);
		end_one(o);
	}
}

static void
run_for(int64_t us)
{
	struct loop_timer t = { 0 };

	assert_int_equal(
	    loop_timer_set(play_loop, &t, us, (loop_fn *)loop_stop, play_loop), ST_OK);
	loop_run(play_loop);
}

static void
every_callback_is_heard_once_whatever_ends_a_request(void **state)
{
	(void)state;
	for (int i = 0; i < LARGE_LETTERS; i++)
		memcpy(large + 2 * i, "\xc3\xa9", 2);
	for (int i = 0; i < STORM; i++) {
		storm[i].is_large = i % LARGE_EVERY == 0;
		begin_one(&storm[i], (i & 1) != 0);
	}
	for (int i = 0; i < STORM / 2; i++) {
		strike(&storm[roll(STORM)]);
		if (i % 20 == 0)
			run_for(STORM_US);
	}
	for (int i = 0; i < 60000 && entered_large < 10; i++)
		run_for(1000);
	/* The gateway stops. */
	for (int i = 0; i < STORM; i++)
		if (!storm[i].is_over) {
			guard_cancel(&storm[i].r);
			end_one(&storm[i]);
		}
	for (unsigned i = 0; i < posters; i++)
		(void)pthread_join(poster[i], NULL);
	for (int i = 0; i < 2000 && freed < STORM; i++)
		run_for(1000);
	assert_int_equal(over, STORM);
	assert_int_equal(freed, STORM);
	print_message(
	    "asked %ld, heard %ld, of which %ld gone; %ld not heard; %ld looked; large "
	    "%ld\n",
	    asked, heard, heard_gone, finish_refused, atomic_load(&read_by_pool),
	    entered_large);
	assert_true(heard >= asked && heard <= asked + (long)posters);
	assert_true(heard_gone > 0 && atomic_load(&read_by_pool) > 0);
	assert_true(entered_large >= 10);
}

static int
start(void **state)
{
	const char *seed = getenv("LATENZA_PLAY_SEED");
	struct err e;

	(void)state;
	dice = seed != NULL ? (uint64_t)atoll(seed) : UINT64_C(88172645463325252);
	play_set_up();
	visit_on_release(released);
	pool = pool_new(4, 4096, &e);
	component.info = (struct part_info){ .kind = "guardrail", .name = "storm" };
	component.info.component = &component;
	component.plugin = &play_plugin;
	component.table.guardrail = (lz_guardrail){ .size = sizeof(lz_guardrail),
		.phases = LZ_REQUEST | LZ_RESPONSE,
		.streams = 1,
		.context = 8,
		.check = storm_check };
	part.info = &component.info;
	for (int i = 0; i < STORM_GUARDS; i++)
		row[i] = (struct guardrail){ .name = STR_LIT("storm"),
			.part = &part,
			.info = &component.info,
			.phases = LZ_REQUEST | LZ_RESPONSE,
			.is_open = i != 0,
			.is_default = true,
			.stream = GUARDRAIL_PIECES,
			.deadline_ms = 1 + 3 * (unsigned)i };
	config.guardrail = row;
	config.guardrail_count = STORM_GUARDS;
	config.limits.answer_bytes = 4 << 20;
	return pool != NULL ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	pool_free(pool);
	loop_free(play_loop);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_callback_is_heard_once_whatever_ends_a_request),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
