/* Operations to edits; see ops.h. */
#include "atproto/ops.h"

#include <errno.h>
#include <stdlib.h>

static int edit_order(const void *a, const void *b)
{
	const struct rk_mst_edit *left = a, *right = b;

	return rk_slice_compare(left->key, right->key);
}

static bool lacks_prev(const struct rk_event_op *op)
{
	return op->action != RK_OP_CREATE && !rk_cid_is_set(&op->prev);
}

static struct rk_mst_edit undoing(const struct rk_event_op *op)
{
	return (struct rk_mst_edit){
		.key = op->path,
		.before = op->action == RK_OP_DELETE ? NULL : &op->cid,
		.after = op->action == RK_OP_CREATE ? NULL : &op->prev,
	};
}

int rk_ops_load(struct rk_ops *out, struct rk_arena *arena, const struct rk_event *event)
{
	bool said = rk_cid_is_set(&event->prev_data);
	bool undo = true;

	*out = (struct rk_ops){.undone = true};
	if (event->op_count == 0)
		return RK_OPS_OK;
	out->edits = rk_arena_calloc(arena, event->op_count, sizeof(*out->edits));
	if (!out->edits)
		return -ENOMEM;
	for (size_t i = 0; i < event->op_count; i++) {
		if (!lacks_prev(&event->ops[i]))
			continue;
		if (said)
			return RK_OPS_PREV;
		undo = false;
	}
	out->count = event->op_count;
	for (size_t i = 0; i < out->count; i++)
		out->edits[i] = undoing(&event->ops[i]);
	qsort(out->edits, out->count, sizeof(*out->edits), edit_order);
	for (size_t i = 1; i < out->count; i++) {
		if (rk_slice_equal(out->edits[i - 1].key, out->edits[i].key))
			return RK_OPS_DUPLICATE;
	}
	if (!undo)
		rk_ops_only_prove(out);
	return RK_OPS_OK;
}

/* To prove that a key is gone takes nodes that older senders leave out: deletes are dropped. */
void rk_ops_only_prove(struct rk_ops *ops)
{
	size_t count = 0;

	for (size_t i = 0; i < ops->count; i++) {
		struct rk_mst_edit *edit = &ops->edits[i];

		if (edit->before)
			ops->edits[count++] =
				(struct rk_mst_edit){edit->key, edit->before, edit->before};
	}
	ops->count = count;
	ops->undone = false;
}
