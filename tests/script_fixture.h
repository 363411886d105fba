/* script_fixture.h - a script, one visit, and what came of it, as JSON texts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SCRIPT_FIXTURE_H
#define TESTS_SCRIPT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/log.h"
#include "lua/fake.h"
#include "plugin/host.h"

/* A guardrail or router around the body of its function. */
#define CHECK(body)                                                                      \
	"return { kind = 'guardrail', name = 'test', on = { 'request', 'response' },\n"  \
	"check = function(req, options)\n" body "\nend }\n"
#define PICK(body)                                                                       \
	"return { kind = 'router', name = 'test',\n"                                     \
	"pick = function(req, targets, options)\n" body "\nend }\n"

static inline const lz_host *
fixture_host(void)
{
	static lz_host host;

	if (host.size == 0)
		host_fill(&host, NULL);
	return &host;
}

static inline struct script *
fixture_load_with(const char *source, const struct script_limits *limits,
    const char *grant, struct err *e)
{
	lz_str granted = lz_strz(grant);
	struct script_source q = {
		.file = "test.lua", .text = lz_strz(source), .limits = limits
	};

	if (grant != NULL) {
		q.http = &granted;
		q.http_count = 1;
	}
	return script_load(&q, e);
}

/* The usual ones but for time, of which valgrind and the like take much. */
static inline const struct script_limits *
fixture_limits(void)
{
	static struct script_limits limits;

	limits = script_limits_usual;
	limits.watchdog_ms = 0;
	limits.wall_ms = 300000;
	return &limits;
}

static inline struct script *
fixture_load(const char *source)
{
	struct err e = { "" };
	struct script *s;

	s = fixture_load_with(
	    source, fixture_limits(), "https://finance.internal/api", &e);
	if (s == NULL)
		fail_msg("%s", e.text);
	return s;
}

/* The sentence with which the source is refused. */
static inline const char *
fixture_refused(const char *source)
{
	static struct err e;
	struct script *s;

	e.text[0] = '\0';
	s = fixture_load_with(source, fixture_limits(), NULL, &e);
	if (s != NULL)
		fail_msg("was taken");
	return e.text;
}

/* What one visit of a loaded script tells; owned. */
static inline json_t *
fixture_visit(struct script *s, const char *document)
{
	struct fake *f = fake_new(fixture_host());
	struct err e = { "" };
	json_t *d = json_parse(lz_strz(document), &e), *told;

	value_forget();
	if (d == NULL)
		fail_msg("%s", e.text);
	told = fake_visit(f, s, d, &e);
	if (told == NULL)
		fail_msg("%s", e.text);
	json_decref(d);
	fake_free(f);
	return told;
}

static inline json_t *
fixture_run(const char *source, const char *document)
{
	struct script *s = fixture_load(source);
	json_t *told = fixture_visit(s, document);

	script_unref(s);
	return told;
}

static inline const char *
fixture_member(const json_t *told, const char *name)
{
	const json_t *value = json_object_get(told, name);

	return json_is_string(value) ? json_string_value(value) : "(none)";
}

/* Runs and compares one member. */
static inline void
assert_tells(
    const char *source, const char *document, const char *name, const char *wanted)
{
	json_t *told = fixture_run(source, document);

	if (strcmp(fixture_member(told, name), wanted) != 0)
		fail_msg("%s is \"%s\", wanted \"%s\"; error: %s; of %s", name,
		    fixture_member(told, name), wanted, fixture_member(told, "error"),
		    source);
	json_decref(told);
}

/* The check's body fails with a sentence that has `wanted` in it. */
static inline void
assert_fails(const char *source, const char *wanted)
{
	json_t *told = fixture_run(source, "{\"text\":\"a\"}");

	if (strstr(fixture_member(told, "error"), wanted) == NULL)
		fail_msg("error is \"%s\" (%s), wanted \"%s\"; of %s",
		    fixture_member(told, "error"), fixture_member(told, "verdict"),
		    wanted, source);
	json_decref(told);
}

#endif
