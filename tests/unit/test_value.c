/* test_value.c - the JSON functions that plugins call: reading without checks, writing
 * without surprises.
 *
 * SPDX-License-Identifier: MIT
 */
#include "plugin_fixture.h"

#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"

static struct visit visit;
static lz_host host;
static const lz_host *lz = &host;
static lz_call *const call = (lz_call *)(void *)&visit;

static lz_json *
parse(const char *text)
{
	return lz->json_parse(call, lz_strz(text));
}

static void
assert_text(const lz_json *j, const char *wanted)
{
	lz_str text = lz->json_text(call, j);
	char got[1000] = "";

	assert_true(text.len < sizeof(got));
	if (text.len > 0)
		memcpy(got, text.ptr, text.len);
	assert_string_equal(got, wanted);
}

static int
open_call(void **state)
{
	(void)state;
	memset(&visit, 0, sizeof(visit));
	visit.now = &visit.scratch;
	visit.thread = pthread_self();
	value_forget();
	return 0;
}

static int
close_call(void **state)
{
	(void)state;
	memory_reset(&visit.scratch);
	memory_reset(&visit.keep);
	return 0;
}

static void
pointers_are_rfc_6901(void **state)
{
	const lz_json *j =
	    parse("{\"a\":[1,{\"b\":\"x\"}],\"\":0,\"a/b\":1,\"m~n\":2,\"0\":3}");

	(void)state;
	assert_int_equal(lz->json_int(lz->json_at(j, "/a/0"), -1), 1);
	assert_true(lz_eq(lz->json_str(lz->json_at(j, "/a/1/b"), lz_strz("")), "x"));
	assert_int_equal(lz->json_int(lz->json_at(j, "/"), -1), 0);
	assert_int_equal(lz->json_int(lz->json_at(j, "/a~1b"), -1), 1);
	assert_int_equal(lz->json_int(lz->json_at(j, "/m~0n"), -1), 2);
	assert_int_equal(lz->json_int(lz->json_at(j, "/0"), -1), 3);
	assert_ptr_equal(lz->json_at(j, ""), j);
	assert_null(lz->json_at(j, "a"));
	assert_null(lz->json_at(j, "/a/00"));
	assert_null(lz->json_at(j, "/a/-"));
	assert_null(lz->json_at(j, "/a/2"));
	assert_null(lz->json_at(j, "/a/1/b/c"));
	assert_null(lz->json_at(j, "/m~2n"));
	assert_null(lz->json_at(j, NULL));
	assert_null(lz->json_at(NULL, "/a"));
}

static void
readers_take_absent_and_wrong_types(void **state)
{
	const lz_json *j = parse("[null,true,5,7.0,1.5,\"s\",[],{}]");
	static const int32_t types[] = { LZ_NULL, LZ_BOOL, LZ_INT, LZ_REAL, LZ_REAL,
		LZ_STRING, LZ_ARRAY, LZ_OBJECT };

	(void)state;
	assert_int_equal(lz->json_len(j), 8);
	for (size_t i = 0; i < 8; i++) {
		const lz_json *item = lz->json_item(j, i, NULL);

		assert_int_equal(lz->json_type(item), types[i]);
		assert_true(lz_eq(lz->json_str(item, lz_strz("-")), i == 5 ? "s" : "-"));
		assert_int_equal(lz->json_bool(item, -9), i == 1 ? 1 : -9);
	}
	assert_int_equal(lz->json_int(lz->json_item(j, 2, NULL), -1), 5);
	assert_int_equal(
	    lz->json_int(lz->json_item(j, 3, NULL), -1), 7); /* 7.0 is seven */
	assert_int_equal(lz->json_int(lz->json_item(j, 4, NULL), -1), -1);
	assert_true(lz->json_num(lz->json_item(j, 2, NULL), -1) == 5.0);
	assert_null(lz->json_item(j, 8, NULL));
	assert_null(lz->json_parse(call, lz_strz("{")));
	assert_null(lz->json_parse(call, lz_strn(NULL, 0)));
	assert_int_equal(lz->json_type(NULL), LZ_NULL);
	assert_int_equal(lz->json_len(NULL), 0);
}

static void
members_are_walked_in_order_also_while_they_change(void **state)
{
	lz_json *j = lz->json_new(call, LZ_OBJECT);
	char key[16];
	lz_str k;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(
		    lz->json_set(call, j, lz_strz(key), lz->json_of_int(call, i)), LZ_OK);
	}
	for (size_t i = 0; i < lz->json_len(j); i++)
		assert_int_equal(lz->json_int(lz->json_item(j, i, &k), -1), i);
	assert_true(lz_eq(k, "k1999"));
	/* The one that was found last goes; what was remembered of it must not be used.
	 */
	assert_int_equal(lz->json_put(call, j, "/k1999", NULL), LZ_OK);
	assert_null(lz->json_item(j, 1999, &k));
	assert_int_equal(lz->json_int(lz->json_item(j, 1998, &k), -1), 1998);
	assert_int_equal(lz->json_int(lz->json_item(j, 0, &k), -1), 0);
}

static void
put_makes_the_path_it_needs(void **state)
{
	lz_json *j = lz->json_new(call, LZ_OBJECT);

	(void)state;
	assert_int_equal(lz->json_put(call, j, "/choices/0/delta/content",
			     lz->json_of_str(call, lz_strz("a\"b"))),
	    LZ_OK);
	assert_int_equal(
	    lz->json_put(call, j, "/choices/-/index", lz->json_of_int(call, 1)), LZ_OK);
	assert_text(
	    j, "{\"choices\":[{\"delta\":{\"content\":\"a\\\"b\"}},{\"index\":1}]}");
	assert_int_equal(
	    lz->json_put(call, j, "/choices/0/delta/content/x", lz->json_of_int(call, 1)),
	    LZ_E_INVALID);
	assert_int_equal(
	    lz->json_put(call, j, "/choices/7", lz->json_of_int(call, 1)), LZ_E_INVALID);
	assert_int_equal(lz->json_put(call, j, "/choices/1", NULL), LZ_OK);
	assert_int_equal(lz->json_put(call, j, "/no/such/path", NULL), LZ_OK);
	assert_int_equal(
	    lz->json_put(call, j, "", lz->json_of_int(call, 1)), LZ_E_INVALID);
	assert_text(j, "{\"choices\":[{\"delta\":{\"content\":\"a\\\"b\"}}]}");
	assert_int_equal(
	    lz->json_set(call, j, lz_strn("a\0b", 3), lz->json_of_int(call, 1)),
	    LZ_E_INVALID);
	assert_int_equal(lz->json_set(call, j, lz_strz("\xff"), lz->json_of_int(call, 1)),
	    LZ_E_INVALID);
}

static void
what_came_by_const_reference_is_copied_when_written_through(void **state)
{
	const lz_json *theirs =
	    parse("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
	lz_json *mine = lz->json_new(call, LZ_OBJECT);

	(void)state;
	assert_int_equal(
	    lz->json_put(call, mine, "/contents", lz->json_at(theirs, "/messages")),
	    LZ_OK);
	assert_int_equal(lz->json_put(call, mine, "/contents/0/role",
			     lz->json_of_str(call, lz_strz("model"))),
	    LZ_OK);
	assert_text(mine, "{\"contents\":[{\"role\":\"model\",\"content\":\"x\"}]}");
	assert_text(theirs, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
}

static void
what_lost_its_place_does_not_become_ones_own(void **state)
{
	const lz_json *theirs = parse("{\"a\":{\"b\":{\"c\":1}}}");
	lz_json *one = lz->json_new(call, LZ_OBJECT),
		*two = lz->json_new(call, LZ_OBJECT);

	(void)state;
	(void)lz->json_put(call, one, "/x", lz->json_at(theirs, "/a"));
	(void)lz->json_put(call, two, "/x", lz->json_at(theirs, "/a"));
	(void)lz->json_put(call, one, "/x/b/c",
	    lz->json_of_int(call, 2)); /* copies x and b, keeps the old ones */
	(void)lz->json_put(call, two, "/x/b/c", lz->json_of_int(call, 3));
	assert_text(theirs, "{\"a\":{\"b\":{\"c\":1}}}");
	assert_text(one, "{\"x\":{\"b\":{\"c\":2}}}");
	assert_text(two, "{\"x\":{\"b\":{\"c\":3}}}");
}

static void
what_one_made_stays_shared(void **state)
{
	lz_json *part = lz->json_new(call, LZ_OBJECT),
		*one = lz->json_new(call, LZ_OBJECT), *two = lz->json_new(call, LZ_ARRAY);

	(void)state;
	(void)lz->json_put(call, one, "/p", part);
	(void)lz->json_put(call, two, "/-", part);
	(void)lz->json_put(call, one, "/p/late", lz->json_of_bool(call, 1));
	assert_text(part, "{\"late\":true}");
	assert_text(two, "[{\"late\":true}]");
}

static void
what_is_overwritten_lives_until_the_call_ends(void **state)
{
	lz_json *j = parse("{\"a\":\"some text that is looked at later\"}");
	lz_str text = lz->json_str(lz->json_at(j, "/a"), lz_strz(""));

	(void)state;
	(void)lz->json_put(call, j, "/a", NULL);
	(void)lz->json_put(call, j, "/a", lz->json_of_int(call, 1));
	assert_true(lz_eq(text, "some text that is looked at later"));
}

static void
nothing_becomes_a_part_of_itself(void **state)
{
	lz_json *a = lz->json_new(call, LZ_OBJECT), *b = lz->json_new(call, LZ_OBJECT),
		*list = lz->json_new(call, LZ_ARRAY);

	(void)state;
	assert_int_equal(lz->json_put(call, a, "/self", a), LZ_E_INVALID);
	assert_int_equal(lz->json_put(call, a, "/b", b), LZ_OK);
	assert_int_equal(lz->json_put(call, b, "/a", a), LZ_E_INVALID);
	assert_int_equal(lz->json_put(call, a, "/b/x/y", a), LZ_E_INVALID);
	assert_int_equal(lz->json_set(call, b, lz_strz("a"), a), LZ_E_INVALID);
	assert_int_equal(lz->json_put(call, list, "/-", list), LZ_E_INVALID);
	/* A deep one: each level is held by the list of what was made, too. */
	lz_json *deep = a;
	for (int i = 0; i < 300; i++) {
		lz_json *outer = lz->json_new(call, LZ_OBJECT);

		assert_int_equal(lz->json_put(call, outer, "/d", deep), LZ_OK);
		deep = outer;
	}
	assert_null(lz->json_text(call, deep).ptr); /* deeper than JSON is printed here */
	assert_int_equal(lz->json_put(call, b, "/deep", deep), LZ_E_INVALID);
}

static void
the_number_of_values_is_bounded(void **state)
{
	size_t n = 0;

	(void)state;
	while (lz->json_of_int(call, 1) != NULL)
		n++;
	assert_true(n <= VISIT_VALUES);
	assert_null(lz->json_new(call, LZ_OBJECT));
	assert_null(lz->json_of_num(call, 0.0 / 1.0 - 1e308 * 1e10));
}

static int
start(void **state)
{
	(void)state;
	json_start();
	host_fill(&host, NULL);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_call, close_call)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pointers_are_rfc_6901),
		CASE(readers_take_absent_and_wrong_types),
		CASE(members_are_walked_in_order_also_while_they_change),
		CASE(put_makes_the_path_it_needs),
		CASE(what_came_by_const_reference_is_copied_when_written_through),
		CASE(what_lost_its_place_does_not_become_ones_own),
		CASE(what_one_made_stays_shared),
		CASE(what_is_overwritten_lives_until_the_call_ends),
		CASE(nothing_becomes_a_part_of_itself),
		CASE(the_number_of_values_is_bounded),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
