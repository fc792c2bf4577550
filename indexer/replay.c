/*
 * The stream's transactions and the waiting room. What a transaction takes from the ring or replays
 * from the room is only moved once it is on disk: until then it may be undone and run again.
 */
#include "indexer/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

static void drained_clear(struct rk_drained *drained)
{
	for (size_t i = 0; i < drained->shift_count; i++)
		free(drained->shifts[i].did);
	for (size_t i = 0; i < drained->wish_count; i++)
		free(drained->wishes[i].did);
	free(drained->shifts);
	drained->shifts = NULL;
	drained->slots = drained->waits = drained->shift_count = drained->wish_count = 0;
}

void rk_replay_aborted(struct rk_indexer *indexer)
{
	atomic_store(&indexer->notes.event_ms, indexer->drained.begun_ms);
	drained_clear(&indexer->drained);
}

static void wait(
	struct rk_indexer *indexer, const struct rk_slot *slot, int result, int64_t stream_ms)
{
	struct rk_slice did = slot->decoded.event.did.text;
	struct rk_slice frame = rk_slice_make(slot->frame, slot->len);

	if (result == RK_APPLY_WAIT)
		rk_waiting_add(indexer->waiting, did, frame, stream_ms,
			slot->decoded.verdict == RK_VERDICT_KEY_UNKNOWN);
	else if (result == RK_APPLY_DOUBT &&
		!rk_waiting_add_doubt(indexer->waiting, did, frame, stream_ms))
		rk_apply_refuse(&slot->decoded);
}

void rk_replay_committed(struct rk_indexer *indexer)
{
	struct rk_drained *drained = &indexer->drained;

	for (size_t i = 0; i < drained->shift_count; i++) {
		const struct rk_shift *shift = &drained->shifts[i];

		if (shift->lost)
			rk_waiting_drop(indexer->waiting, rk_slice_str(shift->did));
		else
			rk_waiting_shift(indexer->waiting, rk_slice_str(shift->did), shift->count);
	}
	for (size_t i = 0; i < drained->slots; i++)
		wait(indexer, rk_ring_ready(indexer->ring, i), drained->results[i],
			drained->stream_ms[i]);
	/* Only now do others see what the wishes are for. What nobody will come for does not wait; the
	 * account's next commit or the sweep shows that it is missing. */
	for (size_t i = 0; i < drained->wish_count; i++) {
		struct rk_slice did = rk_slice_str(drained->wishes[i].did);

		if (!rk_identity_wish(indexer, did, drained->wishes[i].kind, 0, 0))
			rk_waiting_drop(indexer->waiting, did);
	}
	if (drained->slots) {
		rk_ring_release(indexer->ring, drained->slots);
		indexer->course = drained->course;
	}
	drained_clear(drained);
}

void rk_replay_wish(void *context, struct rk_slice did, bool known)
{
	struct rk_indexer *indexer = context;
	struct rk_drained *drained = &indexer->drained;
	char *copy = drained->wish_count < RK_DRAIN_MOST ? strndup((const char *)did.data, did.len)
							 : NULL;

	/* One too many is found by the sweep. */
	if (copy)
		drained->wishes[drained->wish_count++] = (struct rk_wish){
			.did = copy, .kind = known ? RK_WISH_STREAM : RK_WISH_STRANGER};
}

bool rk_replay_waits(void *context, struct rk_slice did)
{
	struct rk_indexer *indexer = context;

	if (rk_waiting_has(indexer->waiting, did))
		return true;
	for (size_t i = 0; indexer->drained.waits && i < indexer->drained.slots; i++) {
		if (indexer->drained.results[i] == RK_APPLY_WAIT &&
			rk_slice_equal(
				rk_ring_ready(indexer->ring, i)->decoded.event.did.text, did))
			return true;
	}
	return false;
}

static struct rk_shift *shift_find(struct rk_drained *drained, struct rk_slice did)
{
	for (size_t i = 0; i < drained->shift_count; i++) {
		if (rk_slice_equal_str(did, drained->shifts[i].did))
			return &drained->shifts[i];
	}
	return NULL;
}

static int shift_note(struct rk_drained *drained, struct rk_slice did, size_t count, bool lost)
{
	struct rk_shift *shift = shift_find(drained, did), *shifts;
	char *copy;

	if (shift) {
		shift->count += count;
		return 0;
	}
	shifts = reallocarray(drained->shifts, drained->shift_count + 1, sizeof(*shifts));
	if (!shifts)
		return -ENOMEM;
	drained->shifts = shifts;
	copy = strndup((const char *)did.data, did.len);
	if (!copy)
		return -ENOMEM;
	shifts[drained->shift_count++] =
		(struct rk_shift){.did = copy, .count = count, .lost = lost};
	return 0;
}

/* Decodes a frame under what is held now, and applies it: as rk_apply. stream_ms: of one that has waited. */
static int apply_anew(struct rk_indexer *indexer, struct rk_write *w, struct rk_slice frame,
	int64_t stream_ms, bool again)
{
	struct rk_arena arena = {0};
	struct rk_decoded decoded;
	int r = rk_decode(&decoded, &arena, &arena, frame, rk_clock_wall_ms(), indexer->keys,
		rk_write_view(w));

	decoded.stream_ms = stream_ms;
	if (r == 0)
		r = rk_apply(&indexer->apply, w, &decoded, rk_clock_wall_us(), again);
	rk_arena_finish(&arena);
	return r;
}

int rk_replay_outdated(struct rk_indexer *indexer, struct rk_write *w, const struct rk_slot *slot)
{
	return apply_anew(indexer, w, rk_slice_make(slot->frame, slot->len), 0, false);
}

/* What the transaction under way took from the ring comes behind the room, and has not come there yet. */
static int drained_replay(struct rk_indexer *indexer, struct rk_write *w, struct rk_slice did)
{
	struct rk_drained *drained = &indexer->drained;
	int r = RK_APPLY_DONE;

	for (size_t i = 0; r == RK_APPLY_DONE && drained->waits && i < drained->slots; i++) {
		const struct rk_slot *slot = rk_ring_ready(indexer->ring, i);

		if (drained->results[i] != RK_APPLY_WAIT ||
			!rk_slice_equal(slot->decoded.event.did.text, did))
			continue;
		r = apply_anew(indexer, w, rk_slice_make(slot->frame, slot->len),
			drained->stream_ms[i], true);
		if (r == RK_APPLY_DONE) {
			drained->results[i] = RK_APPLY_DONE;
			drained->waits--;
		}
	}
	return r;
}

int rk_replay(struct rk_indexer *indexer, struct rk_write *w, struct rk_slice did, bool *lost)
{
	const struct rk_waiting_frame *frame = rk_waiting_first(indexer->waiting, did);
	const struct rk_shift *shift = shift_find(&indexer->drained, did);
	size_t count = 0;
	int r = RK_APPLY_DONE;

	*lost = rk_waiting_lost(indexer->waiting, did);
	/* What this transaction has replayed stays in the room until it is on disk. */
	for (size_t i = 0; shift && frame && i < shift->count; i++)
		frame = frame->next;
	for (; r == RK_APPLY_DONE && frame; frame = frame->next) {
		r = apply_anew(
			indexer, w, rk_slice_make(frame->data, frame->len), frame->stream_ms, true);
		count += r == RK_APPLY_DONE;
	}
	if (r == RK_APPLY_DONE)
		r = drained_replay(indexer, w, did);
	if (r < 0)
		return r;
	return count || *lost ? shift_note(&indexer->drained, did, count, *lost) : 0;
}
