/*
 * What the index holds, as its callers see it. Slices in values read from a snapshot are borrowed
 * until that snapshot ends.
 */
#ifndef RK_STORE_TYPES_H
#define RK_STORE_TYPES_H

#include "atproto/cid.h"
#include "atproto/did_doc.h"
#include "atproto/syntax.h"
#include "records/collections.h"
#include "records/record.h"

typedef uint32_t rk_repo_id; /* 0: none */

enum rk_repo_sync {
	RK_SYNC_DESYNCHRONIZED, /* to be fetched whole; live events wait */
	RK_SYNC_SYNCHRONIZED,
};

/* X(id, name as #account and listRepos give it) */
#define RK_ACCOUNTS(X)                                                                             \
	X(ACTIVE, "active")                                                                        \
	X(DEACTIVATED, "deactivated")                                                              \
	X(SUSPENDED, "suspended")                                                                  \
	X(TAKENDOWN, "takendown")                                                                  \
	X(DELETED, "deleted")                                                                      \
	X(INACTIVE, "inactive") /* any other reason */

enum rk_account {
#define RK_ACCOUNT_ID(id, name) RK_ACCOUNT_##id,
	RK_ACCOUNTS(RK_ACCOUNT_ID)
#undef RK_ACCOUNT_ID
		RK_ACCOUNT_COUNT
};
const char *rk_account_name(enum rk_account account);
enum rk_account rk_account_parse(struct rk_slice status); /* unknown: RK_ACCOUNT_INACTIVE */

enum rk_repo_flag {
	RK_REPO_BACKFILLED =
		1, /* was in once: what a later fetch finds appeared while refkey watched */
	RK_REPO_WENT_BACK =
		2, /* an older rev was seen: removals found by a fetch are not believed */
	RK_REPO_UNCLAIMED = 4, /* MongoDB was asked: no user has this DID */
	RK_REPO_BORN = 8,   /* its creation was seen live: nothing in it is older than the watch */
	RK_REPO_RESET = 32, /* the source's sequence was reset: an older copy is the truth now */
	RK_REPO_MOVED = 64, /* its DID document names another PDS: kept as it is, and answered so */
	RK_REPO_PURGE = 128, /* said to be deleted: to be looked at, and its records removed */
	RK_REPO_TOMBSTONE =
		16, /* forgotten: its records are never taken in or written to MongoDB again */
};

struct rk_repo {
	rk_repo_id id;
	struct rk_slice did;
	uint64_t rev;       /* TID; 0: never in */
	struct rk_cid data; /* root of the tree at rev */
	uint8_t sync;       /* enum rk_repo_sync */
	uint8_t account;    /* enum rk_account */
	uint8_t flags;      /* enum rk_repo_flag */
	uint8_t failures;   /* of fetches, since the last success; stays at 255 */
	bool unreadable;    /* its DID document is gone or no such thing: kept, but not answered */
	bool said; /* a relay says that the account's state is another: its host is to be asked */
	int64_t retry_ms; /* desynchronized: not to be fetched before (Unix ms) */
	uint32_t counts[RK_COLLECTION_COUNT]; /* live records */
};

/* What the DID document says; apart from struct rk_repo because it changes rarely. */
struct rk_identity {
	struct rk_slice handle;  /* verified in both directions, lower case; empty: none */
	struct rk_slice refused; /* … or the one that it names, and that is not the account's */
	struct rk_slice pds;     /* origin */
	struct rk_key_ready key; /* whole, so that no commit has to compute it */
	int64_t fetched_ms;      /* Unix ms of the last try; 0: to be read again */
	bool failed;             /* the last try found no document */
};

/* What MongoDB was seen to hold for a record. */
enum rk_link {
	RK_LINK_UNKNOWN, /* not asked yet */
	RK_LINK_NONE,    /* asked: not linked */
	RK_LINK_LINKED,
	RK_LINK_CONFLICT, /* the document (by ref, or by code and none has the ref) is somebody else's: never
			   * the answer */
};

enum rk_record_flag {
	RK_RECORD_FIRST =
		1, /* found by the first fetch of its repo: its document may have been erased */
	RK_RECORD_INVALID = 2, /* fails its lexicon */
	RK_RECORD_UNREF = 4,   /* had a ref once and dropped it in an update: the old link stays */
	RK_RECORD_RENAMED =
		8, /* updated with another code or slug, or while its code was taken: by those it
				* answers as if it were not linked, until the document has them, too */
	RK_RECORD_WITHDRAWN = 16, /* its document is gone and refkey deletes it on the PDS: that it
				   * goes says nothing of the document */
	RK_RECORD_CODE_TAKEN =
		32, /* its code is of somebody else's document: by that never the answer */
};

/* X(id, name as listIssues has it). Stored by place: new rows go to the end; 32 at most. */
#define RK_ISSUES(X)                                                                               \
	X(DUPLICATE, "duplicate")                                                                  \
	X(ORPHAN, "orphan")                                                                        \
	X(ABSENT, "absent")                                                                        \
	X(VANISHED, "vanished")                                                                    \
	X(UNLINKED, "unlinked")                                                                    \
	X(DANGLING, "dangling")                                                                    \
	X(UNCLAIMED, "unclaimed")                                                                  \
	X(INVALID, "invalid")                                                                      \
	X(CONFLICT, "conflict")                                                                    \
	X(SUSPECT, "suspect")                                                                      \
	X(REJECTED, "rejected")                                                                    \
	X(DESYNCHRONIZED, "desynchronized")

enum rk_issue_kind {
#define RK_ISSUE_ID(id, name) RK_ISSUE_##id,
	RK_ISSUES(RK_ISSUE_ID)
#undef RK_ISSUE_ID
		RK_ISSUE_COUNT
};
extern const char *const rk_issue_names[RK_ISSUE_COUNT];

/* A record as the index holds it. */
struct rk_record {
	rk_repo_id repo;
	uint8_t collection;
	struct rk_slice rkey;
	struct rk_cid cid;
	struct rk_slice ref, code, slug; /* as rk_facts */
	bool has_when;
	int64_t when_ms;
	uint64_t first; /* a number that grows: given when the key was first indexed, or got its ref
			     * or code in an update; the lower of two was "indexed first" */
	int64_t indexed_us; /* Unix µs of this version */
	uint8_t flags;      /* enum rk_record_flag */
	uint8_t link;       /* enum rk_link */
	uint32_t issues;    /* bit per enum rk_issue_kind that this record has */
	struct rk_slice json;
};

enum rk_pending_flag {
	RK_PENDING_GONE = 1,       /* the record is gone; what it was is in the entry */
	RK_PENDING_UPDATED = 2,    /* the record was updated: fields it owns are written */
	RK_PENDING_RECOVER = 4,    /* an operator asked: insert also what a first backfill found */
	RK_PENDING_RESTORE = 8,    /* an operator asked: insert also what was known and is absent */
	RK_PENDING_APPEARED = 16,  /* seen created live while its repo was still to be fetched */
	RK_PENDING_DELETED = 32,   /* seen deleted live while its repo was still to be fetched */
	RK_PENDING_LOOKED = 64,    /* a first look found no document */
	RK_PENDING_VANISHED = 128, /* gone by a resync that is not believed: issue only */
};

/* Work for MongoDB: one record (or one that is gone) to be looked at again. */
struct rk_pending {
	struct rk_slice key; /* of the entry; opaque */
	uint64_t generation; /* changes whenever the entry does: an acknowledgement names it */
	int64_t due_ms;      /* Unix ms */
	uint32_t attempts;
	uint8_t flags; /* enum rk_pending_flag */
	rk_repo_id repo;
	uint8_t collection;
	struct rk_slice rkey, ref; /* ref: what the record had when it went (GONE), else empty */
};

/* What is known of a ref's document. */
struct rk_owner {
	rk_repo_id repo; /* 0: the document's owner has no repo (yet) */
};

struct rk_issue {
	uint8_t kind;              /* enum rk_issue_kind */
	rk_repo_id repo;           /* 0: none */
	int collection;            /* -1: none */
	struct rk_slice rkey, ref; /* empty: none */
	int64_t at_ms;
	struct rk_slice message;
};

struct rk_counts {
	uint64_t repos;
	uint64_t desynchronized; /* repos to be fetched */
	uint64_t unready;        /* of those, the ones that have not failed three times */
	uint64_t records[RK_COLLECTION_COUNT];
	uint64_t pending;
	uint64_t issues[RK_ISSUE_COUNT];
};

struct rk_cursor {
	int64_t seq;    /* last sequence whose effect is in the index; 0: none */
	uint32_t epoch; /* grows when the source's sequence was reset */
};

static inline bool rk_repo_is_active(const struct rk_repo *repo)
{
	return repo->account == RK_ACCOUNT_ACTIVE && !repo->unreadable;
}

/* Whether its records are answered. */
static inline bool rk_repo_is_shown(const struct rk_repo *repo)
{
	return rk_repo_is_active(repo) || (repo->flags & RK_REPO_MOVED && !repo->unreadable);
}

/* Whether it is to be fetched, when it is due. */
static inline bool rk_repo_is_queued(const struct rk_repo *repo)
{
	return repo->sync == RK_SYNC_DESYNCHRONIZED &&
		(rk_repo_is_active(repo) || repo->flags & RK_REPO_PURGE ||
			(repo->said && !repo->unreadable)) &&
		!(repo->flags & (RK_REPO_TOMBSTONE | RK_REPO_MOVED));
}

enum { RK_FAILURES_READY = 3 }; /* a repo that failed so often does not hold up readiness */

#endif
