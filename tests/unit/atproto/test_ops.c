/* Rules of atproto/ops: what operations are undone as, when they can be, and in which order. */
#include "tests/unit/atproto/make.h"

#include <stdlib.h>

#include "atproto/ops.h"

static struct rk_cid now, prev;

static int setup(void **state)
{
	now = make_cid(rk_slice_str("now"));
	prev = make_cid(rk_slice_str("prev"));
	return 0;
}

static struct rk_event_op op(enum rk_op_action action, const char *path, bool has_prev)
{
	struct rk_event_op out = {.action = action, .path = rk_slice_str(path)};

	if (action != RK_OP_DELETE)
		out.cid = now;
	if (has_prev)
		out.prev = prev;
	return out;
}

static int load(struct rk_ops *out, struct rk_arena *arena, struct rk_event_op *ops, size_t count,
	bool prev_data, uint64_t since)
{
	struct rk_event event = {.ops = ops, .op_count = count, .since = since};

	if (prev_data)
		event.prev_data = prev;
	return rk_ops_load(out, arena, &event);
}

static void expect(const struct rk_mst_edit *edit, const char *key, const struct rk_cid *before,
	const struct rk_cid *after)
{
	assert_true(rk_slice_equal_str(edit->key, key));
	assert_true((edit->before != NULL) == (before != NULL));
	assert_true((edit->after != NULL) == (after != NULL));
	if (before)
		assert_true(rk_cid_equal(edit->before, before));
	if (after)
		assert_true(rk_cid_equal(edit->after, after));
}

static void each_action_has_its_undoing(void **state)
{
	struct rk_event_op ops[] = {
		op(RK_OP_DELETE, "a.b.c/3", true),
		op(RK_OP_UPDATE, "a.b.c/2", true),
		op(RK_OP_CREATE, "a.b.c/1", false),
	};
	struct rk_arena arena = {0};
	struct rk_ops out;

	assert_int_equal(load(&out, &arena, ops, 3, true, 1), RK_OPS_OK);
	assert_true(out.undone);
	assert_int_equal(out.count, 3);
	expect(&out.edits[0], "a.b.c/1", &now, NULL);
	expect(&out.edits[1], "a.b.c/2", &now, &prev);
	expect(&out.edits[2], "a.b.c/3", NULL, &prev);
	/* The first commit of a repo, by its own word. */
	assert_int_equal(load(&out, &arena, ops, 3, false, 0), RK_OPS_OK);
	assert_true(out.undone);
	assert_int_equal(out.count, 3);
	/* No tree before is said: whoever knows it may compare. */
	assert_int_equal(load(&out, &arena, ops, 3, false, 1), RK_OPS_OK);
	assert_true(out.undone);
	assert_int_equal(out.count, 3);
	/* It cannot be had: creates and updates are proven. */
	rk_ops_only_prove(&out);
	assert_false(out.undone);
	assert_int_equal(out.count, 2);
	expect(&out.edits[0], "a.b.c/1", &now, &now);
	expect(&out.edits[1], "a.b.c/2", &now, &now);
	rk_arena_finish(&arena);
}

static void prev_is_needed_to_undo(void **state)
{
	static const enum rk_op_action actions[] = {RK_OP_UPDATE, RK_OP_DELETE};
	struct rk_arena arena = {0};
	struct rk_ops out;

	for (size_t i = 0; i < 2; i++) {
		struct rk_event_op ops[] = {
			op(RK_OP_CREATE, "a.b.c/1", false),
			op(actions[i], "a.b.c/2", false),
		};

		assert_int_equal(load(&out, &arena, ops, 2, true, 1), RK_OPS_PREV);
		assert_int_equal(load(&out, &arena, ops, 2, true, 0), RK_OPS_PREV);
		assert_int_equal(load(&out, &arena, ops, 2, false, 0), RK_OPS_OK);
		assert_false(out.undone);
		assert_int_equal(load(&out, &arena, ops, 2, false, 1), RK_OPS_OK);
		assert_false(out.undone);
	}
	rk_arena_finish(&arena);
}

static void one_path_has_one_operation(void **state)
{
	struct rk_event_op ops[] = {
		op(RK_OP_CREATE, "a.b.c/1", false),
		op(RK_OP_CREATE, "a.b.c/2", false),
		op(RK_OP_DELETE, "a.b.c/1", true),
	};
	struct rk_arena arena = {0};
	struct rk_ops out;

	assert_int_equal(load(&out, &arena, ops, 3, true, 1), RK_OPS_DUPLICATE);
	assert_int_equal(load(&out, &arena, ops, 3, false, 1), RK_OPS_DUPLICATE);
	assert_int_equal(load(&out, &arena, ops, 2, true, 1), RK_OPS_OK);
	rk_arena_finish(&arena);
}

static void no_operations_are_fine(void **state)
{
	struct rk_arena arena = {0};
	struct rk_ops out;

	assert_int_equal(load(&out, &arena, NULL, 0, true, 1), RK_OPS_OK);
	assert_true(out.undone && out.count == 0);
	assert_int_equal(load(&out, &arena, NULL, 0, false, 0), RK_OPS_OK);
	assert_true(out.undone && out.count == 0);
	assert_int_equal(load(&out, &arena, NULL, 0, false, 1), RK_OPS_OK);
	assert_true(out.undone);
	rk_arena_finish(&arena);
}

static void no_memory_is_said(void **state)
{
	struct rk_event_op ops[] = {op(RK_OP_CREATE, "a.b.c/1", false)};
	struct rk_arena arena;
	struct rk_ops out;

	rk_arena_init(&arena, 1);
	assert_true(load(&out, &arena, ops, 1, true, 1) < 0);
	rk_arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_action_has_its_undoing),
		cmocka_unit_test(prev_is_needed_to_undo),
		cmocka_unit_test(one_path_has_one_operation),
		cmocka_unit_test(no_operations_are_fine),
		cmocka_unit_test(no_memory_is_said),
	};
	return cmocka_run_group_tests_name("atproto/ops", tests, setup, NULL);
}
