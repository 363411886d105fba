/* names.c - the name server of these tests: getaddrinfo() of the program is the one that
 * an engine finds.
 *
 * SPDX-License-Identifier: MIT
 */
#include "suite.h"

static atomic_uint name_ms;

void
names_slow(unsigned ms)
{
	atomic_store(&name_ms, ms);
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **out)
{
	static const char *const two[] = { "127.0.0.2", "127.0.0.1" };
	const char *const *ip = two + (strcmp(node, "two.test") != 0);
	size_t room = sizeof(struct addrinfo) + sizeof(struct sockaddr_in);
	struct addrinfo **last = out;

	(void)hints;
	nap_ms(atomic_load(&name_ms));
	*out = NULL;
	if (strcmp(node, "nobody.test") == 0)
		return EAI_NONAME;
	for (; ip < two + 2; ip++) {
		struct addrinfo *a = calloc(1, room);
		struct sockaddr_in *sa = (struct sockaddr_in *)(void *)(a + 1);

		sa->sin_family = AF_INET;
		sa->sin_port = htons((uint16_t)strtoul(service, NULL, 10));
		(void)inet_pton(AF_INET, *ip, &sa->sin_addr);
		a->ai_family = AF_INET;
		a->ai_socktype = SOCK_STREAM;
		a->ai_addr = (struct sockaddr *)sa;
		a->ai_addrlen = sizeof(*sa);
		*last = a;
		last = &a->ai_next;
	}
	return 0;
}

void
freeaddrinfo(struct addrinfo *a)
{
	struct addrinfo *next;

	for (; a != NULL; a = next) {
		next = a->ai_next;
		free(a);
	}
}
