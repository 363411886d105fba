/* visit_scene.h - one request on one worker, with candidates, for tests that visit
 * components.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_VISIT_SCENE_H
#define TESTS_VISIT_SCENE_H

#include "plugin_fixture.h"

#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include "plugin/registry.h"
#include "plugin/visit.h"
#include "request/live.h"

enum {
	SCENE_TARGETS = 8
};

struct scene {
	struct worker worker;
	struct request r;
	struct provider provider[SCENE_TARGETS];
	struct model_facts facts[SCENE_TARGETS];
	struct target target[SCENE_TARGETS];
	struct candidate candidate[SCENE_TARGETS];
	char name[SCENE_TARGETS][32];
	struct part *part;
	struct visit *visit;
	lz_http http;
	int done;
	int32_t result;
	json_t *emitted; /* array of all that was */
	lz_usage usage;
	bool ends_in_emit;
};

static struct loop *scene_loop;
static struct pool *scene_pool;
static struct upstream *scene_upstream;

static inline int32_t
scene_on_emit(void *arg, const json_t *j)
{
	struct scene *s = arg;

	assert_int_equal(json_array_append_new(s->emitted, json_deep_copy(j)), 0);
	if (s->ends_in_emit)
		visit_end_all(s->visit);
	return LZ_OK;
}

static inline void
scene_on_usage(void *arg, const lz_usage *u)
{
	((struct scene *)arg)->usage = *u;
}

static inline void
scene_on_done(void *arg, int32_t result)
{
	struct scene *s = arg;

	s->done++;
	s->result = result;
	loop_stop(scene_loop);
}

static inline const struct visit_provider_ops *
scene_ops(void)
{
	static const struct visit_provider_ops ops = { scene_on_emit, scene_on_usage };

	return &ops;
}

/* options: taken. */
static inline struct part *
scene_part(const char *kind, const char *name, json_t *options)
{
	const struct part_info *info = part_get_ops()->find(kind, lz_strz(name), NULL);
	struct err e = { "" };
	struct part *p;

	assert_non_null(info);
	p = part_get_ops()->make(info, name, options, "test", &e);
	json_decref(options);
	if (p == NULL)
		fail_msg("%s", e.text);
	return p;
}

static inline void
scene_body(struct scene *s, const char *text, size_t n)
{
	buf_free(&s->r.body);
	buf_init(&s->r.body, 1 << 20);
	buf_add(&s->r.body, text, n);
}

/* Two candidates, models m0 and m1, all of `part`, which is taken; the attempt is at the
 * first. Names are new for each scene, so that no scene sees another's averages. */
static inline void
scene_open(struct scene *s, struct part *part)
{
	static unsigned scenes;
	static const char body[] =
	    "{\"model\":\"m0\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

	memset(s, 0, sizeof(*s));
	scenes++;
	s->worker.loop = scene_loop;
	s->worker.pool = scene_pool;
	s->worker.upstream = scene_upstream;
	s->part = part;
	s->emitted = json_array();
	s->r.worker = &s->worker;
	s->r.arena = arena_new(REQUEST_ARENA_BYTES);
	s->r.deadline_us = clock_mono_us() + 10 * 1000000;
	s->r.output_limit = s->r.max_tokens = -1;
	s->r.router = part;
	s->r.candidate = s->candidate;
	s->r.candidate_count = 2;
	for (size_t i = 0; i < SCENE_TARGETS; i++) {
		(void)snprintf(s->name[i], sizeof(s->name[i]), "p%u-%zu", scenes, i);
		s->provider[i].name = lz_strz(s->name[i]);
		s->provider[i].part = part;
		s->facts[i].id = i == 0 ? STR_LIT("m0") : STR_LIT("m1");
		s->facts[i].quality = -1;
		s->target[i].provider = &s->provider[i];
		s->target[i].model = &s->facts[i];
		s->target[i].upstream_model = s->facts[i].id;
		s->candidate[i].target = &s->target[i];
		s->candidate[i].estimate_nano_eur = s->candidate[i].bound_nano_eur = -1;
	}
	must(request_may_add_attempt(&s->r));
	request_add_attempt(&s->r);
	s->r.attempt[0]->candidate = &s->candidate[0];
	s->r.attempt[0]->target = &s->target[0];
	s->r.attempt[0]->output_bound = 4096;
	s->r.attempt[0]->credential = STR_LIT("sk-test");
	scene_body(s, body, sizeof(body) - 1);
}

/* Never done from the inside. */
static inline int32_t
scene_build(struct scene *s)
{
	int32_t result;

	s->done = 0;
	s->visit = visit_provider(&s->r, s->r.attempt[0], scene_ops(), s);
	assert_non_null(s->visit);
	s->http = lz_http_to("POST", STR_LIT("http://base"));
	result = visit_build(s->visit, &s->http, scene_on_done, s);
	assert_int_equal(s->done, 0);
	return result;
}

static inline int32_t
scene_wait(struct scene *s)
{
	loop_run(scene_loop);
	assert_int_equal(s->done, 1);
	return s->result;
}

static inline int32_t
scene_build_and_wait(struct scene *s)
{
	int32_t result = scene_build(s);

	return result == LZ_PENDING ? scene_wait(s) : result;
}

static inline void
scene_close(struct scene *s)
{
	visit_end_all(s->visit);
	assert_int_equal(s->r.holds, 0);
	json_decref(s->emitted);
	buf_free(&s->r.body);
	arena_free(s->r.arena);
	part_unref(s->part);
}

/* The i-th thing emitted. */
static inline const json_t *
scene_emitted(const struct scene *s, size_t i)
{
	const json_t *j = json_array_get(s->emitted, i);

	assert_non_null(j);
	return j;
}

static inline void
scene_time_is_up(void *arg)
{
	*(bool *)arg = true;
	loop_stop(scene_loop);
}

/* Turns of the loop for so long, whatever is done meanwhile. */
static inline void
scene_run_for(unsigned ms)
{
	struct loop_timer t = { 0 };
	bool is_up = false;

	assert_int_equal(
	    loop_timer_set(scene_loop, &t, (int64_t)ms * 1000, scene_time_is_up, &is_up),
	    ST_OK);
	while (!is_up)
		loop_run(scene_loop);
}

static inline int
scene_start(void)
{
	static const char *const no_dirs[] = { NULL };
	struct upstream_options o = {
		.idle_ms = 60000, .shard_active = 256, .max_idle = 512
	};
	struct err e = { "" };

	json_start();
	loop_start();
	fixture_start();
	registry_start(no_dirs);
	scene_loop = loop_new(&e);
	scene_pool = pool_new(2, 64, &e);
	if (upstream_start(&e) == ST_OK)
		scene_upstream = upstream_new(scene_loop, &o, &e);
	return scene_loop != NULL && scene_pool != NULL && scene_upstream != NULL ? 0
										  : -1;
}

/* Compiles and opens one plugin of the tree. */
static inline int
scene_open_plugin(const char *source, const char *name, const char *flags)
{
	struct err e = { "" };

	if (registry_open(lz_strz(fixture_compile(source, name, flags)), STR_NONE, true,
		false, &e) == ST_OK)
		return 0;
	print_error("%s\n", e.text);
	return -1;
}

static inline int
scene_stop(void)
{
	pool_free(scene_pool);
	upstream_free(scene_upstream);
	loop_free(scene_loop);
	fixture_stop();
	return 0;
}

#endif
