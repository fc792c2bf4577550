/* Rules of indexer/rota: nobody waits for a host that is silent, slow, or has very much. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "indexer/rota.h"

#define SILENT "http://silent"
#define BUSY   "http://busy"

struct world {
	struct rk_rota *rota;
	struct rk_hosts *hosts;
	struct rk_rota_turn turn;
	int64_t now_ms, wait_ms;
};

static void world_begin(struct world *world)
{
	*world = (struct world){
		.rota = rk_rota_create(), .hosts = rk_hosts_create(), .now_ms = 1000};
	assert_non_null(world->rota);
	assert_non_null(world->hosts);
}

static struct rk_rota_sums world_end(struct world *world)
{
	struct rk_rota_sums sums;

	rk_rota_sums(world->rota, &sums);
	rk_rota_destroy(world->rota);
	rk_hosts_destroy(world->hosts);
	return sums;
}

static void add(struct world *world, const char *origin, rk_repo_id from, rk_repo_id to)
{
	for (rk_repo_id repo = from; repo <= to; repo++)
		assert_int_equal(rk_rota_add(world->rota, origin, repo, repo * 7), 0);
}

static enum rk_rota_result next(struct world *world)
{
	return rk_rota_next(
		world->rota, &world->turn, &world->wait_ms, world->hosts, world->now_ms);
}

static void end(struct world *world, const struct rk_rota_turn *turn, bool good)
{
	rk_rota_end(world->rota, turn, world->hosts, good, -1, world->now_ms);
}

static void each_repo_is_asked_for_once_and_each_host_in_its_turn(void **state)
{
	struct world world;
	bool asked[31] = {false};
	struct rk_rota_sums sums;

	world_begin(&world);
	add(&world, BUSY, 1, 20);
	add(&world, "http://other", 21, 30);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(next(&world), RK_ROTA_TURN);
		assert_false(asked[world.turn.repo]);
		assert_int_equal(world.turn.repo > 20, strcmp(world.turn.origin, BUSY) != 0);
		asked[world.turn.repo] = true;
		end(&world, &world.turn, true);
		/* Also the one with less was begun with at once. */
		if (i == 1)
			assert_true(memchr(asked + 1, true, 20) && memchr(asked + 21, true, 10));
	}
	assert_int_equal(next(&world), RK_ROTA_OVER);
	sums = world_end(&world);
	assert_int_equal(sums.asked, 30);
	assert_int_equal(sums.left + sums.overdue, 0);
}

static void a_host_has_one_turn_until_it_answers_and_then_a_few(void **state)
{
	struct rk_rota_turn first, turns[RK_HOST_BUSY_MOST];
	struct world world;

	world_begin(&world);
	add(&world, BUSY, 1, 10);
	assert_int_equal(next(&world), RK_ROTA_TURN);
	first = world.turn;
	assert_int_equal(next(&world), RK_ROTA_WAIT);
	end(&world, &first, true);
	for (int i = 0; i < RK_HOST_BUSY_MOST; i++) {
		assert_int_equal(next(&world), RK_ROTA_TURN);
		turns[i] = world.turn;
	}
	assert_int_equal(next(&world), RK_ROTA_WAIT);
	for (int i = 0; i < RK_HOST_BUSY_MOST; i++)
		end(&world, &turns[i], true);
	world_end(&world);
}

static void a_host_that_fails_is_left_and_the_others_go_on_meanwhile(void **state)
{
	struct rk_rota_turn silent;
	struct rk_rota_sums sums;
	struct world world;

	world_begin(&world);
	add(&world, SILENT, 1, 10);
	add(&world, BUSY, 11, 20);
	assert_int_equal(next(&world), RK_ROTA_TURN);
	silent = world.turn;
	assert_string_equal(silent.origin, SILENT);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(next(&world), RK_ROTA_TURN);
		assert_string_equal(world.turn.origin, BUSY);
		end(&world, &world.turn, true);
	}
	assert_int_equal(next(&world), RK_ROTA_WAIT);
	end(&world, &silent, false);
	assert_int_equal(next(&world), RK_ROTA_OVER);
	sums = world_end(&world);
	assert_int_equal(sums.asked, 11);
	assert_int_equal(sums.left, 9);
}

static void a_host_that_is_left_alone_is_not_waited_for(void **state)
{
	struct rk_rota_sums sums;
	struct world world;

	world_begin(&world);
	assert_int_equal(rk_hosts_enter(world.hosts, SILENT, world.now_ms), 0);
	rk_hosts_leave(world.hosts, SILENT, false, 60000, world.now_ms);
	add(&world, SILENT, 1, 5);
	assert_int_equal(next(&world), RK_ROTA_OVER);
	sums = world_end(&world);
	assert_int_equal(sums.asked, 0);
	assert_int_equal(sums.left, 5);
}

static void a_host_that_others_ask_is_come_back_to(void **state)
{
	struct world world;

	world_begin(&world);
	for (int i = 0; i < RK_HOST_BUSY_MOST; i++)
		assert_int_equal(rk_hosts_enter(world.hosts, BUSY, world.now_ms), 0);
	add(&world, BUSY, 1, 1);
	assert_int_equal(next(&world), RK_ROTA_WAIT);
	assert_true(world.wait_ms <= RK_HOST_BUSY_MS);
	for (int i = 0; i < RK_HOST_BUSY_MOST; i++)
		rk_hosts_leave(world.hosts, BUSY, true, -1, world.now_ms);
	world.now_ms += world.wait_ms;
	assert_int_equal(next(&world), RK_ROTA_TURN);
	end(&world, &world.turn, true);
	world_end(&world);
}

static void a_host_has_its_time_and_no_more(void **state)
{
	struct rk_rota_sums sums;
	struct world world;

	world_begin(&world);
	add(&world, BUSY, 1, 1000000);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(next(&world), RK_ROTA_TURN);
		world.now_ms += RK_ROTA_HOST_MS / 10;
		end(&world, &world.turn, true);
	}
	assert_int_equal(next(&world), RK_ROTA_TURN);
	world.now_ms++;
	end(&world, &world.turn, true);
	assert_int_equal(next(&world), RK_ROTA_OVER);
	sums = world_end(&world);
	assert_int_equal(sums.asked, 11);
	assert_int_equal(sums.overdue, 1000000 - 11);
}

static void what_hosts_are_too_many_is_left(void **state)
{
	struct world world;
	char origin[32];

	world_begin(&world);
	for (int i = 0; i <= RK_ROTA_HOSTS_MOST; i++) {
		snprintf(origin, sizeof(origin), "http://%d", i);
		add(&world, origin, 1, 1);
	}
	/* Not the others' repos. */
	add(&world, "http://0", 2, 3);
	assert_int_equal(world_end(&world).left, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_repo_is_asked_for_once_and_each_host_in_its_turn),
		cmocka_unit_test(a_host_has_one_turn_until_it_answers_and_then_a_few),
		cmocka_unit_test(a_host_that_fails_is_left_and_the_others_go_on_meanwhile),
		cmocka_unit_test(a_host_that_is_left_alone_is_not_waited_for),
		cmocka_unit_test(a_host_that_others_ask_is_come_back_to),
		cmocka_unit_test(a_host_has_its_time_and_no_more),
		cmocka_unit_test(what_hosts_are_too_many_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
