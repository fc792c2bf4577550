/* Rules of atproto/mst_writer: one tree of the same keys, however much comes as whole subtrees. */
#include "tests/unit/atproto/tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "atproto/mst_writer.h"

enum { MOST = 300 };
static char texts[MOST][48];
static struct rk_slice keys[MOST];

static int order(const void *a, const void *b)
{
	return rk_slice_compare(*(const struct rk_slice *)a, *(const struct rk_slice *)b);
}

static void keys_make(size_t count, size_t seed)
{
	for (size_t i = 0; i < count; i++) {
		snprintf(texts[i], sizeof(texts[i]), "com.example.%s/%zu", i % 3 ? "one" : "other",
			i * 7919 + seed);
		keys[i] = rk_slice_str(texts[i]);
	}
	qsort(keys, count, sizeof(keys[0]), order);
}

static void keys_in_order_make_the_tree(void **state)
{
	struct rk_cid value = tree_value();
	struct rk_arena arena = {0};
	struct rk_buf car = {0};

	for (size_t count = 0; count <= MOST; count = count * 9 / 8 + 1) {
		struct rk_mst_writer writer;
		struct rk_cid root, expected;

		keys_make(count, 0);
		rk_buf_clear(&car);
		expected = tree_of(&car, keys, count);
		rk_mst_writer_init(&writer, &arena);
		for (size_t i = 0; i < count; i++)
			rk_mst_writer_key(&writer, keys[i], rk_mst_layer(keys[i]), &value);
		assert_true(rk_mst_writer_finish(&writer, &root));
		assert_true(rk_cid_equal(&root, &expected));
		rk_arena_reset(&arena);
	}
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

/* Hands keys up to the layer over as subtrees. */
static void put_subtrees(struct rk_mst_writer *writer, size_t count, int layer)
{
	struct rk_cid value = tree_value();
	struct rk_buf car = {0};
	size_t start = 0;

	for (size_t i = 0; i <= count; i++) {
		if (i < count && (int)rk_mst_layer(keys[i]) <= layer)
			continue;
		if (i > start) {
			struct rk_cid cid = tree_build(&car, keys + start, i - start, layer);

			assert_true(rk_mst_writer_fits(writer, (unsigned)layer));
			rk_mst_writer_subtree(writer, &cid, (unsigned)layer);
			assert_false(rk_mst_writer_fits(writer, (unsigned)layer));
		}
		if (i < count)
			rk_mst_writer_key(writer, keys[i], rk_mst_layer(keys[i]), &value);
		start = i + 1;
	}
	rk_buf_finish(&car);
}

static void subtrees_stand_for_their_keys(void **state)
{
	struct rk_arena arena = {0};
	struct rk_buf car = {0};

	for (size_t seed = 0; seed < 40; seed++) {
		int top = 0;

		keys_make(100, seed);
		for (size_t i = 0; i < 100; i++) {
			if ((int)rk_mst_layer(keys[i]) > top)
				top = (int)rk_mst_layer(keys[i]);
		}
		for (int layer = 0; layer < top; layer++) {
			struct rk_mst_writer writer;
			struct rk_cid root, expected;

			rk_buf_clear(&car);
			expected = tree_of(&car, keys, 100);
			rk_mst_writer_init(&writer, &arena);
			put_subtrees(&writer, 100, layer);
			assert_true(rk_mst_writer_finish(&writer, &root));
			assert_true(rk_cid_equal(&root, &expected));
			rk_arena_reset(&arena);
		}
	}
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

/* Lengths and prefixes in one, two and three bytes; more entries than fit one byte's count. */
static void numbers_of_all_sizes(void **state)
{
	static char long_texts[2][RK_MST_KEY_MOST + 1];
	static const size_t lengths[] = {3, 23, 24, 25, 255, 256, 257, 258, RK_MST_KEY_MOST};
	struct rk_cid value = tree_value();
	struct rk_arena arena = {0};
	struct rk_buf car = {0};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct rk_mst_writer writer;
		struct rk_cid root, expected;
		size_t len = lengths[i];

		for (size_t k = 0; k < 2; k++) {
			memset(long_texts[k], 'x', len);
			long_texts[k][1] = '/';
			long_texts[k][len - 1] = (char)('a' + k);
			keys[k] = rk_slice_make(long_texts[k], len);
		}
		rk_buf_clear(&car);
		expected = tree_of(&car, keys, 2);
		rk_mst_writer_init(&writer, &arena);
		for (size_t k = 0; k < 2; k++)
			rk_mst_writer_key(&writer, keys[k], rk_mst_layer(keys[k]), &value);
		assert_true(rk_mst_writer_finish(&writer, &root));
		assert_true(rk_cid_equal(&root, &expected));
	}
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

static void no_memory_is_said(void **state)
{
	struct rk_cid value = tree_value(), root;
	struct rk_mst_writer writer;
	struct rk_arena arena;

	keys_make(100, 0);
	rk_arena_init(&arena, 100);
	rk_mst_writer_init(&writer, &arena);
	for (size_t i = 0; i < 100; i++)
		rk_mst_writer_key(&writer, keys[i], rk_mst_layer(keys[i]), &value);
	assert_false(rk_mst_writer_finish(&writer, &root));
	rk_arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_in_order_make_the_tree),
		cmocka_unit_test(subtrees_stand_for_their_keys),
		cmocka_unit_test(numbers_of_all_sizes),
		cmocka_unit_test(no_memory_is_said),
	};
	return cmocka_run_group_tests_name("atproto/mst_writer", tests, NULL, NULL);
}
