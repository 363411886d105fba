/* provider.h - an OpenAI-compatible provider in a process of its own, for the scenes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTS_PROVIDER_H
#define FAULTS_PROVIDER_H

/* What it answers to every request that it serves. */
#define PROVIDER_TEXT "one two three"
/* Where a request asks for this, it answers otherwise. */
#define PROVIDER_PLEA      "say it otherwise"
#define PROVIDER_OTHERWISE "one 2 three"
/* 7 tokens in, 5 out: at 1 and 2 USD per million and 0.5 EUR per USD, in nano-EUR. */
#define PROVIDER_COST 8500

/* Starts it; it ends with its parent. Returns the port. By model:
 *   spare	at /a: 503; elsewhere it is served
 *   reset	a stream is reset after its first piece; else the connection is
 *   slow	a stream falls silent after its first piece, until the caller leaves
 *   tools	a call of the function `look` instead of a text
 *   any other	is served, otherwise where that is asked for; with "fresh" in its name
 * over a connection that is then closed
 */
unsigned provider_start(void);

#endif
