/* test_tables.c - the tables that a plugin gives: each thing that can be wrong with one
 * is refused in its own words, before anything of it is called.
 *
 * tests/abi/test_hostile.c has files; here are tables alone, which need no compiler.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "plugin/host.h"

static struct plugin owner = { .name = "owner", .path = NULL };

static int32_t
nothing(void *self, lz_call *c)
{
	(void)self;
	(void)c;
	return LZ_OK;
}

static char long_text[PLUGIN_TEXT_BYTES + 2]; /* one byte more than there may be */

static const lz_router router = { .size = sizeof(router), .pick = nothing };

static lz_component
component_of(const char *kind, const void *table)
{
	return (lz_component){
		.kind = kind, .name = "part", .summary = "A part", .vtable = table
	};
}

/* words: of the sentence; NULL: it is taken. */
static void
open_it(const lz_component *given, const char *words)
{
	struct component c;
	struct err e = { "" };
	enum status st = open_component(given, &owner, &c, &e);

	if (words == NULL && st != ST_OK)
		fail_msg("refused: %s", e.text);
	if (words == NULL)
		return;
	assert_int_not_equal(st, ST_OK);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static void
a_component_has_a_kind_a_name_a_summary_a_table_and_a_size(void **state)
{
	const char *const names[] = { NULL, "", "a b", "../x", "caf\xe9", "x\n",
		long_text };
	const char *const summaries[] = { NULL, "", "two\nlines", "caf\xe9", long_text };
	lz_component c = component_of(LZ_ROUTER, &router);

	(void)state;
	open_it(&c, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		c.name = names[i];
		open_it(&c, "a router has no proper name");
	}
	c.name = "part";
	for (size_t i = 0; i < sizeof(summaries) / sizeof(summaries[0]); i++) {
		c.summary = summaries[i];
		open_it(&c, "router 'part' has no summary in one line");
	}
	c.summary = "A part";
	c.vtable = NULL;
	open_it(&c, "has no table of functions");
	c.vtable = &router;
	c.instance_size = (16u << 20) + 1;
	open_it(&c, "wants instances of 16777217 bytes; 16777216 are the most");
	c.instance_size = UINT32_MAX;
	open_it(&c, "wants instances of 4294967295 bytes");
	c.instance_size = 0;
	c.kind = "teleporter/7";
	open_it(&c, "'teleporter/7' is no kind");
}

static void
a_router_picks_and_a_guardrail_checks_in_some_phase(void **state)
{
	lz_router r = router;
	lz_guardrail g = { .size = sizeof(g), .check = nothing, .phases = LZ_REQUEST };
	lz_component c = component_of(LZ_ROUTER, &r);

	(void)state;
	r.size = sizeof(r) - 1;
	open_it(&c, "are needed");
	r.size = UINT32_MAX; /* of a newer header: what we know of it is there */
	open_it(&c, NULL);
	r.pick = NULL;
	open_it(&c, "it has no pick()");
	c = component_of(LZ_GUARDRAIL, &g);
	open_it(&c, NULL);
	g.phases = 0;
	open_it(&c, "it names no phase");
	g.phases = 1u << 31;
	open_it(&c, "it names no phase");
	g.check = NULL;
	open_it(&c, "it has no check()");
	g.size = 0;
	open_it(&c, "says that its table has 0 bytes");
}

static void
a_providers_texts_are_plain_and_its_framing_is_known(void **state)
{
	lz_provider p = { .size = sizeof(p) };
	const lz_component c = component_of(LZ_PROVIDER, &p);

	(void)state;
	open_it(&c, NULL); /* all of it as OpenAI does it */
	p.framing = LZ_JSON_ARRAY + 1;
	open_it(&c, "its framing is none that this Latenza knows");
	p.framing = LZ_JSON_ARRAY;
	p.routes = "chat\nembeddings";
	open_it(&c, "its routes are not a plain text");
	p.routes = "chat embeddings";
	p.base_url = "";
	open_it(&c, "its base_url is not a plain text");
	p.base_url = long_text;
	open_it(&c, "its base_url is not a plain text");
	p.base_url = "https://api.example.com/v1";
	open_it(&c, NULL);
}

static void
a_sink_takes_batches_and_a_site_has_files(void **state)
{
	lz_sink s = { .size = sizeof(s), .max_batch = 1, .deliver = nothing };
	lz_file files[] = { { "index.html", "text/html", "1", "x", 1, 0 },
		{ "a.css", "text/css", "2", NULL, 0, 0 } };
	const lz_file good = files[1];
	lz_site site = {
		.size = sizeof(site), .file_size = sizeof(lz_file), .file_count = 2
	};
	lz_component c = component_of(LZ_SINK, &s);

	(void)state;
	open_it(&c, NULL);
	s.events = "caf\xe9";
	open_it(&c, "its events are not a plain text");
	s.max_batch = 0;
	open_it(&c, "its max_batch is 0");
	s.deliver = NULL;
	open_it(&c, "it has no deliver()");

	c = component_of(LZ_SITE, &site);
	open_it(&c, "its list of files makes no sense");
	site.files = files;
	open_it(&c, NULL);
	site.file_count = UINT64_MAX;
	open_it(&c, "its list of files makes no sense");
	site.file_count = 0;
	open_it(&c, "its list of files makes no sense");
	site.file_count = 2;
	site.file_size = 1;
	open_it(&c, "its list of files makes no sense");
	site.file_size = sizeof(lz_file);
	files[1].path = "/etc/passwd";
	open_it(&c, "one of its files has no path, type, etag or data");
	files[1] = good;
	files[1].type = "";
	open_it(&c, "one of its files has no path, type, etag or data");
	files[1] = good;
	files[1].etag = NULL;
	open_it(&c, "one of its files has no path, type, etag or data");
	files[1] = good;
	files[1].len = 1;
	open_it(&c, "one of its files has no path, type, etag or data");
}

struct own {
	int32_t flag;
	int64_t number;
	double real;
	lz_str text;
	lz_list list;
	const lz_json *tree;
};

static void
each_type_of_option_lies_inside_the_instance_where_it_may_stand(void **state)
{
	static const lz_option rows[] = {
		LZ_OPT_BOOL(struct own, flag, "false", "a flag"),
		LZ_OPT_INT(struct own, number, "1", 0, 10, NULL, "a number"),
		LZ_OPT_REAL(struct own, real, "0.5", 0, 1, "a share"),
		LZ_OPT_TEXT(struct own, text, "", NULL, "a text"),
		LZ_OPT_LIST(struct own, list, "", NULL, "some texts"),
		LZ_OPT_JSON(struct own, tree, "{}", "a tree"),
		LZ_OPT_CHOICE(struct own, flag, "a", "a|b", "a or b"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lz_option row = rows[i];
		lz_component c = component_of(LZ_ROUTER, &router);

		c.options = &row;
		c.option_count = 1;
		c.option_size = sizeof(row);
		c.instance_size = sizeof(struct own);
		open_it(&c, NULL);
		row.offset = sizeof(struct own) - 1;
		open_it(&c, "lies outside the instance");
		row.offset = UINT32_MAX;
		open_it(&c, "lies outside the instance");
		row.offset = 2;
		open_it(&c, "is not aligned (at 2)");
		c.instance_size = rows[i].offset;
		row.offset = rows[i].offset;
		open_it(&c, "lies outside the instance");
	}
}

static void
rows_of_options_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		lz_option row;
		const char *words;
	} wrong[] = {
		{ { NULL, "help", "1", NULL, 0, 0, LZ_INT_OPTION, 8 },
		    "option 0 has no name or no help" },
		{ { "a b", "help", "1", NULL, 0, 0, LZ_INT_OPTION, 8 },
		    "option 0 has no name or no help" },
		{ { "n", NULL, "1", NULL, 0, 0, LZ_INT_OPTION, 8 },
		    "option 0 has no name or no help" },
		{ { "n", "two\nlines", "1", NULL, 0, 0, LZ_INT_OPTION, 8 },
		    "option 0 has no name or no help" },
		{ { "n", "help", "1", NULL, 0, 0, LZ_JSON_OPTION + 1, 8 },
		    "option 'n' has the unknown type" },
		{ { "n", "help", "1", "url", 0, 0, LZ_INT_OPTION, 8 },
		    "the rule \"url\" does not fit its type" },
		{ { "n", "help", "a", NULL, 0, 0, LZ_CHOICE_OPTION, 0 },
		    "the rule \"\" does not fit its type" },
		{ { "n", "help", "1", NULL, 10, 0, LZ_INT_OPTION, 8 },
		    "its least is above its most" },
		{ { "n", "help", "1", NULL, (double)NAN, 0, LZ_INT_OPTION, 8 },
		    "its least is above its most" },
		{ { "n", "help", "11", NULL, 0, 10, LZ_INT_OPTION, 8 }, "n" },
		{ { "n", "help", "c", "a|b", 0, 0, LZ_CHOICE_OPTION, 0 }, "n" },
	};
	lz_component c = component_of(LZ_ROUTER, &router);
	lz_option twice[] = { LZ_OPT_INT(struct own, number, "1", 0, 10, NULL, "a"),
		LZ_OPT_INT(struct own, number, "1", 0, 10, NULL, "b") };

	(void)state;
	c.instance_size = sizeof(struct own);
	c.option_size = sizeof(lz_option);
	c.option_count = 1;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		c.options = &wrong[i].row;
		open_it(&c, wrong[i].words);
	}
	c.options = twice;
	c.option_count = 2;
	open_it(&c, "number");
	c.option_count = 65;
	open_it(&c, "its list of options makes no sense (65 rows of");
	c.option_count = 1;
	c.option_size = sizeof(lz_option) - 1;
	open_it(&c, "its list of options makes no sense");
	c.option_size = sizeof(lz_option);
	c.options = NULL;
	open_it(&c, "its list of options makes no sense");
	c.option_count = 0;
	open_it(&c, NULL);
}

static int
start(void **state)
{
	(void)state;
	json_start();
	memset(long_text, 'a', sizeof(long_text) - 1);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_component_has_a_kind_a_name_a_summary_a_table_and_a_size),
		cmocka_unit_test(a_router_picks_and_a_guardrail_checks_in_some_phase),
		cmocka_unit_test(a_providers_texts_are_plain_and_its_framing_is_known),
		cmocka_unit_test(a_sink_takes_batches_and_a_site_has_files),
		cmocka_unit_test(
		    each_type_of_option_lies_inside_the_instance_where_it_may_stand),
		cmocka_unit_test(rows_of_options_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
