/* Rules of xrpc/rate: who is a client, and how often it may ask. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "xrpc/rate.h"

static uint64_t key(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return rk_rate_key((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return rk_rate_key((struct sockaddr *)&v6);
}

static void near_addresses_are_no_clients(void **state)
{
	static const char *const near[] = {"127.0.0.1", "127.255.255.255", "10.0.0.1", "10.255.0.1",
		"172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.1.1", "100.64.0.1",
		"100.127.255.255", "::1", "fe80::1", "fc00::1", "fdff::1", "::ffff:127.0.0.1",
		"::ffff:10.1.2.3"};
	static const char *const far[] = {"126.255.255.255", "128.0.0.0", "9.255.255.255",
		"11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
		"169.253.0.1", "169.255.0.0", "100.63.255.255", "100.128.0.0", "2001:db8::1",
		"fbff::1", "fe00::1", "::ffff:8.8.8.8"};
	struct sockaddr local = {.sa_family = AF_UNIX};

	(void)state;
	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		if (key(near[i]) != 0)
			fail_msg("%s is not near", near[i]);
	}
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		if (key(far[i]) == 0)
			fail_msg("%s is near", far[i]);
	}
	assert_int_equal(rk_rate_key(&local), 0);
	/* One client, and two. */
	assert_true(key("2001:db8::1") == key("2001:db8::ffff:1"));
	assert_true(key("2001:db8::1") != key("2001:db8:0:1::1"));
	assert_true(key("::ffff:8.8.8.8") == key("8.8.8.8"));
	assert_true(key("8.8.8.8") != key("8.8.8.9"));
}

static void the_last_far_address_forwarded_counts(void **state)
{
	static const struct {
		const char *list, *client; /* NULL: none */
	} cases[] = {
		{"8.8.8.8", "8.8.8.8"},
		{"1.1.1.1, 8.8.8.8", "8.8.8.8"},
		{"1.1.1.1,8.8.8.8 ,\t10.0.0.1 , 127.0.0.1", "8.8.8.8"},
		{"8.8.8.8:4321", "8.8.8.8"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:4321, ::1", "2001:db8::1"},
		{"10.0.0.1", NULL},
		{"", NULL},
		{" , ", NULL},
		{"8.8.8.8, unknown", NULL},
		{"8.8.8.8, ", NULL},
		{"unknown, 8.8.8.8", "8.8.8.8"},
		{"8.8.8", NULL},
		{"8.8.8.8.8", NULL},
		{"[2001:db8::1", NULL},
		{"08.8.8.8", NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff",
			NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t found = rk_rate_key_forwarded(rk_slice_str(cases[i].list));

		if (found != (cases[i].client ? key(cases[i].client) : 0))
			fail_msg("%s", cases[i].list);
	}
}

static void limit_ok_more_refused_until_the_window_ends(void **state)
{
	struct rk_rate *rate;
	struct rk_rate_state got;

	(void)state;
	assert_int_equal(rk_rate_create(&rate, 3, 60), 0);
	for (unsigned i = 0; i < 5; i++) {
		rk_rate_take(rate, &got, 7, 1000500 + i);
		assert_int_equal(got.refused, i >= 3);
		assert_int_equal(got.remaining, i < 3 ? 2 - i : 0);
		assert_int_equal(got.limit, 3);
		assert_int_equal(got.window_s, 60);
		assert_int_equal(got.reset_s, 1061);
	}
	/* Others are not touched by it. */
	rk_rate_take(rate, &got, 8, 1000600);
	assert_false(got.refused);
	rk_rate_take(rate, &got, 7, 1060499);
	assert_true(got.refused);
	rk_rate_take(rate, &got, 7, 1060500);
	assert_false(got.refused);
	assert_int_equal(got.remaining, 2);
	/* A clock that was set back keeps nobody out. */
	for (int i = 0; i < 4; i++)
		rk_rate_take(rate, &got, 7, 1060600);
	assert_true(got.refused);
	rk_rate_take(rate, &got, 7, 500000);
	assert_false(got.refused);
	rk_rate_none(rate, &got, 1999);
	assert_true(got.refused);
	assert_int_equal(got.remaining, 0);
	assert_int_equal(got.reset_s, 2);
	rk_rate_destroy(rate);
	rk_rate_destroy(NULL);
}

/* More clients than there is room for, each asking once, do not make a busy one be forgotten. */
static void a_full_table_forgets_who_asked_least(void **state)
{
	struct rk_rate *rate;
	struct rk_rate_state got;

	(void)state;
	assert_int_equal(rk_rate_create(&rate, 10, 60), 0);
	for (int i = 0; i < 10; i++)
		rk_rate_take(rate, &got, 7, 1000);
	for (uint64_t other = 100; other < 200000; other++) {
		rk_rate_take(rate, &got, other, 1000);
		assert_false(got.refused);
	}
	rk_rate_take(rate, &got, 7, 1000);
	assert_true(got.refused);
	rk_rate_destroy(rate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_addresses_are_no_clients),
		cmocka_unit_test(the_last_far_address_forwarded_counts),
		cmocka_unit_test(limit_ok_more_refused_until_the_window_ends),
		cmocka_unit_test(a_full_table_forgets_who_asked_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
