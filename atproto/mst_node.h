/*
 * One node of a tree as it is written: {e: entries, l: left subtree or null}, an entry {k: rest of
 * the key, p: bytes shared with the key before it in the node, t: subtree to its right or null, v:
 * CID of the record}. Canonical DAG-CBOR spells that in one way only, so nodes are read by comparing
 * with that spelling. What holds between keys, and between nodes, is the readers' to check.
 * Source: atproto.com/specs/repository ("MST structure").
 */
#ifndef RK_ATPROTO_MST_NODE_H
#define RK_ATPROTO_MST_NODE_H

#include "atproto/cid.h"
#include "base/reader.h"

/* Everything borrowed from the block. */
struct rk_mst_entry {
	size_t prefix;              /* at most RK_MST_KEY_MOST */
	struct rk_slice rest;       /* as long as it likes */
	const struct rk_cid *right; /* NULL: no subtree */
	const struct rk_cid *value;
};

struct rk_mst_node {
	struct rk_reader reader;   /* over the entries */
	size_t count;              /* that there must be of them */
	const struct rk_cid *left; /* NULL: no subtree */
};

/* What is around the entries; their own form is seen as they are taken. */
bool rk_mst_node_open(struct rk_mst_node *out, struct rk_slice block);
/* The next entry. False if it is not one. Behind the last of them nothing may be left to read. */
bool rk_mst_entry_take(struct rk_mst_entry *out, struct rk_reader *reader);

#endif
