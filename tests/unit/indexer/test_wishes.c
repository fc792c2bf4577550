/* Rules of indexer/wishes: each account once, the least tried first, hosts of did:web never all there is, and
 * accounts that anybody can make up in nobody's way. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "indexer/wishes.h"

static struct rk_wishes wishes;
static int64_t wait_ms;

static int empty(void **state)
{
	rk_wishes_finish(&wishes);
	wishes = (struct rk_wishes){0};
	wait_ms = 1000;
	return 0;
}

static bool add(const char *did, int64_t due_ms, unsigned tries)
{
	return rk_wishes_add(&wishes, rk_slice_str(did), RK_WISH_STREAM, due_ms, tries);
}

/* Accounts of this kind, numbered from there on. */
static void add_many(enum rk_wish_kind kind, int from, int count)
{
	char did[32];

	for (int i = from; i < from + count; i++) {
		snprintf(did, sizeof(did), "did:plc:%d-%d", kind, i);
		assert_true(rk_wishes_add(&wishes, rk_slice_str(did), kind, 0, 0));
	}
}

/* How many may be taken. */
static int take_all(int64_t now_ms)
{
	struct rk_wish wish;
	int count = 0;

	while (rk_wishes_take(&wishes, &wish, now_ms, NULL, 0, &wait_ms)) {
		free(wish.did);
		count++;
	}
	return count;
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

enum { ROOM = 1024, AT_ONCE = 256, APART_MS = 100 /* of strangers */ };

static void there_is_an_end_to_them_by_kind(void **state)
{
	static const struct rk_slice more = RK_SLICE_LIT("did:plc:more");
	struct rk_wish wish;

	add_many(RK_WISH_STRANGER, 0, ROOM);
	assert_false(rk_wishes_add(&wishes, more, RK_WISH_STRANGER, 0, 0));
	/* One that is there is kept. */
	add_many(RK_WISH_STRANGER, 7, 1);
	assert_int_equal(wishes.count, ROOM);
	/* In nobody's way; and if it becomes known, in no other's place. */
	assert_true(rk_wishes_add(&wishes, more, RK_WISH_SWEEP, 0, 0));
	assert_true(rk_wishes_add(
		&wishes, (struct rk_slice)RK_SLICE_LIT("did:plc:2-7"), RK_WISH_STREAM, 0, 0));
	add_many(RK_WISH_STRANGER, ROOM, 1);
	assert_true(rk_wishes_take(&wishes, &wish, 0, NULL, 0, &wait_ms));
	assert_string_equal(wish.did, "did:plc:2-7");
	free(wish.did);
	assert_true(rk_wishes_take(&wishes, &wish, 0, NULL, 0, &wait_ms));
	assert_string_equal(wish.did, "did:plc:more");
	free(wish.did);
}

static void hosts_that_may_not_answer_have_a_part_of_the_room(void **state)
{
	static const struct rk_slice web = RK_SLICE_LIT("did:web:more.example");
	char did[32];

	for (int i = 0; i < ROOM / 4; i++) {
		snprintf(did, sizeof(did), "did:web:%d.example", i);
		assert_true(rk_wishes_add(&wishes, rk_slice_str(did), RK_WISH_STRANGER, 0, 0));
	}
	assert_false(rk_wishes_add(&wishes, web, RK_WISH_STRANGER, 0, 0));
	/* One that is there is kept; and those of another kind have another part. */
	assert_true(rk_wishes_add(&wishes, rk_slice_str(did), RK_WISH_STRANGER, 0, 0));
	assert_true(rk_wishes_add(&wishes, web, RK_WISH_STREAM, 0, 0));
	add_many(RK_WISH_STRANGER, 0, ROOM - ROOM / 4);
	assert_int_equal(wishes.count, ROOM + 1);
}

static void strangers_are_asked_for_at_a_pace(void **state)
{
	int64_t now_ms = 5000000, paced = rk_metric_get(RK_METRIC_IDENTITIES_PACED);

	add_many(RK_WISH_STRANGER, 0, ROOM);
	assert_int_equal(take_all(now_ms), AT_ONCE);
	assert_int_equal(wait_ms, APART_MS);
	/* Each is counted once. */
	assert_int_equal(rk_metric_get(RK_METRIC_IDENTITIES_PACED), paced + ROOM - AT_ONCE);
	assert_int_equal(take_all(now_ms + APART_MS - 1), 0);
	assert_int_equal(wait_ms, 1);
	assert_int_equal(take_all(now_ms + APART_MS), 1);
	assert_int_equal(take_all(now_ms + 11 * APART_MS), 10);
	assert_int_equal(rk_metric_get(RK_METRIC_IDENTITIES_PACED), paced + ROOM - AT_ONCE);
	/* Others are not held up by that. */
	assert_true(add("did:plc:a", 0, 0));
	assert_int_equal(take_all(now_ms + 11 * APART_MS), 1);
	/* However long it was silent, no more of them at once. */
	assert_int_equal(take_all(now_ms + 1000000 * APART_MS), AT_ONCE);
}

static void a_directory_that_asks_for_it_is_left_alone(void **state)
{
	assert_true(add("did:plc:a", 0, 0));
	assert_true(add("did:web:a.example", 0, 0));
	assert_true(rk_wishes_rest(&wishes, 10, 500));
	assert_false(rk_wishes_rest(&wishes, 10, 300));
	takes(509, true, "did:web:a.example");
	takes(509, true, NULL);
	assert_int_equal(wait_ms, 1);
	takes(510, true, "did:plc:a");
	/* … but not for ever. */
	assert_false(rk_wishes_rest(&wishes, 1000, INT64_C(1) << 40));
	assert_true(add("did:plc:a", 0, 0));
	takes(1000 + RK_WISH_REST_MOST_MS - 1, true, NULL);
	takes(1000 + RK_WISH_REST_MOST_MS, true, "did:plc:a");
	assert_true(rk_wishes_rest(&wishes, 10 + RK_WISH_REST_MOST_MS, 1));
	assert_false(rk_wishes_rest(&wishes, 11 + RK_WISH_REST_MOST_MS, 1));
}

static void tries_lie_further_and_further_apart(void **state)
{
	assert_int_equal(rk_wish_wait_ms(0, -1, 0), RK_WISH_FIRST_MS / 2);
	assert_int_equal(rk_wish_wait_ms(1, -1, 0), RK_WISH_FIRST_MS);
	assert_int_equal(rk_wish_wait_ms(2, -1, 0), RK_WISH_FIRST_MS * 2);
	assert_int_equal(rk_wish_wait_ms(1000, -1, 0), RK_WISH_MOST_MS / 2);
	assert_int_equal(rk_wish_wait_ms(1000, -1, RK_WISH_MOST_MS / 2), RK_WISH_MOST_MS);
	/* Or as far as was asked for. */
	assert_int_equal(rk_wish_wait_ms(0, 7000, 0), 7000);
	assert_int_equal(rk_wish_wait_ms(1, 0, 0), RK_WISH_FIRST_MS);
	assert_int_equal(rk_wish_wait_ms(0, INT64_C(1) << 40, 0), RK_WISH_REST_MOST_MS);
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
		RULE(there_is_an_end_to_them_by_kind),
		RULE(hosts_that_may_not_answer_have_a_part_of_the_room),
		RULE(strangers_are_asked_for_at_a_pace),
		RULE(a_directory_that_asks_for_it_is_left_alone),
		RULE(tries_lie_further_and_further_apart),
	};
	return cmocka_run_group_tests_name("indexer/wishes", tests, NULL, NULL);
}
