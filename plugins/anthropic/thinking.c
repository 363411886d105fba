/* thinking.c - reasoning_effort as the model's generation takes it, and what thinking
 * excludes.
 *
 * Up to 4.5 thinking has a budget of tokens, from 4.6 on the model adapts it to an
 * effort. With a budget, a round of tools must begin with the signed thinking that led to
 * it: when a client did not send that back, this turn goes without thinking, and says so.
 *
 * SPDX-License-Identifier: MIT
 */
#include "make.h"

enum {
	THINKS_SINCE = 37, /* generations: 3.7, ... */
	ADAPTS_SINCE = 46,
	EXTRA_HIGH_SINCE = 47,
	ONE_SAMPLING_SINCE = 41,   /* temperature or top_p, not both */
	FIXED_SAMPLING_SINCE = 47, /* neither */
	LEAST_BUDGET = 1024,
	NO_BUDGET = 0,
	DATE_DIGITS = 3 /* as many digits, and it is no version */
};

static const struct {
	const char *effort;
	int64_t budget;
	const char *adaptive; /* as output_config.effort */
} efforts[] = {
	{ "none", NO_BUDGET, NULL },
	{ "minimal", 1024, "low" },
	{ "low", 2048, "low" },
	{ "medium", 8192, "medium" },
	{ "high", 16384, "high" },
	{ "xhigh", 32768, "xhigh" },
	{ "max", 32768, "max" },
};

/* ---- generations ---- */

/* The number at s[*at], which must be a segment of its own between dashes; -1: it is
 * none. *at moves behind the segment. */
static int
segment_number(lz_str s, size_t *at)
{
	size_t from = *at, end = from;
	int n = 0, is_number = 1;

	for (; end < s.len && s.ptr[end] != '-' && s.ptr[end] != '@'; end++) {
		is_number &= s.ptr[end] >= '0' && s.ptr[end] <= '9';
		if (is_number && end - from < DATE_DIGITS)
			n = n * 10 + (s.ptr[end] - '0');
	}
	*at = end < s.len ? end + 1 : end;
	return is_number && end > from && end - from < DATE_DIGITS ? n : -1;
}

int
thinking_generation(lz_str model)
{
	static const char family[] = "claude-";
	const size_t n = sizeof(family) - 1;
	size_t at = 0;
	int major = -1, minor;

	while (at + n <= model.len && memcmp(model.ptr + at, family, n) != 0)
		at++;
	if (at + n > model.len)
		return 0;
	for (at += n; major < 0 && at < model.len;)
		major = segment_number(model, &at);
	if (major < 0)
		return 0;
	minor = at < model.len ? segment_number(model, &at) : -1;
	return major * 10 + (minor > 0 && minor < 10 ? minor : 0);
}

static int32_t
way_of(const struct making *m)
{
	if (m->self->thinking != THINKING_BY_MODEL)
		return m->self->thinking;
	if (m->generation == 0 || m->generation >= ADAPTS_SINCE)
		return THINKING_ADAPTIVE;
	return m->generation >= THINKS_SINCE ? THINKING_BUDGET : THINKING_NEVER;
}

/* ---- thinking ---- */

static void
set_thinking(struct making *m, const char *type, int64_t budget)
{
	lz_json *thinking = message_block(m, type);

	if (budget > NO_BUDGET)
		make_set(m, thinking, "budget_tokens", make_int(m, budget));
	make_set(m, m->out, "thinking", thinking);
}

/* It must leave room for the answer. NO_BUDGET: there is too little for both. */
static int64_t
budget_of(const struct making *m, size_t effort)
{
	int64_t most = m->max_tokens / 4 * 3;
	int64_t budget = efforts[effort].budget;

	budget = budget < most ? budget : most;
	return budget >= LEAST_BUDGET ? budget : NO_BUDGET;
}

/* Thinking and a tool that must be called exclude each other. */
static int
is_forced(const lz_json *choice)
{
	lz_str type = make_word(lz->json_at(choice, "/type"));

	return lz_eq(type, "any") || lz_eq(type, "tool");
}

static void
set_adaptive(struct making *m, lz_json *config, size_t effort)
{
	const char *word = efforts[effort].adaptive;

	if (word == NULL) {
		set_thinking(m, "disabled", NO_BUDGET);
		return;
	}
	if (strcmp(word, "xhigh") == 0 && m->generation > 0 &&
	    m->generation < EXTRA_HIGH_SINCE)
		word = "max";
	set_thinking(m, "adaptive", NO_BUDGET);
	make_set(m, config, "effort", make_text(m, lz_strz(word)));
}

/* Does the model think? */
static int
set_effort(struct making *m, lz_json *config, const lz_json *choice, size_t effort)
{
	int32_t way = way_of(m);
	int is_wanted = efforts[effort].adaptive != NULL;
	int64_t budget = budget_of(m, effort);

	if (way == THINKING_ADAPTIVE && !(is_wanted && is_forced(choice))) {
		set_adaptive(m, config, effort);
		return is_wanted;
	}
	if (!is_wanted)
		return 0;
	if (way != THINKING_BUDGET || is_forced(choice) || budget == NO_BUDGET ||
	    (m->ends_in_tools && m->lacks_signed)) {
		make_dropped(m, "reasoning_effort");
		return 0;
	}
	set_thinking(m, "enabled", budget);
	return 1;
}

static int
set_asked(struct making *m, lz_json *config, const lz_json *choice)
{
	const lz_json *effort = make_asked(m, "/reasoning_effort");
	const lz_json *own = make_asked(m, "/thinking"); /* Anthropic's, as it stands */

	if (own != NULL) {
		make_set(m, m->out, "thinking", own);
		return !lz_eq(make_word(lz->json_at(own, "/type")), "disabled");
	}
	if (effort == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(efforts) / sizeof(efforts[0]); i++)
		if (lz_eq(make_word(effort), efforts[i].effort))
			return set_effort(m, config, choice, i);
	make_refuse(m, LZ_UPSTREAM_CALLER, "reasoning_effort",
	    "'reasoning_effort' must be none, minimal, low, medium, high, xhigh or max");
	return 0;
}

/* ---- sampling ---- */

static int
is_1(const lz_json *v)
{
	return lz->json_num(v, 0) >= 1 && lz->json_num(v, 0) <= 1;
}

/* 1 is what Anthropic does unless told otherwise. */
static void
drop_sampling(struct making *m, const char *name, const lz_json *v)
{
	if (v != NULL && !is_1(v))
		make_dropped(m, name);
}

static void
set_temperature(struct making *m, const lz_json *v)
{
	if (v == NULL)
		return;
	if (lz->json_num(v, 0) > 1) {
		make_dropped(m, "temperature"); /* cut to what it takes */
		v = make_int(m, 1);
	}
	make_set(m, m->out, "temperature", v);
}

static void
set_sampling(struct making *m, int is_thinking)
{
	const lz_json *temperature = make_asked(m, "/temperature"),
		      *top_p = make_asked(m, "/top_p"), *top_k = make_asked(m, "/top_k");

	if (is_thinking || m->generation >= FIXED_SAMPLING_SINCE) {
		drop_sampling(m, "temperature", temperature);
		drop_sampling(m, "top_p", top_p);
		if (top_k != NULL)
			make_dropped(m, "top_k");
		return;
	}
	set_temperature(m, temperature);
	if (temperature != NULL &&
	    (m->generation == 0 || m->generation >= ONE_SAMPLING_SINCE))
		drop_sampling(m, "top_p", top_p);
	else if (top_p != NULL)
		make_set(m, m->out, "top_p", top_p);
	if (top_k != NULL)
		make_set(m, m->out, "top_k", top_k);
}

void
thinking_set(struct making *m, lz_json *output_config, const lz_json *choice)
{
	set_sampling(m, set_asked(m, output_config, choice));
}
