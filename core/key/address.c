/* address.c - the client's address behind trusted proxies.
 *
 * x-forwarded-for grows to the right: each proxy appends whom it was called by. So it is
 * read from the right, and only as far as the writers are trusted: what stands left of
 * the first address that is not a proxy of ours was written by that client and can say
 * anything.
 *
 * SPDX-License-Identifier: MIT
 */
#include "key/address.h"

static const char forwarded[] = "x-forwarded-for";

bool
address_is_in(const struct net_addr *a, const struct net_range *range, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (net_range_holds(&range[i], a))
			return true;
	return false;
}

static bool
is_trusted(const struct request *r, const struct net_addr *a)
{
	return address_is_in(a, r->config->trusted_proxy, r->config->trusted_proxy_count);
}

/* "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711" */
static bool
parse_hop(lz_str hop, struct net_addr *out)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	struct net_range ip;
	ptrdiff_t colon = str_find(hop, ':'), end = str_find(hop, ']');

	if (hop.len > 0 && hop.ptr[0] == '[' && end > 0)
		hop = str_cut(hop, 1, (size_t)end);
	else if (colon >= 0 &&
		 str_find(str_cut(hop, (size_t)colon + 1, hop.len), ':') < 0)
		hop = str_cut(hop, 0, (size_t)colon);
	if (str_find(hop, '/') >= 0 || net_range_parse(hop, &ip, NULL) != ST_OK)
		return false;
	memcpy(&sa.sin6_addr, ip.bytes, sizeof(ip.bytes));
	memset(out, 0, sizeof(*out));
	memcpy(&out->sa, &sa, sizeof(sa));
	out->len = sizeof(sa);
	return true;
}

/* Takes the last hop off the list. */
static lz_str
last_hop(lz_str *list)
{
	size_t at = list->len;
	lz_str hop;

	while (at > 0 && list->ptr[at - 1] != ',')
		at--;
	hop = str_trim(str_cut(*list, at, list->len));
	list->len = at > 0 ? at - 1 : 0;
	return hop;
}

/* Walks one field from the right. false: garbage. *is_client: the walk is over. */
static bool
walk(const struct request *r, lz_str list, struct net_addr *out, bool *is_client)
{
	while (list.len > 0 && !*is_client) {
		lz_str hop = last_hop(&list);

		if (hop.len == 0)
			continue;
		if (!parse_hop(hop, out))
			return false;
		*is_client = !is_trusted(r, out);
	}
	return true;
}

bool
address_of_client(const struct request *r, struct net_addr *out)
{
	const struct http_head *h = &r->x->head;
	bool is_client;

	*out = r->x->peer;
	is_client = !is_trusted(r, out);
	for (size_t i = h->field_count; i > 0 && !is_client; i--)
		if (str_is(h->field[i - 1].name, forwarded) &&
		    !walk(r, h->field[i - 1].value, out, &is_client))
			return false;
	return true;
}
