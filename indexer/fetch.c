/*
 * The fetching threads: each claims the repo that is due first, or a DID document to be read, asks for
 * it with blocking calls, and hands what came of it to the writer. Repos are only fetched while the
 * stream is connected: what happens meanwhile must be seen.
 */
#include "indexer/inside.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum { IDLE_MS = 1000, IDENTITIES_AT_ONCE = 4 };

/* Under the lock: the place of a claim on the repo that is due first, or -1. */
static int claim_take(struct rk_fetcher *fetcher, int64_t *wait_ms)
{
	struct rk_indexer *indexer = fetcher->indexer;
	rk_repo_id busy[RK_FETCHERS];
	size_t count = 0;
	struct rk_repo repo;
	int r, place = -1;

	*wait_ms = IDLE_MS;
	if (!atomic_load(&indexer->connected))
		return -1;
	for (int i = 0; i < RK_FETCHERS; i++) {
		if (indexer->claims[i])
			busy[count++] = indexer->claims[i];
		else
			place = i;
	}
	if (place < 0 || rk_snapshot_begin(fetcher->snapshot) != 0)
		return -1;
	r = rk_read_resync_next(fetcher->snapshot, &repo, wait_ms, rk_clock_wall_ms(), busy, count);
	rk_snapshot_end(fetcher->snapshot);
	if (*wait_ms < 0 || *wait_ms > IDLE_MS)
		*wait_ms = IDLE_MS;
	if (r)
		return -1;
	indexer->claims[place] = repo.id;
	indexer->told[place] = false;
	return place;
}

/* Under the lock: a wish that is due, its DID now the caller's. */
static bool wish_take(struct rk_indexer *indexer, struct rk_wish *out, int64_t *wait_ms)
{
	/* However many directories do not answer, most threads are there for repos. */
	return indexer->identities_read < IDENTITIES_AT_ONCE &&
		rk_wishes_take(&indexer->wishes, out, rk_clock_mono_ms(), indexer->reading,
			RK_FETCHERS, wait_ms);
}

static void work(struct rk_fetcher *fetcher)
{
	struct rk_indexer *indexer = fetcher->indexer;
	int64_t wait_ms = IDLE_MS, wish_ms = IDLE_MS;
	rk_repo_id repo = 0;
	int place = -1;
	struct rk_wish wish;
	bool wished;

	pthread_mutex_lock(&indexer->lock);
	wished = wish_take(indexer, &wish, &wish_ms);
	indexer->identities_read += wished;
	if (!wished) {
		place = claim_take(fetcher, &wait_ms);
		if (place >= 0)
			repo = indexer->claims[place];
		else
			rk_indexer_wait(indexer, wait_ms < wish_ms ? wait_ms : wish_ms);
	}
	pthread_mutex_unlock(&indexer->lock);
	if (wished) {
		rk_identity_grant(fetcher, &wish);
		free(wish.did);
		pthread_mutex_lock(&indexer->lock);
		indexer->identities_read--;
		pthread_mutex_unlock(&indexer->lock);
	}
	if (place < 0)
		return;
	rk_resync(fetcher, repo);
	pthread_mutex_lock(&indexer->lock);
	indexer->claims[place] = 0;
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
}

void *rk_fetch_run(void *context)
{
	struct rk_indexer *indexer = context;
	struct rk_fetcher fetcher;

	if (rk_fetcher_init(&fetcher, indexer, 0) != 0)
		rk_log(RK_LOG_ERROR, "resync", "no memory for a fetching thread");
	else
		while (!atomic_load(&indexer->stopping))
			work(&fetcher);
	rk_fetcher_finish(&fetcher);
	return NULL;
}
