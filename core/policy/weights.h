/* weights.h - in which order equal deployments of a name are tried.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICY_WEIGHTS_H
#define POLICY_WEIGHTS_H

#include "config/config.h"

/* Puts the deployments of one name of `models:` in this request's order: each comes first
 * in as many of any row of requests as its weight's share says, give or take three; the
 * rest follows by the same rule, weight 0 last. Other targets stay as they stand.
 * takes_turn: false for who only looks; the next request finds the same order. [any] */
void weights_order(const struct target **t, size_t n, bool takes_turn);

#endif
