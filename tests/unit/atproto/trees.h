/*
 * Small trees, each right or wrong in one way: of structure and of what is missing. Every reader of
 * trees must say the same of them.
 */
#ifndef RK_TESTS_UNIT_ATPROTO_TREES_H
#define RK_TESTS_UNIT_ATPROTO_TREES_H

#include "tests/unit/atproto/tree.h"

#include <stdio.h>

/* Keys c/NAME with the letters asked for: the first from `from` on in the layer. */
static struct rk_slice key_on(char *buf, size_t size, const char *from, unsigned layer)
{
	for (unsigned i = 0;; i++) {
		struct rk_slice key =
			rk_slice_make(buf, (size_t)snprintf(buf, size, "c/%s%u", from, i));
		if (rk_mst_layer(key) == layer)
			return key;
	}
}

/* a0 < b1 < c0 < d0 < e1 < f0, the digit their layer. */
enum { A0, B1, C0, D0, E1, F0, KEYS };
static char names[KEYS][32];
static struct rk_slice keys_of_layers[KEYS];

static inline int trees_setup(void **state)
{
	static const unsigned layers[KEYS] = {0, 1, 0, 0, 1, 0};
	static const char *const from[KEYS] = {"a", "b", "c", "d", "e", "f"};

	for (size_t i = 0; i < KEYS; i++)
		keys_of_layers[i] = key_on(names[i], sizeof(names[i]), from[i], layers[i]);
	return 0;
}

static struct tree_entry entry(int key, size_t prefix, const struct rk_cid *right)
{
	struct rk_slice whole = keys_of_layers[key];
	struct tree_entry out = {
		.prefix = prefix,
		.rest = rk_slice_sub(whole, prefix, whole.len - prefix),
	};

	if (right)
		out.right = *right;
	return out;
}

/* A leaf of one or two keys; second < 0: one. */
static struct rk_cid leaf(struct rk_buf *car, int first, int second)
{
	struct tree_entry entries[2] = {entry(first, 0, NULL)};

	if (second >= 0)
		entries[1] = entry(second,
			rk_mst_common_prefix(keys_of_layers[first], keys_of_layers[second]), NULL);
	return tree_node(car, NULL, entries, second >= 0 ? 2 : 1);
}

typedef struct rk_cid build(struct rk_buf *car);

static struct rk_cid good(struct rk_buf *car)
{
	struct rk_cid left = leaf(car, A0, -1), middle = leaf(car, C0, D0);
	struct rk_cid right = leaf(car, F0, -1);
	struct tree_entry entries[] = {entry(B1, 0, &middle), entry(E1, 2, &right)};

	return tree_node(car, &left, entries, 2);
}

static struct rk_cid empty(struct rk_buf *car)
{
	return tree_node(car, NULL, NULL, 0);
}

static struct rk_cid leaf_out_of_order(struct rk_buf *car)
{
	return leaf(car, D0, C0);
}

static struct rk_cid key_twice(struct rk_buf *car)
{
	return leaf(car, C0, C0);
}

static struct rk_cid left_key_behind(struct rk_buf *car)
{
	struct rk_cid left = leaf(car, C0, -1);
	struct tree_entry entries[] = {entry(B1, 0, NULL)};

	return tree_node(car, &left, entries, 1);
}

static struct rk_cid right_key_before(struct rk_buf *car)
{
	struct rk_cid right = leaf(car, A0, -1);
	struct tree_entry entries[] = {entry(B1, 0, &right)};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid middle_key_behind(struct rk_buf *car)
{
	struct rk_cid middle = leaf(car, C0, F0);
	struct tree_entry entries[] = {entry(B1, 0, &middle), entry(E1, 2, NULL)};

	return tree_node(car, NULL, entries, 2);
}

static struct rk_cid same_subtree_twice(struct rk_buf *car)
{
	struct rk_cid leaf_c = leaf(car, C0, -1);
	struct tree_entry entries[] = {entry(B1, 0, &leaf_c), entry(E1, 2, &leaf_c)};

	return tree_node(car, NULL, entries, 2);
}

static struct rk_cid prefix_of_the_first(struct rk_buf *car)
{
	struct rk_cid left = leaf(car, A0, -1);
	struct tree_entry entries[] = {entry(B1, 2, NULL)};

	return tree_node(car, &left, entries, 1);
}

static struct rk_cid prefix_too_short(struct rk_buf *car)
{
	struct tree_entry entries[] = {entry(C0, 0, NULL), entry(D0, 1, NULL)};

	return tree_node(car, NULL, entries, 2);
}

static struct rk_cid prefix_too_long(struct rk_buf *car)
{
	struct tree_entry entries[] = {entry(C0, 0, NULL), entry(D0, 2, NULL)};

	entries[1].prefix = keys_of_layers[C0].len + 1;
	return tree_node(car, NULL, entries, 2);
}

static struct rk_cid prefix_past_the_limit(struct rk_buf *car)
{
	struct tree_entry entries[] = {entry(C0, 0, NULL), entry(D0, 2, NULL)};

	entries[1].prefix = RK_MST_KEY_MOST + 1;
	return tree_node(car, NULL, entries, 2);
}

/* The prefix is of the subtree's key, not of the node's; taken from there, the key would fit. */
static struct rk_cid prefix_of_the_subtree(struct rk_buf *car)
{
	char name[64];
	struct rk_slice key = key_on(name, sizeof(name), names[C0] + 2, 1);
	struct rk_cid middle = leaf(car, C0, -1);
	struct tree_entry entries[] = {entry(B1, 0, &middle), {0}};

	entries[1].prefix = 3;
	entries[1].rest = rk_slice_sub(key, 3, key.len - 3);
	return tree_node(car, NULL, entries, 2);
}

static struct rk_cid key_above_in_leaf(struct rk_buf *car)
{
	return leaf(car, A0, B1);
}

static struct rk_cid key_below_in_root(struct rk_buf *car)
{
	return leaf(car, B1, C0);
}

static struct rk_cid subtree_of_the_same_layer(struct rk_buf *car)
{
	struct rk_cid right = leaf(car, E1, -1);
	struct tree_entry entries[] = {entry(B1, 0, &right)};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid subtree_below_the_lowest(struct rk_buf *car)
{
	struct rk_cid right = leaf(car, D0, -1);
	struct tree_entry entries[] = {entry(C0, 0, &right)};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid empty_leaf(struct rk_buf *car)
{
	struct rk_cid right = tree_node(car, NULL, NULL, 0);
	struct tree_entry entries[] = {entry(B1, 0, &right)};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid root_that_points_on(struct rk_buf *car)
{
	struct rk_cid left = leaf(car, A0, -1);

	return tree_node(car, &left, NULL, 0);
}

static struct rk_cid key_letters(struct rk_buf *car, const char *key)
{
	struct tree_entry entries[] = {{.rest = rk_slice_str(key)}};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid key_empty(struct rk_buf *car)
{
	return key_letters(car, "");
}

static struct rk_cid key_of_one_part(struct rk_buf *car)
{
	return key_letters(car, "a");
}

static struct rk_cid key_of_three_parts(struct rk_buf *car)
{
	return key_letters(car, "a/b/c");
}

static struct rk_cid key_without_rkey(struct rk_buf *car)
{
	return key_letters(car, "a/");
}

static struct rk_cid key_without_collection(struct rk_buf *car)
{
	return key_letters(car, "/a");
}

static struct rk_cid key_of_other_letters(struct rk_buf *car)
{
	return key_letters(car, "a/b@");
}

static struct rk_cid key_not_ascii(struct rk_buf *car)
{
	return key_letters(car, "a/\xc3\xb6");
}

static struct rk_cid key_of(struct rk_buf *car, size_t len)
{
	char key[8 * RK_MST_KEY_MOST + 1];

	memset(key, 'x', len);
	key[len] = '\0';
	key[1] = '/';
	return key_letters(car, key);
}

static struct rk_cid key_1024(struct rk_buf *car)
{
	return key_of(car, RK_MST_KEY_MOST);
}

static struct rk_cid key_1025(struct rk_buf *car)
{
	return key_of(car, RK_MST_KEY_MOST + 1);
}

static struct rk_cid key_8192(struct rk_buf *car)
{
	return key_of(car, 8 * RK_MST_KEY_MOST);
}

/* 640 nodes that point on, below the lowest layer. */
static struct rk_cid nodes_beyond_the_lowest(struct rk_buf *car)
{
	struct rk_cid below = leaf(car, D0, -1);
	struct tree_entry entries[] = {entry(C0, 0, NULL)};

	for (int i = 0; i < 10 * RK_MST_DEPTH_MOST; i++)
		below = tree_node(car, &below, NULL, 0);
	entries[0].right = below;
	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid root_missing(struct rk_buf *car)
{
	return make_cid(rk_slice_str("nowhere"));
}

static struct rk_cid leaf_missing(struct rk_buf *car)
{
	struct rk_cid right = make_cid(rk_slice_str("nowhere"));
	struct tree_entry entries[] = {entry(B1, 0, &right)};

	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid leaf_raw(struct rk_buf *car)
{
	struct rk_cid right = leaf(car, C0, -1);
	struct tree_entry entries[] = {entry(B1, 0, &right)};

	entries[0].right.bytes[1] = RK_CODEC_RAW;
	return tree_node(car, NULL, entries, 1);
}

static struct rk_cid value_of_another_hash(struct rk_buf *car)
{
	struct rk_cid out;

	tree_value_set = make_cid(rk_slice_str("a record"));
	tree_value_set.bytes[2]++;
	out = leaf(car, C0, -1);
	tree_value_set = (struct rk_cid){0};
	return out;
}

static struct rk_cid block_of(struct rk_buf *car, const char *hex)
{
	struct rk_buf block = {0};
	struct rk_cid cid = make_cid(make_hex(&block, hex));

	make_block(car, &cid, rk_buf_slice(&block));
	rk_buf_finish(&block);
	return cid;
}

static struct rk_cid node_trailing(struct rk_buf *car)
{
	return block_of(car, "a2 6165 80 616c f6 00");
}

static struct rk_cid node_with_a_third_field(struct rk_buf *car)
{
	return block_of(car, "a3 6165 80 616c f6 6178 00");
}

static struct rk_cid node_without_left(struct rk_buf *car)
{
	return block_of(car, "a1 6165 80");
}

static struct rk_cid node_that_is_none(struct rk_buf *car)
{
	return block_of(car, "a0");
}

static struct rk_cid node_without_bytes(struct rk_buf *car)
{
	return block_of(car, "");
}

static struct rk_cid value_null(struct rk_buf *car)
{
	return block_of(car, "a2 6165 81 a4 616b 43612f62 6170 00 6174 f6 6176 f6 616c f6");
}

/* A node of the entries "c/b" and "c/d", both of the lowest layer, with spellings to choose. */
static struct rk_cid leaf_spelled(
	struct rk_buf *car, const char *count, const char *len, const char *prefix)
{
	struct rk_cid value = tree_value(), cid;
	struct rk_buf node = {0}, part = {0};

	rk_buf_add_slice(&node, rk_slice_str("\xa2\x61\x65"));
	rk_buf_add_slice(&node, make_hex(&part, count));
	for (int i = 0; i < 2; i++) {
		rk_buf_add_slice(&node, rk_slice_str("\xa4\x61k"));
		if (i == 0) {
			rk_buf_add_slice(&node, make_hex(&part, len));
			rk_buf_add_slice(&node, rk_slice_str("c/b\x61p"));
			rk_buf_add_byte(&node, 0);
		} else {
			rk_buf_add_slice(&node,
				rk_slice_str("\x41"
					     "d\x61p"));
			rk_buf_add_slice(&node, make_hex(&part, prefix));
		}
		rk_buf_add_slice(&node, rk_slice_str("\x61t\xf6\x61v"));
		rk_cbor_put_cid(&node, &value);
	}
	rk_buf_add_slice(&node, rk_slice_str("\x61l\xf6"));
	cid = make_cid(rk_buf_slice(&node));
	make_block(car, &cid, rk_buf_slice(&node));
	rk_buf_finish(&node);
	rk_buf_finish(&part);
	return cid;
}

static struct rk_cid spelled_shortly(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "43", "02");
}

static struct rk_cid fewer_entries_than_there_are(struct rk_buf *car)
{
	return leaf_spelled(car, "81", "43", "02");
}

static struct rk_cid no_entries_but_there_are(struct rk_buf *car)
{
	return leaf_spelled(car, "80", "43", "02");
}

static struct rk_cid more_entries_than_there_are(struct rk_buf *car)
{
	return leaf_spelled(car, "83", "43", "02");
}

static struct rk_cid count_longer(struct rk_buf *car)
{
	return leaf_spelled(car, "9802", "43", "02");
}

static struct rk_cid count_of_eight_bytes(struct rk_buf *car)
{
	return leaf_spelled(car, "9b ffffffffffffffff", "43", "02");
}

static struct rk_cid length_longer(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "5803", "02");
}

static struct rk_cid length_much_longer(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "590003", "02");
}

static struct rk_cid length_of_more_than_there_is(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "5affffffff", "02");
}

static struct rk_cid length_indefinite(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "5f", "02");
}

static struct rk_cid prefix_longer(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "43", "1802");
}

static struct rk_cid prefix_negative(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "43", "21");
}

static struct rk_cid prefix_of_four_bytes(struct rk_buf *car)
{
	return leaf_spelled(car, "82", "43", "1affffffff");
}

static const struct {
	const char *what;
	build *build;
	enum rk_mst_result result;
} trees[] = {
	{"good", good, RK_MST_OK},
	{"the empty tree", empty, RK_MST_OK},
	{"a key of 1024 bytes", key_1024, RK_MST_OK},
	{"a key of 1025 bytes", key_1025, RK_MST_MALFORMED},
	{"a key of 8192 bytes", key_8192, RK_MST_MALFORMED},
	{"nodes beyond the lowest", nodes_beyond_the_lowest, RK_MST_MALFORMED},
	{"leaf out of order", leaf_out_of_order, RK_MST_MALFORMED},
	{"key twice", key_twice, RK_MST_MALFORMED},
	{"left key behind", left_key_behind, RK_MST_MALFORMED},
	{"right key before", right_key_before, RK_MST_MALFORMED},
	{"middle key behind", middle_key_behind, RK_MST_MALFORMED},
	{"same subtree twice", same_subtree_twice, RK_MST_MALFORMED},
	{"prefix of the first", prefix_of_the_first, RK_MST_MALFORMED},
	{"prefix too short", prefix_too_short, RK_MST_MALFORMED},
	{"prefix too long", prefix_too_long, RK_MST_MALFORMED},
	{"prefix past the limit", prefix_past_the_limit, RK_MST_MALFORMED},
	{"prefix of the subtree", prefix_of_the_subtree, RK_MST_MALFORMED},
	{"key above in leaf", key_above_in_leaf, RK_MST_MALFORMED},
	{"key below in root", key_below_in_root, RK_MST_MALFORMED},
	{"subtree of the same layer", subtree_of_the_same_layer, RK_MST_MALFORMED},
	{"subtree below the lowest", subtree_below_the_lowest, RK_MST_MALFORMED},
	{"empty leaf", empty_leaf, RK_MST_MALFORMED},
	{"root that points on", root_that_points_on, RK_MST_MALFORMED},
	{"empty key", key_empty, RK_MST_MALFORMED},
	{"key of one part", key_of_one_part, RK_MST_MALFORMED},
	{"key of three parts", key_of_three_parts, RK_MST_MALFORMED},
	{"key without rkey", key_without_rkey, RK_MST_MALFORMED},
	{"key without collection", key_without_collection, RK_MST_MALFORMED},
	{"key of other letters", key_of_other_letters, RK_MST_MALFORMED},
	{"key not ASCII", key_not_ascii, RK_MST_MALFORMED},
	{"root missing", root_missing, RK_MST_MISSING},
	{"leaf missing", leaf_missing, RK_MST_MISSING},
	{"leaf of raw bytes", leaf_raw, RK_MST_MALFORMED},
	{"trailing byte", node_trailing, RK_MST_MALFORMED},
	{"third field", node_with_a_third_field, RK_MST_MALFORMED},
	{"no left", node_without_left, RK_MST_MALFORMED},
	{"empty map", node_that_is_none, RK_MST_MALFORMED},
	{"no bytes", node_without_bytes, RK_MST_MALFORMED},
	{"value of another hash", value_of_another_hash, RK_MST_MALFORMED},
	{"null value", value_null, RK_MST_MALFORMED},
	{"spelled shortly", spelled_shortly, RK_MST_OK},
	{"fewer entries than there are", fewer_entries_than_there_are, RK_MST_MALFORMED},
	{"no entries, but there are", no_entries_but_there_are, RK_MST_MALFORMED},
	{"more entries than there are", more_entries_than_there_are, RK_MST_MALFORMED},
	{"longer count", count_longer, RK_MST_MALFORMED},
	{"count of eight bytes", count_of_eight_bytes, RK_MST_MALFORMED},
	{"longer length", length_longer, RK_MST_MALFORMED},
	{"much longer length", length_much_longer, RK_MST_MALFORMED},
	{"length of more than there is", length_of_more_than_there_is, RK_MST_MALFORMED},
	{"indefinite length", length_indefinite, RK_MST_MALFORMED},
	{"longer prefix", prefix_longer, RK_MST_MALFORMED},
	{"negative prefix", prefix_negative, RK_MST_MALFORMED},
	{"prefix of four bytes", prefix_of_four_bytes, RK_MST_MALFORMED},
};
enum { TREES = sizeof(trees) / sizeof(trees[0]) };

#endif
