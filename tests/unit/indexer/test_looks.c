/* Rules of indexer/looks: one an account and a minute, few of all, and another where it was worth it. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "indexer/looks.h"

static const struct rk_slice ada = RK_SLICE_LIT("did:plc:ada"), bea = RK_SLICE_LIT("did:plc:bea");
static struct rk_looks looks;

static int none(void **state)
{
	rk_looks_finish(&looks);
	return 0;
}

static void an_account_has_one_look_a_minute(void **state)
{
	assert_true(rk_looks_take(&looks, ada, 1000, 2000));
	assert_false(rk_looks_take(&looks, ada, 3000, 4000));
	assert_false(rk_looks_take(&looks, ada, 3000, 2000 + RK_LOOKS_MS - 1));
	assert_true(rk_looks_take(&looks, bea, 3000, 4000));
	assert_true(rk_looks_take(&looks, ada, 3000, 2000 + RK_LOOKS_MS));
}

static void the_same_question_has_the_same_answer(void **state)
{
	assert_true(rk_looks_take(&looks, ada, 1000, 2000));
	assert_true(rk_looks_take(&looks, ada, 1000, 2001));
	assert_false(rk_looks_take(&looks, ada, 1001, 2002));
}

static void one_that_found_another_key_is_given_back(void **state)
{
	assert_true(rk_looks_take(&looks, ada, 1000, 2000));
	assert_true(rk_looks_take(&looks, bea, 1000, 2000));
	rk_looks_return(&looks, ada);
	assert_true(rk_looks_take(&looks, ada, 3000, 4000));
	assert_false(rk_looks_take(&looks, bea, 3000, 4000));
}

static void there_are_so_many_of_all(void **state)
{
	char did[32];

	for (int i = 0; i < RK_LOOKS_MOST; i++) {
		snprintf(did, sizeof(did), "did:plc:%d", i);
		assert_true(rk_looks_take(&looks, rk_slice_str(did), 1000, 2000 + i));
	}
	assert_false(rk_looks_take(&looks, ada, 1000, 2000 + RK_LOOKS_MOST));
	/* The first one's minute is over. */
	assert_true(rk_looks_take(&looks, ada, 1000, 2000 + RK_LOOKS_MS));
	assert_false(rk_looks_take(&looks, bea, 1000, 2000 + RK_LOOKS_MS));
}

static void a_clock_that_was_put_back_keeps_none(void **state)
{
	assert_true(rk_looks_take(&looks, ada, 1000, 1000000));
	assert_true(rk_looks_take(&looks, ada, 900, 999999));
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, none, none)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(an_account_has_one_look_a_minute),
		RULE(the_same_question_has_the_same_answer),
		RULE(one_that_found_another_key_is_given_back),
		RULE(there_are_so_many_of_all),
		RULE(a_clock_that_was_put_back_keeps_none),
	};
	return cmocka_run_group_tests_name("indexer/looks", tests, NULL, NULL);
}
