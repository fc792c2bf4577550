/*
 * A repo being fetched: what resync.c (asking, verifying), difference.c (comparing with the index, writing) and
 * resync_outcome.c (what becomes of the repo) share. One fetching thread's.
 */
#ifndef RK_INDEXER_RESYNC_H
#define RK_INDEXER_RESYNC_H

#include "indexer/inside.h"
#include "indexer/state.h"

enum {
	RK_PIECE_RECORDS = 4000, /* of one transaction: many share its cost, few enough not to hold
				  * up the stream for long */
	RK_PIECE_BYTES = 8 << 20,
	RK_START_MOST = 16 << 10, /* bytes of a repo in which its commit should be */
};

/* Records to be written in one go. */
struct rk_piece {
	struct rk_arena arena;
	struct rk_change_record *records; /* owned; room for RK_PIECE_RECORDS once there is one */
	size_t count;
	bool vanished; /* removals are not believed: documents stay */
};

struct rk_resync {
	struct rk_fetcher *fetcher;
	struct rk_repo_copy copy;  /* as it was when the fetch began */
	char host[RK_ORIGIN_MOST]; /* that is asked */
	struct rk_berth berth;
	uint8_t start[RK_START_MOST]; /* of the repo, as it comes */
	size_t start_len;
	int start_verdict; /* of its commit; -EAGAIN: not known */
	struct rk_verified verified;
	uint64_t *keys[RK_COLLECTION_COUNT]; /* digests of the tree's rkeys, sorted */
	size_t counts[RK_COLLECTION_COUNT], caps[RK_COLLECTION_COUNT];
	struct rk_piece piece;
	uint64_t put, removed;
	uint64_t put_first; /* of those put, the ones in collections that had none */
	int error;          /* of a visitor */
	bool denied;        /* what a relay said of the account, its host did not */
};

/* Called for each entry of the tree while it is verified. */
bool rk_difference_collect(void *resync, struct rk_slice key, const struct rk_cid *value);
/* Frees what was collected. */
void rk_difference_finish(struct rk_resync *s);
/* Makes the records of the index those of the verified tree; what is left to write goes into one
 * transaction with head, which has the fetch itself as its context. 0 or negative. */
int rk_difference_write(struct rk_resync *s, int (*head)(void *resync, struct rk_write *w))
	__attribute__((warn_unused_result));
/* Removes every record. believed: their documents follow. 0 or negative. */
int rk_difference_remove_all(struct rk_resync *s, bool believed)
	__attribute__((warn_unused_result));

/* Outcomes: each writes what happened to the repo, and says so in the log. */

void rk_resync_happened(struct rk_resync *s, enum rk_repo_event event, const char *reason);
void rk_resync_failed(struct rk_resync *s, const char *reason);
void rk_resync_put_off(
	struct rk_resync *s, enum rk_repo_event event, int64_t wait_ms, const char *reason);
/* Its DID document names another PDS: what it has is no longer the source's to tell of. */
void rk_resync_elsewhere(struct rk_resync *s);
/* result, of a call of net/pds.h, is not RK_PDS_OK. */
void rk_resync_not_fetched(struct rk_resync *s, int result, const struct rk_pds_reply *reply);
/* Writer's jobs for which the resync is the context: the verified repo is in; it is as it was. */
int rk_resync_fetched_run(void *resync, struct rk_write *w);
int rk_resync_unchanged_run(void *resync, struct rk_write *w);
/* Once those are on disk: whether a relay's word was denied. */
void rk_resync_denied_tell(const struct rk_resync *s);
/* The account's key and place as they are held now. 0 or negative. */
int rk_resync_signer_read(struct rk_resync *s, struct rk_signer *out)
	__attribute__((warn_unused_result));

#endif
