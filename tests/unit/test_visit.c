/* test_visit.c - a visit gives a component what the SDK promises, and ends exactly once,
 * whatever the component does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "visit_scene.h"

static int released;

static int64_t
counted(const char *what)
{
	return shared_add(lz_strz(what), 0, 0);
}

/* What the test plugin said last. */
static const char *
said(const struct scene *s)
{
	const json_t *j = json_object_get(
	    json_array_get(s->emitted, json_array_size(s->emitted) - 1), "said");

	return json_string_value(j) != NULL ? json_string_value(j) : "";
}

static struct part *
acting(const char *kind, const char *name, const char *act, const char *url)
{
	return scene_part(kind, name, json_pack("{s:s,s:s}", "act", act, "url", url));
}

static int32_t
build(struct scene *s, const char *component, const char *act)
{
	scene_open(s, acting("provider", component, act, ""));
	return scene_build(s);
}

static void
run_until(const char *what, int64_t at_least)
{
	for (int i = 0; i < 500 && counted(what) < at_least; i++)
		scene_run_for(10);
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
	assert_string_equal(said(&s), "at once");
	scene_close(&s);
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		int64_t before = counted("called.ok"),
			twice = counted("finish.twice.refused");

		assert_int_equal(build(&s, "acting", later[i]), LZ_PENDING);
		assert_int_equal(scene_wait(&s), LZ_ANSWERED);
		assert_string_equal(said(&s), "later");
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

/* What a caller writes under "key." does not pass for the key's. */
static void
a_component_sees_who_asks_and_the_keys_own_metadata(void **state)
{
	struct scene s;
	json_t *metadata = json_pack("{s:s}", "team", "billing");

	(void)state;
	scene_open(&s, acting("provider", "acting", "who", ""));
	s.r.metadata = STR_LIT("{\"key.team\":\"mine\",\"key.mine\":\"mine\"}");
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_string_equal(said(&s), "-/- team=- mine=- - -");
	scene_close(&s);
	scene_open(&s, acting("provider", "acting", "who", ""));
	s.r.metadata = STR_LIT("{\"key.team\":\"mine\",\"key.mine\":\"mine\"}");
	s.r.caller = (struct caller){ .key = STR_LIT("backend"),
		.organization = STR_LIT("default"),
		.metadata = metadata };
	assert_int_equal(scene_build(&s), LZ_ANSWERED);
	assert_string_equal(said(&s), "backend/default team=billing mine=- - -");
	scene_close(&s);
	json_decref(metadata);
}

static void
finish_inside_the_call_is_heard_after_it(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "finish inside"), LZ_PENDING);
	assert_int_equal(scene_wait(&s), LZ_ANSWERED);
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
		assert_int_equal(scene_wait(&s), LZ_E_FAIL);
		scene_close(&s);
	}
}

static void
an_unknown_result_is_an_error(void **state)
{
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "nonsense"), LZ_E_FAIL);
	assert_int_equal(
	    visit_event(s.visit, STR_LIT("pending"), STR_LIT("{}")), LZ_E_FAIL);
	scene_close(&s);
}

static void
what_finish_leaves_under_way_is_cancelled(void **state)
{
	int64_t gone = counted("nofinish.gone");
	struct scene s;

	(void)state;
	assert_int_equal(build(&s, "acting", "two"), LZ_PENDING);
	assert_int_equal(scene_wait(&s), LZ_OK);
	assert_int_equal(counted("nofinish.gone"), gone + 1);
	/* ... and so is what a reply() asked for and did not wait for. */
	lz_reply r = { .size = sizeof(r), .status = 200 };
	assert_int_equal(visit_reply(s.visit, &r), LZ_OK);
	assert_int_equal(counted("nofinish.gone"), gone + 2);
	scene_close(&s);
}

/* However the component waits: what comes home while it is paused is not called. */
static void
a_paused_visit_hears_nothing_until_it_goes_on(void **state)
{
	static const char *const later[] = { "after", "offload", "post" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		int64_t before = counted("called.ok");

		assert_int_equal(build(&s, "acting", later[i]), LZ_PENDING);
		visit_pause(s.visit);
		scene_run_for(60);
		assert_int_equal(counted("called.ok"), before);
		assert_int_equal(s.done, 0);
		visit_go_on(s.visit);
		if (i > 0 && s.done == 0) /* a thread took longer than the pause */
			(void)scene_wait(&s);
		assert_int_equal(s.done, 1);
		assert_int_equal(s.result, LZ_ANSWERED);
		assert_int_equal(counted("called.ok"), before + 1);
		scene_close(&s);
	}
	scene_open(&s, acting("provider", "acting", "http", "http://127.0.0.1:1/"));
	assert_int_equal(scene_build(&s), LZ_PENDING);
	visit_pause(s.visit);
	scene_run_for(60);
	assert_int_equal(s.done, 0);
	visit_go_on(s.visit);
	if (s.done == 0) /* the network took longer than the pause */
		assert_int_equal(scene_wait(&s), LZ_ANSWERED);
	assert_string_equal(said(&s), "http -1 0");
	scene_close(&s);
}

static int32_t
emit_and_pause(void *arg, const json_t *j)
{
	struct scene *s = arg;

	(void)scene_on_emit(s, j);
	visit_pause(s->visit);
	return LZ_OK;
}

/* One callback for each time that the client has room, in the order of their due. */
static void
callbacks_that_had_to_wait_keep_their_order_and_may_pause_again(void **state)
{
	static const struct visit_provider_ops ops = { emit_and_pause, scene_on_usage };
	static const char *const words[] = { "first", "second", "third" };
	struct scene s;

	(void)state;
	scene_open(&s, acting("provider", "acting", "number", ""));
	s.visit = visit_provider(&s.r, s.r.attempt[0], &ops, &s);
	assert_int_equal(visit_build(s.visit, &s.http, scene_on_done, &s), LZ_PENDING);
	visit_pause(s.visit);
	scene_run_for(40);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(json_array_size(s.emitted), i);
		assert_int_equal(s.done, 0);
		visit_go_on(s.visit);
		assert_string_equal(said(&s), words[i]);
	}
	assert_int_equal(s.done, 1);
	assert_int_equal(s.result, LZ_ANSWERED);
	scene_close(&s);
}

static void
what_a_paused_visit_holds_hears_gone_once_when_it_ends(void **state)
{
	static const char *const acts[] = { "after", "offload", "post" };
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int64_t gone = counted("called.gone"), ok = counted("called.ok");

		assert_int_equal(build(&s, "acting", acts[i]), LZ_PENDING);
		visit_pause(s.visit);
		scene_run_for(60);
		scene_close(&s);
		assert_int_equal(counted("called.gone"), gone + 1);
		assert_int_equal(counted("called.ok"), ok);
	}
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
	scene_run_for(5);
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
	int64_t begun = counted("begun");
	struct scene s;

	(void)state;
	released = 0;
	assert_int_equal(build(&s, "acting", "slow offload"), LZ_PENDING);
	run_until("begun", begun + 1);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(s.r.holds, 1);
	s.r.is_finished = true;
	run_until("worked", worked + 1);
	run_until("called.gone", gone + 1);
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
	scene_run_for(1);
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
		assert_int_equal(
		    visit_event(s.visit, STR_LIT("x"), STR_LIT("{\"a\":[1,2,{}]}")),
		    LZ_OK);
		assert_int_equal(json_integer_value(json_object_get(
				     scene_emitted(&s, (size_t)i - 1), "seen")),
		    i);
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
a_body_that_cannot_be_a_tree_is_the_callers_fault(void **state)
{
	static const char twice[] = "{\"model\":\"m0\",\"x\":{\"a\":1,\"a\":2}}";
	struct scene s;

	(void)state;
	scene_open(&s, acting("provider", "trees", "body", ""));
	scene_body(&s, twice, sizeof(twice) - 1);
	assert_int_equal(scene_build(&s), LZ_E_INVALID);
	assert_non_null(visit_fault(s.visit));
	assert_int_equal(visit_fault(s.visit)->upstream, LZ_UPSTREAM_CALLER);
	assert_int_equal(visit_fault(s.visit)->status, 400);
	assert_true(visit_fault(s.visit)->message.len > 10);
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
	n = snprintf(text, 100, "{\"model\":\"m0\",\"messages\":\"");
	memset(text + n, 'x', 150000);
	memcpy(text + n + 150000, "\"}", 2);
	scene_open(&s, acting("provider", "trees", "body", ""));
	scene_body(&s, text, (size_t)n + 150002);
	free(text);
	assert_int_equal(scene_build(&s), LZ_PENDING);
	assert_int_equal(scene_wait(&s), LZ_OK);
	assert_true(s.http.body.len > 150000);
	scene_close(&s);
	/* A body that is no JSON, and a visit that ends meanwhile. */
	scene_open(&s, acting("provider", "trees", "body", ""));
	text = calloc(1, 100000);
	scene_body(&s, text, 100000);
	free(text);
	assert_int_equal(scene_build(&s), LZ_PENDING);
	assert_int_equal(scene_wait(&s), LZ_E_INVALID);
	assert_int_equal(visit_fault(s.visit)->upstream, LZ_UPSTREAM_CALLER);
	visit_end_all(s.visit);
	assert_int_equal(scene_build(&s), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	for (int i = 0; i < 200 && s.r.holds > 0; i++)
		scene_run_for(5);
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
	scene_open(&s, acting("provider", "acting", "http", "http://127.0.0.1:1/"));
	assert_int_equal(scene_build(&s), LZ_PENDING);
	assert_int_equal(scene_wait(&s), LZ_ANSWERED);
	assert_string_equal(said(&s), "http -1 0");
	assert_int_equal(counted("http.home"), home + 1);
	visit_end_all(s.visit);
	assert_int_equal(scene_build(&s), LZ_PENDING);
	visit_end_all(s.visit);
	s.visit = NULL;
	assert_int_equal(counted("http.gone"), gone + 1);
	scene_close(&s);
}

/* ---- all at once ---- */

enum {
	STORM = 1000,
	STORM_AT_ONCE = 100
};

static int64_t
answers_heard(void)
{
	return counted("called.ok") + counted("called.gone") + counted("http.home") +
	       counted("http.gone") + counted("post.gone");
}

/* Ends about half of them while they wait; `left` counts the others' answers to come. */
static void
end_some(struct scene *s, size_t n, unsigned *seed)
{
	for (size_t i = 0; i < n; i++) {
		*seed = *seed * 1103515245u + 12345u;
		if (s[i].visit == NULL || (*seed >> 16) % 2 == 0)
			continue;
		visit_end_all(s[i].visit);
		s[i].visit = NULL;
	}
}

static void
a_thousand_pending_visits_are_each_answered_exactly_once(void **state)
{
	static const char *const acts[] = { "after", "offload", "post", "forever", "http",
		"slow offload" };
	static struct scene s[STORM_AT_ONCE];
	int64_t before = answers_heard(), done = 0;
	unsigned seed = 1;

	(void)state;
	for (size_t round = 0; round < STORM / STORM_AT_ONCE; round++) {
		for (size_t i = 0; i < STORM_AT_ONCE; i++) {
			const char *act = acts[i % 6];

			/* The pool's queue is bounded; what it refuses is an error at
			 * once. */
			if (strcmp(act, "slow offload") == 0 && i > STORM_AT_ONCE / 8)
				act = "after";
			scene_open(&s[i],
			    acting("provider", "acting", act, "http://127.0.0.1:1/"));
			assert_int_equal(scene_build(&s[i]), LZ_PENDING);
		}
		end_some(s, STORM_AT_ONCE, &seed);
		scene_run_for(3);
		end_some(s, STORM_AT_ONCE, &seed);
		for (int k = 0; k < 10; k++)
			scene_run_for(10);
		for (size_t i = 0; i < STORM_AT_ONCE; i++) {
			assert_true(s[i].done <= 1);
			done += s[i].done;
			visit_end_all(s[i].visit);
			s[i].visit = NULL;
		}
		for (int k = 0; k < 200 && answers_heard() - before <
					       (int64_t)(round + 1) * STORM_AT_ONCE;
		     k++)
			scene_run_for(5);
		for (size_t i = 0; i < STORM_AT_ONCE; i++)
			scene_close(&s[i]);
	}
	assert_int_equal(answers_heard() - before, STORM);
	assert_true(done > STORM / 20);
}

/* ---- out of memory ---- */

static int64_t allocations_left = -1; /* -1: as many as one likes */

static int
fail_once(size_t n, void *arg)
{
	(void)n;
	(void)arg;
	return allocations_left >= 0 && allocations_left-- == 0;
}

static int32_t
on_any_emit(void *arg, const json_t *j)
{
	(void)arg;
	(void)j;
	return LZ_OK;
}

/* One visit whose k-th allocation fails. */
static void
visit_short_of_memory(const char *component, const char *act, int64_t k)
{
	static const struct visit_provider_ops ops = { on_any_emit, scene_on_usage };
	struct scene s;

	scene_open(&s, acting("provider", component, act, "http://127.0.0.1:1/"));
	s.http = lz_http_to("POST", STR_LIT("http://base"));
	allocations_left = k;
	s.visit = visit_provider(&s.r, s.r.attempt[0], &ops, &s);
	if (s.visit != NULL) {
		(void)visit_build(s.visit, &s.http, scene_on_done, &s);
		(void)visit_event(s.visit, STR_LIT("x"), STR_LIT("{\"a\":[1,2]}"));
	}
	allocations_left = -1;
	visit_end_all(s.visit);
	s.visit = NULL;
	for (int i = 0; i < 200 && s.r.holds > 0; i++)
		scene_run_for(2);
	scene_close(&s);
}

static void
any_allocation_may_fail(void **state)
{
	static const char *const acts[] = { "answer", "url", "fail", "after", "offload",
		"http", "two" };

	(void)state;
	mem_set_fault(fail_once, NULL);
	for (int64_t k = 0; k < 60; k++) {
		for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
			visit_short_of_memory("acting", acts[i], k);
		visit_short_of_memory("trees", "body", k);
	}
	mem_set_fault(NULL, NULL);
}

/* ---- routers ---- */

static int32_t
route(struct scene *s, const char *act)
{
	scene_open(s, acting("router", "acting", act, ""));
	s->r.attempt_count = 0;
	return visit_route(&s->r, scene_on_done, s, &s->visit);
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
	assert_int_equal(scene_wait(&s), LZ_E_TIMEOUT);
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
	assert_int_equal(scene_wait(&s), LZ_OK);
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
	assert_non_null(
	    strstr(out.ptr, "# TYPE latenza_plugin_visit_test_made_total "
			    "counter\nlatenza_plugin_visit_test_made_total "));
	assert_non_null(
	    strstr(out.ptr, "latenza_plugin_stalls_total{plugin=\"visit-test\"} "));
	assert_null(
	    strstr(out.ptr, "latenza_plugin_stalls_total{plugin=\"visit-test\"} 0\n"));
	buf_free(&out);
}

static int
start(void **state)
{
	(void)state;
	visit_on_release(note_release);
	if (scene_start() != 0)
		return -1;
	return scene_open_plugin(
	    "tests/unit/visit_plugin.c", "visit.so", "-pthread -D_GNU_SOURCE");
}

static int
stop(void **state)
{
	(void)state;
	return scene_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_build_leaves_alone_stays_as_it_came),
		cmocka_unit_test(what_build_sets_lives_as_long_as_the_visit),
		cmocka_unit_test(an_answer_at_once_or_later_reaches_emit_and_then_done),
		cmocka_unit_test(fail_is_kept_with_sane_numbers),
		cmocka_unit_test(a_component_sees_who_asks_and_the_keys_own_metadata),
		cmocka_unit_test(finish_inside_the_call_is_heard_after_it),
		cmocka_unit_test(pending_with_nothing_under_way_is_an_error_not_a_hang),
		cmocka_unit_test(an_unknown_result_is_an_error),
		cmocka_unit_test(what_finish_leaves_under_way_is_cancelled),
		cmocka_unit_test(a_paused_visit_hears_nothing_until_it_goes_on),
		cmocka_unit_test(
		    callbacks_that_had_to_wait_keep_their_order_and_may_pause_again),
		cmocka_unit_test(what_a_paused_visit_holds_hears_gone_once_when_it_ends),
		cmocka_unit_test(the_number_of_things_under_way_is_bounded),
		cmocka_unit_test(ending_a_visit_cancels_each_callback_exactly_once),
		cmocka_unit_test(work_in_the_pool_holds_the_request_until_it_is_home),
		cmocka_unit_test(a_thread_that_posts_too_late_hears_so),
		cmocka_unit_test(a_post_on_its_way_when_the_visit_ends_hears_gone),
		cmocka_unit_test(a_visit_may_be_ended_from_inside_its_own_emit),
		cmocka_unit_test(slot_and_keep_live_from_event_to_event),
		cmocka_unit_test(
		    classify_texts_are_copied_and_unknown_blame_is_not_taken),
		cmocka_unit_test(every_function_takes_nothing_for_an_argument),
		cmocka_unit_test(a_small_body_is_a_tree_at_once_and_edits_stay_apart),
		cmocka_unit_test(a_body_that_cannot_be_a_tree_is_the_callers_fault),
		cmocka_unit_test(a_large_body_is_parsed_in_the_pool_first),
		cmocka_unit_test(a_callout_that_finds_nobody_comes_home_with_an_error),
		cmocka_unit_test(
		    a_thousand_pending_visits_are_each_answered_exactly_once),
		cmocka_unit_test(any_allocation_may_fail),
		cmocka_unit_test(a_router_orders_the_candidates_and_lowers_the_limit),
		cmocka_unit_test(a_router_that_fails_or_is_late_touches_nothing),
		cmocka_unit_test(a_router_may_answer_later_or_refuse),
		cmocka_unit_test(a_plugins_metrics_and_stalls_are_printed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
