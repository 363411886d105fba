/* test_wordlist.c - the word list against a fake host: no gateway, no network.
 *
 * SPDX-License-Identifier: MIT
 */
#undef NDEBUG
#include <assert.h>
#include <latenza/testhost.h>
#include <stddef.h>

static const char options[] = "{\"words\":[\"blue\",\"ruby\"]}";
static const char blocking[] = "{\"words\":[\"blue\",\"ruby\"],\"block\":true}";

static int
is(lz_str got, const char *wanted)
{
	return lz_eq(got, wanted);
}

static void
listed_words_are_masked_however_they_are_written(void)
{
	struct testhost *h = testhost_new(NULL, "wordlist", options);
	const struct testhost_result *r = testhost_prompt(h, "Blue, bluer, RUBY!");

	assert(r->verdict == LZ_OK && testhost_found(r, "word.listed"));
	assert(is(r->texts[0], "***, bluer, ***!"));
	/* A zero-width space inside, then a Cyrillic letter that looks like an e. */
	r = testhost_prompt(h, "bl\xe2\x80\x8bue blu\xd0\xb5");
	assert(is(r->texts[0], "*** ***"));
	testhost_free(h);
	/* One character that stands for a.m.: there is no part of it to be masked. */
	h = testhost_new(NULL, "wordlist", "{\"words\":[\"a\"]}");
	assert(testhost_prompt(h, "at 9 \xe3\x8f\x82")->verdict == LZ_BLOCK);
	testhost_free(h);
}

static void
the_whole_text_is_refused_if_that_is_wanted(void)
{
	struct testhost *h = testhost_new(NULL, "wordlist", blocking);

	assert(testhost_answer(h, "the ruby is gone")->verdict == LZ_BLOCK);
	assert(testhost_answer(h, "the rubies are gone")->verdict == LZ_OK);
	testhost_free(h);
}

/* Ten thousand ways to cut an answer: the same result, and no byte of the word left. */
static void
a_stream_gives_the_result_of_the_whole_text(void)
{
	static const char text[] = "A blue \xc3\xa9toile, a blu e, RUBY and ruby";
	struct testhost *h = testhost_new(NULL, "wordlist", options);

	assert(testhost_cuts(h, text, "blue", 10000, 1) == 0);
	testhost_free(h);
	h = testhost_new(NULL, "wordlist", blocking);
	assert(testhost_cuts(h, text, "blue", 10000, 2) == 0);
	testhost_free(h);
}

static void
the_list_is_required(void)
{
	assert(testhost_refusal(NULL, "wordlist", "{}") != NULL);
	assert(testhost_refusal(NULL, "wordlist", "{\"words\":5}") != NULL);
	assert(testhost_refusal(NULL, "wordlist", options) == NULL);
}

int
main(void)
{
	listed_words_are_masked_however_they_are_written();
	the_whole_text_is_refused_if_that_is_wanted();
	a_stream_gives_the_result_of_the_whole_text();
	the_list_is_required();
	return 0;
}
