/* addr.c - addresses, ranges of them, and the socket that listens on one.
 *
 * Inside a range and wherever addresses are compared, IPv4 is written as its v4-mapped
 * IPv6 form, so that "10.0.0.0/8" holds a client that reached a dual-stack listener.
 *
 * SPDX-License-Identifier: MIT
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"

enum {
	PORT_MAX = 65535,
	BITS_V4 = 32,
	BITS_V6 = 128,
	MAPPED_BYTES = 12, /* before the IPv4 address in its mapped form */
	BACKLOG = 4096
};

static const uint8_t mapped[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

/* inet_pton() wants a NUL behind the text. */
static bool
parse_ip(int family, lz_str text, void *out)
{
	char room[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(room) ||
	    memchr(text.ptr, '\0', text.len) != NULL)
		return false;
	memcpy(room, text.ptr, text.len);
	room[text.len] = '\0';
	return inet_pton(family, room, out) == 1;
}

static void
set_v4(struct net_addr *out, struct in_addr ip, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->sa;

	in->sin_family = AF_INET;
	in->sin_addr = ip;
	in->sin_port = htons(port);
	out->len = sizeof(*in);
}

static void
set_v6(struct net_addr *out, struct in6_addr ip, uint16_t port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->sa;

	in6->sin6_family = AF_INET6;
	in6->sin6_addr = ip;
	in6->sin6_port = htons(port);
	out->len = sizeof(*in6);
}

/* Cuts ":port" off the end; a bare number is a port without a host. */
static bool
split_port(lz_str text, lz_str *host, uint16_t *port)
{
	size_t at = text.len;
	int64_t n;

	while (at > 0 && text.ptr[at - 1] != ':')
		at--;
	*host = at > 0 ? lz_strn(text.ptr, at - 1) : STR_NONE;
	if (!str_to_int(str_cut(text, at, text.len), PORT_MAX, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

enum status
net_addr_parse(lz_str text, struct net_addr *out, struct err *e)
{
	struct in_addr v4 = { .s_addr = htonl(INADDR_ANY) };
	struct in6_addr v6;
	lz_str host;
	uint16_t port;

	memset(out, 0, sizeof(*out));
	if (!split_port(text, &host, &port))
		return err_fail(e, ST_INVALID,
		    "\"%.*s\": not an address with a port; write 127.0.0.1:8080, "
		    "[::1]:8080 or :8080",
		    STR_ARG(text));
	if (str_is(host, "localhost"))
		v4.s_addr = htonl(INADDR_LOOPBACK);
	if (host.len == 0 || str_is(host, "localhost") || parse_ip(AF_INET, host, &v4)) {
		set_v4(out, v4, port);
		return ST_OK;
	}
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']' &&
	    parse_ip(AF_INET6, str_cut(host, 1, host.len - 1), &v6)) {
		set_v6(out, v6, port);
		return ST_OK;
	}
	return err_fail(e, ST_INVALID,
	    "\"%.*s\": the host is not an IP address; write 127.0.0.1:8080, [::1]:8080 "
	    "or :8080",
	    STR_ARG(text));
}

bool
net_addr_bytes(const struct net_addr *a, uint8_t out[16])
{
	if (a->sa.ss_family == AF_INET) {
		memcpy(out, mapped, MAPPED_BYTES);
		memcpy(out + MAPPED_BYTES,
		    &((const struct sockaddr_in *)&a->sa)->sin_addr, 4);
		return true;
	}
	if (a->sa.ss_family == AF_INET6) {
		memcpy(out, &((const struct sockaddr_in6 *)&a->sa)->sin6_addr, 16);
		return true;
	}
	return false;
}

bool
net_addr_is_same(const struct net_addr *a, const struct net_addr *b)
{
	uint8_t x[16], y[16];

	return a->sa.ss_family == b->sa.ss_family && net_addr_bytes(a, x) &&
	       net_addr_bytes(b, y) && memcmp(x, y, sizeof(x)) == 0 &&
	       net_addr_port(a) == net_addr_port(b);
}

lz_str
net_addr_ip(const struct net_addr *a, char out[INET6_ADDRSTRLEN])
{
	uint8_t b[16];

	out[0] = '\0';
	if (!net_addr_bytes(a, b))
		return lz_strn(out, 0);
	if (memcmp(b, mapped, MAPPED_BYTES) == 0)
		(void)inet_ntop(AF_INET, b + MAPPED_BYTES, out, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, b, out, INET6_ADDRSTRLEN);
	return lz_strz(out);
}

unsigned
net_addr_port(const struct net_addr *a)
{
	if (a->sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
	if (a->sa.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&a->sa)->sin6_port);
	return 0;
}

void
net_addr_format(const struct net_addr *a, char *out, size_t n)
{
	char ip[INET6_ADDRSTRLEN];
	lz_str text = net_addr_ip(a, ip);

	if (text.len == 0)
		(void)snprintf(out, n, "local");
	else
		(void)snprintf(out, n, strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip,
		    net_addr_port(a));
}

/* Ranges. */

static void
clear_host_bits(struct net_range *r)
{
	unsigned bit;

	for (bit = r->bits; bit < BITS_V6; bit++)
		r->bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

enum status
net_range_parse(lz_str text, struct net_range *out, struct err *e)
{
	ptrdiff_t slash = str_find(text, '/');
	lz_str ip = slash < 0 ? text : lz_strn(text.ptr, (size_t)slash);
	int64_t bits, most = BITS_V6;

	if (parse_ip(AF_INET, ip, out->bytes + MAPPED_BYTES)) {
		memcpy(out->bytes, mapped, MAPPED_BYTES);
		most = BITS_V4;
	} else if (!parse_ip(AF_INET6, ip, out->bytes)) {
		return err_fail(e, ST_INVALID,
		    "\"%.*s\": not an IP address or range; write 10.0.0.0/8, 192.168.1.7 "
		    "or ::1",
		    STR_ARG(text));
	}
	bits = most;
	if (slash >= 0 &&
	    !str_to_int(str_cut(text, (size_t)slash + 1, text.len), most, &bits))
		return err_fail(e, ST_INVALID,
		    "\"%.*s\": the prefix length must be a number from 0 to %d",
		    STR_ARG(text), (int)most);
	out->bits = (unsigned)(bits + BITS_V6 - most);
	clear_host_bits(out);
	return ST_OK;
}

bool
net_range_holds(const struct net_range *r, const struct net_addr *a)
{
	struct net_range host = { .bits = r->bits };

	if (!net_addr_bytes(a, host.bytes))
		return false;
	clear_host_bits(&host);
	return memcmp(host.bytes, r->bytes, sizeof(host.bytes)) == 0;
}

/* Sockets. */

static bool
prepare(int fd, int family, bool is_shared)
{
	int on = 1, off = 0;

	/* Accepted sockets inherit TCP_NODELAY, which saves a system call for each. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (is_shared &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return false;
	return family != AF_INET6 ||
	       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0;
}

/* -1: errno says why not. */
static int
open_bound(const struct net_addr *a, bool is_shared)
{
	int family = a->sa.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd >= 0 && prepare(fd, family, is_shared) &&
	    bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		(void)io.close(fd);
	errno = error;
	return -1;
}

bool
net_addr_is_free(const struct net_addr *a)
{
	int fd = open_bound(a, false);

	if (fd >= 0)
		(void)io.close(fd);
	return fd >= 0;
}

int
server_socket(const struct net_addr *a, bool joins, struct err *e)
{
	int fd = joins || net_addr_is_free(a) ? open_bound(a, true) : -1;
	char text[INET6_ADDRSTRLEN + 10];

	if (fd >= 0 && listen(fd, BACKLOG) == 0)
		return fd;
	net_addr_format(a, text, sizeof(text));
	if (errno == EADDRINUSE)
		(void)err_fail(e, ST_EXISTS,
		    "listen %s: the address is in use by another program; choose another "
		    "port",
		    text);
	else if (errno == EACCES)
		(void)err_fail(e, ST_DENIED,
		    "listen %s: not permitted; ports below 1024 need "
		    "CAP_NET_BIND_SERVICE",
		    text);
	else
		(void)err_fail(e, ST_IO, "listen %s: %s", text, strerror(errno));
	if (fd >= 0)
		(void)io.close(fd);
	return -1;
}
