/* Rules of cli/patience: repos are waited for while they come in, and not for ever. */
#include "tests/unit/test.h"

#include "cli/patience.h"

static void a_minute_without_one_less_is_the_end(void **state)
{
	struct rk_patience patience = {0};

	assert_false(rk_patience_is_over(&patience, INT64_C(1) << 40));
	rk_patience_note(&patience, 3, 1000);
	rk_patience_note(&patience, 3, 30000);
	assert_false(rk_patience_is_over(&patience, 1000 + RK_PATIENCE_STILL_MS - 1));
	assert_true(rk_patience_is_over(&patience, 1000 + RK_PATIENCE_STILL_MS));
	rk_patience_note(&patience, 2, 30000);
	assert_false(rk_patience_is_over(&patience, 30000 + RK_PATIENCE_STILL_MS - 1));
	assert_true(rk_patience_is_over(&patience, 30000 + RK_PATIENCE_STILL_MS));
}

/* Accounts cost nobody anything. */
static void new_ones_are_not_waited_for_in_their_turn(void **state)
{
	struct rk_patience patience = {0};

	rk_patience_note(&patience, 1, 0);
	for (int64_t now = 0; now < RK_PATIENCE_STILL_MS; now += 1000)
		rk_patience_note(&patience, now / 1000 % 2 ? 1 : 5, now);
	assert_true(rk_patience_is_over(&patience, RK_PATIENCE_STILL_MS));
}

static void ten_minutes_are_enough_for_any_number(void **state)
{
	struct rk_patience patience = {0};

	for (int64_t now = 0; now < RK_PATIENCE_MOST_MS; now += 1000) {
		rk_patience_note(&patience, (uint64_t)(1000000 - now), now);
		assert_false(rk_patience_is_over(&patience, now));
	}
	rk_patience_note(&patience, 1, RK_PATIENCE_MOST_MS);
	assert_true(rk_patience_is_over(&patience, RK_PATIENCE_MOST_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minute_without_one_less_is_the_end),
		cmocka_unit_test(new_ones_are_not_waited_for_in_their_turn),
		cmocka_unit_test(ten_minutes_are_enough_for_any_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
