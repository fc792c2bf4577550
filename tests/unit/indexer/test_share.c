/* Rules of indexer/share: never more than there is but for one alone, in order, and nobody for ever. */
#include "tests/unit/test.h"

#include <pthread.h>

#include "base/clock.h"
#include "indexer/share.h"

enum { ALL = 100, THREADS = 8, ROUNDS = 500 };

static atomic_bool go_on;

struct taker {
	struct rk_share *share;
	size_t bytes;
	const atomic_bool *stop;
	pthread_t thread;
	atomic_int result; /* -1: it waits */
};

static void *taker_run(void *context)
{
	struct taker *taker = context;

	atomic_store(&taker->result,
		rk_share_take(taker->share, taker->bytes, taker->stop ? taker->stop : &go_on));
	return NULL;
}

static void taker_start(struct taker *taker, struct rk_share *share, size_t bytes)
{
	taker->share = share;
	taker->bytes = bytes;
	atomic_store(&taker->result, -1);
	assert_int_equal(pthread_create(&taker->thread, NULL, taker_run, taker), 0);
}

static void waiting_become(struct rk_share *share, size_t count)
{
	while (rk_share_waiting(share) != count)
		rk_clock_pause(1);
}

static void who_needs_more_than_there_is_has_it_alone(void **state)
{
	struct rk_share *share = rk_share_create(ALL);
	struct taker large = {0}, small = {0};

	assert_true(rk_share_take(share, ALL - 1, &go_on));
	assert_true(rk_share_take(share, 1, &go_on));
	taker_start(&large, share, 5 * ALL);
	waiting_become(share, 1);
	rk_share_give(share, ALL - 1);
	assert_int_equal(atomic_load(&large.result), -1);
	/* Behind it, though there would be room. */
	taker_start(&small, share, 1);
	waiting_become(share, 2);
	rk_share_give(share, 1);
	assert_int_equal(pthread_join(large.thread, NULL), 0);
	assert_int_equal(atomic_load(&large.result), true);
	assert_int_equal(atomic_load(&small.result), -1);
	rk_share_give(share, 5 * ALL);
	assert_int_equal(pthread_join(small.thread, NULL), 0);
	assert_int_equal(atomic_load(&small.result), true);
	rk_share_destroy(share);
}

static void a_stop_ends_the_wait(void **state)
{
	struct rk_share *share = rk_share_create(ALL);
	atomic_bool stop = false;
	struct taker waits = {.stop = &stop};

	assert_true(rk_share_take(share, ALL, &go_on));
	taker_start(&waits, share, 1);
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(waits.thread, NULL), 0);
	assert_int_equal(atomic_load(&waits.result), false);
	rk_share_destroy(share);
}

static atomic_long used;

static void *worker_run(void *context)
{
	struct rk_share *share = context;

	for (int i = 0; i < ROUNDS; i++) {
		size_t bytes = (size_t)i * 37 % (ALL + ALL / 4) + 1;
		long now;

		assert_true(rk_share_take(share, bytes, &go_on));
		now = atomic_fetch_add(&used, (long)bytes) + (long)bytes;
		assert_true(now <= ALL || now == (long)bytes);
		atomic_fetch_sub(&used, (long)bytes);
		rk_share_give(share, bytes);
	}
	return NULL;
}

static void many_at_once_all_get_it(void **state)
{
	struct rk_share *share = rk_share_create(ALL);
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run, share), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&used), 0);
	rk_share_destroy(share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_needs_more_than_there_is_has_it_alone),
		cmocka_unit_test(a_stop_ends_the_wait),
		cmocka_unit_test(many_at_once_all_get_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
