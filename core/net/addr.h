/* addr.h - addresses, ranges of them, and the socket that listens on one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>

#include "base/status.h"
#include "base/str.h"

struct net_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};
/* "127.0.0.1:8080", "[::1]:8080", ":8080" or a bare port. */
enum status net_addr_parse(lz_str text, struct net_addr *out, struct err *e) MUST_CHECK;
/* The same family, address and port. */
bool net_addr_is_same(const struct net_addr *a, const struct net_addr *b);
void net_addr_format(const struct net_addr *a, char *out, size_t n); /* with port */
/* v4-mapped is shown as v4; empty: a local socket's. */
lz_str net_addr_ip(const struct net_addr *a, char out[INET6_ADDRSTRLEN]);
unsigned net_addr_port(const struct net_addr *a);
/* "10.0.0.0/8", "::1", "192.168.1.7" */
struct net_range {
	uint8_t bytes[16]; /* v4 as v4-mapped */
	unsigned bits;     /* of 128 */
};
enum status net_range_parse(lz_str text, struct net_range *out, struct err *e) MUST_CHECK;
bool net_range_holds(const struct net_range *r, const struct net_addr *a);
/* The address without its port, v4 as v4-mapped; false: a local socket's. */
bool net_addr_bytes(const struct net_addr *a, uint8_t out[16]);

/* Does nobody listen there? With SO_REUSEPORT a second gateway of the same user would get
 * half of the connections without a word; it is tried without. false: errno says why. */
bool net_addr_is_free(const struct net_addr *a);
/* Opens a listening socket with SO_REUSEADDR, SO_REUSEPORT and TCP_NODELAY; -1 with a
 * sentence that names the address. joins: another socket of this process listens there
 * already, and they share the connections; else an address that anybody listens on is
 * refused. [any] */
int server_socket(const struct net_addr *a, bool joins, struct err *e);

#endif
