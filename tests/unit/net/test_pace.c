/* Rules of net/pace: what a PDS said of its limits is kept to before it has to refuse. */
#include "tests/unit/test.h"

#include "net/pace.h"

#define NOW     INT64_C(1700000000500)
#define NOW_SEC INT64_C(1700000000)

static size_t writes(const struct rk_pace *pace, size_t count, int64_t now, int64_t *wait)
{
	return rk_pace_writes(pace, wait, count, RK_PACE_CREATE, now);
}

static void what_says_nothing_is_not_slowed_down_for(void **state)
{
	const struct rk_pace_said nothing = {
		.remaining = -1, .reset_sec = -1, .window_sec = -1, .counts = RK_PACE_POINTS};
	struct rk_pace pace = {0};
	int64_t wait;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
		assert_int_equal(wait, 0);
		rk_pace_spend(&pace, RK_PACE_POINTS, 600, NOW);
		rk_pace_said(&pace, &nothing, NOW);
	}
}

static void as_many_go_as_there_are_points_for(void **state)
{
	static const struct {
		int64_t remaining;
		size_t fit;
	} cases[] = {{5000, 200}, {600, 200}, {599, 199}, {300, 100}, {3, 1}, {2, 0}, {0, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int64_t window = 3600; window <= 86400; window += 86400 - 3600) {
			struct rk_pace pace = {0};
			int64_t wait;

			rk_pace_said(&pace,
				&(struct rk_pace_said){.remaining = cases[i].remaining,
					.reset_sec = NOW_SEC + 10,
					.window_sec = window,
					.counts = RK_PACE_POINTS},
				NOW);
			assert_int_equal(writes(&pace, 200, NOW, &wait), cases[i].fit);
			/* The reset is cut to its second: it may be almost one later. */
			assert_int_equal(wait, cases[i].fit ? 0 : 10500);
			/* Reading costs no points. */
			assert_int_equal(rk_pace_wait_ms(&pace, NOW), 0);
			assert_int_equal(writes(&pace, 200, NOW + 10499, &wait), cases[i].fit);
			assert_int_equal(writes(&pace, 200, NOW + 10500, &wait), 200);
		}
	}
}

static void what_was_sent_counts_until_it_is_answered(void **state)
{
	struct rk_pace pace = {0};
	const struct rk_pace_said said = {.remaining = 1000,
		.reset_sec = NOW_SEC + 10,
		.window_sec = 3600,
		.counts = RK_PACE_POINTS};
	int64_t wait;

	rk_pace_said(&pace, &said, NOW);
	rk_pace_spend(&pace, RK_PACE_POINTS, 600, NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 133);
	rk_pace_spend(&pace, RK_PACE_POINTS, 600, NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 0);
	rk_pace_said(&pace, &said, NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
}

static void requests_are_counted_apart(void **state)
{
	struct rk_pace pace = {0};
	int64_t wait;

	/* A few requests left, in a window of minutes: they may be as big as they like. */
	rk_pace_said(&pace,
		&(struct rk_pace_said){.remaining = 2,
			.reset_sec = NOW_SEC + 100,
			.window_sec = 300,
			.counts = RK_PACE_POINTS},
		NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
	rk_pace_spend(&pace, RK_PACE_POINTS, 600, NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
	rk_pace_spend(&pace, RK_PACE_REQUESTS, 0, NOW);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW), 100500);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 0);
	assert_int_equal(wait, 100500);
	/* What an answer to a read says is about requests, whatever its window. */
	pace = (struct rk_pace){0};
	rk_pace_said(&pace,
		&(struct rk_pace_said){
			.remaining = 1, .reset_sec = NOW_SEC + 100, .window_sec = 3600},
		NOW);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
}

static void blobs_are_the_address_s(void **state)
{
	struct rk_pace pace = {0};
	struct rk_pace_said said = {.remaining = 2,
		.reset_sec = NOW_SEC + 100,
		.window_sec = 86400,
		.counts = RK_PACE_BLOBS};
	int64_t wait;

	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 0);
	rk_pace_said(&pace, &said, NOW);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 0);
	rk_pace_spend(&pace, RK_PACE_BLOBS, 1, NOW);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 0);
	rk_pace_spend(&pace, RK_PACE_BLOBS, 1, NOW);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 100500);
	/* Records may still be written; another account may upload no more than this one. */
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
	rk_pace_change_account(&pace);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 100500);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW + 100500), 0);
	/* The points that a write spends are not taken from blobs, nor the other way round. */
	said.remaining = 1;
	rk_pace_said(&pace, &said, NOW);
	rk_pace_spend(&pace, RK_PACE_POINTS, 600, NOW);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 0);
	/* Records may be written after a blob was refused for the day, too, whatever is said to be left. */
	pace = (struct rk_pace){0};
	said.remaining = 5;
	said.refused = true;
	said.retry_ms = 99000;
	rk_pace_said(&pace, &said, NOW);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 100500);
	assert_int_equal(writes(&pace, 200, NOW, &wait), 200);
	said.refused = false;
	said.remaining = 0;
	/* In a window of minutes it is requests that are counted. */
	pace = (struct rk_pace){0};
	said.window_sec = 300;
	rk_pace_said(&pace, &said, NOW);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW), 100500);
	assert_int_equal(rk_pace_upload_wait_ms(&pace, NOW), 100500);
}

static void a_refusal_is_obeyed(void **state)
{
	struct rk_pace pace = {0};
	struct rk_pace_said refused = {.remaining = -1,
		.reset_sec = -1,
		.window_sec = -1,
		.refused = true,
		.retry_ms = 7000};
	int64_t wait, before = 0;

	rk_pace_said(&pace, &refused, NOW);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW), 7000);
	assert_int_equal(writes(&pace, 1, NOW, &wait), 0);
	assert_int_equal(wait, 7000);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW + 7000), 0);
	/* A shorter one later takes nothing back. */
	refused.retry_ms = 1;
	rk_pace_said(&pace, &refused, NOW);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW), 7000);
	/* Without a time it backs off, to a minute; "now" is no time. */
	for (refused.retry_ms = -1; refused.retry_ms <= 0; refused.retry_ms++) {
		pace = (struct rk_pace){0};
		before = 0;
		for (int i = 0; i < 50; i++) {
			rk_pace_said(&pace, &refused, NOW);
			wait = rk_pace_wait_ms(&pace, NOW);
			assert_true(wait >= before && wait > 0 && wait <= 60000);
			before = wait;
		}
		assert_int_equal(before, 60000);
	}
	rk_pace_change_account(&pace);
	assert_int_equal(rk_pace_wait_ms(&pace, NOW), 0);
}

static void nonsense_does_not_stop_for_ever(void **state)
{
	static const struct rk_pace_said cases[] = {
		{.remaining = 0,
			.reset_sec = INT64_C(999999999999999),
			.window_sec = 3600,
			.counts = RK_PACE_POINTS},
		{.remaining = 0, .reset_sec = 0, .window_sec = 3600, .counts = RK_PACE_POINTS},
		{.remaining = 0, .reset_sec = -1, .window_sec = -1, .counts = RK_PACE_POINTS},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_pace pace = {0};
		int64_t wait;

		rk_pace_said(&pace, &cases[i], NOW);
		writes(&pace, 1, NOW, &wait);
		assert_true(wait >= 0 && wait <= 24 * 3600 * 1000 + 1000);
		assert_int_equal(writes(&pace, 1, NOW + wait, &wait), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_says_nothing_is_not_slowed_down_for),
		cmocka_unit_test(as_many_go_as_there_are_points_for),
		cmocka_unit_test(what_was_sent_counts_until_it_is_answered),
		cmocka_unit_test(requests_are_counted_apart),
		cmocka_unit_test(blobs_are_the_address_s),
		cmocka_unit_test(a_refusal_is_obeyed),
		cmocka_unit_test(nonsense_does_not_stop_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
