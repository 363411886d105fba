/* test_router.c - the order that the router gives targets, against a fake host.
 *
 * SPDX-License-Identifier: MIT
 */
#undef NDEBUG
#include <assert.h>
#include <latenza/testhost.h>
#include <stddef.h>

static void
targets_of_the_region_come_first(void)
{
	struct testhost *h = testhost_new(NULL, "near", "{\"region\":\"eu\"}");
	const struct testhost_result *r;

	testhost_add_target(h, "a", "m")->region = lz_strz("us");
	testhost_add_target(h, "b", "m")->region = lz_strz("eu");
	(void)testhost_add_target(h, "c", "m"); /* of no region */
	r = testhost_pick(h);
	assert(r->verdict == LZ_OK && r->preference_count == 3);
	assert(r->preferences[0].target == 1 && r->preferences[1].target == 0);
	assert(lz_eq(r->preferences[2].why, "elsewhere"));
	testhost_free(h);
}

static void
a_region_is_a_text(void)
{
	assert(testhost_refusal(NULL, "near", "{\"region\":5}") != NULL);
	assert(testhost_refusal(NULL, "near", NULL) == NULL);
}

int
main(void)
{
	targets_of_the_region_come_first();
	a_region_is_a_text();
	return 0;
}
