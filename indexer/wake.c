/* See inside.h: what wakes the indexer's threads, and waiting for it. */
#include "base/clock.h"
#include "indexer/inside.h"

bool rk_identity_wish(struct rk_indexer *indexer, struct rk_slice did, enum rk_wish_kind kind,
	int64_t in_ms, unsigned tries)
{
	bool added;

	pthread_mutex_lock(&indexer->lock);
	added = rk_wishes_add(&indexer->wishes, did, kind, rk_clock_mono_ms() + in_ms, tries);
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
	return added;
}

void rk_sweep_request(struct rk_indexer *indexer)
{
	pthread_mutex_lock(&indexer->lock);
	indexer->sweep_wanted = true;
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
}

void rk_indexer_wait(struct rk_indexer *indexer, int64_t ms)
{
	const struct timespec until = rk_clock_after(ms);

	if (!atomic_load(&indexer->stopping))
		pthread_cond_timedwait(&indexer->wake, &indexer->lock, &until);
}

void rk_indexer_wake(struct rk_indexer *indexer)
{
	pthread_mutex_lock(&indexer->lock);
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
}
