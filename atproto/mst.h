/*
 * The Merkle search tree of a repo, read from blocks.
 * Source: atproto.com/specs/repository ("MST structure").
 */
#ifndef RK_ATPROTO_MST_H
#define RK_ATPROTO_MST_H

#include "atproto/blocks.h"

enum {
	RK_MST_KEY_MOST = 1024, /* bytes of a key */
	RK_MST_DEPTH_MOST = 64, /* layers: a key on the 33rd takes 2^64 tries to find */
};

/* The only node of the tree without keys: no entries, no subtree. */
#define RK_MST_EMPTY "\xa2\x61\x65\x80\x61\x6c\xf6"

enum rk_mst_result {
	RK_MST_OK,
	RK_MST_STOPPED,   /* the visitor asked to */
	RK_MST_MISSING,   /* a node is not among the blocks */
	RK_MST_MALFORMED, /* not a node, a key or a layer that is wrong, an empty node, too deep */
};

/* Called for each entry in key order. key ("collection/rkey": its letters are checked, its parts'
 * syntax is not) and value are borrowed for the call. Returns false to stop the walk. */
typedef bool rk_mst_visit(void *context, struct rk_slice key, const struct rk_cid *value);

/* Walks the whole tree under root, checking structure: key order over the whole tree, prefix
 * compression, each key's layer, no empty or misplaced nodes. Whether values are among the blocks
 * is not looked at. Anything but RK_MST_OK may come after some entries were visited. */
enum rk_mst_result rk_mst_walk(const struct rk_blocks *blocks, const struct rk_cid *root,
	rk_mst_visit *visit, void *context);

/* Two parts with a slash between, not empty, of letters that NSIDs and record keys are made of. */
bool rk_mst_key_valid(struct rk_slice key);
/* The same of a key whose first `shared` bytes are those of a valid key with its slash at *slash: they are
 * not looked at again. *slash becomes that of this key. */
bool rk_mst_key_follows(size_t *slash, struct rk_slice key, size_t shared);
/* The layer of a key: leading zero bits of its SHA-256, divided by two. */
unsigned rk_mst_layer(struct rk_slice key);
/* Bytes that both keys start with: what a node leaves out of the second. */
size_t rk_mst_common_prefix(struct rk_slice a, struct rk_slice b);

#endif
