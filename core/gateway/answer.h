/* answer.h - what the client gets: status, headers, body or the last bytes of a stream.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GATEWAY_ANSWER_H
#define GATEWAY_ANSWER_H

#include "request/request.h"

/* A whole answer, an error, or the end of a stream, as the request stands. The exchange
 * is over afterwards. */
void answer_send(struct request *r);
/* The head of a stream. */
void answer_begin(struct request *r);
/* Prepares any JSON with any status as the answer, for routes without stages. body:
 * taken; one that has failed is a fault. */
void answer_json(struct request *r, int status, struct buf *body);

#endif
