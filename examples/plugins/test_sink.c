/* test_sink.c - a batch of events delivered, against a fake host.
 *
 * SPDX-License-Identifier: MIT
 */
#undef NDEBUG
#include <assert.h>
#include <latenza/testhost.h>
#include <stddef.h>
#include <string.h>

int
main(void)
{
	struct testhost *h = testhost_new(NULL, "log", NULL);

	testhost_set_body(h, "[{\"type\":\"budget.alert\"}]");
	assert(testhost_deliver(h)->verdict == LZ_OK);
	assert(strstr(testhost_log(h), "budget.alert") != NULL);
	testhost_free(h);
	return 0;
}
