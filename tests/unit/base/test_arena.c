/* Rules of base/arena: aligned, zeroed, bounded, used again after a reset. */
#include "tests/unit/test.h"

#include "base/arena.h"

static void memory_is_aligned_and_zeroed(void **state)
{
	struct rk_arena arena = {0};

	for (size_t size = 1; size < 10000; size += 37) {
		unsigned char *at = rk_arena_alloc(&arena, size);
		assert_non_null(at);
		assert_int_equal((uintptr_t)at % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(at[i], 0);
		memset(at, 0xff, size);
	}
	rk_arena_reset(&arena);
	assert_int_equal(*(unsigned char *)rk_arena_alloc(&arena, 16), 0);
	rk_arena_finish(&arena);
	rk_arena_finish(&arena);
}

static void limit_and_overflow_refuse(void **state)
{
	struct rk_arena arena;

	rk_arena_init(&arena, 8192);
	assert_non_null(rk_arena_alloc(&arena, 4000));
	assert_null(rk_arena_alloc(&arena, 8192));
	assert_null(rk_arena_calloc(&arena, SIZE_MAX / 2, 4));
	assert_null(rk_arena_alloc(&arena, SIZE_MAX));
	rk_arena_finish(&arena);
}

static void a_reset_keeps_the_newest_block_that_is_small_enough(void **state)
{
	struct rk_arena arena = {0};
	const void *second;

	assert_non_null(rk_arena_alloc(&arena, 4000));
	second = rk_arena_alloc(&arena, 8000);
	assert_non_null(rk_arena_alloc(&arena, 16000));
	rk_arena_reset_within(&arena, 10000);
	assert_ptr_equal(rk_arena_alloc(&arena, 1), second);
	assert_true(arena.total <= 10000);
	rk_arena_reset(&arena);
	assert_int_equal(arena.total, 0);
	rk_arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_keeps_the_newest_block_that_is_small_enough),
		cmocka_unit_test(memory_is_aligned_and_zeroed),
		cmocka_unit_test(limit_and_overflow_refuse),
	};
	return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
