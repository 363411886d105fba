/* fault.h - every way in which a request can be refused or fail, as one table. No other
 * file holds a literal 4xx or 5xx.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef REQUEST_FAULT_H
#define REQUEST_FAULT_H

#include <stdbool.h>

enum fault_retry {
	RETRY_UNSAID, /* the status says it */
	RETRY_NO,     /* x-should-retry: false: another try cannot help */
	RETRY_AFTER   /* retry-after is sent */
};

/*  id                status type                     code                        retry
 * seconds */
#define FAULT_ROWS(X)                                                                    \
	X(BAD_REQUEST, 400, "invalid_request_error", NULL, RETRY_NO, 0)                  \
	X(UNSUPPORTED_PARAMETER, 400, "invalid_request_error", "unsupported_parameter",  \
	    RETRY_NO, 0)                                                                 \
	X(UNSUPPORTED_CAPABILITY, 400, "invalid_request_error",                          \
	    "unsupported_capability", RETRY_NO, 0)                                       \
	X(CONTEXT_LENGTH, 400, "invalid_request_error", "context_length_exceeded",       \
	    RETRY_NO, 0)                                                                 \
	X(CONTENT_POLICY, 400, "invalid_request_error", "content_policy_violation",      \
	    RETRY_NO, 0)                                                                 \
	X(INVALID_KEY, 401, "invalid_request_error", "invalid_api_key", RETRY_NO, 0)     \
	X(MODEL_NOT_ALLOWED, 403, "permission_error", "model_not_allowed", RETRY_NO, 0)  \
	X(MODEL_UNPRICED, 403, "permission_error", "model_unpriced", RETRY_NO, 0)        \
	X(MODEL_NOT_FOUND, 404, "invalid_request_error", "model_not_found", RETRY_NO, 0) \
	X(UNKNOWN_URL, 404, "invalid_request_error", "unknown_url", RETRY_NO, 0)         \
	X(METHOD, 405, "invalid_request_error", "method_not_allowed", RETRY_NO, 0)       \
	X(REQUEST_TIMEOUT, 408, "invalid_request_error", "request_timeout",              \
	    RETRY_UNSAID, 0)                                                             \
	X(TOO_LARGE, 413, "invalid_request_error", "request_too_large", RETRY_NO, 0)     \
	X(MEDIA_TYPE, 415, "invalid_request_error", "unsupported_media_type", RETRY_NO,  \
	    0)                                                                           \
	X(EXPECTATION, 417, "invalid_request_error", "expectation_failed", RETRY_NO, 0)  \
	X(HEADERS_TOO_LARGE, 431, "invalid_request_error", "request_too_large",          \
	    RETRY_NO, 0)                                                                 \
	X(RATE_LIMIT, 429, "rate_limit_error", "rate_limit_exceeded", RETRY_AFTER, 1)    \
	X(BUDGET_RESERVED, 429, "rate_limit_error", "budget_reserved", RETRY_AFTER, 1)   \
	X(BUDGET_SPENT, 429, "insufficient_quota", "insufficient_quota", RETRY_NO, 0)    \
	X(UPSTREAM_RATE, 429, "rate_limit_error", "upstream_rate_limited", RETRY_AFTER,  \
	    1)                                                                           \
	X(UPSTREAM_REFUSED, 400, "invalid_request_error", NULL, RETRY_NO,                \
	    0) /* its own status and code */                                             \
	X(ALL_ATTEMPTS, 502, "upstream_error", "all_attempts_failed", RETRY_UNSAID, 0)   \
	X(STREAM_INTERRUPTED, 502, "upstream_error", "stream_interrupted", RETRY_UNSAID, \
	    0)                                                                           \
	X(UPSTREAM_CREDENTIALS, 502, "upstream_error", "upstream_credentials", RETRY_NO, \
	    0)                                                                           \
	X(NO_PROVIDER, 503, "server_error", "no_available_provider", RETRY_AFTER, 5)     \
	X(OVERLOADED, 503, "server_error", "overloaded", RETRY_AFTER, 1)                 \
	X(STORAGE_FULL, 503, "server_error", "storage_full", RETRY_AFTER, 5)             \
	X(UPSTREAM_TIMEOUT, 504, "upstream_error", "upstream_timeout", RETRY_UNSAID, 0)  \
	X(POLICY, 500, "server_error", "policy_error", RETRY_UNSAID, 0)                  \
	X(INTERNAL, 500, "server_error", "internal_error", RETRY_UNSAID, 0)              \
	X(CLIENT_GONE, 499, "client_error", "client_closed_request", RETRY_NO,           \
	    0) /* traces only: nobody is there to answer */

enum fault {
	FAULT_NONE = 0,
#define FAULT_ID(id, status, type, code, retry, seconds) FAULT_##id,
	FAULT_ROWS(FAULT_ID)
#undef FAULT_ID
	FAULT_COUNT
};

struct fault_row {
	int status;
	const char *type, *code; /* code NULL: null */
	enum fault_retry retry;
	unsigned retry_after_s;
	const char *label; /* for metrics: the id, shown in lower case */
};

const struct fault_row *fault_row(enum fault f);
void fault_start(void); /* registers the metric labels. [start] */
/* The fault for a refusal of the wire (net/http1): by its status. */
enum fault fault_of_wire(int status);

#endif
