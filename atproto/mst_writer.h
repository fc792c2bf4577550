/*
 * Writes a tree from its entries in key order, and says the CID of its root. A tree has one form
 * only, so what was there before does not matter: an unchanged part of another tree may be handed
 * over as a whole subtree by its CID, anything else key by key.
 *
 * A node is hashed when the next key shows that it is whole, and its bytes are forgotten: memory is
 * what the open nodes take, one for each layer.
 */
#ifndef RK_ATPROTO_MST_WRITER_H
#define RK_ATPROTO_MST_WRITER_H

#include "atproto/mst.h"

struct rk_mst_writer_level {
	size_t start, count; /* of its entries in bytes; how many */
	size_t shared;       /* what its last key and all keys since have in common */
	bool left_set, right_set;
	struct rk_cid left, right; /* before the first entry; behind the last one */
	struct rk_cid value;       /* of the last entry */
};

struct rk_mst_writer {
	struct rk_arena *arena;
	uint8_t *bytes; /* entries of open nodes, higher layers first */
	size_t len, cap;
	uint64_t open; /* a bit for each layer whose node has entries */
	struct rk_mst_writer_level levels[RK_MST_DEPTH_MOST];
	bool child_set; /* a subtree waits for what is above it */
	unsigned child_layer;
	struct rk_cid child;
	uint8_t last[RK_MST_KEY_MOST]; /* the last key */
	size_t last_len;
	bool failed; /* no memory */
};

/* The struct is large and most of it need not be zeroed: always init. */
void rk_mst_writer_init(struct rk_mst_writer *writer, struct rk_arena *arena);
/* A key behind the last one, on its layer, with its value. */
void rk_mst_writer_key(struct rk_mst_writer *writer, struct rk_slice key, unsigned layer,
	const struct rk_cid *value);
/* Whether a subtree of the layer could come next: nothing is open as low as that. */
bool rk_mst_writer_fits(const struct rk_mst_writer *writer, unsigned layer);
/* A subtree whose root is on the layer, which fits. What comes next must be a key of a higher layer,
 * or the end if there are keys of higher layers. */
void rk_mst_writer_subtree(struct rk_mst_writer *writer, const struct rk_cid *cid, unsigned layer);
/* The root. False: no memory. */
bool rk_mst_writer_finish(struct rk_mst_writer *writer, struct rk_cid *root)
	__attribute__((warn_unused_result));

#endif
