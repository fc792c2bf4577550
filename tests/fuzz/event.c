/* Frames: whatever is parsed is within its bounds, and parsed the same again. */
#include "tests/fuzz/fuzz.h"

#include "atproto/event.h"

static void within(struct rk_slice part, struct rk_slice whole)
{
	fuzz_must(part.len == 0 ||
		(part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice frame = rk_slice_make(data, size);
	struct rk_arena arena = {0};
	struct rk_event event;
	int result = rk_event_parse(&event, &arena, frame);

	fuzz_must(result >= 0);
	fuzz_must(event.op_count <= RK_EVENT_OPS_MOST);
	if (result != RK_EVENT_OK)
		goto done;
	within(event.did.text, frame);
	within(event.blocks, frame);
	within(event.handle, frame);
	within(event.status, frame);
	within(event.name, frame);
	within(event.message, frame);
	for (size_t i = 0; i < event.op_count; i++) {
		const struct rk_event_op *op = &event.ops[i];

		within(op->path, frame);
		fuzz_must(op->collection.len + 1 + op->rkey.len == op->path.len);
		fuzz_must(rk_cid_is_set(&op->cid) == (op->action != RK_OP_DELETE));
		fuzz_must(!rk_cid_is_set(&op->prev) || op->action != RK_OP_CREATE);
	}
done:
	rk_arena_finish(&arena);
	return 0;
}
