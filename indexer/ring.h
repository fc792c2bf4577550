/*
 * Frames between arrival and index, in order of arrival: pushed by the receiving thread, decoded by
 * any worker in any order, applied by the writer strictly in order. Bounded in frames and bytes; when
 * it is full, pushing waits.
 */
#ifndef RK_INDEXER_RING_H
#define RK_INDEXER_RING_H

#include <stdatomic.h>

#include "base/arena.h"
#include "indexer/decode.h"

enum { RK_RING_SLOTS = 6144, RK_RING_BYTES = 16 << 20, RK_RING_HANDFUL = 4096 };

struct rk_slot {
	atomic_bool ready;
	const uint8_t *frame; /* in the ring's own bytes */
	size_t len;
	bool text, too_large; /* the message was not a frame at all */
	struct rk_arena arena;
	struct rk_decoded decoded; /* valid when ready; borrowed from frame and arena */
	uint64_t end;              /* the ring's */
};

struct rk_ring;

struct rk_ring *rk_ring_create(void); /* NULL: no memory */
void rk_ring_destroy(struct rk_ring *ring);
/* Wakes everybody who waits; from then on nobody waits any more. */
void rk_ring_stop(struct rk_ring *ring);

/* Receiving thread, one alone. Copies the frame, RK_RING_BYTES at most. False: the ring was stopped. */
bool rk_ring_push(struct rk_ring *ring, struct rk_slice frame, bool text, bool too_large);
/* Waits until everything pushed was released; false when time ran out or the ring was stopped first. */
bool rk_ring_wait_empty(struct rk_ring *ring, int64_t most_ms);
bool rk_ring_is_empty(struct rk_ring *ring);

/* Workers: the oldest undecoded frame; NULL when the ring was stopped and none is left. */
struct rk_slot *rk_ring_work(struct rk_ring *ring);
/* True if the writer has something to do: the frame is the oldest of all, or the last one that is undecoded,
 * or that which makes a whole RK_RING_HANDFUL. */
bool rk_ring_worked(struct rk_ring *ring, struct rk_slot *slot);

/* Writer: the slot `at` places behind the oldest, if it and all before it are ready; else NULL. */
struct rk_slot *rk_ring_ready(struct rk_ring *ring, size_t at);
/* Has the processor fetch such a slot ahead of its use, if it is ready. */
void rk_ring_fetch(struct rk_ring *ring, size_t at);
/* Frames are left to decode, and no handful is ready yet. */
bool rk_ring_gathers(struct rk_ring *ring);
/* The oldest `count` slots are done with, and what they lent. */
void rk_ring_release(struct rk_ring *ring, size_t count);

#endif
