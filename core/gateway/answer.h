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
/* Prepares any JSON with any status as the answer, for routes without stages. */
void answer_json(struct request *r, int status, lz_str body);

#endif
