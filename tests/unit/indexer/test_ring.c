/* Rules of indexer/ring: order of arrival, bounded, nobody waits after a stop. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "indexer/ring.h"

static bool push(struct rk_ring *ring, size_t len, uint8_t mark)
{
	uint8_t *bytes = malloc(len);
	bool pushed;

	assert_non_null(bytes);
	memset(bytes, mark, len);
	pushed = rk_ring_push(ring, rk_slice_make(bytes, len), false, false);
	free(bytes);
	return pushed;
}

static void releases_in_order_whatever_the_workers_do(void **state)
{
	struct rk_ring *ring = rk_ring_create();
	struct rk_slot *slots[3];

	for (uint8_t i = 0; i < 3; i++)
		assert_true(push(ring, 10, i));
	for (int i = 0; i < 3; i++)
		slots[i] = rk_ring_work(ring);
	rk_ring_worked(ring, slots[2]);
	rk_ring_worked(ring, slots[1]);
	assert_null(rk_ring_ready(ring, 0));
	rk_ring_worked(ring, slots[0]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(rk_ring_ready(ring, i)->frame[0], i);
	assert_null(rk_ring_ready(ring, 3));
	rk_ring_release(ring, 2);
	assert_int_equal(rk_ring_ready(ring, 0)->frame[0], 2);
	assert_false(rk_ring_is_empty(ring));
	rk_ring_release(ring, 1);
	assert_true(rk_ring_is_empty(ring));
	assert_true(rk_ring_wait_empty(ring, 1000));
	rk_ring_destroy(ring);
}

/* Of the oldest, of the last that was left to decode, and of a whole handful. */
static void says_when_there_is_something_to_write(void **state)
{
	enum { COUNT = RK_RING_HANDFUL + 1 };
	struct rk_ring *ring = rk_ring_create();
	struct rk_slot *slots[COUNT];

	for (int i = 0; i < COUNT + 1; i++)
		assert_true(push(ring, 1, 0));
	for (int i = 0; i < COUNT; i++)
		slots[i] = rk_ring_work(ring);
	assert_false(rk_ring_worked(ring, slots[1]));
	assert_true(rk_ring_worked(ring, slots[0]));
	assert_true(rk_ring_gathers(ring));
	for (int i = 2; i < RK_RING_HANDFUL - 1; i++)
		assert_false(rk_ring_worked(ring, slots[i]));
	assert_true(rk_ring_gathers(ring));
	assert_true(rk_ring_worked(ring, slots[RK_RING_HANDFUL - 1]));
	assert_false(rk_ring_gathers(ring));
	assert_false(rk_ring_worked(ring, slots[RK_RING_HANDFUL]));
	rk_ring_release(ring, RK_RING_HANDFUL);
	assert_true(rk_ring_gathers(ring));
	assert_true(rk_ring_worked(ring, rk_ring_work(ring)));
	assert_false(rk_ring_gathers(ring));
	rk_ring_destroy(ring);
}

enum { MANY = 100000 };

static void *push_many(void *context)
{
	for (uint32_t i = 0; i < MANY; i++) {
		if (!rk_ring_push(context, rk_slice_make((uint8_t *)&i, sizeof(i)), false, false))
			return NULL;
	}
	return context;
}

static void *work_many(void *context)
{
	struct rk_slot *slot;

	while ((slot = rk_ring_work(context)))
		rk_ring_worked(context, slot);
	return NULL;
}

static void goes_round_many_times_between_threads(void **state)
{
	struct rk_ring *ring = rk_ring_create();
	pthread_t pusher, workers[2];
	uint32_t expected = 0;
	void *pushed;

	pthread_create(&pusher, NULL, push_many, ring);
	for (int i = 0; i < 2; i++)
		pthread_create(&workers[i], NULL, work_many, ring);
	while (expected < MANY) {
		size_t count = 0;
		struct rk_slot *slot;

		while (count < 100 && (slot = rk_ring_ready(ring, count))) {
			uint32_t value;

			memcpy(&value, slot->frame, sizeof(value));
			assert_int_equal(value, expected++);
			count++;
		}
		rk_ring_release(ring, count);
	}
	pthread_join(pusher, &pushed);
	assert_ptr_equal(pushed, ring);
	rk_ring_stop(ring);
	for (int i = 0; i < 2; i++)
		pthread_join(workers[i], NULL);
	rk_ring_destroy(ring);
}

/* A frame is in one piece: where it does not fit before the end of the ring's bytes, they are passed over. */
static void keeps_a_frame_whole_at_the_end_of_its_bytes(void **state)
{
	const size_t sizes[] = {5 << 20, 5 << 20, 5 << 20, 4 << 20, 5 << 20, 3 << 20};
	struct rk_ring *ring = rk_ring_create();
	size_t oldest = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rk_slot *slot;

		/* Two at a time, so that the ring is never empty: else it begins at the front. */
		if (i >= 2) {
			const struct rk_slot *last = rk_ring_ready(ring, 0);

			for (size_t at = 0; at < last->len; at += 4095)
				assert_int_equal(last->frame[at], oldest);
			assert_int_equal(last->len, sizes[oldest++]);
			rk_ring_release(ring, 1);
		}
		assert_true(push(ring, sizes[i], (uint8_t)i));
		slot = rk_ring_work(ring);
		assert_int_equal(slot->frame[slot->len - 1], i);
		rk_ring_worked(ring, slot);
	}
	rk_ring_destroy(ring);
}

static void *push_big(void *context)
{
	bool more = true;

	for (int i = 0; more && i < 100; i++)
		more = push(context, 1 << 20, 1);
	return more ? context : NULL;
}

static void is_bounded_in_bytes_and_stop_wakes_the_pusher(void **state)
{
	struct rk_ring *ring = rk_ring_create();
	struct rk_slot *slot = NULL;
	pthread_t pusher;
	void *all;

	pthread_create(&pusher, NULL, push_big, ring);
	for (int i = 0; i < RK_RING_BYTES >> 20; i++) {
		slot = rk_ring_work(ring); /* waits for the pusher */
		assert_non_null(slot);
		rk_ring_worked(ring, slot);
	}
	assert_non_null(rk_ring_ready(ring, (RK_RING_BYTES >> 20) - 1));
	rk_ring_stop(ring);
	pthread_join(pusher, &all);
	assert_null(all);
	assert_null(rk_ring_ready(ring, RK_RING_BYTES >> 20));
	assert_false(rk_ring_wait_empty(ring, 1000));
	rk_ring_destroy(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_in_order_whatever_the_workers_do),
		cmocka_unit_test(says_when_there_is_something_to_write),
		cmocka_unit_test(goes_round_many_times_between_threads),
		cmocka_unit_test(keeps_a_frame_whole_at_the_end_of_its_bytes),
		cmocka_unit_test(is_bounded_in_bytes_and_stop_wakes_the_pusher),
	};
	return cmocka_run_group_tests_name("indexer/ring", tests, NULL, NULL);
}
