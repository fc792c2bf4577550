/* Rules of indexer/waiting: in order, bounded, and a loss is known. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "atproto/verify.h"
#include "base/metrics.h"
#include "indexer/waiting.h"

static const struct rk_slice ada = RK_SLICE_LIT("did:plc:ada"), bea = RK_SLICE_LIT("did:plc:bea");

enum { UNKNOWN = 255 /* mark of a frame whose account's key is not known */ };

static bool add(struct rk_waiting *waiting, struct rk_slice did, size_t len, uint8_t mark)
{
	uint8_t *data = malloc(len);
	bool added;

	assert_non_null(data);
	memset(data, mark, len);
	added = rk_waiting_add(waiting, did, rk_slice_make(data, len), mark, mark == UNKNOWN);
	free(data);
	return added;
}

static void frames_of_an_account_come_in_order(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();
	const struct rk_waiting_frame *frame;

	assert_false(rk_waiting_has(waiting, ada));
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(add(waiting, ada, 10, i));
		assert_true(add(waiting, bea, 10, (uint8_t)(i + 10)));
	}
	frame = rk_waiting_first(waiting, ada);
	for (uint8_t i = 0; i < 3; i++, frame = frame->next) {
		assert_int_equal(frame->data[0], i);
		assert_int_equal(frame->stream_ms, i);
	}
	assert_null(frame);
	assert_int_equal(rk_waiting_bytes(waiting), 60);
	rk_waiting_shift(waiting, ada, 2);
	assert_int_equal(rk_waiting_first(waiting, ada)->data[0], 2);
	assert_true(add(waiting, ada, 10, 3));
	assert_int_equal(rk_waiting_first(waiting, ada)->next->data[0], 3);
	rk_waiting_shift(waiting, ada, 2);
	assert_false(rk_waiting_has(waiting, ada));
	assert_true(rk_waiting_has(waiting, bea));
	rk_waiting_drop(waiting, bea);
	assert_int_equal(rk_waiting_bytes(waiting), 0);
	rk_waiting_destroy(waiting);
}

static void too_many_frames_or_bytes_lose_all_of_the_account(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();

	assert_true(add(waiting, bea, 1, 0));
	for (int i = 0; i < RK_WAITING_FRAMES; i++)
		assert_true(add(waiting, ada, 1, 0));
	assert_false(rk_waiting_lost(waiting, ada));
	assert_false(add(waiting, ada, 1, 0));
	assert_true(rk_waiting_lost(waiting, ada));
	assert_true(rk_waiting_has(waiting, ada));
	assert_null(rk_waiting_first(waiting, ada));
	assert_false(add(waiting, ada, 1, 0));
	assert_int_equal(rk_waiting_bytes(waiting), 1);
	rk_waiting_drop(waiting, ada);
	assert_true(add(waiting, ada, RK_WAITING_BYTES, 0));
	assert_false(add(waiting, ada, 1, 0));
	assert_false(rk_waiting_lost(waiting, bea));
	rk_waiting_destroy(waiting);
}

static void all_accounts_together_are_bounded(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();
	char did[32];

	for (int i = 0; i < RK_WAITING_ALL_BYTES / RK_WAITING_BYTES; i++) {
		snprintf(did, sizeof(did), "did:plc:%d", i);
		assert_true(add(waiting, rk_slice_str(did), RK_WAITING_BYTES, 0));
	}
	assert_false(add(waiting, ada, 1, 0));
	assert_int_equal(rk_waiting_bytes(waiting), RK_WAITING_ALL_BYTES);
	rk_waiting_destroy(waiting);
}

static void those_without_a_key_leave_room_for_others(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();
	char did[32];

	for (int i = 0; i < RK_WAITING_UNKNOWN_BYTES / RK_WAITING_BYTES; i++) {
		snprintf(did, sizeof(did), "did:plc:%d", i);
		assert_true(add(waiting, rk_slice_str(did), RK_WAITING_BYTES, UNKNOWN));
	}
	assert_false(add(waiting, ada, 1, UNKNOWN));
	assert_true(add(waiting, bea, RK_WAITING_BYTES, 0));
	rk_waiting_drop(waiting, ada);
	rk_waiting_drop(waiting, rk_slice_str(did));
	assert_true(add(waiting, ada, RK_WAITING_BYTES, UNKNOWN));
	rk_waiting_destroy(waiting);
}

static bool doubt(struct rk_waiting *waiting, struct rk_slice did, uint8_t mark)
{
	return rk_waiting_add_doubt(waiting, did, rk_slice_make(&mark, 1), mark);
}

static void nothing_waits_behind_a_doubt(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();

	assert_true(doubt(waiting, ada, 1));
	assert_false(rk_waiting_has(waiting, ada));
	assert_int_equal(rk_waiting_first(waiting, ada)->data[0], 1);
	assert_true(add(waiting, ada, 1, 2));
	assert_true(rk_waiting_has(waiting, ada));
	assert_int_equal(rk_waiting_first(waiting, ada)->next->data[0], 2);
	rk_waiting_shift(waiting, ada, 1);
	assert_true(rk_waiting_has(waiting, ada));
	rk_waiting_shift(waiting, ada, 1);
	assert_null(rk_waiting_first(waiting, ada));
	rk_waiting_destroy(waiting);
}

static void doubts_are_few_and_cost_nothing_else(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();

	assert_true(add(waiting, ada, 1, 0));
	for (uint8_t i = 0; i < RK_WAITING_DOUBTS; i++)
		assert_true(doubt(waiting, ada, i));
	assert_false(doubt(waiting, ada, 0));
	assert_false(rk_waiting_lost(waiting, ada));
	assert_int_equal(rk_waiting_bytes(waiting), 1 + RK_WAITING_DOUBTS);
	assert_true(doubt(waiting, bea, 0));
	rk_waiting_shift(waiting, ada, 2);
	assert_true(doubt(waiting, ada, 0));
	rk_waiting_drop(waiting, ada);
	rk_waiting_drop(waiting, bea);
	assert_int_equal(rk_waiting_bytes(waiting), 0);
	rk_waiting_destroy(waiting);
}

static void accounts_are_bounded(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();
	char did[32];

	for (int i = 0; i < RK_WAITING_ACCOUNTS; i++) {
		snprintf(did, sizeof(did), "did:plc:%d", i);
		assert_true(add(waiting, rk_slice_str(did), 1, 0));
	}
	assert_false(add(waiting, ada, 1, 0));
	assert_false(doubt(waiting, ada, 0));
	assert_false(rk_waiting_has(waiting, ada));
	rk_waiting_drop(waiting, rk_slice_str(did));
	assert_true(add(waiting, ada, 1, 0));
	rk_waiting_destroy(waiting);
}

/* What waits for its repo comes with that; what waits for a key is gone. */
static void what_is_dropped_without_its_key_is_counted(void **state)
{
	struct rk_waiting *waiting = rk_waiting_create();
	int64_t before = rk_metric_refused_get(RK_VERDICT_NO_ROOM);

	for (int i = 0; i < 3; i++) {
		assert_true(add(waiting, ada, 1, UNKNOWN));
		assert_true(add(waiting, bea, 1, 0));
	}
	rk_waiting_shift(waiting, ada, 1);
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before);
	rk_waiting_drop(waiting, bea);
	rk_waiting_drop(waiting, ada);
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before + 2);
	assert_true(add(waiting, ada, 1, UNKNOWN));
	assert_false(add(waiting, ada, RK_WAITING_BYTES, UNKNOWN));
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before + 4);
	/* It has lost some: none waits any more. */
	assert_false(add(waiting, ada, 1, UNKNOWN));
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before + 5);
	rk_waiting_drop(waiting, ada);
	assert_true(doubt(waiting, ada, 1));
	rk_waiting_drop(waiting, ada);
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before + 6);
	assert_true(add(waiting, ada, 1, UNKNOWN));
	rk_waiting_destroy(waiting);
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_NO_ROOM), before + 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_an_account_come_in_order),
		cmocka_unit_test(too_many_frames_or_bytes_lose_all_of_the_account),
		cmocka_unit_test(all_accounts_together_are_bounded),
		cmocka_unit_test(those_without_a_key_leave_room_for_others),
		cmocka_unit_test(nothing_waits_behind_a_doubt),
		cmocka_unit_test(doubts_are_few_and_cost_nothing_else),
		cmocka_unit_test(accounts_are_bounded),
		cmocka_unit_test(what_is_dropped_without_its_key_is_counted),
	};
	return cmocka_run_group_tests_name("indexer/waiting", tests, NULL, NULL);
}
