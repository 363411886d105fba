/* fault.c - whose fault an error of Google's is.
 *
 * Google's words are those of gRPC, in `status`; what they leave open is in `details`: a
 * bad key is an INVALID_ARGUMENT like any other, and what is spent for a day looks like
 * what is spent for a minute.
 *
 * SPDX-License-Identifier: MIT
 */
#include "google.h"

enum {
	DELAY_MOST_MS = 300000
};

static const struct {
	const char *status;
	int32_t upstream;
	const char *code; /* OpenAI's word for it */
} statuses[] = {
	{ "INVALID_ARGUMENT", LZ_UPSTREAM_CALLER, NULL },
	{ "OUT_OF_RANGE", LZ_UPSTREAM_CALLER, NULL },
	/* Of the account or its country, not of the request. */
	{ "FAILED_PRECONDITION", LZ_UPSTREAM_UNABLE, NULL },
	{ "UNAUTHENTICATED", LZ_UPSTREAM_AUTH, NULL },
	{ "PERMISSION_DENIED", LZ_UPSTREAM_AUTH, NULL },
	{ "NOT_FOUND", LZ_UPSTREAM_UNABLE, "model_not_found" },
	{ "UNIMPLEMENTED", LZ_UPSTREAM_UNABLE, NULL },
	{ "RESOURCE_EXHAUSTED", LZ_UPSTREAM_RATE, NULL },
	{ "ABORTED", LZ_UPSTREAM_DOWN, NULL },
	{ "CANCELLED", LZ_UPSTREAM_DOWN, NULL },
	{ "DEADLINE_EXCEEDED", LZ_UPSTREAM_DOWN, NULL },
	{ "INTERNAL", LZ_UPSTREAM_DOWN, NULL },
	{ "UNAVAILABLE", LZ_UPSTREAM_DOWN, NULL },
};

const lz_json *
fault_find(const lz_json *body)
{
	const lz_json *error = lz->json_at(body, "/error");

	if (lz->json_type(body) == LZ_ARRAY)
		error = lz->json_at(body, "/0/error");
	return lz->json_type(error) == LZ_OBJECT ? error : NULL;
}

/* "48s", "34.4s": in ms, rounded up; 0: it is nothing like that. */
static uint32_t
delay_ms(lz_str s)
{
	int64_t ms = 0, unit = 0;
	size_t i;

	for (i = 0; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
		if (ms < DELAY_MOST_MS)
			ms = ms * 10 + (s.ptr[i] - '0') * 1000;
	if (i == 0)
		return 0;
	if (i < s.len && s.ptr[i] == '.')
		for (i++, unit = 100; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9';
		     i++, unit /= 10)
			ms += (s.ptr[i] - '0') * unit;
	if (i + 1 != s.len || s.ptr[i] != 's')
		return 0;
	return (uint32_t)(ms < DELAY_MOST_MS ? ms : DELAY_MOST_MS);
}

/* A limit of a day, or one of nothing at all: no waiting helps this credential today. */
static void
read_violations(const lz_json *violations, lz_fault *out)
{
	for (size_t i = 0, n = lz->json_len(violations); i < n; i++) {
		const lz_json *violation = lz->json_item(violations, i, NULL);

		if (contains(string_at(violation, "/quotaId"), "PerDay") ||
		    lz_eq(string_at(violation, "/quotaValue"), "0"))
			out->upstream = LZ_UPSTREAM_QUOTA;
	}
}

static void
read_detail(const lz_json *detail, lz_fault *out)
{
	lz_str reason = string_at(detail, "/reason");
	uint32_t ms = delay_ms(string_at(detail, "/retryDelay"));

	if (ms > 0)
		out->retry_after_ms = ms;
	if (has_prefix(reason, "API_KEY_") || lz_eq(reason, "BILLING_DISABLED") ||
	    lz_eq(reason, "CONSUMER_SUSPENDED") || lz_eq(reason, "SERVICE_DISABLED"))
		out->upstream = LZ_UPSTREAM_AUTH;
	read_violations(lz->json_at(detail, "/violations"), out);
}

static void
read_error(const lz_json *error, lz_fault *out)
{
	const lz_json *details = lz->json_at(error, "/details");
	lz_str status = string_at(error, "/status"), said = string_at(error, "/message");

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (!lz_eq(status, statuses[i].status))
			continue;
		out->upstream = statuses[i].upstream;
		if (statuses[i].code != NULL)
			out->code = lz_strz(statuses[i].code);
	}
	if (said.len > 0)
		out->message = said;
	if (out->upstream == LZ_UPSTREAM_CALLER &&
	    (contains(said, "exceeds the maximum number of tokens") ||
		contains(said, "exceeds the maximum token count"))) {
		out->upstream = LZ_UPSTREAM_CONTEXT;
		out->code = lz_strz("context_length_exceeded");
	}
	for (size_t i = 0, n = lz->json_len(details); i < n; i++)
		read_detail(lz->json_item(details, i, NULL), out);
	/* The status is for who can do something about it. */
	if (out->upstream != LZ_UPSTREAM_CALLER && out->upstream != LZ_UPSTREAM_UNABLE &&
	    out->upstream != LZ_UPSTREAM_CONTEXT)
		out->status = 0;
}

void
fault_read(const lz_json *body, lz_fault *out)
{
	const lz_json *error = fault_find(body);

	if (error != NULL)
		read_error(error, out);
}

/* A status that the table does not have, by its number. */
static int32_t
blame_of(int64_t code)
{
	if (code == 401 || code == 403)
		return LZ_UPSTREAM_AUTH;
	if (code == 429)
		return LZ_UPSTREAM_RATE;
	return code >= 400 && code < 500 && code != 499 ? LZ_UPSTREAM_CALLER
							: LZ_UPSTREAM_DOWN;
}

int32_t
fault_fail(lz_call *c, const lz_json *body)
{
	const lz_json *error = fault_find(body);
	int64_t code = lz->json_int(lz->json_at(error, "/code"), 0);
	lz_fault f = { .size = sizeof(f), .message = lz_strz("the provider failed") };

	f.upstream = blame_of(code);
	f.status = code >= 400 && code < 500 ? (int32_t)code : 0;
	read_error(error, &f);
	return lz->fail(c, &f);
}
