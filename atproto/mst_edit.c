/*
 * One pass in key order over as much of the tree as the edits need, and a writer of trees behind it
 * (mst_writer.h). What is passed on is a sequence of keys and of whole subtrees, which the writer
 * takes as they are. Removing, inserting, splitting and joining need no code of their own: a node
 * comes out as the sequence makes it.
 *
 * A subtree must be opened if
 * - an edit's key falls within it (the gap of its node, between two keys, where it hangs);
 * - it stands beside another subtree, or beside a key that is not above it, because the key between
 *   is gone. Then both are of one node now.
 * The second is not known before the next key is: the last subtree passed on is held back until
 * then. It can only be opened later if a key behind it was removed, so its bounds are at hand.
 *
 * Tricky cases: the last key of the upper layers goes, and the held subtree is the tree, but for
 * nodes on its top that only point on; a key is put above the whole tree, which is split down to the
 * lowest layer; neighbours go together, and a subtree is opened for one beyond them.
 *
 * Recursion is bounded by layers: each node entered is on a lower layer than the node it is entered
 * from, but for one held back.
 */
#include "atproto/mst_edit.h"

#include <errno.h>

#include "atproto/mst_node.h"
#include "atproto/mst_writer.h"

struct subtree {
	const struct rk_cid *cid; /* NULL: none */
	unsigned layer;
	struct rk_slice above, below; /* its keys are behind above and before below; empty: none */
};

struct run {
	const struct rk_blocks *blocks;
	const struct rk_mst_edit *edits;
	struct subtree held;
	struct rk_slice passed; /* the last key: in the writer, or of an edit if it was removed */
	struct rk_mst_writer writer;
};

/* Edits from ... to - 1. */
struct range {
	size_t from, to;
};

static int node_pass(struct run *run, const struct rk_cid *cid, unsigned layer, struct range range);

static int block_open(
	struct rk_mst_node *out, const struct rk_blocks *blocks, const struct rk_cid *cid)
{
	struct rk_slice block;

	if (cid->bytes[1] != RK_CODEC_DAG_CBOR)
		return RK_MST_EDIT_MALFORMED;
	if (!rk_blocks_find(blocks, cid, &block))
		return RK_MST_EDIT_MISSING;
	return rk_mst_node_open(out, block) ? RK_MST_EDIT_OK : RK_MST_EDIT_MALFORMED;
}

/* Opens the subtree that is held back. Its last subtree may be held back instead. */
static int held_open(struct run *run)
{
	struct subtree held = run->held;
	struct rk_slice passed = run->passed;
	int result;

	run->held.cid = NULL;
	run->passed = held.above;
	result = node_pass(run, held.cid, held.layer, (struct range){0});
	if (result)
		return result;
	if (held.below.len > 0) {
		if (rk_slice_compare(run->passed, held.below) >= 0)
			return RK_MST_EDIT_MALFORMED;
		run->held.below = held.below;
		run->passed = passed;
	}
	return RK_MST_EDIT_OK;
}

static int key_pass(
	struct run *run, struct rk_slice key, unsigned layer, const struct rk_cid *value)
{
	while (run->held.cid && run->held.layer >= layer) {
		int result = held_open(run);

		if (result)
			return result;
	}
	if (rk_slice_compare(run->passed, key) >= 0)
		return RK_MST_EDIT_MALFORMED;
	if (run->held.cid) {
		rk_mst_writer_subtree(&run->writer, run->held.cid, run->held.layer);
		run->held.cid = NULL;
	}
	rk_mst_writer_key(&run->writer, key, layer, value);
	run->passed = rk_slice_make(run->writer.last, run->writer.last_len);
	return RK_MST_EDIT_OK;
}

static int key_drop(struct run *run, struct rk_slice key)
{
	if (rk_slice_compare(run->passed, key) >= 0)
		return RK_MST_EDIT_MALFORMED;
	run->passed = key;
	if (run->held.cid && run->held.below.len == 0)
		run->held.below = key;
	return RK_MST_EDIT_OK;
}

/* A subtree without edits. */
static int subtree_pass(struct run *run, const struct rk_cid *cid, unsigned layer)
{
	while (run->held.cid && run->held.layer >= layer) {
		int result = held_open(run);

		if (result)
			return result;
	}
	if (run->held.cid || !rk_mst_writer_fits(&run->writer, layer))
		return node_pass(run, cid, layer, (struct range){0});
	run->held = (struct subtree){.cid = cid, .layer = layer, .above = run->passed};
	return RK_MST_EDIT_OK;
}

/* Where two keys of a node, or it and its end, have a subtree between them, or nothing. */
static int gap_pass(struct run *run, const struct rk_cid *cid, unsigned layer, struct range range)
{
	if (cid && layer == 0)
		return RK_MST_EDIT_MALFORMED;
	if (cid && range.from < range.to)
		return node_pass(run, cid, layer - 1, range);
	if (cid)
		return subtree_pass(run, cid, layer - 1);
	for (size_t i = range.from; i < range.to; i++) {
		const struct rk_mst_edit *edit = &run->edits[i];
		unsigned edit_layer;
		int result;

		if (edit->before)
			return RK_MST_EDIT_ABSENT;
		if (!edit->after)
			continue;
		edit_layer = rk_mst_layer(edit->key);
		if (edit_layer >= RK_MST_DEPTH_MOST)
			return RK_MST_EDIT_MALFORMED;
		result = key_pass(run, edit->key, edit_layer, edit->after);
		if (result)
			return result;
	}
	return RK_MST_EDIT_OK;
}

static int edit_pass(
	struct run *run, const struct rk_mst_edit *edit, unsigned layer, const struct rk_cid *value)
{
	if (!edit->before)
		return RK_MST_EDIT_PRESENT;
	if (!rk_cid_equal(edit->before, value))
		return RK_MST_EDIT_DIFFERS;
	return edit->after ? key_pass(run, edit->key, layer, edit->after)
			   : key_drop(run, edit->key);
}

/* The entry's key among the node's: behind the one before it, of which exactly what both share is
 * left out. `before` and its len are of the key before, empty for the first. */
static bool entry_fits(const struct rk_mst_entry *entry, const uint8_t *before, size_t len)
{
	return entry->prefix <= len && entry->rest.len > 0 &&
		entry->rest.len <= RK_MST_KEY_MOST - entry->prefix &&
		(entry->prefix == len || entry->rest.data[0] > before[entry->prefix]);
}

/* Whether the key is before the entry's, whose beginning is that of the key before it. */
static bool is_before(struct rk_slice key, const struct rk_mst_entry *entry, const uint8_t *before)
{
	size_t same = key.len < entry->prefix ? key.len : entry->prefix;
	int order = memcmp(key.data, before, same);

	if (order || key.len < entry->prefix)
		return order <= 0;
	return rk_slice_compare(rk_slice_sub(key, same, key.len - same), entry->rest) < 0;
}

/* Passes on a node; of the edits those in the range are within it. */
static int entries_pass(
	struct run *run, struct rk_mst_node *node, unsigned layer, struct range range)
{
	const struct rk_cid *gap = node->left;
	uint8_t key[RK_MST_KEY_MOST];
	size_t len = 0, slash = 0;

	for (size_t i = 0; i < node->count; i++) {
		struct range before = {range.from, range.from};
		struct rk_mst_entry entry;
		struct rk_slice whole;
		int result;

		if (!rk_mst_entry_take(&entry, &node->reader) || !entry_fits(&entry, key, len))
			return RK_MST_EDIT_MALFORMED;
		while (before.to < range.to && is_before(run->edits[before.to].key, &entry, key))
			before.to++;
		result = gap_pass(run, gap, layer, before);
		if (result)
			return result;
		range.from = before.to;
		memcpy(key + entry.prefix, entry.rest.data, entry.rest.len);
		len = entry.prefix + entry.rest.len;
		whole = rk_slice_make(key, len);
		if (!rk_mst_key_follows(&slash, whole, entry.prefix) ||
			rk_mst_layer(whole) != layer)
			return RK_MST_EDIT_MALFORMED;
		if (range.from < range.to && rk_slice_equal(run->edits[range.from].key, whole))
			result = edit_pass(run, &run->edits[range.from++], layer, entry.value);
		else
			result = key_pass(run, whole, layer, entry.value);
		if (result)
			return result;
		gap = entry.right;
	}
	if (rk_reader_left(&node->reader) > 0)
		return RK_MST_EDIT_MALFORMED;
	return gap_pass(run, gap, layer, range);
}

/* A node below another. */
static int node_pass(struct run *run, const struct rk_cid *cid, unsigned layer, struct range range)
{
	struct rk_mst_node node;
	int result = block_open(&node, run->blocks, cid);

	if (result)
		return result;
	if (node.count == 0 && !node.left)
		return RK_MST_EDIT_MALFORMED;
	return entries_pass(run, &node, layer, range);
}

static int root_pass(struct run *run, const struct rk_cid *cid, struct range range)
{
	struct rk_mst_node node;
	struct rk_mst_entry first;
	struct rk_reader peek;
	unsigned layer = 0;
	int result = block_open(&node, run->blocks, cid);

	if (result)
		return result;
	peek = node.reader;
	if (node.count > 0) {
		/* The first key of a node is whole. Its layer is the tree's height. */
		if (!rk_mst_entry_take(&first, &peek))
			return RK_MST_EDIT_MALFORMED;
		layer = rk_mst_layer(first.rest);
		if (layer >= RK_MST_DEPTH_MOST)
			return RK_MST_EDIT_MALFORMED;
	} /* else the lowest layer, where a root that only points on is refused */
	return entries_pass(run, &node, layer, range);
}

/* The subtree held back is the whole tree: its root is the first node with a key. */
static int held_is_root(struct run *run, struct rk_cid *root)
{
	const struct rk_cid *cid = run->held.cid;

	for (unsigned layer = run->held.layer;; layer--) {
		struct rk_mst_node node;
		int result = block_open(&node, run->blocks, cid);

		if (result)
			return result;
		if (node.count > 0)
			break;
		if (!node.left || layer == 0)
			return RK_MST_EDIT_MALFORMED;
		cid = node.left;
	}
	*root = *cid;
	return RK_MST_EDIT_OK;
}

int rk_mst_edit(struct rk_cid *root_after, struct rk_arena *arena, const struct rk_blocks *blocks,
	const struct rk_cid *root, const struct rk_mst_edit *edits, size_t count)
{
	struct run run;
	int result;

	run.blocks = blocks;
	run.edits = edits;
	run.held = (struct subtree){0};
	run.passed = (struct rk_slice){0};
	rk_mst_writer_init(&run.writer, arena);
	result = root_pass(&run, root, (struct range){0, count});
	if (result)
		return result;
	if (run.held.cid && !run.writer.open)
		return held_is_root(&run, root_after);
	if (run.held.cid)
		rk_mst_writer_subtree(&run.writer, run.held.cid, run.held.layer);
	return rk_mst_writer_finish(&run.writer, root_after) ? RK_MST_EDIT_OK : -ENOMEM;
}
