/* test_vendor.c - one attempt against a fake host: what is sent, what comes of the
 * answer.
 *
 * SPDX-License-Identifier: MIT
 */
#undef NDEBUG
#include <assert.h>
#include <latenza/testhost.h>
#include <stddef.h>

static void
the_request_is_openais_but_for_what_differs(struct testhost *h)
{
	const struct testhost_result *r;

	testhost_set_credential(h, "sk-acme");
	testhost_set_body(
	    h, "{\"model\":\"m\",\"seed\":7,\"max_tokens\":50,\"messages\":[]}");
	r = testhost_build(h);
	assert(r->verdict == LZ_OK);
	assert(lz_eq(r->http.url, "https://api.acme.test/v1/chat/completions"));
	assert(lz_eq(testhost_header(&r->http, "x-acme-key"), "sk-acme"));
	assert(testhost_header(&r->http, "authorization").ptr == NULL);
	assert(lz_eq(r->http.body,
	    "{\"model\":\"test-model\",\"messages\":[],\"output_tokens\":50}"));
	assert(r->dropped_count == 1 && lz_eq(r->dropped[0], "seed"));
}

static void
usage_is_read_from_the_meter(struct testhost *h)
{
	const struct testhost_result *r =
	    testhost_reply(h, 200, "{\"meter\":{\"in\":7,\"cached\":2,\"out\":5}}");

	assert(r->verdict == LZ_OK && r->emitted_count == 1);
	assert(r->usage.input == 5 && r->usage.cache_read == 2 && r->usage.output == 5);
	assert(testhost_reply(h, 200, "<html>")->verdict == LZ_E_FAIL);
}

static void
a_stream_is_passed_on_without_its_pings(struct testhost *h)
{
	assert(testhost_event(h, "ping", "{}")->emitted_count == 0);
	assert(testhost_event(h, "", "{\"choices\":[]}")->emitted_count == 1);
}

static void
its_errors_are_told_apart(struct testhost *h)
{
	static const char broke[] = "{\"problem\":\"out_of_credit\"}";
	static const char long_one[] = "{\"problem\":\"prompt_too_long\"}";

	assert(testhost_classify(h, 403, broke)->fault.upstream == LZ_UPSTREAM_QUOTA);
	assert(
	    testhost_classify(h, 400, long_one)->fault.upstream == LZ_UPSTREAM_CONTEXT);
	assert(testhost_classify(h, 503, "busy")->fault.upstream == LZ_UPSTREAM_DOWN);
}

int
main(void)
{
	struct testhost *h = testhost_new(NULL, "vendor", NULL);

	the_request_is_openais_but_for_what_differs(h);
	usage_is_read_from_the_meter(h);
	a_stream_is_passed_on_without_its_pings(h);
	its_errors_are_told_apart(h);
	testhost_free(h);
	return 0;
}
