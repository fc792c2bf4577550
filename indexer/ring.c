/* See ring.h. Slots are used round and round; three counters say how far each side has come. */
#include "indexer/ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/metrics.h"

struct rk_ring {
	pthread_mutex_t lock;
	pthread_cond_t room, work, empty;
	struct rk_slot slots[RK_RING_SLOTS];
	uint64_t pushed, taken, released; /* ever; released <= taken <= pushed */
	size_t bytes;
	bool stopped;
};

struct rk_ring *rk_ring_create(void)
{
	struct rk_ring *ring = calloc(1, sizeof(*ring));
	pthread_condattr_t monotonic;

	if (!ring)
		return NULL;
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->room, NULL);
	pthread_cond_init(&ring->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&ring->empty, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return ring;
}

void rk_ring_destroy(struct rk_ring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < RK_RING_SLOTS; i++) {
		free(ring->slots[i].frame);
		rk_arena_finish(&ring->slots[i].arena);
	}
	pthread_cond_destroy(&ring->room);
	pthread_cond_destroy(&ring->work);
	pthread_cond_destroy(&ring->empty);
	pthread_mutex_destroy(&ring->lock);
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
	rk_metric_set(RK_METRIC_RING_BYTES, (int64_t)ring->bytes);
}

static bool is_full(const struct rk_ring *ring, size_t len)
{
	if (ring->pushed == ring->released)
		return false; /* one frame always fits */
	return ring->pushed - ring->released == RK_RING_SLOTS || ring->bytes + len > RK_RING_BYTES;
}

bool rk_ring_push(struct rk_ring *ring, uint8_t *frame, size_t len, bool text, bool too_large)
{
	struct rk_slot *slot;

	pthread_mutex_lock(&ring->lock);
	while (is_full(ring, len) && !ring->stopped)
		pthread_cond_wait(&ring->room, &ring->lock);
	if (ring->stopped) {
		pthread_mutex_unlock(&ring->lock);
		free(frame);
		return false;
	}
	slot = slot_at(ring, ring->pushed++);
	slot->state = RK_SLOT_WAITING;
	slot->frame = frame;
	slot->len = len;
	slot->text = text;
	slot->too_large = too_large;
	ring->bytes += len;
	gauges_set(ring);
	pthread_cond_signal(&ring->work);
	pthread_mutex_unlock(&ring->lock);
	return true;
}

bool rk_ring_wait_empty(struct rk_ring *ring, int64_t most_ms)
{
	struct timespec until;
	bool empty;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += most_ms / 1000;
	until.tv_nsec += most_ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
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
		slot->state = RK_SLOT_WORKING;
	}
	pthread_mutex_unlock(&ring->lock);
	return slot;
}

bool rk_ring_worked(struct rk_ring *ring, struct rk_slot *slot)
{
	bool oldest;

	pthread_mutex_lock(&ring->lock);
	slot->state = RK_SLOT_READY;
	oldest = slot == slot_at(ring, ring->released);
	pthread_mutex_unlock(&ring->lock);
	return oldest;
}

struct rk_slot *rk_ring_ready(struct rk_ring *ring, size_t at)
{
	struct rk_slot *slot = NULL;

	pthread_mutex_lock(&ring->lock);
	if (ring->released + at < ring->taken) {
		slot = slot_at(ring, ring->released + at);
		if (slot->state != RK_SLOT_READY)
			slot = NULL;
	}
	pthread_mutex_unlock(&ring->lock);
	return slot;
}

void rk_ring_release(struct rk_ring *ring, size_t count)
{
	pthread_mutex_lock(&ring->lock);
	for (size_t i = 0; i < count; i++) {
		struct rk_slot *slot = slot_at(ring, ring->released++);

		ring->bytes -= slot->len;
		free(slot->frame);
		slot->frame = NULL;
		slot->state = RK_SLOT_FREE;
		rk_arena_finish(&slot->arena); /* kept, thousands of them would add up */
	}
	gauges_set(ring);
	pthread_cond_signal(&ring->room);
	if (ring->pushed == ring->released)
		pthread_cond_broadcast(&ring->empty);
	pthread_mutex_unlock(&ring->lock);
}
