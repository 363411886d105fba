/* standing.h - who of a long list of targets is looked at for a request.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICY_STANDING_H
#define POLICY_STANDING_H

#include "config/config.h"

/* Of a short list, or one without a standing, all; of a long one those whose breaker is
 * closed, and a few of the others in turn, so that each is looked at again and probed.
 * out: room for `max`. left_out: how many were not. takes_turn: false for who only looks;
 * the next request finds the same ones. Returns how many are in `out`. [any] */
size_t standing_pick(const struct model_name *list, const struct target **out, size_t max,
    size_t *left_out, bool takes_turn);

#endif
