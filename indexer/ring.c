/*
 * See ring.h. Slots are used round and round; three counters say how far each side has come. So are the
 * bytes of their frames: what is taken and given back in order needs no malloc. The arenas of what was
 * decoded come from those just given back, which a cache still has.
 */
#include "indexer/ring.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

#include "base/metrics.h"

enum { SPARES_MOST = RK_RING_SLOTS, CACHE_LINE = 64 };

struct rk_ring {
	pthread_mutex_t lock;
	pthread_cond_t room, work, empty;
	struct rk_slot slots[RK_RING_SLOTS];
	uint64_t pushed, taken, released; /* ever; released <= taken <= pushed */
	uint8_t *bytes;                   /* RK_RING_BYTES */
	uint64_t begin, end; /* of what is in use of them, counted on beyond their number */
	struct rk_arena spare[SPARES_MOST];
	size_t spare_count;
	bool stopped;
};

struct rk_ring *rk_ring_create(void)
{
	struct rk_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->bytes = malloc(RK_RING_BYTES);
	if (!ring->bytes) {
		free(ring);
		return NULL;
	}
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->room, NULL);
	pthread_cond_init(&ring->work, NULL);
	rk_clock_cond_init(&ring->empty);
	return ring;
}

void rk_ring_destroy(struct rk_ring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < RK_RING_SLOTS; i++)
		rk_arena_finish(&ring->slots[i].arena);
	while (ring->spare_count)
		rk_arena_finish(&ring->spare[--ring->spare_count]);
	pthread_cond_destroy(&ring->room);
	pthread_cond_destroy(&ring->work);
	pthread_cond_destroy(&ring->empty);
	pthread_mutex_destroy(&ring->lock);
	free(ring->bytes);
	free(ring);
}

void rk_ring_stop(struct rk_ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->stopped = true;
	pthread_cond_broadcast(&ring->room);
	pthread_cond_broadcast(&ring->work);
	pthread_cond_broadcast(&ring->empty);
	pthread_mutex_unlock(&ring->lock);
}

static struct rk_slot *slot_at(struct rk_ring *ring, uint64_t place)
{
	return &ring->slots[place % RK_RING_SLOTS];
}

static void gauges_set(const struct rk_ring *ring)
{
	rk_metric_set(RK_METRIC_RING_FRAMES, (int64_t)(ring->pushed - ring->released));
	rk_metric_set(RK_METRIC_RING_BYTES, (int64_t)(ring->end - ring->begin));
}

/* Where a frame would begin: in one piece. */
static uint64_t place_find(const struct rk_ring *ring, size_t len)
{
	size_t at = ring->end % RK_RING_BYTES;

	return at + len > RK_RING_BYTES ? ring->end + RK_RING_BYTES - at : ring->end;
}

static bool is_full(const struct rk_ring *ring, size_t len)
{
	return ring->pushed - ring->released == RK_RING_SLOTS ||
		place_find(ring, len) + len - ring->begin > RK_RING_BYTES;
}

bool rk_ring_push(struct rk_ring *ring, struct rk_slice frame, bool text, bool too_large)
{
	struct rk_slot *slot;
	uint64_t place;

	assert(frame.len <= RK_RING_BYTES);
	pthread_mutex_lock(&ring->lock);
	while (is_full(ring, frame.len) && !ring->stopped)
		pthread_cond_wait(&ring->room, &ring->lock);
	if (ring->stopped) {
		pthread_mutex_unlock(&ring->lock);
		return false;
	}
	place = place_find(ring, frame.len);
	slot = slot_at(ring, ring->pushed++);
	slot->frame = ring->bytes + place % RK_RING_BYTES;
	if (frame.len)
		memcpy(ring->bytes + place % RK_RING_BYTES, frame.data, frame.len);
	slot->len = frame.len;
	slot->text = text;
	slot->too_large = too_large;
	slot->end = ring->end = place + frame.len;
	gauges_set(ring);
	pthread_cond_signal(&ring->work);
	pthread_mutex_unlock(&ring->lock);
	return true;
}

bool rk_ring_wait_empty(struct rk_ring *ring, int64_t most_ms)
{
	const struct timespec until = rk_clock_after(most_ms);
	bool empty;
	int r = 0;

	pthread_mutex_lock(&ring->lock);
	while (ring->pushed != ring->released && !ring->stopped && r == 0)
		r = pthread_cond_timedwait(&ring->empty, &ring->lock, &until);
	empty = ring->pushed == ring->released;
	pthread_mutex_unlock(&ring->lock);
	return empty;
}

bool rk_ring_is_empty(struct rk_ring *ring)
{
	bool empty;

	pthread_mutex_lock(&ring->lock);
	empty = ring->pushed == ring->released;
	pthread_mutex_unlock(&ring->lock);
	return empty;
}

struct rk_slot *rk_ring_work(struct rk_ring *ring)
{
	struct rk_slot *slot = NULL;

	pthread_mutex_lock(&ring->lock);
	while (ring->taken == ring->pushed && !ring->stopped)
		pthread_cond_wait(&ring->work, &ring->lock);
	if (ring->taken != ring->pushed) {
		slot = slot_at(ring, ring->taken++);
		if (ring->spare_count)
			slot->arena = ring->spare[--ring->spare_count];
	}
	pthread_mutex_unlock(&ring->lock);
	/* All of it is read at once, by jumps from block to block that no processor foresees. */
	for (size_t i = 0; slot && i < slot->len; i += CACHE_LINE)
		__builtin_prefetch(slot->frame + i);
	return slot;
}

static void arena_spare(struct rk_ring *ring, struct rk_arena *arena)
{
	if (arena->head && ring->spare_count < SPARES_MOST) {
		rk_arena_reset(arena);
		ring->spare[ring->spare_count++] = *arena;
		*arena = (struct rk_arena){0};
	} else {
		rk_arena_finish(arena);
	}
}

bool rk_ring_worked(struct rk_ring *ring, struct rk_slot *slot)
{
	bool due;

	/* Under the lock, so that either this sees what was released or its releaser sees this. */
	pthread_mutex_lock(&ring->lock);
	if (slot->arena.used == 0)
		arena_spare(ring, &slot->arena); /* as of frames without records of ours */
	atomic_store_explicit(&slot->ready, true, memory_order_release);
	due = slot == slot_at(ring, ring->released) || ring->taken == ring->pushed ||
		slot == slot_at(ring, ring->released + RK_RING_HANDFUL - 1);
	pthread_mutex_unlock(&ring->lock);
	return due;
}

bool rk_ring_gathers(struct rk_ring *ring)
{
	bool gathers;

	pthread_mutex_lock(&ring->lock);
	gathers = ring->taken != ring->pushed;
	pthread_mutex_unlock(&ring->lock);
	return gathers && !rk_ring_ready(ring, RK_RING_HANDFUL - 1);
}

/* Without the lock: released is moved by the caller's thread alone. */
struct rk_slot *rk_ring_ready(struct rk_ring *ring, size_t at)
{
	struct rk_slot *slot = slot_at(ring, ring->released + at);

	if (at >= RK_RING_SLOTS || !atomic_load_explicit(&slot->ready, memory_order_acquire))
		return NULL;
	return slot;
}

/* What another core wrote lies in that core's cache. A slot is read while it is written to, too: nothing of
 * it is looked at before it is ready. */
void rk_ring_fetch(struct rk_ring *ring, size_t at)
{
	const struct rk_slot *slot = slot_at(ring, ring->released + at);

	if (at >= RK_RING_SLOTS || !atomic_load_explicit(&slot->ready, memory_order_acquire))
		return;
	for (size_t i = 0; i < sizeof(*slot); i += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)slot + i);
	for (size_t i = 0; i < slot->decoded.count * sizeof(*slot->decoded.records);
		i += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)slot->decoded.records + i);
}

void rk_ring_release(struct rk_ring *ring, size_t count)
{
	pthread_mutex_lock(&ring->lock);
	for (size_t i = 0; i < count; i++) {
		struct rk_slot *slot = slot_at(ring, ring->released++);

		atomic_store_explicit(&slot->ready, false, memory_order_relaxed);
		ring->begin = slot->end;
		arena_spare(ring, &slot->arena);
	}
	/* From the front again, where the bytes of just now are. */
	if (ring->pushed == ring->released)
		ring->begin = ring->end = 0;
	gauges_set(ring);
	pthread_cond_signal(&ring->room);
	if (ring->pushed == ring->released)
		pthread_cond_broadcast(&ring->empty);
	pthread_mutex_unlock(&ring->lock);
}
