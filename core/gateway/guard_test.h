/* guard_test.h - a question about guardrails on its way, for the files that ask it and
 * tell what came of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_GUARD_TEST_H
#define GATEWAY_GUARD_TEST_H

#include "gateway/asked.h"
#include "gateway/routes.h"
#include "guard/guard.h"

struct guard_test {
	struct asked asked; /* first */
	struct guard_names names;
	char *room; /* of the names */
	bool is_answer, has_body, is_embeddings;
	int64_t stream_every; /* 0: whole */
	struct buf text;      /* or the body */

	bool is_asked; /* what is wrong from here on is what guardrails said */
	bool wants_again;
	int64_t output_limit; /* before they were asked */
	struct guard_watch watch;
	json_t *said; /* by guardrail: {"reasons": [...], "edits": [...]}; made when
			 there is something */

	/* an answer that grows */
	struct guard_stream *stream;
	size_t at; /* bytes of the text that have come */
	bool is_end;
	struct buf out, for_trace; /* what has gone out */
	unsigned pieces;
};

const struct request_ops *guard_test_ops(void);
const struct route *guard_test_route(void);
/* ---- guard_report.c ---- */
void guard_test_watch(struct guard_test *t); /* makes t->watch */
void guard_test_report(struct asked *a, struct request *r);

#endif
