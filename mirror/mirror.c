/* The mirror from outside: making it, waking it, ending it. */
#include "mirror/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

int rk_mirror_create(struct rk_mirror **out, struct rk_store *store, struct rk_writer *writer,
	const struct rk_mirror_options *options)
{
	struct rk_mirror *mirror = calloc(1, sizeof(*mirror));
	struct rk_mongo *probe;
	char error[256];
	int r;

	if (!mirror)
		return -ENOMEM;
	mirror->store = store;
	mirror->writer = writer;
	mirror->options = *options;
	if (mirror->options.batch == 0)
		mirror->options.batch = 1;
	mirror->take = RK_TAKE_MOST;
	pthread_mutex_init(&mirror->lock, NULL);
	rk_clock_cond_init(&mirror->work);
	pthread_cond_init(&mirror->done, NULL);
	/* A connection string is refused here, not by a thread that nobody hears. */
	r = rk_mongo_create(&probe, options->uri, options->database, error);
	if (r)
		goto fail;
	rk_mongo_destroy(probe);
	r = rk_snapshot_create(&mirror->snapshot, store);
	if (r)
		goto fail;
	r = -pthread_create(&mirror->thread, NULL, rk_worker_main, mirror);
	if (r)
		goto fail;
	*out = mirror;
	return 0;
fail:
	rk_snapshot_destroy(mirror->snapshot);
	pthread_cond_destroy(&mirror->done);
	pthread_cond_destroy(&mirror->work);
	pthread_mutex_destroy(&mirror->lock);
	free(mirror);
	return r;
}

void rk_mirror_destroy(struct rk_mirror *mirror)
{
	if (!mirror)
		return;
	pthread_mutex_lock(&mirror->lock);
	mirror->stopping = true;
	pthread_cond_broadcast(&mirror->work);
	pthread_mutex_unlock(&mirror->lock);
	pthread_join(mirror->thread, NULL);
	rk_users_finish(&mirror->users);
	rk_buf_finish(&mirror->rejected_from);
	rk_buf_finish(&mirror->conflict_from);
	rk_snapshot_destroy(mirror->snapshot);
	pthread_cond_destroy(&mirror->done);
	pthread_cond_destroy(&mirror->work);
	pthread_mutex_destroy(&mirror->lock);
	free(mirror);
}

void rk_mirror_wake(struct rk_mirror *mirror)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->woken = true;
	pthread_cond_broadcast(&mirror->work);
	pthread_mutex_unlock(&mirror->lock);
}

void rk_mirror_filled(struct rk_mirror *mirror)
{
	atomic_store(&mirror->filled, true);
	rk_mirror_wake(mirror);
}

void rk_mirror_settle(struct rk_mirror *mirror)
{
	uint64_t turns;

	pthread_mutex_lock(&mirror->lock);
	turns = mirror->turns;
	mirror->woken = true;
	pthread_cond_broadcast(&mirror->work);
	while (mirror->turning && mirror->turns == turns)
		pthread_cond_wait(&mirror->done, &mirror->lock);
	pthread_mutex_unlock(&mirror->lock);
}

bool rk_mirror_connected(const struct rk_mirror *mirror)
{
	return atomic_load(&mirror->connected);
}
