/*
 * Nodes are closed from the lowest layer up: a key of layer n closes all below n, which become the
 * subtree before it. So at any time the open nodes are on top of one another in the same bytes, and
 * of each the last entry alone may still be given a subtree.
 *
 * Of keys only the last is held. What a node's key shares with a later one, all keys between share
 * too, as they are in order.
 */
#include "atproto/mst_writer.h"

#include <assert.h>

enum { BYTES_FIRST = 2048 };
enum { UINT, NEGINT, BYTES, TEXT, ARRAY };
/* Bytes that an entry takes at most beside its key, and a number's head. */
enum { ENTRY_MOST = 128, HEAD_MOST = 9 };

static const char node_head[] = "\xa2\x61"
				"e",
		  node_tail[] = "\x61l";
static const char entry_head[] = "\xa4\x61k", entry_prefix[] = "\x61p", entry_right[] = "\x61t",
		  entry_value[] = "\x61v", cid_head[] = "\xd8\x2a\x58\x25", null_value[] = "\xf6";

void rk_mst_writer_init(struct rk_mst_writer *writer, struct rk_arena *arena)
{
	writer->arena = arena;
	writer->bytes = NULL;
	writer->len = writer->cap = writer->last_len = 0;
	writer->open = 0;
	writer->child_set = writer->failed = false;
}

/* Room for len more bytes; NULL and failed without. */
static uint8_t *room(struct rk_mst_writer *writer, size_t len)
{
	if (writer->failed)
		return NULL;
	if (writer->cap - writer->len < len) {
		size_t cap = writer->cap ? writer->cap : BYTES_FIRST;
		uint8_t *bytes;

		while (cap - writer->len < len)
			cap *= 2;
		bytes = rk_arena_alloc(writer->arena, cap);
		if (!bytes) {
			writer->failed = true;
			return NULL;
		}
		if (writer->len)
			memcpy(bytes, writer->bytes, writer->len);
		writer->bytes = bytes;
		writer->cap = cap;
	}
	return writer->bytes + writer->len;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

#define PUT(at, literal) put((at), (literal), sizeof(literal) - 1)

static uint8_t *put_number(uint8_t *at, unsigned major, size_t number)
{
	unsigned bytes = number <= UINT8_MAX ? 1 : number <= UINT16_MAX ? 2 : 4;

	if (number < 24) {
		*at++ = (uint8_t)(major << 5 | number);
		return at;
	}
	*at++ = (uint8_t)(major << 5 | (bytes == 1 ? 24 : bytes == 2 ? 25 : 26));
	for (unsigned i = bytes; i > 0; i--)
		*at++ = (uint8_t)(number >> 8 * (i - 1));
	return at;
}

/* NULL: null. */
static uint8_t *put_cid(uint8_t *at, const struct rk_cid *cid)
{
	if (!cid)
		return PUT(at, null_value);
	at = put(at, cid_head, sizeof(cid_head)); /* with the 0x00 that stands before a CID */
	return put(at, cid->bytes, RK_CID_BYTES);
}

/* Ends the last entry of a level, now that the subtree behind it is known. */
static void entry_close(struct rk_mst_writer *writer, struct rk_mst_writer_level *level)
{
	uint8_t *at = room(writer, ENTRY_MOST);

	if (!at)
		return;
	at = PUT(at, entry_right);
	at = put_cid(at, level->right_set ? &level->right : NULL);
	at = PUT(at, entry_value);
	at = put_cid(at, &level->value);
	writer->len = (size_t)(at - writer->bytes);
}

static void node_hash(
	struct rk_cid *out, size_t count, struct rk_slice entries, const struct rk_cid *left)
{
	uint8_t head[sizeof(node_head) + HEAD_MOST], tail[ENTRY_MOST];
	uint8_t *head_end = put_number(PUT(head, node_head), ARRAY, count);
	uint8_t *tail_end = put_cid(PUT(tail, node_tail), left);
	const struct rk_slice parts[] = {
		rk_slice_make(head, (size_t)(head_end - head)),
		entries,
		rk_slice_make(tail, (size_t)(tail_end - tail)),
	};

	rk_cid_compute_parts(out, RK_CODEC_DAG_CBOR, parts, sizeof(parts) / sizeof(parts[0]));
}

/* Hashes the lowest open node, whose last entry is the end of the bytes. */
static void node_close(struct rk_mst_writer *writer, unsigned layer, struct rk_cid *out)
{
	struct rk_mst_writer_level *level = &writer->levels[layer];

	entry_close(writer, level);
	if (!writer->failed)
		node_hash(out, level->count,
			rk_slice_make(writer->bytes + level->start, writer->len - level->start),
			level->left_set ? &level->left : NULL);
	writer->len = level->start;
	writer->open &= ~(UINT64_C(1) << layer);
}

/* Raises the waiting subtree to the layer, by nodes that only point on. */
static void child_raise(struct rk_mst_writer *writer, unsigned layer)
{
	for (; writer->child_layer < layer; writer->child_layer++) {
		struct rk_cid below = writer->child;

		node_hash(&writer->child, 0, (struct rk_slice){0}, &below);
	}
}

/* Hands the waiting subtree, if one waits, to the node of a layer above: behind its last entry. */
static void child_attach(struct rk_mst_writer *writer, unsigned layer)
{
	struct rk_mst_writer_level *level = &writer->levels[layer];

	if (!writer->child_set)
		return;
	child_raise(writer, layer - 1);
	level->right = writer->child;
	level->right_set = true;
	writer->child_set = false;
}

/* Closes what is open below the layer; what comes of it waits as a subtree. */
static void fold(struct rk_mst_writer *writer, unsigned layer)
{
	uint64_t below = writer->open & ((UINT64_C(1) << layer) - 1);

	for (; below; below &= below - 1) {
		unsigned lowest = (unsigned)__builtin_ctzll(below);

		child_attach(writer, lowest);
		node_close(writer, lowest, &writer->child);
		writer->child_set = true;
		writer->child_layer = lowest;
	}
}

static void entry_open(struct rk_mst_writer *writer, struct rk_slice key, size_t prefix)
{
	size_t rest = key.len - prefix;
	uint8_t *at = room(writer, rest + ENTRY_MOST);

	if (!at)
		return;
	at = PUT(at, entry_head);
	at = put_number(at, BYTES, rest);
	at = put(at, key.data + prefix, rest);
	at = PUT(at, entry_prefix);
	at = put_number(at, UINT, prefix);
	writer->len = (size_t)(at - writer->bytes);
}

void rk_mst_writer_key(struct rk_mst_writer *writer, struct rk_slice key, unsigned layer,
	const struct rk_cid *value)
{
	struct rk_mst_writer_level *level = &writer->levels[layer];
	size_t common = rk_mst_common_prefix(rk_slice_make(writer->last, writer->last_len), key);
	size_t prefix = 0;

	assert(layer < RK_MST_DEPTH_MOST && key.len <= RK_MST_KEY_MOST);
	assert(!writer->child_set || writer->child_layer < layer);
	fold(writer, layer);
	for (uint64_t open = writer->open; open; open &= open - 1) {
		struct rk_mst_writer_level *above = &writer->levels[__builtin_ctzll(open)];

		if (above->shared > common)
			above->shared = common;
	}
	if (writer->open >> layer & 1) {
		child_attach(writer, layer);
		entry_close(writer, level);
		prefix = level->shared;
	} else {
		level->start = writer->len;
		level->count = 0;
		level->left_set = writer->child_set;
		if (writer->child_set) {
			child_raise(writer, layer - 1);
			level->left = writer->child;
			writer->child_set = false;
		}
		writer->open |= UINT64_C(1) << layer;
	}
	entry_open(writer, key, prefix);
	level->count++;
	level->shared = key.len;
	level->right_set = false;
	level->value = *value;
	memcpy(writer->last, key.data, key.len);
	writer->last_len = key.len;
}

bool rk_mst_writer_fits(const struct rk_mst_writer *writer, unsigned layer)
{
	return !writer->child_set && (writer->open & ((UINT64_C(2) << layer) - 1)) == 0;
}

void rk_mst_writer_subtree(struct rk_mst_writer *writer, const struct rk_cid *cid, unsigned layer)
{
	assert(rk_mst_writer_fits(writer, layer));
	writer->child = *cid;
	writer->child_layer = layer;
	writer->child_set = true;
}

bool rk_mst_writer_finish(struct rk_mst_writer *writer, struct rk_cid *root)
{
	unsigned top;

	if (!writer->open) {
		assert(!writer->child_set);
		node_hash(root, 0, (struct rk_slice){0}, NULL);
		return !writer->failed;
	}
	top = 63 - (unsigned)__builtin_clzll(writer->open);
	fold(writer, top);
	child_attach(writer, top);
	node_close(writer, top, root);
	return !writer->failed;
}
