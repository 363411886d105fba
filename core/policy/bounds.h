/* bounds.h - what an attempt at a candidate may cost at most, and probably.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICY_BOUNDS_H
#define POLICY_BOUNDS_H

#include "request/request.h"

/* What is left of the key's tightest budget, in nano-EUR; INT64_MAX: it has none. */
int64_t bounds_left(struct request *r);
/* Before the first bounds_set(): can the request want what makes a prompt dearer at some
 * of these? Sets r->may_cache_1h. */
void bounds_look(struct request *r, const struct target *const *t, size_t n);
/* Output bound, bound and estimates of a candidate. While more than left_nano would be
 * needed the output bound shrinks to what is affordable, if that is worth an answer;
 * whether it fits, the bound says. */
void bounds_set(const struct request *r, struct candidate *c, int64_t left_nano);
/* Did the money that is left shrink its output bound? */
bool bounds_are_cut(const struct request *r, const struct candidate *c);
/* Of all who are left: money may have gone elsewhere since, and the router may have
 * lowered the limit. */
void bounds_renew(struct request *r);

#endif
