/*
 * Walks a tree in key order. A node is {e: entries, l: left subtree or null}, an entry {k: rest of
 * the key, p: bytes shared with the key before it in the node, t: subtree to its right or null,
 * v: CID of the record}. Canonical DAG-CBOR spells that in one way only, so nodes are read by
 * comparing with that spelling.
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

#include "atproto/cbor.h"

/* A node being walked. */
struct level {
	struct rk_reader reader; /* at the next entry */
	size_t left;             /* entries to come */
	unsigned layer;
	size_t shared; /* see above; 0 before the first entry */
	const struct rk_cid *right; /* subtree to visit before the next entry; NULL: none */
};

struct walk {
	const struct rk_blocks *blocks;
	rk_mst_visit *visit;
	void *context;
	struct level levels[RK_MST_DEPTH_MOST];
	size_t depth;
	uint8_t key[RK_MST_KEY_MOST]; /* the last one */
	size_t key_len;
	bool any; /* a key was seen */
};

struct entry {
	struct rk_slice rest;
	size_t prefix;
	const struct rk_cid *value, *right; /* borrowed; right may be NULL */
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

	while (at < most && a.data[at] == b.data[at])
		at++;
	return at;
}

static bool literal(struct rk_reader *reader, struct rk_slice expected)
{
	struct rk_slice in = rk_reader_take(reader, expected.len);

	if (!reader->failed && !rk_slice_equal(in, expected))
		reader->failed = true;
	return !reader->failed;
}

#define LITERAL(reader, text) literal((reader), (struct rk_slice)RK_SLICE_LIT(text))

/* A CID where the tree allows one kind: tag 42, bytes, 0x00 and the CID. */
static const struct rk_cid *cid_take(struct rk_reader *reader)
{
	struct rk_slice in;
	struct rk_cid cid;

	if (!LITERAL(reader, "\xd8\x2a\x58\x25\x00"))
		return NULL;
	in = rk_reader_take(reader, RK_CID_BYTES);
	if (reader->failed || !rk_cid_from_bytes(&cid, in)) {
		reader->failed = true;
		return NULL;
	}
	return (const struct rk_cid *)in.data; /* bytes in a struct: no alignment to respect */
}

/* NULL for null; look at failed. */
static const struct rk_cid *subtree_take(struct rk_reader *reader)
{
	if (rk_reader_left(reader) && *reader->at == 0xf6) {
		reader->at++;
		return NULL;
	}
	return cid_take(reader);
}

static bool entry_take(struct entry *out, struct rk_reader *reader)
{
	struct rk_cbor_item item;

	LITERAL(reader, "\xa4\x61k");
	item = rk_cbor_next(reader);
	if (item.type != RK_CBOR_BYTES)
		return false;
	out->rest = item.bytes;
	LITERAL(reader, "\x61p");
	item = rk_cbor_next(reader);
	if (item.type != RK_CBOR_UINT || item.number > RK_MST_KEY_MOST)
		return false;
	out->prefix = (size_t)item.number;
	LITERAL(reader, "\x61t");
	out->right = subtree_take(reader);
	LITERAL(reader, "\x61v");
	out->value = cid_take(reader);
	return !reader->failed;
}

/* Checks the node's form to its end, which is where the left subtree is written. */
static bool node_open(struct level *out, const struct rk_cid **left, struct rk_slice block)
{
	struct rk_reader reader = rk_reader_make(block);
	struct rk_cbor_item item;
	struct entry entry;

	LITERAL(&reader, "\xa2\x61" "e");
	item = rk_cbor_next(&reader);
	if (item.type != RK_CBOR_ARRAY)
		return false;
	out->left = item.count;
	out->reader = reader;
	for (size_t i = 0; i < item.count; i++) {
		if (!entry_take(&entry, &reader))
			return false;
	}
	LITERAL(&reader, "\x61l");
	*left = subtree_take(&reader);
	return !reader.failed && rk_reader_left(&reader) == 0;
}

/* Enters the node of the CID below the open ones. */
static enum rk_mst_result descend(struct walk *walk, const struct rk_cid *cid)
{
	struct level *level = &walk->levels[walk->depth];
	const struct rk_cid *left;
	struct rk_slice block;
	struct entry first;

	if (cid->bytes[1] != RK_CODEC_DAG_CBOR)
		return RK_MST_MALFORMED;
	if (!rk_blocks_find(walk->blocks, cid, &block))
		return RK_MST_MISSING;
	*level = (struct level){0};
	if (!node_open(level, &left, block))
		return RK_MST_MALFORMED;
	if (walk->depth > 0) {
		if (walk->levels[walk->depth - 1].layer == 0 || (level->left == 0 && !left))
			return RK_MST_MALFORMED;
		level->layer = walk->levels[walk->depth - 1].layer - 1;
	} else if (level->left > 0) {
		struct rk_reader peek = level->reader;

		/* The first key of a node is whole. Its layer is the tree's height. */
		if (!entry_take(&first, &peek))
			return RK_MST_MALFORMED;
		level->layer = rk_mst_layer(first.rest);
		if (level->layer >= RK_MST_DEPTH_MOST)
			return RK_MST_MALFORMED;
	} else if (left) {
		return RK_MST_MALFORMED; /* a root that only points on */
	}
	level->right = left;
	walk->depth++;
	return RK_MST_OK;
}

static bool key_letter(uint8_t c)
{
	return (c >= '-' && c <= ':' && c != '/') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       c == '_' || c == '~';
}

/* Two parts that are not empty, of letters that record keys and NSIDs are made of. */
static bool key_valid(struct rk_slice key)
{
	size_t slash = SIZE_MAX;

	for (size_t i = 0; i < key.len; i++) {
		if (key_letter(key.data[i]))
			continue;
		if (key.data[i] != '/' || slash != SIZE_MAX)
			return false;
		slash = i;
	}
	return slash != SIZE_MAX && slash > 0 && slash + 1 < key.len;
}

/* Bytes that the last key and the one of the entry have in common, which the entry's prefix is known
 * to be; false if the entry's is not the greater one. */
static bool key_compare(size_t *common, const struct walk *walk, const struct entry *entry)
{
	struct rk_slice last = rk_slice_make(
		walk->key + entry->prefix, walk->key_len - entry->prefix);
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
	struct entry entry;
	size_t common = 0;

	if (!entry_take(&entry, &level->reader))
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
	if (!key_valid(key) || rk_mst_layer(key) != level->layer)
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
	walk.depth = walk.key_len = 0;
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
		} else {
			walk.depth--;
		}
	}
	return result;
}
