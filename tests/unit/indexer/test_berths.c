/* Rules of indexer/berths: few long fetches at once, one of a host, each in its turn. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "indexer/berths.h"

enum { MUCH = RK_BERTH_BYTES + 1 };

/* Enters and becomes long at once. */
static bool is_long(struct rk_berths *berths, struct rk_berth *out, rk_repo_id repo,
	const char *host, int64_t now_ms)
{
	return rk_berths_enter(berths, out, repo, host, now_ms) &&
		rk_berths_go_on(berths, out, MUCH, now_ms);
}

static void short_and_small_ones_need_none(void **state)
{
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth many[100];

	for (unsigned i = 0; i < 100; i++) {
		assert_true(rk_berths_enter(berths, &many[i], i + 1, "http://a", 0));
		assert_true(rk_berths_go_on(berths, &many[i], RK_BERTH_BYTES, RK_BERTH_MS));
		assert_false(many[i].held);
	}
	rk_berths_destroy(berths);
}

static void much_and_slow_ones_need_one(void **state)
{
	for (int slow = 0; slow < 2; slow++) {
		struct rk_berths *berths = rk_berths_create(true);
		struct rk_berth first, second;
		size_t bytes = slow ? 1 : MUCH;
		int64_t later = slow ? RK_BERTH_MS + 1 : 1;

		assert_true(rk_berths_enter(berths, &first, 1, "http://a", 0));
		assert_true(rk_berths_enter(berths, &second, 2, "http://a", 0));
		assert_true(rk_berths_go_on(berths, &first, bytes, later));
		assert_true(first.held);
		/* Of the same host. */
		assert_false(rk_berths_go_on(berths, &second, bytes, later));
		rk_berths_leave(berths, &second, 0);
		/* Who has one keeps it, whatever comes. */
		assert_true(rk_berths_go_on(berths, &first, SIZE_MAX, INT64_C(1) << 50));
		rk_berths_leave(berths, &first, 0);
		rk_berths_destroy(berths);
	}
}

/* Its slowness is the operator's own, and it is one host. */
static void a_pds_may_be_slow_and_have_all(void **state)
{
	struct rk_berths *berths = rk_berths_create(false);
	struct rk_berth held[RK_BERTHS], more;

	for (unsigned i = 0; i < RK_BERTHS; i++)
		assert_true(is_long(berths, &held[i], i + 1, "http://a", 0));
	assert_true(rk_berths_enter(berths, &more, 100, "http://a", 0));
	assert_true(rk_berths_go_on(berths, &more, 1, INT64_C(1) << 50));
	assert_false(rk_berths_go_on(berths, &more, MUCH, 1));
	rk_berths_destroy(berths);
}

static void all_wait_in_order_and_one_host_for_itself(void **state)
{
	static const char *const hosts[] = {"http://a", "http://b", "http://c", "http://d"};
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth held[RK_BERTHS], again, of_a, of_e, of_f;

	for (unsigned i = 0; i < RK_BERTHS; i++)
		assert_true(is_long(berths, &held[i], i + 1, hosts[i], 0));
	assert_false(is_long(berths, &of_a, 10, "http://a", 0));
	assert_false(is_long(berths, &of_e, 11, "http://e", 0));
	assert_false(is_long(berths, &of_f, 12, "http://f", 0));
	/* It is not asked for in vain, before it is its turn. */
	assert_false(rk_berths_enter(berths, &of_a, 10, "http://a", 1));
	assert_false(rk_berths_enter(berths, &of_f, 12, "http://f", 1));
	rk_berths_leave(berths, &held[1], 0);
	/* That of a has to wait for a's own, and not the others for it. */
	assert_false(rk_berths_enter(berths, &of_a, 10, "http://a", 2));
	assert_false(rk_berths_enter(berths, &of_f, 12, "http://f", 2));
	/* Nor does a new one pass. */
	assert_false(is_long(berths, &again, 2, "http://b", 2));
	assert_true(rk_berths_enter(berths, &of_e, 11, "http://e", 2));
	assert_true(of_e.held);
	rk_berths_leave(berths, &held[0], 0);
	assert_false(rk_berths_enter(berths, &of_f, 12, "http://f", 3));
	assert_true(rk_berths_enter(berths, &of_a, 10, "http://a", 3));
	rk_berths_leave(berths, &of_e, 0);
	assert_true(rk_berths_enter(berths, &of_f, 12, "http://f", 4));
	/* Left in between, one's place is free for the next. */
	rk_berths_leave(berths, &held[2], 0);
	assert_true(rk_berths_enter(berths, &again, 2, "http://b", 5));
	rk_berths_destroy(berths);
}

static void who_does_not_come_loses_its_turn(void **state)
{
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth first, gone, next;

	assert_true(is_long(berths, &first, 1, "http://a", 0));
	assert_false(is_long(berths, &gone, 2, "http://a", 0));
	assert_false(is_long(berths, &next, 3, "http://a", 1));
	rk_berths_leave(berths, &first, 0);
	assert_false(rk_berths_enter(berths, &next, 3, "http://a", RK_BERTH_TURN_MS));
	assert_true(rk_berths_enter(berths, &next, 3, "http://a", RK_BERTH_TURN_MS + 1));
	rk_berths_destroy(berths);
}

/* More than are remembered: they are told to end, and to come again, all the same. */
static void the_queue_is_bounded(void **state)
{
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth first, second, other;

	assert_true(is_long(berths, &first, 1, "http://a", 0));
	for (unsigned i = 0; i < 2 * RK_BERTHS_QUEUE; i++)
		assert_false(is_long(berths, &other, i + 2, "http://a", 0));
	/* It does not fill it for others: their turns are remembered, too. */
	assert_true(is_long(berths, &second, 2000, "http://d", 0));
	assert_false(is_long(berths, &other, 2001, "http://d", 0));
	assert_false(rk_berths_enter(berths, &other, 2001, "http://d", 1));
	rk_berths_leave(berths, &second, 0);
	assert_true(rk_berths_enter(berths, &second, 2001, "http://d", 2));
	rk_berths_leave(berths, &second, 0);
	/* A host that fills it is in nobody's way, also before its next turn. */
	assert_true(is_long(berths, &other, 1000, "http://b", 0));
	rk_berths_leave(berths, &first, 0);
	assert_true(is_long(berths, &other, 1001, "http://c", 0));
	rk_berths_destroy(berths);
}

/* Each holds one for as long as a fetch may take, and has as many repos waiting as are remembered. */
static void who_held_one_long_goes_behind_who_did_not(void **state)
{
	static const char *const hosts[] = {"http://a", "http://b", "http://c", "http://d"};
	const int64_t held_ms = 20 * 60 * 1000;
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth held[RK_BERTHS], more[RK_BERTHS], honest, small, newcomer;

	for (unsigned i = 0; i < RK_BERTHS; i++)
		assert_true(is_long(berths, &held[i], i + 1, hosts[i], 0));
	for (unsigned i = 0; i < RK_BERTHS; i++)
		assert_false(is_long(berths, &more[i], i + 11, hosts[i], held_ms));
	assert_false(is_long(berths, &honest, 30, "http://e", held_ms));
	for (unsigned i = 0; i < RK_BERTHS; i++)
		rk_berths_leave(berths, &held[i], held_ms + i);
	/* Of four that are free one is kept for it, though all others came before. */
	for (unsigned i = 0; i < RK_BERTHS; i++)
		assert_int_equal(i < RK_BERTHS - 1,
			rk_berths_enter(berths, &more[i], i + 11, hosts[i], held_ms + 4));
	assert_true(rk_berths_enter(berths, &honest, 30, "http://e", held_ms + 5));
	/* What was short counts for little. */
	rk_berths_leave(berths, &honest, held_ms + 1005);
	assert_true(is_long(berths, &small, 31, "http://e", held_ms + 1005));
	assert_false(rk_berths_enter(berths, &more[3], 14, hosts[3], held_ms + 1006));
	/* And when all is paid off, who came first goes first. */
	assert_false(is_long(berths, &newcomer, 32, "http://f", held_ms + 1007));
	for (int64_t at = held_ms; at <= 2 * held_ms + 2000; at += RK_BERTH_TURN_MS) {
		assert_false(rk_berths_enter(berths, &more[3], 14, hosts[3], at + 2000));
		assert_false(rk_berths_enter(berths, &newcomer, 32, "http://f", at + 2000));
	}
	rk_berths_leave(berths, &small, 2 * held_ms + 4000);
	assert_false(rk_berths_enter(berths, &newcomer, 32, "http://f", 2 * held_ms + 4000));
	assert_true(rk_berths_enter(berths, &more[3], 14, hosts[3], 2 * held_ms + 4000));
	rk_berths_destroy(berths);
}

/* Eight hosts that owe fill the queue: one that owes nothing is remembered for all that. */
static void who_owes_most_leaves_a_full_queue(void **state)
{
	struct rk_berths *berths = rk_berths_create(true);
	struct rk_berth held[RK_BERTHS], other;
	char host[32];

	for (unsigned i = 0; i < 2 * RK_BERTHS; i++) {
		snprintf(host, sizeof(host), "http://%u", i);
		assert_true(is_long(berths, &other, i + 1, host, 0));
		rk_berths_leave(berths, &other, 1000);
	}
	for (unsigned i = 0; i < RK_BERTHS; i++) {
		static const char *const hosts[] = {"http://a", "http://b", "http://c", "http://d"};

		assert_true(is_long(berths, &held[i], i + 100, hosts[i], 1000));
	}
	for (unsigned i = 0; i < RK_BERTHS_QUEUE; i++) {
		snprintf(host, sizeof(host), "http://%u", i / RK_BERTHS_QUEUE_HOST);
		assert_false(is_long(berths, &other, i + 200, host, 1000));
	}
	assert_false(is_long(berths, &other, 300, "http://e", 1000));
	rk_berths_leave(berths, &held[0], 1001);
	/* None of the others is let in, for it is remembered and owes nothing. */
	for (unsigned i = 0; i < RK_BERTHS_QUEUE; i++) {
		snprintf(host, sizeof(host), "http://%u", i / RK_BERTHS_QUEUE_HOST);
		assert_false(is_long(berths, &other, i + 200, host, 1001));
	}
	assert_true(rk_berths_enter(berths, &other, 300, "http://e", 1002));
	assert_true(other.held);
	rk_berths_destroy(berths);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_and_small_ones_need_none),
		cmocka_unit_test(much_and_slow_ones_need_one),
		cmocka_unit_test(a_pds_may_be_slow_and_have_all),
		cmocka_unit_test(all_wait_in_order_and_one_host_for_itself),
		cmocka_unit_test(who_does_not_come_loses_its_turn),
		cmocka_unit_test(the_queue_is_bounded),
		cmocka_unit_test(who_held_one_long_goes_behind_who_did_not),
		cmocka_unit_test(who_owes_most_leaves_a_full_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
