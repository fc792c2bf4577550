/* See share.h. */
#include "indexer/share.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"

enum { STOP_LOOK_MS = 100 };

struct rk_share {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t bytes, used;
	uint64_t came, served; /* turns */
};

struct rk_share *rk_share_create(size_t bytes)
{
	struct rk_share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	share->bytes = bytes;
	pthread_mutex_init(&share->lock, NULL);
	rk_clock_cond_init(&share->moved);
	return share;
}

void rk_share_destroy(struct rk_share *share)
{
	if (!share)
		return;
	pthread_cond_destroy(&share->moved);
	pthread_mutex_destroy(&share->lock);
	free(share);
}

static bool fits(const struct rk_share *share, size_t bytes)
{
	return share->used == 0 || (bytes <= share->bytes && share->used <= share->bytes - bytes);
}

bool rk_share_take(struct rk_share *share, size_t bytes, const atomic_bool *stop)
{
	uint64_t turn;
	bool stopped;

	pthread_mutex_lock(&share->lock);
	turn = share->came++;
	while (!(stopped = atomic_load(stop)) && (turn != share->served || !fits(share, bytes))) {
		const struct timespec until = rk_clock_after(STOP_LOOK_MS);

		pthread_cond_timedwait(&share->moved, &share->lock, &until);
	}
	if (!stopped) {
		share->served++;
		share->used += bytes;
		pthread_cond_broadcast(&share->moved);
	}
	pthread_mutex_unlock(&share->lock);
	return !stopped;
}

size_t rk_share_waiting(struct rk_share *share)
{
	size_t waiting;

	pthread_mutex_lock(&share->lock);
	waiting = (size_t)(share->came - share->served);
	pthread_mutex_unlock(&share->lock);
	return waiting;
}

void rk_share_give(struct rk_share *share, size_t bytes)
{
	pthread_mutex_lock(&share->lock);
	share->used -= bytes;
	pthread_cond_broadcast(&share->moved);
	pthread_mutex_unlock(&share->lock);
}
