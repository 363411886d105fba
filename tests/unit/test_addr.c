/* test_addr.c - addresses, ranges, listening sockets.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/addr.h"

static struct net_addr
addr(const char *text)
{
	struct net_addr a;
	struct err e;

	if (net_addr_parse(lz_strz(text), &a, &e) != ST_OK)
		fail_msg("%s", e.text);
	return a;
}

static void
addresses_are_read_and_written(void **state)
{
	static const char *const rows[][2] = {
		{ "127.0.0.1:8080", "127.0.0.1:8080" },
		{ "0.0.0.0:1", "0.0.0.0:1" },
		{ "[::1]:65535", "[::1]:65535" },
		{ "[2001:DB8::0:1]:80", "[2001:db8::1]:80" },
		{ "[::ffff:10.1.2.3]:80", "10.1.2.3:80" },
		{ ":8080", "0.0.0.0:8080" },
		{ "8080", "0.0.0.0:8080" },
		{ "localhost:0", "127.0.0.1:0" },
	};
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_addr a = addr(rows[i][0]);

		net_addr_format(&a, text, sizeof(text));
		assert_string_equal(text, rows[i][1]);
	}
}

static void
nonsense_is_refused_with_a_sentence_that_names_it(void **state)
{
	static const char *const rows[] = { "", ":", "host", "example.org:80",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:8 ", "1.2.3:80", "::1:80", "[::1]80", "[::1:80", "[]:80",
		"[fe80::1%eth0]:80", "1.2.3.4.5:80", "01.2.3.4:80" };
	struct net_addr a;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.text[0] = '\0';
		if (net_addr_parse(lz_strz(rows[i]), &a, &e) != ST_INVALID)
			fail_msg("accepted: %s", rows[i]);
		assert_non_null(strstr(e.text, rows[i]));
		assert_non_null(strstr(e.text, "127.0.0.1:8080"));
	}
}

static void
a_local_socket_has_no_ip_and_belongs_to_no_range(void **state)
{
	struct net_addr a = { .sa = { .ss_family = AF_UNIX }, .len = 2 };
	struct net_range all;
	char text[64], ip[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(net_addr_ip(&a, ip).len, 0);
	assert_int_equal(net_addr_port(&a), 0);
	net_addr_format(&a, text, sizeof(text));
	assert_string_equal(text, "local");
	assert_int_equal(net_range_parse(STR_LIT("::/0"), &all, NULL), ST_OK);
	assert_false(net_range_holds(&all, &a));
}

static void
ranges_hold_what_they_say(void **state)
{
	static const struct {
		const char *range, *address;
		bool holds;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255:1", true },
		{ "10.0.0.0/8", "11.0.0.0:1", false },
		{ "10.9.9.9/8", "10.1.2.3:1", true },
		{ "10.0.0.0/8", "[::ffff:10.1.2.3]:1", true },
		{ "192.168.1.7", "192.168.1.7:1", true },
		{ "192.168.1.7", "192.168.1.8:1", false },
		{ "192.168.1.6/31", "192.168.1.7:1", true },
		{ "0.0.0.0/0", "255.1.2.3:1", true },
		{ "0.0.0.0/0", "[2001:db8::1]:1", false },
		{ "::1", "[::1]:1", true },
		{ "::1", "127.0.0.1:1", false },
		{ "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]:1", false },
		{ "::/0", "1.2.3.4:1", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_addr a = addr(rows[i].address);
		struct net_range r;

		assert_int_equal(
		    net_range_parse(lz_strz(rows[i].range), &r, NULL), ST_OK);
		if (net_range_holds(&r, &a) != rows[i].holds)
			fail_msg("%s in %s", rows[i].address, rows[i].range);
	}
}

static void
wrong_ranges_are_refused(void **state)
{
	static const char *const rows[] = { "", "/", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8", "::/129", "ten", "10.0.0.0/8 ",
		"10.0.0.1:80" };
	struct net_range r;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (net_range_parse(lz_strz(rows[i]), &r, &e) != ST_INVALID)
			fail_msg("accepted: %s", rows[i]);
		assert_non_null(strstr(e.text, rows[i]));
	}
}

static void
a_socket_listens_and_one_that_cannot_says_why(void **state)
{
	struct net_addr a = addr("127.0.0.1:0");
	struct sockaddr_in taken;
	socklen_t len = sizeof(taken);
	struct err e;
	int fd = server_socket(&a, false, &e);
	int plain = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	/* A port that somebody holds without SO_REUSEPORT. */
	assert_int_equal(bind(plain, (struct sockaddr *)&a.sa, a.len), 0);
	assert_int_equal(getsockname(plain, (struct sockaddr *)&taken, &len), 0);
	memcpy(&a.sa, &taken, sizeof(taken));
	assert_int_equal(server_socket(&a, true, &e), -1);
	assert_non_null(strstr(e.text, "127.0.0.1:"));
	assert_non_null(strstr(e.text, "in use"));
	(void)close(plain);
	a = addr("203.0.113.1:80");
	assert_int_equal(server_socket(&a, true, &e), -1);
	assert_non_null(strstr(e.text, "203.0.113.1:80"));
}

/* Two gateways of one user would share the connections of both, half and half. */
static void
an_address_is_shared_only_by_who_joins_it(void **state)
{
	static const char *const all[] = { "127.0.0.1:0", "[::1]:0", "[::]:0" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct net_addr a = addr(all[i]);
		struct err e;
		int first = server_socket(&a, false, &e), second;

		assert_true(first >= 0);
		a.len = sizeof(a.sa);
		assert_int_equal(getsockname(first, (struct sockaddr *)&a.sa, &a.len), 0);
		assert_int_equal(server_socket(&a, false, &e), -1);
		assert_non_null(strstr(e.text, "in use"));
		second = server_socket(&a, true, &e);
		assert_true(second >= 0);
		(void)close(first);
		assert_int_equal(server_socket(&a, false, &e), -1);
		(void)close(second);
		first = server_socket(&a, false, &e);
		assert_true(first >= 0);
		(void)close(first);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_written),
		cmocka_unit_test(nonsense_is_refused_with_a_sentence_that_names_it),
		cmocka_unit_test(a_local_socket_has_no_ip_and_belongs_to_no_range),
		cmocka_unit_test(ranges_hold_what_they_say),
		cmocka_unit_test(wrong_ranges_are_refused),
		cmocka_unit_test(a_socket_listens_and_one_that_cannot_says_why),
		cmocka_unit_test(an_address_is_shared_only_by_who_joins_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
