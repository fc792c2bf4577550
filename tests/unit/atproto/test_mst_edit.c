/*
 * Rules of atproto/mst_edit: whatever is changed, the root is that of the tree of the keys that
 * remain; only what is needed must be there; what is passed is checked as a walk checks it.
 */
#include "tests/unit/atproto/trees.h"

#include <stdlib.h>

#include "atproto/mst_edit.h"

static uint64_t chance_state;

static size_t chance(size_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (size_t)(chance_state % below);
}

static int edit(struct rk_cid *out, const struct rk_buf *car, const struct rk_cid *root,
	const struct rk_mst_edit *edits, size_t count)
{
	struct rk_arena arena = {0};
	struct rk_blocks blocks;
	int result;

	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(car), SIZE_MAX), RK_BLOCKS_OK);
	result = rk_mst_edit(out, &arena, &blocks, root, edits, count);
	rk_blocks_finish(&blocks);
	rk_arena_finish(&arena);
	return result;
}

static int order(const void *a, const void *b)
{
	return rk_slice_compare(*(const struct rk_slice *)a, *(const struct rk_slice *)b);
}

enum { POOL = 120 };
static char pool_texts[POOL][24];
static struct rk_slice pool[POOL];

static int setup(void **state)
{
	for (size_t i = 0; i < POOL; i++) {
		int len = snprintf(pool_texts[i], sizeof(pool_texts[i]), "%s/%zu",
			i % 2 ? "a.b" : "a.c", i * i * 31 + i);

		pool[i] = rk_slice_make(pool_texts[i], (size_t)len);
	}
	qsort(pool, POOL, sizeof(pool[0]), order);
	return trees_setup(state);
}

/* One key of the pool in so many is in the tree; with 1 all are. */
static size_t tree_choose(bool chosen[POOL], size_t in)
{
	size_t count = 0;

	for (size_t i = 0; i < POOL; i++)
		count += chosen[i] = chance(in) == 0;
	return count;
}

static struct rk_cid tree_chosen(struct rk_buf *car, const bool chosen[POOL])
{
	struct rk_cid any = make_cid(rk_slice_str("root"));
	struct rk_slice keys[POOL];
	size_t count = 0;

	for (size_t i = 0; i < POOL; i++) {
		if (chosen[i])
			keys[count++] = pool[i];
	}
	rk_buf_clear(car);
	make_car(car, &any);
	return tree_of(car, keys, count);
}

static void any_edits_of_any_trees(void **state)
{
	struct rk_cid value = tree_value();
	struct rk_buf car_before = {0}, car_after = {0};

	chance_state = 1;
	for (int n = 0; n < 3000; n++) {
		struct rk_mst_edit there[POOL], back[POOL];
		struct rk_cid before, after, root;
		bool has[POOL], had[POOL];
		size_t count = 0, most;

		tree_choose(had, 1 + chance(12));
		memcpy(has, had, sizeof(had));
		most = chance(2) ? 1 : 1 + chance(40);
		for (size_t i = 0; i < POOL; i++) {
			bool change = chance(POOL) < most;

			has[i] ^= change;
			if (!change && chance(20))
				continue;
			there[count] = (struct rk_mst_edit){
				.key = pool[i],
				.before = had[i] ? &value : NULL,
				.after = has[i] ? &value : NULL,
			};
			back[count++] = (struct rk_mst_edit){
				.key = pool[i],
				.before = has[i] ? &value : NULL,
				.after = had[i] ? &value : NULL,
			};
		}
		before = tree_chosen(&car_before, had);
		after = tree_chosen(&car_after, has);
		assert_int_equal(edit(&root, &car_before, &before, there, count), RK_MST_EDIT_OK);
		assert_true(rk_cid_equal(&root, &after));
		assert_int_equal(edit(&root, &car_after, &after, back, count), RK_MST_EDIT_OK);
		assert_true(rk_cid_equal(&root, &before));
	}
	rk_buf_finish(&car_before);
	rk_buf_finish(&car_after);
}

static void values_are_replaced(void **state)
{
	struct rk_cid value = tree_value(), other = make_cid(rk_slice_str("another record")), root;
	struct rk_buf car = {0}, car_after = {0};
	struct rk_mst_edit edits[POOL];
	struct rk_cid before, after;
	bool all[POOL];

	tree_choose(all, 1);
	before = tree_chosen(&car, all);
	tree_value_set = other;
	after = tree_chosen(&car_after, all);
	tree_value_set = (struct rk_cid){0};
	for (size_t i = 0; i < POOL; i++)
		edits[i] = (struct rk_mst_edit){pool[i], &value, &other};
	assert_int_equal(edit(&root, &car, &before, edits, POOL), RK_MST_EDIT_OK);
	assert_true(rk_cid_equal(&root, &after));
	rk_buf_finish(&car);
	rk_buf_finish(&car_after);
}

static void what_is_before_must_be_so(void **state)
{
	struct rk_cid value = tree_value(), other = make_cid(rk_slice_str("another record")), root;
	struct rk_buf car = {0};

	chance_state = 2;
	for (int n = 0; n < 300; n++) {
		bool has[POOL];
		struct rk_cid before;
		size_t i = chance(POOL);
		struct rk_mst_edit one = {pool[i], NULL, NULL};

		tree_choose(has, 2);
		before = tree_chosen(&car, has);
		for (int after = 0; after < 2; after++) {
			one.after = after ? &value : NULL;
			one.before = &other;
			assert_int_equal(edit(&root, &car, &before, &one, 1),
				has[i] ? RK_MST_EDIT_DIFFERS : RK_MST_EDIT_ABSENT);
			one.before = has[i] ? NULL : &value;
			assert_int_equal(edit(&root, &car, &before, &one, 1),
				has[i] ? RK_MST_EDIT_PRESENT : RK_MST_EDIT_ABSENT);
			one.before = has[i] ? &value : NULL;
			assert_int_equal(edit(&root, &car, &before, &one, 1), RK_MST_EDIT_OK);
		}
	}
	rk_buf_finish(&car);
}

/* Keys in front of, between and behind all of the small trees': every node is on a path. */
static size_t edits_everywhere(struct rk_mst_edit out[256], char texts[256][5])
{
	size_t count = 0;

	for (int c = '-'; c <= 'z'; c++) {
		snprintf(texts[count], sizeof(texts[count]), "c/%c~", c);
		if (rk_mst_key_valid(rk_slice_str(texts[count]))) {
			out[count] = (struct rk_mst_edit){.key = rk_slice_str(texts[count])};
			count++;
		}
	}
	return count;
}

static void structure_is_checked_on_the_way(void **state)
{
	static char texts[256][5];
	struct rk_mst_edit edits[256];
	size_t count = edits_everywhere(edits, texts);
	struct rk_cid any = make_cid(rk_slice_str("root"));
	struct rk_buf car = {0};

	for (size_t i = 0; i < TREES; i++) {
		struct rk_cid root, after;
		int expected = trees[i].result == RK_MST_OK ? RK_MST_EDIT_OK
			: trees[i].result == RK_MST_MISSING ? RK_MST_EDIT_MISSING
							    : RK_MST_EDIT_MALFORMED;

		rk_buf_clear(&car);
		make_car(&car, &any);
		root = trees[i].build(&car);
		if (edit(&after, &car, &root, edits, count) != expected)
			fail_msg("%s", trees[i].what);
		if (expected == RK_MST_EDIT_OK)
			assert_true(rk_cid_equal(&root, &after));
	}
	rk_buf_finish(&car);
}

/* A root of one key with subtrees on both sides; what of them is `edit` removing? The key. */
static int joined(int left_first, int left_second, int key, int right_first, int right_second,
	struct rk_cid *out)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), value = tree_value();
	struct rk_mst_edit remove = {keys_of_layers[key], &value, NULL};
	struct rk_cid left, right, root;
	struct rk_buf car = {0};
	struct tree_entry entries[1];
	int result;

	make_car(&car, &any);
	left = leaf(&car, left_first, left_second);
	right = leaf(&car, right_first, right_second);
	entries[0] = entry(key, 0, &right);
	root = tree_node(&car, &left, entries, 1);
	result = edit(out, &car, &root, &remove, 1);
	rk_buf_finish(&car);
	return result;
}

static void joined_subtrees_are_checked_against_the_key_between(void **state)
{
	struct rk_slice rest[] = {keys_of_layers[A0], keys_of_layers[C0], keys_of_layers[D0]};
	struct rk_cid root, expected;
	struct rk_buf car = {0};

	assert_int_equal(joined(A0, -1, B1, C0, D0, &root), RK_MST_EDIT_OK);
	expected = tree_of(&car, rest, 3);
	assert_true(rk_cid_equal(&root, &expected));
	/* The left one's last key, the right one's first, are on the wrong side; joined in order. */
	assert_int_equal(joined(A0, C0, B1, D0, -1, &root), RK_MST_EDIT_MALFORMED);
	assert_int_equal(joined(A0, -1, E1, D0, F0, &root), RK_MST_EDIT_MALFORMED);
	assert_int_equal(joined(C0, -1, B1, D0, -1, &root), RK_MST_EDIT_MALFORMED);
	rk_buf_finish(&car);
}

/* The key is removed, and so is one that is looked for in the subtree before it. */
static void removed_key_is_behind_what_was_passed(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), value = tree_value(), root, after;
	struct rk_mst_edit edits[] = {
		{keys_of_layers[A0], NULL, NULL},
		{keys_of_layers[B1], &value, NULL},
	};
	struct tree_entry entries[] = {entry(B1, 0, NULL)};
	struct rk_cid left;
	struct rk_buf car = {0};

	make_car(&car, &any);
	left = leaf(&car, C0, -1);
	root = tree_node(&car, &left, entries, 1);
	assert_int_equal(edit(&after, &car, &root, edits, 2), RK_MST_EDIT_MALFORMED);
	rk_buf_finish(&car);
}

static struct tree_entry whole_entry(struct rk_slice key, const struct rk_cid *right)
{
	struct tree_entry out = {.rest = key};

	if (right)
		out.right = *right;
	return out;
}

/* A root of layer 2 whose key goes: the nodes on both sides are joined, and in them a leaf on each
 * side of the gap. The left leaf's key, and the right one's, may be on the wrong side. */
static int joined_deeply(const char *left_leaf, const char *right_leaf)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), value = tree_value();
	char names_of[5][32];
	struct rk_slice top = key_on(names_of[0], 32, "k", 2),
			left = key_on(names_of[1], 32, "b", 1);
	struct rk_slice right = key_on(names_of[2], 32, "y", 1);
	struct tree_entry entries[1] = {whole_entry(key_on(names_of[3], 32, left_leaf, 0), NULL)};
	struct rk_mst_edit remove = {top, &value, NULL};
	struct rk_cid left_node, right_node, below, root, after;
	struct rk_buf car = {0};
	int result;

	make_car(&car, &any);
	below = tree_node(&car, NULL, entries, 1);
	entries[0] = whole_entry(left, &below);
	left_node = tree_node(&car, NULL, entries, 1);
	entries[0] = whole_entry(key_on(names_of[4], 32, right_leaf, 0), NULL);
	below = tree_node(&car, NULL, entries, 1);
	entries[0] = whole_entry(right, NULL);
	right_node = tree_node(&car, &below, entries, 1);
	entries[0] = whole_entry(top, &right_node);
	root = tree_node(&car, &left_node, entries, 1);
	result = edit(&after, &car, &root, &remove, 1);
	rk_buf_finish(&car);
	return result;
}

static void joined_leaves_are_checked_against_the_key_between(void **state)
{
	assert_int_equal(joined_deeply("d", "m"), RK_MST_EDIT_OK);
	assert_int_equal(joined_deeply("l", "m"), RK_MST_EDIT_MALFORMED);
	assert_int_equal(joined_deeply("d", "e"), RK_MST_EDIT_MALFORMED);
	assert_int_equal(joined_deeply("m", "l"), RK_MST_EDIT_MALFORMED);
}

/* Not entered, nor missed, for it cannot be there. */
static void nothing_is_below_the_lowest_layer(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), value = tree_value(), root, after;
	struct rk_mst_edit proof = {keys_of_layers[C0], &value, &value};
	struct rk_cid nowhere = make_cid(rk_slice_str("nowhere"));
	struct tree_entry entries[] = {entry(C0, 0, &nowhere)};
	struct rk_buf car = {0};

	make_car(&car, &any);
	root = tree_node(&car, NULL, entries, 1);
	assert_int_equal(edit(&after, &car, &root, &proof, 1), RK_MST_EDIT_MALFORMED);
	rk_buf_finish(&car);
}

static int remove_b(struct rk_buf *car, const struct rk_cid *left, struct rk_cid *out)
{
	struct rk_cid value = tree_value();
	struct rk_mst_edit remove = {keys_of_layers[B1], &value, NULL};
	struct tree_entry entries[] = {entry(B1, 0, NULL)};
	struct rk_cid root = tree_node(car, left, entries, 1);

	return edit(out, car, &root, &remove, 1);
}

/* Nothing is left but the subtree of a removed key: it is the tree, and must be there. */
static void last_key_above_leaves_its_subtree(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), left, root;
	struct rk_buf car = {0};

	make_car(&car, &any);
	left = leaf(&car, A0, -1);
	assert_int_equal(remove_b(&car, &left, &root), RK_MST_EDIT_OK);
	assert_true(rk_cid_equal(&root, &left));
	assert_int_equal(remove_b(&car, NULL, &root), RK_MST_EDIT_OK);
	left = tree_node(&car, NULL, NULL, 0);
	assert_true(rk_cid_equal(&root, &left)); /* the empty tree */
	assert_int_equal(remove_b(&car, &left, &root), RK_MST_EDIT_MALFORMED);
	left = tree_node(&car, &left, NULL, 0);
	assert_int_equal(remove_b(&car, &left, &root), RK_MST_EDIT_MALFORMED);
	left = make_cid(rk_slice_str("nowhere"));
	assert_int_equal(remove_b(&car, &left, &root), RK_MST_EDIT_MISSING);
	rk_buf_finish(&car);
}

static void no_memory_is_said(void **state)
{
	struct rk_cid any = make_cid(rk_slice_str("root")), value = tree_value(), root;
	struct rk_mst_edit remove = {keys_of_layers[B1], &value, NULL};
	struct rk_blocks blocks;
	struct rk_arena arena;
	struct rk_buf car = {0};

	make_car(&car, &any);
	root = trees[0].build(&car);
	rk_arena_init(&arena, 100);
	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), SIZE_MAX), RK_BLOCKS_OK);
	assert_true(rk_mst_edit(&root, &arena, &blocks, &root, &remove, 1) < 0);
	rk_blocks_finish(&blocks);
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_edits_of_any_trees),
		cmocka_unit_test(values_are_replaced),
		cmocka_unit_test(what_is_before_must_be_so),
		cmocka_unit_test(structure_is_checked_on_the_way),
		cmocka_unit_test(joined_subtrees_are_checked_against_the_key_between),
		cmocka_unit_test(removed_key_is_behind_what_was_passed),
		cmocka_unit_test(joined_leaves_are_checked_against_the_key_between),
		cmocka_unit_test(nothing_is_below_the_lowest_layer),
		cmocka_unit_test(last_key_above_leaves_its_subtree),
		cmocka_unit_test(no_memory_is_said),
	};
	return cmocka_run_group_tests_name("atproto/mst_edit", tests, setup, NULL);
}
