/* ask.h - what guardrails share that ask somebody else by HTTP: a question in JSON, and
 * what came of it. Each plugin compiles it into itself.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ASK_H
#define ASK_H

#include <latenza/plugin.h>

enum {
	ASK_HEADERS = 3 /* of the plugin's own, at most */
};

/* Who is asked, and for how long. */
struct ask {
	lz_str url;
	const char *authorization; /* of ask_bearer(); NULL: none is sent */
	int64_t timeout_ms;
};

/* [main] "Bearer TOKEN" for the header; NULL if there is no token. owned: free(). LZ_OK,
 * LZ_E_NOMEM */
int32_t ask_bearer(lz_str token, char **out);

/* [worker] Sends the question; fn is called back with ud. more: ASK_HEADERS at most;
 * borrowed, as body is. LZ_PENDING: it is under way; else LZ_E_* of the host. */
int32_t ask(const struct ask *a, lz_call *c, lz_str body, const lz_header *more,
    size_t more_count, lz_reply_fn *fn, void *ud);

/* [worker] Is there an answer of status 200? Else what went wrong stands in the log, of
 * `who`: "the hook". LZ_OK; LZ_E_RETRY: of 429 and 503; LZ_E_* */
int32_t ask_answered(lz_call *c, const lz_reply *r, const char *who);

/* [worker] The answer is not one: what is wrong with it, for the log. LZ_E_FAIL */
int32_t ask_wrong(lz_call *c, const char *what);

/* [worker] There is more text than option max_bytes lets go out. LZ_E_LIMIT */
int32_t ask_too_long(lz_call *c);

#endif
