/* fault.c - whose fault it is that Anthropic did not answer.
 *
 * The host has judged by the status; the error's type and, where the type says too
 * little, its sentence say the rest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "anthropic.h"

enum {
	RETRY_MOST_MS = 300000
};

static const struct {
	const char *type;
	int32_t upstream;
	const char *code; /* OpenAI's; NULL: none */
} types[] = {
	{ "invalid_request_error", LZ_UPSTREAM_CALLER, NULL },
	{ "authentication_error", LZ_UPSTREAM_AUTH, NULL },
	{ "permission_error", LZ_UPSTREAM_AUTH, NULL },
	{ "billing_error", LZ_UPSTREAM_QUOTA, NULL },
	{ "not_found_error", LZ_UPSTREAM_UNABLE, "model_not_found" },
	{ "request_too_large", LZ_UPSTREAM_CALLER, "request_too_large" },
	{ "rate_limit_error", LZ_UPSTREAM_RATE, "rate_limit_exceeded" },
	{ "timeout_error", LZ_UPSTREAM_DOWN, NULL },
	{ "api_error", LZ_UPSTREAM_DOWN, NULL },
	{ "overloaded_error", LZ_UPSTREAM_DOWN, NULL },
};

/* An invalid_request_error may be of these kinds. */
static const struct {
	const char *words;
	int32_t upstream;
	const char *code;
} sentences[] = {
	{ "prompt is too long", LZ_UPSTREAM_CONTEXT, "context_length_exceeded" },
	{ "exceed context limit", LZ_UPSTREAM_CONTEXT, "context_length_exceeded" },
	{ "credit balance is too low", LZ_UPSTREAM_QUOTA, NULL },
	{ "content filtering policy", LZ_UPSTREAM_FILTERED, "content_filter" },
};

static int
holds(lz_str s, const char *words)
{
	size_t n = strlen(words);

	for (size_t i = 0; i + n <= s.len; i++)
		if (memcmp(s.ptr + i, words, n) == 0)
			return 1;
	return 0;
}

static void
judge(const lz_json *error, lz_fault *out)
{
	lz_str type = lz->json_str(lz->json_at(error, "/type"), lz_strz(""));
	lz_str message = lz->json_str(lz->json_at(error, "/message"), lz_strz(""));

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (lz_eq(type, types[i].type)) {
			out->upstream = types[i].upstream;
			out->code = lz_strz(types[i].code);
		}
	if (!lz_eq(type, "invalid_request_error"))
		return;
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (holds(message, sentences[i].words)) {
			out->upstream = sentences[i].upstream;
			if (sentences[i].code != NULL)
				out->code = lz_strz(sentences[i].code);
		}
}

/* ---- how long to wait ---- */

static lz_str
field(const lz_reply *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (lz_eq(r->headers[i].name, name))
			return r->headers[i].value;
	return lz_strn(NULL, 0);
}

/* Days from 1970 to the 1st of March of `year`, which is where a leap year's day has been
 * counted. */
static int64_t
days_to_march(int64_t year)
{
	return year * 365 + year / 4 - year / 100 + year / 400 - 719468;
}

/* "2026-11-22T10:00:00Z" in seconds since 1970; -1: it is no such time. */
static int64_t
unix_seconds(lz_str s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	static const int places[] = { 0, 5, 8, 11, 14, 17 };
	int64_t v[6] = { 0 }, months, days;

	if (s.len != sizeof(shape) - 1)
		return -1;
	for (size_t i = 0; i < s.len; i++)
		if (shape[i] == 'd' ? s.ptr[i] < '0' || s.ptr[i] > '9'
				    : s.ptr[i] != shape[i])
			return -1;
	for (int i = 0; i < 6; i++)
		for (int k = places[i]; s.ptr[k] >= '0' && s.ptr[k] <= '9'; k++)
			v[i] = v[i] * 10 + (s.ptr[k] - '0');
	if (v[1] < 1 || v[1] > 12)
		return -1;
	months = (v[1] + 9) % 12; /* since March: every five have 153 days */
	days = days_to_march(v[0] - (v[1] < 3)) + (153 * months + 2) / 5 + v[2] - 1;
	return ((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
}

/* 0: it is no time, or past. */
static int64_t
until_ms(lz_str s)
{
	int64_t at = unix_seconds(s), ms = at * 1000 - lz->now_unix_ms();

	if (at < 0 || ms < 0)
		return 0;
	return ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS;
}

/* Of what is used up, the latest that comes back. For a 429 that names no time itself. */
static uint32_t
reset_ms(const lz_reply *r)
{
	static const char *const kinds[][2] = {
		{ "anthropic-ratelimit-requests-remaining",
		    "anthropic-ratelimit-requests-reset" },
		{ "anthropic-ratelimit-tokens-remaining",
		    "anthropic-ratelimit-tokens-reset" },
		{ "anthropic-ratelimit-input-tokens-remaining",
		    "anthropic-ratelimit-input-tokens-reset" },
		{ "anthropic-ratelimit-output-tokens-remaining",
		    "anthropic-ratelimit-output-tokens-reset" },
	};
	int64_t latest = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int64_t ms = lz_eq(field(r, kinds[i][0]), "0")
				 ? until_ms(field(r, kinds[i][1]))
				 : 0;

		latest = ms > latest ? ms : latest;
	}
	return (uint32_t)latest;
}

int32_t
fault_classify(void *self, lz_call *c, const lz_reply *r, lz_fault *out)
{
	(void)self;
	judge(lz->json_at(lz->json_parse(c, r->body), "/error"), out);
	if (r->status == 429 && out->retry_after_ms == 0)
		out->retry_after_ms = reset_ms(r);
	return LZ_OK;
}

int32_t
fault_say(lz_call *c, const lz_json *error)
{
	lz_fault f = { .size = sizeof(f), .upstream = LZ_UPSTREAM_DOWN };

	f.message = lz->json_str(lz->json_at(error, "/message"), lz_strz("an error"));
	judge(error, &f);
	if (f.upstream == LZ_UPSTREAM_CALLER || f.upstream == LZ_UPSTREAM_UNABLE)
		f.status = 400;
	return lz->fail(c, &f);
}
