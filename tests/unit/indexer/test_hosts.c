/* Rules of indexer/hosts: few at once, none while it fails, and no host in the way of another. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "indexer/hosts.h"

static void a_good_host_is_asked_a_few_times_at_once(void **state)
{
	struct rk_hosts *hosts = rk_hosts_create();

	for (int i = 0; i < RK_HOST_BUSY_MOST; i++)
		assert_int_equal(rk_hosts_enter(hosts, "http://a", 0), 0);
	assert_int_equal(rk_hosts_enter(hosts, "http://a", 0), RK_HOST_BUSY_MS);
	assert_int_equal(rk_hosts_enter(hosts, "http://b", 0), 0);
	rk_hosts_leave(hosts, "http://a", true, -1, 0);
	assert_int_equal(rk_hosts_enter(hosts, "http://a", 0), 0);
	rk_hosts_destroy(hosts);
}

static void a_failing_host_is_left_alone_for_longer_and_longer(void **state)
{
	struct rk_hosts *hosts = rk_hosts_create();
	int64_t now = 0, wait = 0;

	for (int i = 0; i < 20; i++) {
		int64_t most = RK_HOST_FIRST_MS << i;

		if (most > RK_HOST_MOST_MS || i > 10)
			most = RK_HOST_MOST_MS;
		assert_int_equal(rk_hosts_enter(hosts, "http://a", now), 0);
		/* Until it was good again, one at a time. */
		if (i > 0)
			assert_int_equal(rk_hosts_enter(hosts, "http://a", now), RK_HOST_BUSY_MS);
		rk_hosts_leave(hosts, "http://a", false, -1, now);
		wait = rk_hosts_enter(hosts, "http://a", now);
		assert_in_range(wait, most / 2, most);
		now += wait;
	}
	assert_int_equal(rk_hosts_enter(hosts, "http://a", now), 0);
	rk_hosts_leave(hosts, "http://a", true, -1, now);
	assert_int_equal(rk_hosts_enter(hosts, "http://a", now), 0);
	assert_int_equal(rk_hosts_enter(hosts, "http://a", now), 0);
	rk_hosts_destroy(hosts);
}

static void the_wait_asked_for_is_kept_within_bounds(void **state)
{
	struct rk_hosts *hosts = rk_hosts_create();

	assert_int_equal(rk_hosts_enter(hosts, "http://a", 5), 0);
	rk_hosts_leave(hosts, "http://a", false, 90000, 5);
	assert_int_equal(rk_hosts_enter(hosts, "http://a", 5), 90000);
	assert_int_equal(rk_hosts_enter(hosts, "http://for-ever", 0), 0);
	rk_hosts_leave(hosts, "http://for-ever", false, INT64_C(86400000), 0);
	assert_int_equal(rk_hosts_enter(hosts, "http://for-ever", 0), RK_HOST_MOST_MS);
	rk_hosts_destroy(hosts);
}

static void more_hosts_than_are_remembered_forget_only_the_well(void **state)
{
	struct rk_hosts *hosts = rk_hosts_create();
	char name[32];

	assert_int_equal(rk_hosts_enter(hosts, "http://bad", 0), 0);
	rk_hosts_leave(hosts, "http://bad", false, 90000, 0);
	for (int i = 0; i < 2 * RK_HOSTS_MOST; i++) {
		snprintf(name, sizeof(name), "http://%d", i);
		assert_int_equal(rk_hosts_enter(hosts, name, 0), 0);
		rk_hosts_leave(hosts, name, true, -1, 0);
	}
	assert_int_equal(rk_hosts_enter(hosts, "http://bad", 0), 90000);
	rk_hosts_destroy(hosts);
}

static void hosts_that_fail_keep_no_other_out(void **state)
{
	struct rk_hosts *hosts = rk_hosts_create();
	char name[32];

	assert_int_equal(rk_hosts_enter(hosts, "http://busy", 0), 0);
	assert_int_equal(rk_hosts_enter(hosts, "http://bad", 0), 0);
	rk_hosts_leave(hosts, "http://bad", false, 90000, 0);
	for (int i = 0; i < RK_HOSTS_MOST; i++) {
		snprintf(name, sizeof(name), "http://%d", i);
		assert_int_equal(rk_hosts_enter(hosts, name, 0), 0);
		rk_hosts_leave(hosts, name, false, 20000, 0);
	}
	assert_int_equal(rk_hosts_enter(hosts, "http://good", 0), 0);
	rk_hosts_leave(hosts, "http://good", true, -1, 0);
	/* Those that asked for less went first. */
	assert_int_equal(rk_hosts_enter(hosts, "http://bad", 0), 90000);
	rk_hosts_leave(hosts, "http://busy", true, -1, 0);
	rk_hosts_destroy(hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_host_is_asked_a_few_times_at_once),
		cmocka_unit_test(a_failing_host_is_left_alone_for_longer_and_longer),
		cmocka_unit_test(the_wait_asked_for_is_kept_within_bounds),
		cmocka_unit_test(more_hosts_than_are_remembered_forget_only_the_well),
		cmocka_unit_test(hosts_that_fail_keep_no_other_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
