/* asked.h - a request that a command asks, not a client: under which key it would come,
 * without its secret, its bytes and what is made of it being the command's own.
 *
 * It crosses stages on a worker like any other; rate, concurrency and tokens are not used
 * up, and it leaves no trace. [main] does not wait for it: guardrails may take their
 * time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_ASKED_H
#define GATEWAY_ASKED_H

#include "gateway/gateway.h"

struct asked;
struct asked_ops {
	/* Gives the new request its route, kind and body. [worker] */
	void (*begin)(struct asked *a, struct request *r);
	/* The body has been read: what a header would have said is said now. NULL:
	 * nothing. [worker] */
	void (*read)(struct asked *a, struct request *r);
	/* The request is over, its guardrails' visits too: sets result, or st and e.
	 * [worker] */
	void (*end)(struct asked *a, struct request *r);
	void (*free)(struct asked *a); /* with what is the command's own. [main] */
};

/* Begins what a command's own struct holds, zeroed but for the first members. */
struct asked {
	const struct asked_ops *ops;
	gateway_heard_fn *heard;
	void *arg;

	struct asked *next, **link; /* of the worker's, while it is under way */
	struct gateway *gateway;
	struct worker *worker;
	struct loop_task task;
	struct key *key; /* a reference, until the request has it; NULL: nobody's */
	struct request *r;
	json_t *result;
	enum status st;
	struct err e;
};

/* Sends it off, under the key of that id (absent: nobody's). What is wrong with that is
 * heard at once. [main] */
void asked_start(struct gateway *g, lz_str key, struct asked *a);
/* It comes to nothing: a is heard and freed. [main] */
void asked_fail(struct asked *a, enum status st);
void asked_read(struct request *r); /* [worker] */
void asked_ends(struct request *r); /* [worker] */
/* The worker ends: so do they. [worker] */
void asked_cut_all(struct worker *w);

#endif
