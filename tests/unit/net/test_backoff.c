/* Rules of net/backoff. */
#include "tests/unit/test.h"

#include "net/backoff.h"

static void doubles_to_the_cap(void **state)
{
	static const int64_t most[] = {100, 200, 400, 800, 1000, 1000, 1000};
	struct rk_backoff high = {.first_ms = 100, .most_ms = 1000};
	struct rk_backoff low = high;

	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		/* random modulo (half + 1): 0 is the least wait, half the most. */
		assert_int_equal(
			rk_backoff_next(&high, (uint32_t)(most[i] - most[i] / 2)), most[i]);
		assert_int_equal(rk_backoff_next(&low, 0), most[i] / 2);
	}
}

static void stays_within_bounds(void **state)
{
	struct rk_backoff backoff = {.first_ms = 3, .most_ms = 60000};

	for (int i = 0; i < 10000; i++) {
		int64_t wait = rk_backoff_next(&backoff, rk_backoff_random());

		assert_in_range(wait, 1, 60000);
		if (i > 20)
			assert_in_range(wait, 30000, 60000);
	}
}

static void reset_starts_over(void **state)
{
	struct rk_backoff backoff = {.first_ms = 100, .most_ms = 1000};

	for (int i = 0; i < 5; i++)
		rk_backoff_next(&backoff, 0);
	rk_backoff_reset(&backoff);
	assert_int_equal(rk_backoff_next(&backoff, 0), 50);
}

static void first_over_the_cap_is_the_cap(void **state)
{
	struct rk_backoff backoff = {.first_ms = 5000, .most_ms = 1000};

	assert_int_equal(rk_backoff_next(&backoff, 0), 500);
	assert_int_equal(rk_backoff_next(&backoff, 0), 500);
}

static void huge_caps_do_not_overflow(void **state)
{
	struct rk_backoff backoff = {.first_ms = 1, .most_ms = INT64_MAX};

	for (int i = 0; i < 100; i++)
		assert_true(rk_backoff_next(&backoff, UINT32_MAX) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_to_the_cap),
		cmocka_unit_test(stays_within_bounds),
		cmocka_unit_test(reset_starts_over),
		cmocka_unit_test(first_over_the_cap_is_the_cap),
		cmocka_unit_test(huge_caps_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
