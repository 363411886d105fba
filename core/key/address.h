/* address.h - private to key/: whose address a request comes from, also behind proxies.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KEY_ADDRESS_H
#define KEY_ADDRESS_H

#include "request/request.h"

/* The client's address: the peer's, or what trusted proxies wrote into x-forwarded-for:
 * the last hop there that is not one of them. false: a trusted proxy sent a hop that is
 * no address, so nobody can say. */
bool address_of_client(const struct request *r, struct net_addr *out);
bool address_is_in(const struct net_addr *a, const struct net_range *range, size_t count);

#endif
