/* policy_scene.h - a request, three targets and their live cells, for tests of policy/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_POLICY_SCENE_H
#define TESTS_POLICY_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "policy/policy.h"
#include "request/live.h"

enum {
	TARGETS = 3
};

static struct loop *loop;
static struct worker worker;
static struct config config;
static struct provider provider[TARGETS];
static struct model_facts model[TARGETS];
static struct target target[TARGETS];
static const struct target *any[TARGETS];
static struct request request;
static struct request *const r = &request;
static lz_budget budget;
static bool has_budget, is_test_key;
static const char *forbidden; /* a model that the key may not use */

static bool
show_budget(struct request *of, uint32_t scope, lz_budget *out)
{
	(void)of;
	(void)scope;
	if (has_budget)
		*out = budget;
	return has_budget;
}

/* What a stage that waited said at last; -1: nothing yet. */
static int went_on;

static void
go_on(struct request *of, enum step s)
{
	(void)of;
	went_on = (int)s;
	loop_stop(loop);
}

static const struct request_ops ops = { .go_on = go_on, .budget = show_budget };

static bool
allows(const struct request *asking, lz_str name)
{
	(void)asking;
	return forbidden == NULL || !str_is(name, forbidden);
}

/* $1 and $2 per million tokens, one euro per dollar: 1,000 and 2,000 nano-EUR a token. */
static void
set_target(unsigned i, const char *provider_name, const char *id)
{
	provider[i] = (struct provider){ .name = lz_strz(provider_name) };
	model[i] = (struct model_facts){ .id = lz_strz(id),
		.context_window = 10000,
		.max_output_tokens = 1000,
		.price_input = 1000000,
		.price_output = 2000000,
		.price_cache_read = -1,
		.price_cache_write = -1,
		.quality = -1 };
	target[i].provider = &provider[i];
	target[i].model = &model[i];
	target[i].upstream_model = model[i].id;
	target[i].is_deployment = false;
	atomic_store(&target[i].live, NULL);
}

/* Names are new for each scene: live cells are for ever. */
static void
set_scene(void)
{
	static char name[TARGETS][32];
	static unsigned scenes;

	scenes++;
	for (unsigned i = 0; i < TARGETS; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "p%u-%u", scenes, i);
		set_target(i, name[i], i == 0 ? "m0" : i == 1 ? "m1" : "m2");
	}
	config = (struct config){
		.fx_nano_eur_per_usd = 1000000000, .attempts = 3, .backoff_ms = 2
	};
	for (unsigned i = 0; i < TARGETS; i++)
		any[i] = &target[i];
	config.any = any;
	config.any_count = TARGETS;
	arena_free(request.arena);
	request = (struct request){ .worker = &worker,
		.ops = &ops,
		.config = &config,
		.arena = arena_new(REQUEST_ARENA_BYTES),
		.model = STR_LIT("latenza/any"),
		.choices = 1,
		.max_tokens = -1,
		.output_limit = -1,
		.prompt_tokens = 25,
		.prompt_bound = 100,
		.capability_param = "tools",
		.deadline_us = INT64_MAX };
	has_budget = is_test_key = false;
	went_on = -1;
	forbidden = NULL;
	budget = (lz_budget){ .size = sizeof budget, .limit = 1000000000 };
}

static enum step
find(void)
{
	return policy_candidates(r, allows, is_test_key, has_budget);
}

static void
fail_five_times(struct live *l)
{
	for (unsigned n = 0; n < 5; n++) {
		assert_int_equal(
		    live_begin(l, loop_now(loop)->mono_us, false), LIVE_BEGUN);
		live_ended(l, loop_now(loop)->mono_us, true, false, -1, -1, 0);
	}
}

static inline void
break_down(unsigned i)
{
	fail_five_times(live_of(&target[i]));
}

static int
scene_start(void **state)
{
	struct err e = { "" };

	(void)state;
	loop_start();
	loop = loop_new(&e);
	worker.loop = loop;
	return loop != NULL ? 0 : -1;
}

static int
scene_stop(void **state)
{
	(void)state;
	arena_free(request.arena);
	loop_free(loop);
	return 0;
}

#endif
