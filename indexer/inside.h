/* What the indexer's threads share. Included by indexer/ only. */
#ifndef RK_INDEXER_INSIDE_H
#define RK_INDEXER_INSIDE_H

#include <pthread.h>

#include "indexer/apply.h"
#include "indexer/indexer.h"
#include "indexer/ring.h"
#include "net/pds.h"
#include "net/ws.h"

enum {
	RK_FETCHERS = 6,             /* threads that fetch repos and DID documents */
	RK_DRAIN_MOST = 1024,        /* events of one transaction: enough to share a sync, few enough to
				      * answer soon */
	RK_IDENTITY_QUEUE = 4096,    /* repos whose DID document is to be read; more wait for the sweep */
	RK_REPO_CAR_MOST = 1 << 30,  /* bytes of a whole repo */
	RK_IDENTITY_FRESH_MS = 24 * 3600 * 1000,
	RK_IDENTITY_FAILED_MS = 2 * 60 * 1000,
};

/* A repo being fetched now, and the newest rev the stream showed of it meanwhile. */
struct rk_claim {
	rk_repo_id repo; /* 0: free */
	uint64_t saw;
};

struct rk_indexer {
	struct rk_indexer_options options;
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_ring *ring;
	struct rk_stream_notes notes;
	struct rk_apply apply;
	struct rk_writer_stream stream;
	size_t applied; /* slots of the transaction under way */
	rk_repo_id changed[RK_DRAIN_MOST]; /* by it: whose DID document is to be read, once it is on disk */
	size_t changed_count;
	atomic_bool stopping, connected, swept;

	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t wake;  /* something below, or in the index, changed */
	struct rk_claim claims[RK_FETCHERS];
	rk_repo_id identities[RK_IDENTITY_QUEUE];
	size_t identity_first, identity_count;
	bool sweep_wanted;
	struct rk_ws *ws; /* the open connection, for interrupting it */

	/* When the stream was last known to have nothing more for us: monotonic ms, of a receive that
	 * found silence although the peer answers. 0: not since the connection opened. */
	atomic_llong quiet_ms;

	pthread_t receiver, sweeper, fetchers[RK_FETCHERS], workers[256];
	unsigned workers_running, fetchers_running;
	bool receiver_running, sweeper_running;
};

void *rk_firehose_run(void *indexer);
void *rk_sweep_run(void *indexer);
void *rk_fetch_run(void *indexer);

/* A thread's own tools for asking the network and reading the index. */
struct rk_fetcher {
	struct rk_indexer *indexer;
	struct rk_pds *pds;
	struct rk_snapshot *snapshot;
};
int rk_fetcher_init(struct rk_fetcher *fetcher, struct rk_indexer *indexer);
void rk_fetcher_finish(struct rk_fetcher *fetcher);

/* Copies the parts of a repo that outlive the snapshot they were read in. */
struct rk_repo_copy {
	struct rk_repo repo;
	char did[RK_DID_MOST + 1];
};
/* RK_STORE_OK, RK_STORE_ABSENT or negative. */
int rk_repo_copy_read(struct rk_fetcher *fetcher, struct rk_repo_copy *out, rk_repo_id id);

/* Fetches a claimed repo whole and makes the index equal to it. Whatever comes of it is written. */
void rk_resync(struct rk_fetcher *fetcher, const struct rk_claim *claim);
/* Reads the DID document of a repo again, if the one held is not fresh. */
void rk_identity_refresh(struct rk_fetcher *fetcher, rk_repo_id id);

/* Asks for a sweep as soon as may be. */
void rk_sweep_request(struct rk_indexer *indexer);
/* Queues a repo for rk_identity_refresh. */
void rk_identity_queue(struct rk_indexer *indexer, rk_repo_id id);
/* Waits on `wake` for at most ms; the lock must be held. */
void rk_indexer_wait(struct rk_indexer *indexer, int64_t ms);
/* The newest rev the stream showed of the claim's repo; 0: none. */
uint64_t rk_claim_saw(struct rk_indexer *indexer, const struct rk_claim *claim);

#endif
