/* Rules of indexer/course: numbers that follow move the cursor, a far one alone moves nothing. */
#include "tests/unit/test.h"

#include "indexer/apply.h"

enum { MOST = 12 };
#define FAR  (INT64_C(1) << 52)
#define STEP RK_COURSE_AHEAD

static void numbers_lead_to_a_cursor(void **state)
{
	static const struct {
		const char *what;
		int64_t numbers[MOST]; /* ended by 0 */
		int64_t cursor;
	} rows[] = {
		{"the first is taken", {7}, 7},
		{"the first is taken, however large", {FAR}, FAR},
		{"gaps are passed over", {7, 9, 1009, 9000000, INT64_C(1) << 40}, INT64_C(1) << 40},
		{"sent again, nothing moves", {7, 9, 8, 7, 9}, 9},
		{"sent again in order, nothing moves either", {7, 8, 9, 7, 8}, 9},
		{"a lie is forgotten", {7, 8, FAR, 9}, 9},
		{"so is every other", {7, FAR, 8, FAR, 9, FAR}, 9},
		{"a step too far is taken with the next", {7, 8 + STEP}, 7},
		{"a step too far is taken with the next one", {7, 8 + STEP, 9 + STEP}, 9 + STEP},
		{"steps that are all too far lag by one", {1, 2 * STEP, 4 * STEP, 6 * STEP},
			4 * STEP},
		{"lies in a row are believed", {7, FAR, FAR + 1}, FAR + 1},
		{"and corrected", {7, FAR, FAR + 1, 8, 9}, 9},
		{"at the first of a source, too", {FAR, 8, 9}, 9},
		{"one old number takes nothing back", {5000, 3, 5001}, 5001},
		{"lies, each below the one before, are not believed",
			{7, FAR, FAR - 2000, FAR - 4000}, 7},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rk_course course = {0};

		for (const int64_t *number = rows[i].numbers; *number; number++)
			rk_course_take(&course, *number);
		if (course.seq != rows[i].cursor)
			fail_msg("%s: %lld", rows[i].what, (long long)course.seq);
	}
}

static void old_is_what_lies_shortly_behind(void **state)
{
	const struct rk_course course = {.seq = 5000};

	assert_false(rk_course_is_old(&course, 5001));
	assert_true(rk_course_is_old(&course, 5000));
	assert_true(rk_course_is_old(&course, 4001));
	assert_false(rk_course_is_old(&course, 4000));
}

static void no_event_is_of_the_future(void **state)
{
	struct rk_stream_notes notes = {0};

	rk_apply_time(&notes, 5, 9000);
	assert_int_equal(atomic_load(&notes.event_ms), 5);
	rk_apply_time(&notes, INT64_MAX, 9000);
	assert_int_equal(atomic_load(&notes.event_ms), 9);
	rk_apply_time(&notes, 8, 9000);
	assert_int_equal(atomic_load(&notes.event_ms), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_lead_to_a_cursor),
		cmocka_unit_test(no_event_is_of_the_future),
		cmocka_unit_test(old_is_what_lies_shortly_behind),
	};
	return cmocka_run_group_tests_name("indexer/course", tests, NULL, NULL);
}
