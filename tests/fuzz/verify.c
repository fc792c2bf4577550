/*
 * Frames with commits and syncs, and whole repos: no message does harm, and none is believed that is
 * not signed, not of its repo, or says less than it did. Signatures are left aside at first, for no
 * change would be seen behind them.
 */
#include "tests/fuzz/fuzz.h"

#include "atproto/verify.h"

/* Of the fixtures: the k256 key of the secret 01 times 32. */
static const char fixtures_key[] = "zQ3shgVXZLaMzm5S5x7XzGUG6YFHFLtoEMiv9ao2Bqa7hGyg2";
enum { NOW_MS = 1800000000, FACTOR = 1000 };

struct rk_slice fuzz_car(struct rk_slice input)
{
	struct rk_arena arena = {0};
	struct rk_event event;
	struct rk_slice car = {0};

	if (rk_event_parse(&event, &arena, input) == RK_EVENT_OK)
		car = event.blocks;
	rk_arena_finish(&arena);
	return car;
}

static bool visit(void *context, struct rk_slice key, const struct rk_cid *value)
{
	return true;
}

/* A commit that was believed with an operation less. */
static void commit_with_less(
	struct rk_event *event, struct rk_arena *arena, const struct rk_verify_options *options)
{
	struct rk_event_op *last = &event->ops[event->op_count - 1];
	bool changes = !rk_cid_equal(&last->cid, &last->prev);
	struct rk_verified verified;

	event->op_count--;
	if (changes)
		fuzz_must(rk_verify_commit(&verified, arena, event, options) != RK_VERDICT_OK ||
			verified.legacy);
	event->op_count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_verify_options options = {.now_ms = (int64_t)NOW_MS * FACTOR};
	struct rk_key_ready ready;
	struct rk_verified verified;
	struct rk_arena arena = {0};
	struct rk_event event;
	struct rk_key key;
	int unsigned_result, result;

	fuzz_must(rk_key_from_multibase(&key, rk_slice_str(fixtures_key)));
	fuzz_must(rk_key_ready_make(&ready, &key));
	if (rk_event_parse(&event, &arena, rk_slice_make(data, size)) != RK_EVENT_OK ||
		(event.type != RK_EVENT_COMMIT && event.type != RK_EVENT_SYNC))
		goto done;
	if (event.type == RK_EVENT_SYNC)
		unsigned_result = rk_verify_sync(&verified, &arena, &event, &options);
	else
		unsigned_result = rk_verify_commit(&verified, &arena, &event, &options);
	fuzz_must(unsigned_result >= 0 && unsigned_result < RK_VERDICT_COUNT);
	if (unsigned_result == RK_VERDICT_OK && !event.too_big) {
		fuzz_must(rk_slice_equal(verified.commit.did.text, event.did.text));
		fuzz_must(verified.commit.rev == event.rev);
		if (event.type == RK_EVENT_COMMIT && !verified.legacy && event.op_count > 0)
			commit_with_less(&event, &arena, &options);
	}
	options.key = &ready;
	options.key_needed = true;
	if (event.type == RK_EVENT_SYNC)
		result = rk_verify_sync(&verified, &arena, &event, &options);
	else
		result = rk_verify_commit(&verified, &arena, &event, &options);
	fuzz_must(result >= 0 && result < RK_VERDICT_COUNT);
	/* A signature takes away, and never gives. */
	fuzz_must(result != RK_VERDICT_OK || unsigned_result == RK_VERDICT_OK);
	options.key = NULL;
	options.key_needed = false;
	result = rk_verify_repo(&verified, event.blocks, event.did, &options, visit, NULL);
	fuzz_must(result >= 0 && result < RK_VERDICT_COUNT);
	rk_blocks_finish(&verified.blocks);
done:
	rk_arena_finish(&arena);
	return 0;
}
