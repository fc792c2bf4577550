/* What the indexer's threads share. Included by indexer/ only. */
#ifndef RK_INDEXER_INSIDE_H
#define RK_INDEXER_INSIDE_H

#include <pthread.h>

#include "indexer/apply.h"
#include "indexer/berths.h"
#include "indexer/hosts.h"
#include "indexer/indexer.h"
#include "indexer/ring.h"
#include "indexer/share.h"
#include "indexer/waiting.h"
#include "indexer/wishes.h"
#include "net/pds.h"
#include "net/ws.h"

enum {
	RK_FETCHERS = 16,                /* threads that fetch repos and DID documents */
	RK_DRAIN_MOST = RK_RING_HANDFUL, /* events of one transaction: enough to share a sync, few
						* enough to answer soon */
	RK_GATHER_MS = 200, /* under load, between transactions: events of one share its pages */
	RK_REPO_CAR_MOST = 1 << 30, /* bytes of a whole repo */
	RK_REPOS_MEMORY = 64 << 20, /* of all that are judged; one that needs more is alone */
	RK_IDENTITY_FRESH_MS = 24 * 3600 * 1000,
	RK_IDENTITY_FAILED_MS = 2 * 60 * 1000,
};

/* What the writer's thread keeps of the transaction under way, until it is on disk. */
struct rk_drained {
	size_t slots; /* taken from the ring */
	size_t waits; /* of them, with the result RK_APPLY_WAIT */
	/* What came of each: enum rk_apply_result. Those that wait go to the waiting room. */
	uint8_t results[RK_DRAIN_MOST];
	int64_t stream_ms[RK_DRAIN_MOST]; /* how far the stream had come before each: Unix ms */
	int64_t begun_ms;                 /* … and before the first */
	struct rk_course course;
	struct rk_shift {  /* frames of the waiting room that were replayed */
		char *did; /* owned */
		size_t count;
		bool lost; /* that some were lost has been seen to */
	} * shifts;
	size_t shift_count;
	struct rk_wish wishes[RK_DRAIN_MOST]; /* DID documents that are to be read */
	size_t wish_count;
};

struct rk_indexer {
	struct rk_indexer_options options;
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_ring *ring;
	struct rk_stream_notes notes;
	struct rk_apply apply;
	struct rk_writer_stream stream;
	struct rk_waiting *waiting; /* this and the next three are the writer's thread's */
	struct rk_keys *keys;
	struct rk_looks looks;
	struct rk_drained drained;
	struct rk_course course;
	int64_t cursor_us;  /* the writer's: when the cursor was last written */
	int64_t written_ms; /* … and anything of the stream; monotonic */
	struct rk_hosts *hosts;
	struct rk_berths *berths;
	struct rk_share *memory;
	const char
		*origins[3]; /* of the source; ended by NULL. None: a relay, everybody is at home */
	char public_origin[RK_ORIGIN_MOST];
	int64_t started_ms; /* wall */
	atomic_bool stopping, connected, swept;

	pthread_mutex_t lock;           /* of everything below */
	pthread_cond_t wake;            /* something below, or in the index, changed */
	rk_repo_id claims[RK_FETCHERS]; /* repos being fetched now; 0: free */
	bool told[RK_FETCHERS]; /* … and the source has told of the account's state meanwhile */
	struct rk_wishes wishes;
	unsigned identities_read; /* by fetchers, now, because it was wished for */
	const char
		*reading[RK_FETCHERS]; /* DIDs whose documents are read now, for whatever reason */
	bool doubted[RK_FETCHERS]; /* … and the stream has said meanwhile that they may be others */
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
	struct rk_keys *keys;
};
/* answer_ms: it asks small questions alone, waits no longer for an answer, and has no keys to judge one by;
 * 0: all that it has. */
int rk_fetcher_init(struct rk_fetcher *fetcher, struct rk_indexer *indexer, long answer_ms);
void rk_fetcher_finish(struct rk_fetcher *fetcher);

/* Copies the parts of a repo that outlive the snapshot they were read in. */
struct rk_repo_copy {
	struct rk_repo repo;
	char did[RK_DID_MOST + 1];
};
/* RK_STORE_OK, RK_STORE_ABSENT or negative. */
int rk_repo_copy_read(struct rk_fetcher *fetcher, struct rk_repo_copy *out, rk_repo_id id);

/* Where the account's repo is asked for behind a relay: its DID document, as it is held, names it. */
bool rk_fetcher_host(struct rk_fetcher *fetcher, char out[RK_ORIGIN_MOST], struct rk_slice did);
/* Waits until the stream has shown everything that happened before now, a minute at most, and less where nothing
 * comes for so long. False: it is not there, or refkey stops. */
bool rk_stream_passed(struct rk_indexer *indexer, int64_t still_most_ms);
/* Fetches a claimed repo whole and makes the index equal to it. Whatever comes of it is written. */
void rk_resync(struct rk_fetcher *fetcher, rk_repo_id id);
/* The source tells of the account's state: an answer that is on its way was asked for before. On the writer's thread. */
void rk_resync_tell(void *indexer, rk_repo_id id);
/* Reads the DID document of an account, if the one held is older than age_ms (or was not to be had and
 * is older than RK_IDENTITY_FAILED_MS), and replays what waits for it. Where somebody else is reading it just now,
 * that is waited for. Where it cannot be asked for, what is held stays, and it is wished for again, later. Whether
 * what is held is as new as that. */
bool rk_identity_refresh(struct rk_fetcher *fetcher, const char *did, int64_t age_ms);
/* … of a wish, whatever is held. */
void rk_identity_grant(struct rk_fetcher *fetcher, const struct rk_wish *wish);
/* Whether the account has a DID document, and lives at the source, decides if its repo is answered, fetched and its
 * commits taken: makes the repo's state what the document held says of it, whoever read that, and when, and whatever
 * counted as the source then. True: it was another. */
bool rk_identity_judge(const struct rk_indexer *indexer, struct rk_repo *repo,
	const struct rk_identity *held, int64_t now_ms);
/* … in the index. On the writer's thread; 0 or negative. */
int rk_identity_home(struct rk_indexer *indexer, struct rk_write *w, rk_repo_id id)
	__attribute__((warn_unused_result));
/* What is being asked of the account now may be old already: it is not believed. On the writer's thread. */
void rk_identity_doubt(void *indexer, struct rk_slice did);

/* Asks for a sweep as soon as may be. */
void rk_sweep_request(struct rk_indexer *indexer);
/* Has the account's DID document read by rk_identity_grant, in so many milliseconds, after so many tries in vain.
 * False: there is no room. */
bool rk_identity_wish(struct rk_indexer *indexer, struct rk_slice did, enum rk_wish_kind kind,
	int64_t in_ms, unsigned tries);
/* Waits on `wake` for at most ms; the lock must be held. */
void rk_indexer_wait(struct rk_indexer *indexer, int64_t ms);

/* The waiting room (replay.c); all on the writer's thread. */

/* Applies what waits for the account, in order, as far as it can be, by the DID document now held: of the room, then of
 * what the transaction under way took from the ring. *lost gets whether some was lost (the repo has to be fetched).
 * 0 or negative. */
int rk_replay(struct rk_indexer *indexer, struct rk_write *w, struct rk_slice did, bool *lost)
	__attribute__((warn_unused_result));
/* Whether events of the account wait, or will once the transaction under way is on disk. */
bool rk_replay_waits(void *indexer, struct rk_slice did);
/* An account's DID document is wished for, once the transaction under way is on disk. */
void rk_replay_wish(void *indexer, struct rk_slice did, bool known);
/* Applies a frame of the ring again that was refused by an older DID document than the one held: as rk_apply. */
int rk_replay_outdated(struct rk_indexer *indexer, struct rk_write *w, const struct rk_slot *slot)
	__attribute__((warn_unused_result));
/* The transaction under way is on disk, or undone. */
void rk_replay_committed(struct rk_indexer *indexer);
void rk_replay_aborted(struct rk_indexer *indexer);

#endif
