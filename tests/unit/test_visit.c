/* test_visit.c - a visit gives a component what the SDK promises, and ends exactly once, whatever the component does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include <netinet/in.h>

#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "plugin/visit.h"

static const char *const no_dirs[] = { NULL };

/* One request on one worker, with two candidates of a provider whose component acts as told. */
struct scene {
	struct worker worker;
	struct request r;
	struct provider provider;
	struct model_facts facts[2];
	struct target target[2];
	struct candidate candidate[2];
	struct part *part;
	struct visit *visit;
	lz_http http;
	int done, emitted;
	int32_t result;
	char said[200];
	lz_usage usage;
	bool ends_in_emit;
};

static struct loop *loop;
static struct pool *pool;
static struct upstream *upstream;
static int released;

static struct part *
make_part(const char *kind, const char *name, const char *act, const char *url)
{
	const struct part_info *info = part_get_ops()->find(kind, lz_strz(name), NULL);
	json_t *options = json_pack("{s:s,s:s}", "act", act, "url", url);
	struct err e = { "" };
	struct part *p;

	assert_non_null(info);
	p = part_get_ops()->make(info, name, options, "test", &e);
	json_decref(options);
	if (p == NULL)
		fail_msg("%s", e.text);
	return p;
}

static void
set_body(struct scene *s, const char *text, size_t n)
{
	buf_free(&s->r.body);
	buf_init(&s->r.body, 1 << 20);
	buf_add(&s->r.body, text, n);
}

static void
scene_open(struct scene *s, struct part *part)
{
	static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

	memset(s, 0, sizeof(*s));
	s->worker.loop = loop;
	s->worker.pool = pool;
	s->worker.upstream = upstream;
	s->part = part;
	s->provider.name = STR_LIT("p");
	s->provider.part = part;
	s->r.worker = &s->worker;
	s->r.arena = arena_new(REQUEST_ARENA_BYTES);
	s->r.deadline_us = clock_mono_us() + 10 * 1000000;
	s->r.output_limit = -1;
	s->r.router = part;
	s->r.candidate = s->candidate;
	s->r.candidate_count = 2;
	s->r.attempt_count = 1;
	for (size_t i = 0; i < 2; i++) {
		s->facts[i].id = i == 0 ? STR_LIT("m") : STR_LIT("m2");
		s->target[i].provider = &s->provider;
		s->target[i].model = &s->facts[i];
		s->target[i].upstream_model = s->facts[i].id;
		s->candidate[i].target = &s->target[i];
	}
	s->r.attempt[0].candidate = &s->candidate[0];
	s->r.attempt[0].target = &s->target[0];
	s->r.attempt[0].output_bound = 77;
	set_body(s, body, sizeof(body) - 1);
}

static void
on_emit(void *arg, const json_t *j)
{
	struct scene *s = arg;

	s->emitted++;
	(void)snprintf(s->said, sizeof(s->said), "%s", json_string_value(json_object_get(j, "said")) != NULL
	    ? json_string_value(json_object_get(j, "said"))
	    : "");
	if (json_object_get(j, "seen") != NULL)
		(void)snprintf(s->said, sizeof(s->said), "%d", (int)json_integer_value(json_object_get(j, "seen")));
	if (s->ends_in_emit)
		visit_end_all(s->visit);
}

static void
on_usage(void *arg, const lz_usage *u)
{
	((struct scene *)arg)->usage = *u;
}

static const struct visit_provider_ops ops = { on_emit, on_usage };

static void
on_done(void *arg, int32_t result)
{
	struct scene *s = arg;

	s->done++;
	s->result = result;
	loop_stop(loop);
}

/* Builds with a provider that does `act`; waits for the end when it is pending. */
static int32_t
build(struct scene *s, const char *component, const char *act)
{
	int32_t result;

	scene_open(s, make_part("provider", component, act, ""));
	s->visit = visit_provider(&s->r, &s->r.attempt[0], &ops, s);
	assert_non_null(s->visit);
	s->http = lz_http_to("POST", STR_LIT("http://base"));
	result = visit_build(s->visit, &s->http, on_done, s);
	if (result != LZ_PENDING)
		return result;
	assert_int_equal(s->done, 0); /* never inside */
	return LZ_PENDING;
}

static int32_t
wait_done(struct scene *s)
{
	loop_run(loop);
	assert_int_equal(s->done, 1);
	return s->result;
}

static void
scene_close(struct scene *s)
{
	visit_end_all(s->visit);
	assert_int_equal(s->r.holds, 0);
	buf_free(&s->r.body);
	arena_free(s->r.arena);
	part_unref(s->part);
}

static int64_t
counted(const char *what)
{
	return shared_add(lz_strz(what), 0, 0);
}

/* Turns of the loop until the counter has moved by one. */
static void
stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
run_for(unsigned ms)
{
	struct loop_timer t = { 0 };

	assert_int_equal(loop_timer_set(loop, &t, (int64_t)ms * 1000, stop_loop, NULL), ST_OK);
	loop_run(loop);
}

static void
run_until(const char *what, int64_t at_least)
{
	for (int i = 0; i < 500 && counted(what) < at_least; i++)
		run_for(10);
	assert_true(counted(what) >= at_least);
}

/* ---- providers ---- */

static void
what_build_leaves_alone_stays_as_it_came(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nothing"), LZ_OK);
	assert_true(lz_eq(s.http.url, "http://base"));
	assert_null(s.http.body.ptr);
	assert_null(visit_limit_name(s.visit).ptr);
	assert_null(visit_fault(s.visit));
	scene_close(&s);
}

static void
what_build_sets_lives_as_long_as_the_visit(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "url"), LZ_OK);
	assert_int_equal(visit_event(s.visit, STR_LIT("x"), STR_LIT("{}")), LZ_OK);
	assert_true(lz_eq(s.http.url, "http://example.test/x"));
	assert_true(lz_eq(visit_limit_name(s.visit), "max_completion_tokens"));
	scene_close(&s);
}

static void
an_answer_at_once_or_later_reaches_emit_and_then_done(void **state)
{
	static const char *const later[] = { "after", "offload", "post" };
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "answer"), LZ_ANSWERED);
	assert_string_equal(s.said, "at once");
	scene_close(&s);
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		int64_t before = counted("called.ok"), twice = counted("finish.twice.refused");

		assert_int_equal(build(&s, "acting", later[i]), LZ_PENDING);
		assert_int_equal(wait_done(&s), LZ_ANSWERED);
		assert_string_equal(s.said, "later");
		assert_int_equal(counted("called.ok"), before + 1);
		assert_int_equal(counted("finish.twice.refused"), twice + 1);
		scene_close(&s);
	}
}

static void
fail_is_kept_with_sane_numbers(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "fail"), LZ_E_FAIL);
	assert_non_null(visit_fault(s.visit));
	assert_int_equal(visit_fault(s.visit)->upstream, LZ_UPSTREAM_RATE);
	assert_int_equal(visit_fault(s.visit)->status, 0);
	assert_int_equal(visit_fault(s.visit)->retry_after_ms, 1500);
	assert_true(lz_eq(visit_fault(s.visit)->code, "slow_down"));
	scene_close(&s);
}

static void
finish_inside_the_call_is_heard_after_it(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "finish inside"), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_ANSWERED);
	scene_close(&s);
}

static void
pending_with_nothing_under_way_is_an_error_not_a_hang(void **state)
{
	static const char *const acts[] = { "hang", "hang later" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		assert_int_equal(build(&s, "acting", acts[i]), LZ_PENDING);
		assert_int_equal(wait_done(&s), LZ_E_FAIL);
		scene_close(&s);
	}
}

static void
an_unknown_result_is_an_error(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nonsense"), LZ_E_FAIL);
	assert_int_equal(visit_event(s.visit, STR_LIT("pending"), STR_LIT("{}")), LZ_E_FAIL);
	scene_close(&s);
}

static void
what_finish_leaves_under_way_is_cancelled(void **state)
{
	int64_t gone = counted("nofinish.gone");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "two"), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_OK);
	assert_int_equal(counted("nofinish.gone"), gone + 1);
	/* ... and so is what a reply() asked for and did not wait for. */
	lz_reply r = { .size = sizeof(r), .status = 200 };
	assert_int_equal(visit_reply(s.visit, &r), LZ_OK);
	assert_int_equal(counted("nofinish.gone"), gone + 2);
	scene_close(&s);
}

static void
the_number_of_things_under_way_is_bounded(void **state)
{
	int64_t gone = counted("nofinish.gone");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "many"), LZ_OK);
	assert_int_equal(counted("nofinish.gone"), gone + VISIT_OPS);
	scene_close(&s);
}

static void
ending_a_visit_cancels_each_callback_exactly_once(void **state)
{
	int64_t gone = counted("called.gone"), refused = counted("ask.refused");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "forever"), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(counted("called.gone"), gone + 1);
	assert_int_equal(counted("ask.refused"), refused + 1);
	run_for(5);
	assert_int_equal(s.done, 0);
	scene_close(&s);
}

static void
note_release(struct request *r)
{
	assert_int_equal(r->holds, 0);
	released++;
}

static void
work_in_the_pool_holds_the_request_until_it_is_home(void **state)
{
	int64_t gone = counted("called.gone"), worked = counted("worked");
	struct scene s;

	(void)state;
	released = 0;
	assert_int_equal(build(&s, "acting", "slow offload"), LZ_PENDING);
	run_for(5); /* it has begun */
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(s.r.holds, 1);
	s.r.is_finished = true;
	run_until("worked", worked + 1);
	run_for(20);
	assert_int_equal(counted("called.gone"), gone + 1);
	assert_int_equal(s.done, 0);
	assert_int_equal(released, 1);
	scene_close(&s);
}

static void
a_thread_that_posts_too_late_hears_so(void **state)
{
	int64_t late = counted("post.gone"), gone = counted("called.gone");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "post"), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(s.r.holds, 0);
	run_until("post.gone", late + 1);
	assert_int_equal(counted("called.gone"), gone);
	scene_close(&s);
}

static void
a_post_on_its_way_when_the_visit_ends_hears_gone(void **state)
{
	int64_t posted = counted("posted"), gone = counted("called.gone");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "post"), LZ_PENDING);
	for (int i = 0; i < 500 && counted("posted") == posted; i++)
		usleep(1000);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(s.r.holds, 1);
	run_until("called.gone", gone + 1);
	assert_int_equal(s.r.holds, 0);
	scene_close(&s);
}

static void
a_visit_may_be_ended_from_inside_its_own_emit(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nothing"), LZ_OK);
	s.ends_in_emit = true;
	assert_int_equal(visit_event(s.visit, STR_LIT("x"), STR_LIT("{}")), LZ_E_GONE);
	assert_int_equal(s.r.holds, 1); /* until this turn ends */
	run_for(1);
	assert_int_equal(s.r.holds, 0);
	s.visit = NULL;
	scene_close(&s);
}

static void
slot_and_keep_live_from_event_to_event(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nothing"), LZ_OK);
	for (int i = 1; i <= 100; i++) {
		assert_int_equal(visit_event(s.visit, STR_LIT("x"), STR_LIT("{\"a\":[1,2,{}]}")), LZ_OK);
		assert_int_equal(atoi(s.said), i);
	}
	/* Not JSON: emit(NULL) is refused, and said so. */
	assert_int_equal(visit_event(s.visit, STR_LIT("x"), STR_LIT("{")), LZ_E_INVALID);
	scene_close(&s);
}

static void
classify_texts_are_copied_and_unknown_blame_is_not_taken(void **state)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_CALLER, .status = 400 };
	lz_reply r = { .size = sizeof(r), .status = 400 };
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nothing"), LZ_OK);
	assert_int_equal(visit_classify(s.visit, &r, &f), LZ_OK);
	assert_true(lz_eq(f.message, "copied"));
	assert_int_equal(f.upstream, LZ_UPSTREAM_CALLER);
	assert_int_equal(f.status, 400);
	scene_close(&s);
}

static void
every_function_takes_nothing_for_an_argument(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nulls"), LZ_OK);
	scene_close(&s);
}

/* ---- trees ---- */

static void
a_small_body_is_a_tree_at_once_and_edits_stay_apart(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "trees", "body"), LZ_OK);
	assert_non_null(memmem(s.http.body.ptr, s.http.body.len, "\"changed\"", 9));
	scene_close(&s);
}

static void
a_large_body_is_parsed_in_the_pool_first(void **state)
{
	char *text = malloc(200000);
	struct scene s;
	int n;

	(void)state;
	assert_non_null(text);
	n = snprintf(text, 100, "{\"model\":\"m\",\"messages\":\"");
	memset(text + n, 'x', 150000);
	memcpy(text + n + 150000, "\"}", 2);
	scene_open(&s, make_part("provider", "trees", "body", ""));
	set_body(&s, text, (size_t)n + 150002);
	free(text);
	s.visit = visit_provider(&s.r, &s.r.attempt[0], &ops, &s);
	s.http = lz_http_to("POST", STR_LIT("http://base"));
	assert_int_equal(visit_build(s.visit, &s.http, on_done, &s), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_OK);
	assert_true(s.http.body.len > 150000);
	scene_close(&s);
	/* A body that is no JSON, and a visit that ends meanwhile. */
	scene_open(&s, make_part("provider", "trees", "body", ""));
	text = calloc(1, 100000);
	set_body(&s, text, 100000);
	free(text);
	s.visit = visit_provider(&s.r, &s.r.attempt[0], &ops, &s);
	assert_int_equal(visit_build(s.visit, &s.http, on_done, &s), LZ_PENDING);
	assert_true(wait_done(&s) < 0);
	visit_end_all(s.visit);
	s.visit = visit_provider(&s.r, &s.r.attempt[0], &ops, &s);
	s.done = 0;
	assert_int_equal(visit_build(s.visit, &s.http, on_done, &s), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	for (int i = 0; i < 200 && s.r.holds > 0; i++)
		run_for(5);
	assert_int_equal(s.done, 0);
	scene_close(&s);
}

/* ---- callouts ---- */

static void
a_callout_that_finds_nobody_comes_home_with_an_error(void **state)
{
	int64_t home = counted("http.home"), gone = counted("http.gone");
	struct scene s;

	(void)state;
	scene_open(&s, make_part("provider", "acting", "http", "http://127.0.0.1:1/"));
	s.visit = visit_provider(&s.r, &s.r.attempt[0], &ops, &s);
	assert_int_equal(visit_build(s.visit, &s.http, on_done, &s), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_ANSWERED);
	assert_string_equal(s.said, "http -1 0");
	assert_int_equal(counted("http.home"), home + 1);
	visit_end_all(s.visit);
	s.visit = visit_provider(&s.r, &s.r.attempt[0], &ops, &s);
	assert_int_equal(visit_build(s.visit, &s.http, on_done, &s), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(counted("http.gone"), gone + 1);
	scene_close(&s);
}

/* ---- routers ---- */

static int32_t
route(struct scene *s, const char *act)
{
	scene_open(s, make_part("router", "acting", act, ""));
	s->r.attempt_count = 0;
	return visit_route(&s->r, on_done, s, &s->visit);
}

static void
a_router_orders_the_candidates_and_lowers_the_limit(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(route(&s, "order"), LZ_OK);
	assert_int_equal(s.candidate[0].rank, 2);
	assert_int_equal(s.candidate[1].rank, 1);
	assert_true(lz_eq(s.candidate[1].why, "the second"));
	assert_true(s.candidate[1].score == 0.5);
	assert_int_equal(s.r.output_limit, 100);
	scene_close(&s);
}

static void
a_router_that_fails_or_is_late_touches_nothing(void **state)
{
	struct scene s;
	int64_t gone = counted("picked.gone");

	(void)state;
	assert_int_equal(route(&s, "fail"), LZ_E_FAIL);
	assert_int_equal(s.candidate[1].rank, 0);
	scene_close(&s);
	assert_int_equal(route(&s, "forever"), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_E_TIMEOUT);
	assert_int_equal(counted("picked.gone"), gone + 1);
	assert_int_equal(s.candidate[1].rank, 0);
	scene_close(&s);
}

static void
a_router_may_answer_later_or_refuse(void **state)
{
	lz_str code, message;
	struct scene s;

	(void)state;
	assert_int_equal(route(&s, "after"), LZ_PENDING);
	assert_int_equal(wait_done(&s), LZ_OK);
	assert_int_equal(s.candidate[1].rank, 1);
	assert_int_equal(s.candidate[0].rank, 0);
	scene_close(&s);
	assert_int_equal(route(&s, "block"), LZ_BLOCK);
	visit_reason(s.visit, &code, &message);
	assert_true(lz_eq(code, "policy.eu"));
	assert_true(lz_eq(message, "data must stay in the EU"));
	scene_close(&s);
}

/* ---- metrics ---- */

static void
a_plugins_metrics_and_stalls_are_printed(void **state)
{
	struct scene s;
	struct buf out;

	(void)state;
	assert_int_equal(build(&s, "acting", "stall"), LZ_OK);
	scene_close(&s);
	buf_init(&out, 1 << 20);
	registry_print_metrics(&out);
	buf_add_char(&out, '\0');
	assert_non_null(strstr(out.ptr, "# TYPE latenza_plugin_visit_test_made_total counter\nlatenza_plugin_visit_test_made_total "));
	assert_non_null(strstr(out.ptr, "latenza_plugin_stalls_total{plugin=\"visit-test\"} "));
	assert_null(strstr(out.ptr, "latenza_plugin_stalls_total{plugin=\"visit-test\"} 0\n"));
	buf_free(&out);
}

static int
start(void **state)
{
	struct upstream_options o = { .idle_ms = 60000, .shard_active = 256, .max_idle = 512 };
	struct err e = { "" };

	(void)state;
	json_start();
	loop_start();
	fixture_start();
	registry_start(no_dirs);
	visit_on_release(note_release);
	loop = loop_new(&e);
	pool = pool_new(2, 64, &e);
	if (upstream_start(&e) == ST_OK)
		upstream = upstream_new(loop, &o, &e);
	if (loop == NULL || pool == NULL || upstream == NULL)
		return -1;
	return registry_open(lz_strz(fixture_compile("tests/unit/visit_plugin.c", "visit.so", "-pthread -D_GNU_SOURCE")), STR_NONE, true,
		   false, &e) == ST_OK ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	pool_free(pool);
	upstream_free(upstream);
	loop_free(loop);
	fixture_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_build_leaves_alone_stays_as_it_came),
		cmocka_unit_test(what_build_sets_lives_as_long_as_the_visit),
		cmocka_unit_test(an_answer_at_once_or_later_reaches_emit_and_then_done),
		cmocka_unit_test(fail_is_kept_with_sane_numbers),
		cmocka_unit_test(finish_inside_the_call_is_heard_after_it),
		cmocka_unit_test(pending_with_nothing_under_way_is_an_error_not_a_hang),
		cmocka_unit_test(an_unknown_result_is_an_error),
		cmocka_unit_test(what_finish_leaves_under_way_is_cancelled),
		cmocka_unit_test(the_number_of_things_under_way_is_bounded),
		cmocka_unit_test(ending_a_visit_cancels_each_callback_exactly_once),
		cmocka_unit_test(work_in_the_pool_holds_the_request_until_it_is_home),
		cmocka_unit_test(a_thread_that_posts_too_late_hears_so),
		cmocka_unit_test(a_post_on_its_way_when_the_visit_ends_hears_gone),
		cmocka_unit_test(a_visit_may_be_ended_from_inside_its_own_emit),
		cmocka_unit_test(slot_and_keep_live_from_event_to_event),
		cmocka_unit_test(classify_texts_are_copied_and_unknown_blame_is_not_taken),
		cmocka_unit_test(every_function_takes_nothing_for_an_argument),
		cmocka_unit_test(a_small_body_is_a_tree_at_once_and_edits_stay_apart),
		cmocka_unit_test(a_large_body_is_parsed_in_the_pool_first),
		cmocka_unit_test(a_callout_that_finds_nobody_comes_home_with_an_error),
		cmocka_unit_test(a_router_orders_the_candidates_and_lowers_the_limit),
		cmocka_unit_test(a_router_that_fails_or_is_late_touches_nothing),
		cmocka_unit_test(a_router_may_answer_later_or_refuse),
		cmocka_unit_test(a_plugins_metrics_and_stalls_are_printed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
