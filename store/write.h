/*
 * Changing the index. Only code that runs on the writer's thread (store/writer.h) gets a struct
 * rk_write; everything done with it is on disk together or not at all. Every function may run twice
 * when a commit fails and is tried again; applying the same twice is the same as once.
 *
 * All: 0, RK_STORE_ABSENT where said, or negative (the transaction is to be aborted).
 */
#ifndef RK_STORE_WRITE_H
#define RK_STORE_WRITE_H

#include "store/store.h"

struct rk_write;

/* The state as of now in this transaction, for the reads of store.h. Borrowed until the next write. */
struct rk_snapshot *rk_write_view(struct rk_write *w);

int rk_write_cursor(struct rk_write *w, struct rk_slice source, const struct rk_cursor *cursor);

/* Finds or makes the repo of a DID; a new one is desynchronized and active. */
int rk_write_repo_make(struct rk_write *w, struct rk_repo *out, struct rk_slice did);
/* Stores repo (by id); keeps the queue of fetches and the counts in step. counts[] is ignored. */
int rk_write_repo(struct rk_write *w, const struct rk_repo *repo);
int rk_write_identity(struct rk_write *w, struct rk_slice did, const struct rk_identity *identity);
/* Drops the identity of rk_read_strangers, if it still is one of those. */
int rk_write_stranger_drop(struct rk_write *w, const struct rk_identity_key *at, int64_t before_ms);

/* One record put or removed. */
struct rk_change_record {
	uint8_t collection;
	struct rk_slice rkey;
	struct rk_cid cid; /* unset: removed */
	bool created;      /* the commit says that it was not there before */
	struct rk_record_read read;
};

enum rk_change_source {
	RK_CHANGE_LIVE,  /* a commit on the stream, or found later in a repo that was in before */
	RK_CHANGE_FIRST, /* found by the first fetch of a repo */
};

/*
 * THE record write: records, lookups, time order, counts, repo head and pending MongoDB work.
 * A record put again with the same CID changes nothing, except that one found by a first fetch and now
 * seen live is no longer RK_RECORD_FIRST. A removal of what is not there changes nothing. The same key
 * may occur twice; the last counts. Of a repo with RK_REPO_TOMBSTONE nothing is put. No slice may be borrowed from rk_write_view.
 */
struct rk_change {
	rk_repo_id repo;
	enum rk_change_source source;
	bool vanished; /* removals are not believed: documents stay, issue `vanished` */
	const struct rk_change_record *records;
	size_t count;
	int64_t now_us; /* Unix µs */
	const struct rk_repo
		*head; /* also stored, as rk_write_repo does; with its DID. NULL: stays */
	const struct rk_repo *held;  /* as it was read in this transaction; NULL: to be read */
	const struct rk_cid *commit; /* by which `held` became `head`; NULL: not by one (heads.h) */
};
int rk_write_change(struct rk_write *w, const struct rk_change *change);

/* A live create, update or delete seen while the repo is to be fetched: remembered with the record's key so
 * that the fetched copy is judged by it (RK_PENDING_APPEARED, _UPDATED, _DELETED). */
int rk_write_seen(struct rk_write *w, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	enum rk_pending_flag seen);
/* Drops what rk_write_seen left for a repo whose fetch is complete. */
int rk_write_seen_clear(struct rk_write *w, rk_repo_id repo);

/* Marks a record to be looked at again, with more flags; ABSENT if there is no such record. */
int rk_write_pending(struct rk_write *w, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	uint8_t flags, int64_t due_ms);
/* Before and after refkey deletes a record itself: sets or takes back RK_RECORD_WITHDRAWN, which a new version
 * of the record and the sight of a living document that names it take back, too. ABSENT if there is no
 * such record. */
int rk_write_withdrawn(struct rk_write *w, rk_repo_id repo, uint8_t collection,
	struct rk_slice rkey, bool withdrawn);
/* What MongoDB was seen to hold, and what comes of a pending entry. */
struct rk_link_result {
	struct rk_slice pending_key; /* empty: none; else the entry is taken off or put back … */
	uint64_t generation;         /* … if its generation is still this one (else it stays) */
	bool again;                  /* put back, due at due_ms, attempts + 1, with these flags */
	int64_t due_ms;
	uint8_t flags;
	rk_repo_id repo;
	uint8_t collection;
	struct rk_slice rkey;
	struct rk_cid cid; /* the version that was judged; unset: whichever */
	bool set_link;     /* link and issues of the record, if it is still that version */
	enum rk_link link;
	bool code_taken;         /* its code is of somebody else's document */
	uint32_t issues;         /* bit per kind that the record now has among `judged` */
	uint32_t judged;         /* kinds that this result says something about */
	struct rk_slice message; /* of the issues */
	bool set_owner;          /* the document of (collection, owner_ref) was seen: */
	struct rk_slice owner_ref;
	struct rk_owner owner;
};
int rk_write_link(struct rk_write *w, const struct rk_link_result *result);

/* Marks the DID's repo, made if there is none, as forgotten for ever (RK_REPO_TOMBSTONE): from now on no
 * record of it is taken in, and nothing is done for it in MongoDB. */
int rk_write_tombstone(struct rk_write *w, struct rk_slice did);
/* The same, and removes its records, at most so many, and all that follows from them; *more: call again.
 * What stays is the repo, and of each ref whose it was. No slice may be borrowed from the view. */
int rk_write_forget(struct rk_write *w, struct rk_slice did, size_t most, bool *more);

/* Issues that are not a record's: of a document (repo, collection, ref) or of an account (repo). */
int rk_write_issue(struct rk_write *w, const struct rk_issue *issue);
int rk_write_issue_clear(struct rk_write *w, enum rk_issue_kind kind, rk_repo_id repo,
	int collection, struct rk_slice ref);

#endif
