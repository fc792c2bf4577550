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
	return place;
}

/* Under the lock: the DID whose document is due to be read, now the caller's; NULL: none. */
static char *wish_take(struct rk_indexer *indexer, int64_t *wait_ms)
{
	int64_t now = rk_clock_mono_ms();

	for (size_t i = 0; i < indexer->identity_count; i++) {
		char *did = indexer->identities[i].did;

		if (indexer->identities[i].due_ms > now) {
			if (indexer->identities[i].due_ms - now < *wait_ms)
				*wait_ms = indexer->identities[i].due_ms - now;
			continue;
		}
		indexer->identity_count--;
		memmove(&indexer->identities[i], &indexer->identities[i + 1],
			(indexer->identity_count - i) * sizeof(indexer->identities[0]));
		return did;
	}
	return NULL;
}

static void work(struct rk_fetcher *fetcher)
{
	struct rk_indexer *indexer = fetcher->indexer;
	int64_t wait_ms = IDLE_MS, wish_ms = IDLE_MS;
	rk_repo_id repo = 0;
	int place = -1;
	char *did;

	pthread_mutex_lock(&indexer->lock);
	/* However many directories do not answer, most threads are there for repos. */
	did = indexer->identities_read < IDENTITIES_AT_ONCE ? wish_take(indexer, &wish_ms) : NULL;
	indexer->identities_read += did != NULL;
	if (!did) {
		place = claim_take(fetcher, &wait_ms);
		if (place >= 0)
			repo = indexer->claims[place];
		else
			rk_indexer_wait(indexer, wait_ms < wish_ms ? wait_ms : wish_ms);
	}
	pthread_mutex_unlock(&indexer->lock);
	if (did) {
		rk_identity_refresh(fetcher, did, 0);
		free(did);
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

	if (rk_fetcher_init(&fetcher, indexer) != 0)
		rk_log(RK_LOG_ERROR, "resync", "no memory for a fetching thread");
	else
		while (!atomic_load(&indexer->stopping))
			work(&fetcher);
	rk_fetcher_finish(&fetcher);
	return NULL;
}
