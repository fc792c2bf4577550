/* Rules of publish/later: failures wait longer and longer, and what nobody asks for is forgotten. */
#include "tests/unit/test.h"

#include "mirror/decide.h"
#include "publish/later.h"

static void waits_longer_each_time_up_to_a_bound(void **state)
{
	static const struct {
		int64_t most_ms, waits[6];
	} cases[] = {
		{RK_AGAIN_MOST_MS, {500, 1000, 2000, 4000, 8000, 16000}},
		{3000, {500, 1000, 2000, 3000, 3000, 3000}},
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct rk_later later = {0};

		assert_null(rk_later_find(&later, 7));
		for (unsigned i = 0; i < 6; i++) {
			const struct rk_later_entry *entry =
				rk_later_note(&later, 7, 100, cases[c].most_ms);

			assert_int_equal(entry->attempts, i + 1);
			assert_int_equal(entry->due_ms, 100 + cases[c].waits[i]);
		}
		assert_int_equal(later.count, 1);
		rk_later_drop(&later, 7);
		rk_later_drop(&later, 7);
		assert_null(rk_later_find(&later, 7));
		assert_int_equal(rk_later_note(&later, 7, 0, 9999)->attempts, 1);
		rk_later_finish(&later);
	}
}

static void finds_each_of_many(void **state)
{
	enum { COUNT = 1000 };
	struct rk_later later = {0};

	for (uint64_t i = 0; i < COUNT; i++) {
		uint64_t key = i * 2654435761u % 65536;

		assert_non_null(rk_later_note(&later, key, (int64_t)i, 0));
	}
	for (uint64_t i = 0; i < COUNT; i += 2)
		rk_later_drop(&later, i * 2654435761u % 65536);
	for (uint64_t i = 0; i < COUNT; i++) {
		const struct rk_later_entry *entry = rk_later_find(&later, i * 2654435761u % 65536);

		assert_int_equal(entry != NULL, i % 2);
		if (entry)
			assert_int_equal(entry->due_ms, i);
	}
	rk_later_finish(&later);
	rk_later_finish(&later);
}

static void forgets_what_is_not_asked_for(void **state)
{
	struct rk_later later = {0};

	for (uint64_t key = 1; key <= 3; key++)
		assert_non_null(rk_later_note(&later, key, 0, 0));
	rk_later_sweep(&later); /* noted since the last */
	assert_int_equal(later.count, 3);
	assert_non_null(rk_later_find(&later, 2));
	rk_later_sweep(&later);
	assert_int_equal(later.count, 1);
	assert_null(rk_later_find(&later, 1));
	rk_later_sweep(&later);
	assert_int_equal(later.count, 0);
	rk_later_finish(&later);
}

static void keys_of_kinds_differ(void **state)
{
	assert_true(rk_later_key('d', rk_slice_str("x")) != rk_later_key('u', rk_slice_str("x")));
	assert_true(rk_later_key('d', rk_slice_str("x")) != rk_later_key('d', rk_slice_str("y")));
	assert_true(rk_later_key('d', rk_slice_str("x")) == rk_later_key('d', rk_slice_str("x")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_longer_each_time_up_to_a_bound),
		cmocka_unit_test(finds_each_of_many),
		cmocka_unit_test(forgets_what_is_not_asked_for),
		cmocka_unit_test(keys_of_kinds_differ),
	};

	return cmocka_run_group_tests_name("publish/later", tests, NULL, NULL);
}
