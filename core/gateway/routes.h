/* routes.h - every endpoint is a row that names its stages. A row that calls providers
 * without the key, budget and settle stages does not start.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "request/request.h"

struct stage {
	const char *name;
	enum step (*run)(struct request *r);
	enum step (*unflushed)(struct request
		*r); /* its STEP_BARRIER was not written; NULL: never says STEP_BARRIER */
};

struct route {
	const char *name; /* in traces: "chat" */
	enum http_method method;
	const char *path; /* exact; ending in '/': any rest */
	enum request_kind kind;
	bool needs_key, needs_json;
	const struct stage
	    *stages; /* ended by a NULL run; NULL: `answer` answers at once */
	void (*answer)(struct request *r); /* prepares the answer, or fails the request */
};

/* Finds the row. NULL with *fault UNKNOWN_URL or METHOD. */
const struct route *routes_find(const struct http_head *h, enum fault *fault);
/* The table obeys its own rules; aborts otherwise. [start] */
void routes_check(void);
/* The route whose stages serve this kind. */
const struct route *routes_of_kind(enum request_kind kind);
/* For documents and tests: i-th row, NULL at the end. */
const struct route *routes_at(size_t i);

#endif
