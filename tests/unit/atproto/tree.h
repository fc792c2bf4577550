/*
 * Trees for tests: nodes written as told, right or wrong, into a CAR; and the right tree of sorted
 * keys, built from the definition (layer by layer) and not by what is under test.
 */
#ifndef RK_TESTS_UNIT_ATPROTO_TREE_H
#define RK_TESTS_UNIT_ATPROTO_TREE_H

#include "tests/unit/atproto/make.h"

#include "atproto/mst.h"

struct tree_entry {
	size_t prefix;
	struct rk_slice rest;
	struct rk_cid right; /* unset: null */
};

/* The value of every key, if a test sets it; else some CID. */
static struct rk_cid tree_value_set;

static inline struct rk_cid tree_value(void)
{
	return rk_cid_is_set(&tree_value_set) ? tree_value_set : make_cid(rk_slice_str("a record"));
}

/* Adds the node's block to the CAR and returns its CID. Every value is tree_value. */
static inline struct rk_cid tree_node(struct rk_buf *car, const struct rk_cid *left,
	const struct tree_entry *entries, size_t count)
{
	struct rk_cid value = tree_value(), cid;
	struct rk_buf node = {0};

	rk_cbor_put_map(&node, 2);
	rk_cbor_put_text(&node, rk_slice_str("e"));
	rk_cbor_put_array(&node, count);
	for (size_t i = 0; i < count; i++) {
		rk_cbor_put_map(&node, 4);
		rk_cbor_put_text(&node, rk_slice_str("k"));
		rk_cbor_put_bytes(&node, entries[i].rest);
		rk_cbor_put_text(&node, rk_slice_str("p"));
		rk_cbor_put_int(&node, (int64_t)entries[i].prefix);
		rk_cbor_put_text(&node, rk_slice_str("t"));
		if (rk_cid_is_set(&entries[i].right))
			rk_cbor_put_cid(&node, &entries[i].right);
		else
			rk_cbor_put_null(&node);
		rk_cbor_put_text(&node, rk_slice_str("v"));
		rk_cbor_put_cid(&node, &value);
	}
	rk_cbor_put_text(&node, rk_slice_str("l"));
	if (left && rk_cid_is_set(left))
		rk_cbor_put_cid(&node, left);
	else
		rk_cbor_put_null(&node);
	cid = make_cid(rk_buf_slice(&node));
	make_block(car, &cid, rk_buf_slice(&node));
	rk_buf_finish(&node);
	return cid;
}

enum { TREE_NODE_MOST = 64 };

/* The subtree of the keys, none above the layer; unset if there are none. */
static inline struct rk_cid tree_build(
	struct rk_buf *car, const struct rk_slice *keys, size_t count, int layer)
{
	struct tree_entry entries[TREE_NODE_MOST];
	struct rk_slice previous = {0};
	struct rk_cid left = {0};
	size_t filled = 0, start = 0;

	if (count == 0)
		return left;
	for (size_t i = 0; i <= count; i++) {
		struct rk_cid subtree;

		if (i < count && (int)rk_mst_layer(keys[i]) != layer)
			continue;
		subtree = tree_build(car, keys + start, i - start, layer - 1);
		if (filled > 0)
			entries[filled - 1].right = subtree;
		else
			left = subtree;
		if (i == count)
			break;
		assert_true(filled < TREE_NODE_MOST);
		entries[filled].prefix = filled > 0 ? rk_mst_common_prefix(previous, keys[i]) : 0;
		entries[filled].rest = rk_slice_sub(
			keys[i], entries[filled].prefix, keys[i].len - entries[filled].prefix);
		entries[filled++].right = (struct rk_cid){0};
		previous = keys[i];
		start = i + 1;
	}
	return tree_node(car, &left, entries, filled);
}

/* The tree of sorted keys, behind a CAR header that the buffer has. */
static inline struct rk_cid tree_of(struct rk_buf *car, const struct rk_slice *keys, size_t count)
{
	int top = 0;

	if (count == 0)
		return tree_node(car, NULL, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		if ((int)rk_mst_layer(keys[i]) > top)
			top = (int)rk_mst_layer(keys[i]);
	}
	return tree_build(car, keys, count, top);
}

/* Walks the tree of a CAR. */
static inline enum rk_mst_result tree_walk(
	struct rk_slice car, const struct rk_cid *root, rk_mst_visit *visit, void *context)
{
	struct rk_blocks blocks;
	enum rk_mst_result result;

	assert_int_equal(rk_blocks_load(&blocks, NULL, car, SIZE_MAX), RK_BLOCKS_OK);
	result = rk_mst_walk(&blocks, root, visit, context);
	rk_blocks_finish(&blocks);
	return result;
}

/* Expects keys in their order. */
struct tree_expected {
	const struct rk_slice *keys;
	size_t count, seen;
};

static inline bool tree_expect(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct tree_expected *expected = context;

	assert_true(expected->seen < expected->count);
	assert_true(rk_slice_equal(key, expected->keys[expected->seen]));
	assert_true(rk_cid_is_set(value));
	expected->seen++;
	return true;
}

#endif
