/*
 * What a tree would be with some of its keys changed, from no more of it than the change needs: its
 * other subtrees stay CIDs. This is how the operations of a commit are proven and undone (sync 1.1:
 * the tree, with the operations undone, must be the one before), and how a tree is edited forward.
 * Source: atproto.com/specs/sync, atproto.com/specs/repository ("MST structure").
 */
#ifndef RK_ATPROTO_MST_EDIT_H
#define RK_ATPROTO_MST_EDIT_H

#include "atproto/mst.h"

/* The change of one key. The same before and after: nothing changes, it is only proven. */
struct rk_mst_edit {
	struct rk_slice key;         /* rk_mst_key_valid, at most RK_MST_KEY_MOST bytes */
	const struct rk_cid *before; /* what the tree must have there; NULL: nothing */
	const struct rk_cid *after;  /* what it shall have; NULL: nothing */
};

enum rk_mst_edit_result {
	RK_MST_EDIT_OK,
	RK_MST_EDIT_MISSING,   /* a node that is needed is not among the blocks */
	RK_MST_EDIT_MALFORMED, /* a node breaks a rule of the tree */
	RK_MST_EDIT_ABSENT,    /* before is not there */
	RK_MST_EDIT_DIFFERS,   /* another value is there than before */
	RK_MST_EDIT_PRESENT,   /* something is there, where nothing should be before */
};

/* Keys in order, none twice. root_after is written with RK_MST_EDIT_OK alone. Only nodes on the
 * paths of keys, and those that a change joins, are needed and checked, by all rules of rk_mst_walk.
 * The arena holds what open nodes take. Negative: no memory. */
int rk_mst_edit(struct rk_cid *root_after, struct rk_arena *arena, const struct rk_blocks *blocks,
	const struct rk_cid *root, const struct rk_mst_edit *edits, size_t count)
	__attribute__((warn_unused_result));

#endif
