/* Rules of indexer/ring: order of arrival, bounded, nobody waits after a stop. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "indexer/ring.h"

static uint8_t *frame(size_t len, uint8_t mark)
{
	uint8_t *bytes = malloc(len ? len : 1);

	assert_non_null(bytes);
	memset(bytes, mark, len);
	return bytes;
}

static void releases_in_order_whatever_the_workers_do(void **state)
{
	struct rk_ring *ring = rk_ring_create();
	struct rk_slot *slots[3];

	for (uint8_t i = 0; i < 3; i++)
		assert_true(rk_ring_push(ring, frame(10, i), 10, false, false));
	for (int i = 0; i < 3; i++)
		slots[i] = rk_ring_work(ring);
	assert_false(rk_ring_worked(ring, slots[2]));
	assert_false(rk_ring_worked(ring, slots[1]));
	assert_null(rk_ring_ready(ring, 0));
	assert_true(rk_ring_worked(ring, slots[0]));
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

enum { MANY = 100000 };

static void *push_many(void *context)
{
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t *bytes = frame(sizeof(i), 0);

		memcpy(bytes, &i, sizeof(i));
		if (!rk_ring_push(context, bytes, sizeof(i), false, false))
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

static void *push_big(void *context)
{
	bool more = true;

	for (int i = 0; more && i < 100; i++)
		more = rk_ring_push(context, frame(1 << 20, 1), 1 << 20, false, false);
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
		cmocka_unit_test(goes_round_many_times_between_threads),
		cmocka_unit_test(is_bounded_in_bytes_and_stop_wakes_the_pusher),
	};
	return cmocka_run_group_tests_name("indexer/ring", tests, NULL, NULL);
}
