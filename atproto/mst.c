/*
 * Walks a tree in key order; how a node is written says mst_node.h.
 *
 * Layers: every key of a node has the node's layer, a subtree is one layer below, so a root of
 * layer n is n + 1 nodes deep. A node without entries stands in where keys skip a layer: it has a
 * subtree and a parent. The root of an empty tree alone has neither entries nor subtree.
 *
 * Keys: only the last one is held, not one for each open node. What a node's key before a subtree
 * shares with its key behind it, all keys between share too, if they are in order; so `shared`, the
 * least that neighbours since then had in common, is what p must be compared with, and the last
 * key's beginning is that of the node's.
 */
#include "atproto/mst.h"

#include "atproto/mst_node.h"

/* A node being walked. */
struct level {
	struct rk_reader reader; /* at the next entry */
	size_t left;             /* entries to come */
	unsigned layer;
	size_t shared;              /* see above; 0 before the first entry */
	const struct rk_cid *right; /* subtree to visit before the next entry; NULL: none */
};

struct walk {
	const struct rk_blocks *blocks;
	rk_mst_visit *visit;
	void *context;
	struct level levels[RK_MST_DEPTH_MOST];
	size_t depth;
	uint8_t key[RK_MST_KEY_MOST]; /* the last one */
	size_t key_len, slash;        /* its slash */
	bool any;                     /* a key was seen */
};

unsigned rk_mst_layer(struct rk_slice key)
{
	uint8_t digest[RK_SHA256_BYTES];
	unsigned zeros = 0;

	rk_sha256(digest, key);
	for (size_t i = 0; i < sizeof(digest); i++) {
		if (digest[i]) {
			zeros += (unsigned)__builtin_clz(digest[i]) - 24;
			break;
		}
		zeros += 8;
	}
	return zeros / 2;
}

size_t rk_mst_common_prefix(struct rk_slice a, struct rk_slice b)
{
	size_t most = a.len < b.len ? a.len : b.len, at = 0;

	/* Keys begin with the name of a collection: mostly whole words are the same. */
	while (most - at >= sizeof(uint64_t) &&
		memcmp(a.data + at, b.data + at, sizeof(uint64_t)) == 0)
		at += sizeof(uint64_t);
	while (at < most && a.data[at] == b.data[at])
		at++;
	return at;
}

/* Enters the node of the CID below the open ones. */
static enum rk_mst_result descend(struct walk *walk, const struct rk_cid *cid)
{
	struct level *level = &walk->levels[walk->depth];
	struct rk_mst_node node;
	struct rk_mst_entry first;
	struct rk_slice block;

	if (cid->bytes[1] != RK_CODEC_DAG_CBOR)
		return RK_MST_MALFORMED;
	if (!rk_blocks_find(walk->blocks, cid, &block))
		return RK_MST_MISSING;
	if (!rk_mst_node_open(&node, block))
		return RK_MST_MALFORMED;
	*level = (struct level){.reader = node.reader, .left = node.count, .right = node.left};
	if (walk->depth > 0) {
		if (walk->levels[walk->depth - 1].layer == 0 || (node.count == 0 && !node.left))
			return RK_MST_MALFORMED;
		level->layer = walk->levels[walk->depth - 1].layer - 1;
	} else if (node.count > 0) {
		struct rk_reader peek = node.reader;

		/* The first key of a node is whole. Its layer is the tree's height. */
		if (!rk_mst_entry_take(&first, &peek))
			return RK_MST_MALFORMED;
		level->layer = rk_mst_layer(first.rest);
		if (level->layer >= RK_MST_DEPTH_MOST)
			return RK_MST_MALFORMED;
	} else if (node.left) {
		return RK_MST_MALFORMED; /* a root that only points on */
	}
	walk->depth++;
	return RK_MST_OK;
}

/* A bit for each of the first 128 letters that NSIDs and record keys are made of. */
static const uint64_t key_letters[2] = {
	UINT64_C(0x07ff600000000000), /* - . 0-9 : */
	UINT64_C(0x47fffffe87fffffe), /* A-Z _ a-z ~ */
};

static inline bool key_letter(uint8_t c)
{
	return c < 128 && key_letters[c >> 6] >> (c & 63) & 1;
}

bool rk_mst_key_follows(size_t *slash, struct rk_slice key, size_t shared)
{
	size_t at = *slash < shared ? *slash : SIZE_MAX;

	for (size_t i = shared; i < key.len; i++) {
		if (key_letter(key.data[i]))
			continue;
		if (key.data[i] != '/' || at != SIZE_MAX)
			return false;
		at = i;
	}
	*slash = at;
	return at != SIZE_MAX && at > 0 && at + 1 < key.len;
}

bool rk_mst_key_valid(struct rk_slice key)
{
	size_t slash = SIZE_MAX;

	return rk_mst_key_follows(&slash, key, 0);
}

/* Bytes that the last key and the one of the entry have in common, which the entry's prefix is known
 * to be; false if the entry's is not the greater one. */
static bool key_compare(size_t *common, const struct walk *walk, const struct rk_mst_entry *entry)
{
	struct rk_slice last =
		rk_slice_make(walk->key + entry->prefix, walk->key_len - entry->prefix);
	size_t same = rk_mst_common_prefix(last, entry->rest);

	*common = entry->prefix + same;
	if (same == entry->rest.len)
		return false;
	return same == last.len || last.data[same] < entry->rest.data[same];
}

static enum rk_mst_result entry_visit(struct walk *walk)
{
	struct level *level = &walk->levels[walk->depth - 1];
	struct rk_slice key;
	struct rk_mst_entry entry;
	size_t common = 0;

	if (!rk_mst_entry_take(&entry, &level->reader))
		return RK_MST_MALFORMED;
	level->left--;
	level->right = entry.right;
	if (entry.prefix > level->shared || entry.rest.len > RK_MST_KEY_MOST - entry.prefix)
		return RK_MST_MALFORMED;
	if (walk->any && !key_compare(&common, walk, &entry))
		return RK_MST_MALFORMED;
	if (entry.prefix != (common < level->shared ? common : level->shared))
		return RK_MST_MALFORMED; /* more could have been left out */
	memcpy(walk->key + entry.prefix, entry.rest.data, entry.rest.len);
	walk->key_len = entry.prefix + entry.rest.len;
	walk->any = true;
	key = rk_slice_make(walk->key, walk->key_len);
	if (!rk_mst_key_follows(&walk->slash, key, entry.prefix) ||
		rk_mst_layer(key) != level->layer)
		return RK_MST_MALFORMED;
	level->shared = walk->key_len;
	for (size_t i = 0; i < walk->depth - 1; i++) {
		if (walk->levels[i].shared > common)
			walk->levels[i].shared = common;
	}
	return walk->visit(walk->context, key, entry.value) ? RK_MST_OK : RK_MST_STOPPED;
}

enum rk_mst_result rk_mst_walk(const struct rk_blocks *blocks, const struct rk_cid *root,
	rk_mst_visit *visit, void *context)
{
	struct walk walk;
	enum rk_mst_result result;

	walk.blocks = blocks;
	walk.visit = visit;
	walk.context = context;
	walk.depth = walk.key_len = walk.slash = 0;
	walk.any = false;
	result = descend(&walk, root);
	while (result == RK_MST_OK && walk.depth > 0) {
		struct level *level = &walk.levels[walk.depth - 1];

		if (level->right) {
			const struct rk_cid *subtree = level->right;
			level->right = NULL;
			result = descend(&walk, subtree);
		} else if (level->left > 0) {
			result = entry_visit(&walk);
		} else if (rk_reader_left(&level->reader) > 0) {
			result = RK_MST_MALFORMED;
		} else {
			walk.depth--;
		}
	}
	return result;
}
