/*
 * The operations of a commit as edits of its tree: to undo them, which must lead to the tree before
 * (sync 1.1), or only to prove that their records are in it.
 * Source: atproto.com/specs/sync ("Validating commits", inversion of operations).
 */
#ifndef RK_ATPROTO_OPS_H
#define RK_ATPROTO_OPS_H

#include "atproto/event.h"
#include "atproto/mst_edit.h"

struct rk_ops {
	struct rk_mst_edit *edits; /* the arena's, of paths in order; they point into the event */
	size_t count;
	bool undone; /* the edits undo all operations; else they prove creates and updates */
};

enum rk_ops_result {
	RK_OPS_OK,
	RK_OPS_DUPLICATE, /* two operations of one path */
	RK_OPS_PREV,      /* an update or a delete lacks prev, though the tree before is said */
};

/* All operations are to be undone if none lacks prev; one may only where prev_data is not said. Negative: no
 * memory. */
int rk_ops_load(struct rk_ops *out, struct rk_arena *arena, const struct rk_event *event)
	__attribute__((warn_unused_result));
/* Makes of what would undo the operations what only proves them. */
void rk_ops_only_prove(struct rk_ops *ops);

#endif
