/* See decode.h. */
#include "indexer/decode.h"

#include <errno.h>

static int records_read(struct rk_decoded *out, struct rk_arena *arena)
{
	const struct rk_event *event = &out->event;
	size_t ours = 0;

	for (size_t i = 0; i < event->op_count; i++)
		ours += rk_collection_find(event->ops[i].collection) >= 0;
	if (ours == 0)
		return 0;
	out->records = rk_arena_calloc(arena, ours, sizeof(*out->records));
	if (!out->records)
		return -ENOMEM;
	for (size_t i = 0; i < event->op_count; i++) {
		const struct rk_event_op *op = &event->ops[i];
		int collection = rk_collection_find(op->collection);
		struct rk_change_record *record = &out->records[out->count];
		struct rk_slice block;
		int r;

		if (collection < 0)
			continue;
		record->collection = (uint8_t)collection;
		record->rkey = op->rkey;
		out->count++;
		if (op->action == RK_OP_DELETE)
			continue;
		record->cid = op->cid;
		record->created = op->action == RK_OP_CREATE;
		if (!rk_blocks_find(&out->verified.blocks, &op->cid, &block)) {
			out->verdict = RK_VERDICT_RECORD_MISSING;
			return 0;
		}
		r = rk_record_read(
			&record->read, arena, (enum rk_collection_id)collection, op->rkey, block);
		if (r == -EINVAL)
			out->verdict = RK_VERDICT_RECORD_MALFORMED;
		if (r)
			return r == -EINVAL ? 0 : r;
	}
	return 0;
}

/*
 * What a commit from before sync 1.1 does not say of its operations, and the index has: with it they can be
 * undone, and the commit shown to follow from the tree that is held. If something else was there, that tree
 * does not come out.
 */
static int prevs_fill(struct rk_event *event, struct rk_snapshot *snapshot)
{
	struct rk_repo repo;
	int r = 0;

	for (size_t i = 0; r == 0 && i < event->op_count; i++) {
		struct rk_event_op *op = &event->ops[i];
		int collection = rk_collection_find(op->collection);
		struct rk_record held;

		if (op->action == RK_OP_CREATE || rk_cid_is_set(&op->prev))
			continue;
		if (collection < 0)
			return 0;
		r = rk_read_repo_by_did(snapshot, &repo, event->did.text);
		if (r == 0)
			r = rk_read_record(snapshot, &held, repo.id, (uint8_t)collection, op->rkey);
		if (r == 0)
			op->prev = held.cid;
	}
	return r < 0 ? r : 0;
}

int rk_decode(struct rk_decoded *out, struct rk_arena *arena, struct rk_arena *scratch,
	struct rk_slice frame, int64_t now_ms, struct rk_keys *keys, struct rk_snapshot *snapshot)
{
	struct rk_verify_options options = {
		.now_ms = now_ms,
		.key_needed = true,
		.checker = rk_keys_checker(keys),
	};
	struct rk_signer signer;
	int r;

	*out = (struct rk_decoded){0};
	r = rk_event_parse(&out->event, scratch, frame);
	if (r < 0)
		return r;
	out->verdict = rk_verdict_of_event((enum rk_event_result)r);
	if (out->verdict != RK_VERDICT_OK ||
		(out->event.type != RK_EVENT_COMMIT && out->event.type != RK_EVENT_SYNC))
		return 0;
	r = rk_keys_find(keys, &signer, snapshot, out->event.did.text);
	if (r)
		return r;
	out->key_fetched_ms = signer.fetched_ms;
	if (signer.elsewhere) {
		out->verdict = RK_VERDICT_REPO_ELSEWHERE;
		return 0;
	}
	options.key = signer.key;
	if (out->event.type == RK_EVENT_COMMIT && !rk_cid_is_set(&out->event.prev_data)) {
		r = prevs_fill(&out->event, snapshot);
		if (r)
			return r;
	}
	/* A commit too big for the stream has only its commit object: believed like a #sync. */
	if (out->event.type == RK_EVENT_COMMIT && !out->event.too_big)
		r = rk_verify_commit(&out->verified, scratch, &out->event, &options);
	else
		r = rk_verify_sync(&out->verified, scratch, &out->event, &options);
	if (r < 0)
		return r;
	out->verdict = (enum rk_verdict)r;
	if (out->verdict != RK_VERDICT_OK || out->event.type != RK_EVENT_COMMIT ||
		out->event.too_big)
		return 0;
	return records_read(out, arena);
}
