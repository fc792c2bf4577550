/* Rules of atproto/mst: key order, prefixes, layers, no empty or misplaced nodes, all along. */
#include "tests/unit/atproto/trees.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/vectors.h"

static bool take(void *context, struct rk_slice key, const struct rk_cid *value)
{
	(*(size_t *)context)++;
	return true;
}

static bool stop_at_second(void *context, struct rk_slice key, const struct rk_cid *value)
{
	return ++*(size_t *)context < 2;
}

static int order(const void *a, const void *b)
{
	return rk_slice_compare(*(const struct rk_slice *)a, *(const struct rk_slice *)b);
}

static void trees_of_all_sizes_are_walked_in_order(void **state)
{
	enum { MOST = 300 };
	static char texts[MOST][48];
	struct rk_slice keys[MOST];
	struct rk_buf car = {0};
	struct rk_cid any = make_cid(rk_slice_str("root"));

	for (size_t count = 0; count <= MOST; count = count * 5 / 4 + 1) {
		struct tree_expected expected = {.keys = keys, .count = count};
		struct rk_cid root;

		for (size_t i = 0; i < count; i++) {
			snprintf(texts[i], sizeof(texts[i]), "com.example.%s/%zu",
				i % 3 ? "one" : "other", i * 7919);
			keys[i] = rk_slice_str(texts[i]);
		}
		qsort(keys, count, sizeof(keys[0]), order);
		rk_buf_clear(&car);
		make_car(&car, &any);
		root = tree_of(&car, keys, count);
		assert_int_equal(
			tree_walk(rk_buf_slice(&car), &root, tree_expect, &expected), RK_MST_OK);
		assert_int_equal(expected.seen, count);
	}
	rk_buf_finish(&car);
}

static void structure_is_checked(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root"));
	struct rk_buf car = {0};

	for (size_t i = 0; i < TREES; i++) {
		size_t seen = 0;
		struct rk_cid root;

		rk_buf_clear(&car);
		make_car(&car, &any);
		root = trees[i].build(&car);
		if (tree_walk(rk_buf_slice(&car), &root, take, &seen) != trees[i].result)
			fail_msg("%s", trees[i].what);
	}
	rk_buf_finish(&car);
}

static void visitor_may_stop(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), root;
	struct rk_buf car = {0};
	size_t seen = 0;

	make_car(&car, &any);
	root = trees[0].build(&car);
	assert_int_equal(
		tree_walk(rk_buf_slice(&car), &root, stop_at_second, &seen), RK_MST_STOPPED);
	assert_int_equal(seen, 2);
	rk_buf_finish(&car);
}

/* Nine layers with three keys: nodes without entries, as the reference writes them. */
static void nodes_without_entries_bridge_layers(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/tree-high.car");
	struct rk_slice keys[] = {
		rk_slice_str("app.bsky.feed.post/0000"),
		rk_slice_str("app.bsky.feed.post/9adeb165882c"),
		rk_slice_str("com.example.record/zzzz"),
	};
	struct tree_expected expected = {.keys = keys, .count = 3};
	struct rk_blocks blocks;

	assert_int_equal(rk_blocks_load(&blocks, NULL, car, 100), RK_BLOCKS_OK);
	assert_int_equal(rk_mst_walk(&blocks, &blocks.root, tree_expect, &expected), RK_MST_OK);
	assert_int_equal(expected.seen, 3);
	rk_blocks_finish(&blocks);
	free((void *)car.data);
}

/* Whatever part of a key the one before it had, what is said of it is what is said of the whole. */
static void a_key_that_follows_is_judged_as_the_whole(void **state)
{
	static const char *const before[] = {"a/b", "abc/def", "a.b.c/d"};
	static const char *const keys[] = {"a/b", "a/bc", "a/", "a//b", "a/b/c", "ab", "abc",
		"abc/def", "abc/deg", "abc/de/", "abc/", "abcd/e", "ab/c", "a.b.c/d/", "a.b.c/d",
		"a.b.c/ e", "a.b.c/\xc3", "a.b.d/d", "a.b.c", "a.b.c.d", ""};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]) * sizeof(keys) / sizeof(keys[0]);
		i++) {
		const struct rk_slice first = rk_slice_str(before[i % 3]);
		const struct rk_slice key = rk_slice_str(keys[i / 3]);
		const size_t common = rk_mst_common_prefix(first, key);
		size_t whole = SIZE_MAX;
		const bool valid = rk_mst_key_follows(&whole, key, 0);

		assert_true(valid == rk_mst_key_valid(key));
		for (size_t shared = 0; shared <= common; shared++) {
			size_t slash = SIZE_MAX;

			assert_true(rk_mst_key_follows(&slash, first, 0));
			assert_true(rk_mst_key_follows(&slash, key, shared) == valid);
			if (valid)
				assert_int_equal(slash, whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_of_all_sizes_are_walked_in_order),
		cmocka_unit_test(structure_is_checked),
		cmocka_unit_test(visitor_may_stop),
		cmocka_unit_test(a_key_that_follows_is_judged_as_the_whole),
		cmocka_unit_test(nodes_without_entries_bridge_layers),
	};
	return cmocka_run_group_tests_name("atproto/mst", tests, trees_setup, NULL);
}
