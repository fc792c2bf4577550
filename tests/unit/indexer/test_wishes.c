/* Rules of indexer/wishes: each account once, the least tried first, hosts of did:web never all there is. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "indexer/wishes.h"

static struct rk_wishes wishes;
static int64_t wait_ms;

static int empty(void **state)
{
	rk_wishes_finish(&wishes);
	wait_ms = 1000;
	return 0;
}

static bool add(const char *did, int64_t due_ms, unsigned tries)
{
	return rk_wishes_add(&wishes, rk_slice_str(did), due_ms, tries, RK_WISHES_MOST);
}

/* webs: whether nobody reads one of did:web. */
static void takes(int64_t now_ms, bool webs, const char *did)
{
	static const char *const reading[] = {"did:plc:read", "did:web:silent.example"};
	struct rk_wish wish;

	if (rk_wishes_take(&wishes, &wish, now_ms, reading, webs ? 1 : 2, &wait_ms)) {
		assert_non_null(did);
		assert_string_equal(wish.did, did);
		free(wish.did);
	} else {
		assert_null(did);
	}
}

static void an_account_is_there_once(void **state)
{
	assert_true(add("did:plc:a", 50, 0));
	assert_true(add("did:plc:a", 10, 0));
	assert_true(add("did:plc:a", 90, 0));
	takes(9, true, NULL);
	assert_int_equal(wait_ms, 1);
	takes(10, true, "did:plc:a");
	takes(100, true, NULL);
}

static void what_was_tried_in_vain_is_not_brought_forward(void **state)
{
	assert_true(add("did:plc:a", 5000, 1));
	assert_true(add("did:plc:a", 0, 0));
	takes(4999, true, NULL);
	takes(5000, true, "did:plc:a");
	assert_true(add("did:plc:a", 0, 0));
	assert_true(add("did:plc:a", 7000, 2));
	takes(6999, true, NULL);
}

static void the_least_tried_goes_first(void **state)
{
	assert_true(add("did:plc:a", 1, 3));
	assert_true(add("did:plc:b", 2, 0));
	assert_true(add("did:plc:c", 3, 1));
	takes(10, true, "did:plc:b");
	takes(10, true, "did:plc:c");
	takes(10, true, "did:plc:a");
}

static void webs_are_passed_over(void **state)
{
	assert_true(add("did:web:a.example", 1, 0));
	assert_true(add("did:plc:b", 2, 4));
	takes(10, false, "did:plc:b");
	takes(10, false, NULL);
	takes(10, true, "did:web:a.example");
}

static void one_that_is_being_read_waits_for_its_end(void **state)
{
	struct rk_wish wish;

	assert_true(add("did:plc:read", 1, 0));
	takes(10, true, NULL);
	assert_true(rk_wishes_take(&wishes, &wish, 10, NULL, 0, &wait_ms));
	free(wish.did);
}

static void there_is_an_end_to_them(void **state)
{
	char did[32];

	for (int i = 0; i < RK_WISHES_MOST; i++) {
		snprintf(did, sizeof(did), "did:plc:%d", i);
		assert_true(add(did, 0, 0));
	}
	assert_false(add("did:plc:more", 0, 0));
	assert_true(add("did:plc:7", 0, 0));
	takes(0, true, "did:plc:0");
	assert_false(rk_wishes_add(
		&wishes, (struct rk_slice)RK_SLICE_LIT("did:plc:more"), 0, 0, RK_WISHES_MOST / 2));
	assert_true(add("did:plc:more", 0, 0));
}

static void tries_lie_further_and_further_apart(void **state)
{
	assert_int_equal(rk_wish_wait_ms(0, 0), RK_WISH_FIRST_MS / 2);
	assert_int_equal(rk_wish_wait_ms(1, 0), RK_WISH_FIRST_MS);
	assert_int_equal(rk_wish_wait_ms(2, 0), RK_WISH_FIRST_MS * 2);
	assert_int_equal(rk_wish_wait_ms(1000, 0), RK_WISH_MOST_MS / 2);
	assert_int_equal(rk_wish_wait_ms(1000, RK_WISH_MOST_MS / 2), RK_WISH_MOST_MS);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, empty, empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(an_account_is_there_once),
		RULE(what_was_tried_in_vain_is_not_brought_forward),
		RULE(the_least_tried_goes_first),
		RULE(webs_are_passed_over),
		RULE(one_that_is_being_read_waits_for_its_end),
		RULE(there_is_an_end_to_them),
		RULE(tries_lie_further_and_further_apart),
	};
	return cmocka_run_group_tests_name("indexer/wishes", tests, NULL, NULL);
}
