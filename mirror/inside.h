/*
 * What the mirror's own files share; included by mirror/ only. All of it belongs to the mirror's
 * thread, but for what stands under the lock.
 */
#ifndef RK_MIRROR_INSIDE_H
#define RK_MIRROR_INSIDE_H

#include <pthread.h>

#include "mirror/decide.h"
#include "mongo/mongo.h"
#include "records/document.h"

struct rk_recover_call;

/* How messages begin of what was refused because a value is taken, as RK_CODE_TAKEN: the sweep knows it by this. */
#define RK_VALUE_TAKEN "a unique value is taken"

/* What a document looked like when something was refused of it; key 0: none. */
struct rk_refusal {
	uint64_t key, hash;
};
enum { RK_REFUSALS_MOST = 4096 };

struct rk_mirror {
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_mirror_options options;
	struct rk_snapshot
		*snapshot;      /* begun and ended between calls to MongoDB, never across one */
	struct rk_mongo *mongo; /* NULL: not connected */
	struct rk_users users;
	int64_t users_took_ms;     /* the last reading of users */
	size_t take;               /* entries taken at once; less while a batch fails as a whole */
	int64_t sweep_ms, ping_ms; /* monotonic: next due */
	bool unsure; /* what the last sweep saw of some documents hung on repos that were not in */
	struct rk_refusal refusals[RK_REFUSALS_MOST];
	size_t refusal_next;
	/* Where the last sweep ended with records that were refused; empty: at the end of them. */
	struct rk_buf rejected_from, conflict_from;
	pthread_t thread;
	atomic_bool connected;
	atomic_bool filled; /* said by rk_mirror_filled, and not acted on yet */

	pthread_mutex_t lock;
	pthread_cond_t work;           /* for the mirror's thread */
	pthread_cond_t done;           /* for callers of rk_mirror_recover */
	bool woken, stopping, turning; /* turning: something may be in hand */
	uint64_t turns;
	struct rk_recover_call *calls;
};

enum {
	RK_TAKE_MOST = 1000,       /* records in one round */
	RK_ROUND_BYTES = 16 << 20, /* of their JSON */
	RK_USERS_FRESH_MS = 3000,  /* an unknown DID does not have users read again before */
	RK_USERS_POLL_MS = 5000,   /* how often, while there are unclaimed repos */
};

/* A set of documents' _ids and of the keys they name, by an earlier scan. Sorted by rk_seen_seal. */
struct rk_seen {
	struct rk_seen_id {
		uint8_t id[12];
		uint8_t links; /* not gone, and names a record */
	} * ids;
	uint64_t *rkeys; /* hashes */
	size_t count, room, rkey_count, rkey_room;
};
int rk_seen_add(struct rk_seen *seen, const struct rk_document *document)
	__attribute__((warn_unused_result));
void rk_seen_seal(struct rk_seen *seen);
/* NULL: not seen. */
const struct rk_seen_id *rk_seen_find(const struct rk_seen *seen, const struct rk_oid *id);
bool rk_seen_names(const struct rk_seen *seen, struct rk_slice rkey);
void rk_seen_finish(struct rk_seen *seen);

enum rk_item_state {
	RK_ITEM_OPEN,
	RK_ITEM_SETTLED, /* decided and, if it had to be, written */
	RK_ITEM_DROPPED, /* there is nothing to look at any more */
	RK_ITEM_STALE,   /* changed meanwhile: its entry has been renewed */
	RK_ITEM_AGAIN,   /* the document changed meanwhile, or the server was busy */
	RK_ITEM_OVER,    /* beyond the limit of a request */
};

struct rk_other {
	struct rk_other *next;
	rk_repo_id repo;
	struct rk_slice rkey;
};

/* One record, or one that is gone, on its way through a round. Slices live in the round's arena. */
struct rk_item {
	struct rk_slice key; /* of the pending entry; empty: there is none */
	uint64_t generation;
	uint32_t attempts;
	uint8_t flags; /* enum rk_pending_flag */
	rk_repo_id repo;
	uint8_t collection;
	struct rk_slice rkey;

	struct rk_slice did, ref;
	struct rk_cid cid;
	struct rk_oid target; /* _id of its document */
	bool derived;         /* … which follows from the record's place */
	struct rk_slice code;
	bool code_taken; /* it is of somebody else's document; as the index has it where nobody was asked */
	bool lives_on; /* gone, but there is a record in its place, with a document of its own */
	struct rk_oid lives_as;

	enum rk_item_state state;
	bool presumed; /* absent by an earlier scan */
	unsigned looks;
	const struct rk_document *document; /* NULL: absent */
	bool by_name;
	struct rk_decision decision;
	uint32_t judged;                  /* kinds of issue that the decision speaks of */
	struct rk_slice user, json, slug; /* for writing */
	struct rk_slice message;
	bool claimed, set_owner, refused;
	bool flip;        /* the repo's flag "unclaimed" is to change */
	rk_repo_id owner; /* of the document seen, if set_owner */
	struct rk_oid owner_of;
	struct rk_other *others; /* records with the ref of what is gone */
};

/* A batch of items, from reading them in the index to telling the index what came of them. */
struct rk_round {
	struct rk_mirror *mirror;
	struct rk_arena arena;
	struct rk_item *items;
	size_t count, room, bytes;
	struct rk_documents documents[RK_COLLECTION_COUNT], named[RK_COLLECTION_COUNT],
		coded[RK_COLLECTION_COUNT];
	const struct rk_seen *seen; /* by collection; NULL: documents are asked for */
	unsigned batch;
	bool dry_run;
	uint64_t write_most, written;
	int64_t now_ms;
	struct rk_writer_job job;
	bool told, told_ok; /* under the mirror's lock */
};

void rk_round_init(struct rk_round *round, struct rk_mirror *mirror);
void rk_round_reset(struct rk_round *round);
void rk_round_finish(struct rk_round *round);
/* Takes what is due, at most so many. */
int rk_round_take(struct rk_round *round, size_t most) __attribute__((warn_unused_result));
/* Adds a record, read in a snapshot that is open. */
int rk_round_add(struct rk_round *round, const struct rk_record *record, struct rk_slice did,
	uint8_t flags) __attribute__((warn_unused_result));
/* Looks, decides and writes, again where documents changed meanwhile. Negative: nothing may be told. */
int rk_round_run(struct rk_round *round) __attribute__((warn_unused_result));
/* Starts telling the index; waits for it. Between the two the round is not to be touched. */
void rk_round_tell(struct rk_round *round);
int rk_round_told(struct rk_round *round) __attribute__((warn_unused_result));

/*
 * A round failed as a whole (-EIO of rk_round_run). With the server gone, or the mirror stopping, that is
 * that: -EIO. With the server there, something in the round is too much for it: RK_ROUND_SMALLER, and take
 * is half of what was in it, until one record is found alone; that one is refused (0, to be told), or waits.
 */
enum { RK_ROUND_SMALLER = 1, RK_ROUND_REASON_SIZE = 256 };
int rk_round_failed(struct rk_round *round, size_t *take, char reason[RK_ROUND_REASON_SIZE])
	__attribute__((warn_unused_result));
/* One round of due work. *done: how many were looked at. */
int rk_mirror_step(struct rk_mirror *mirror, size_t *done) __attribute__((warn_unused_result));
bool rk_mirror_stopping(struct rk_mirror *mirror);

/* Parts of a round, in files of their own. */
int rk_round_look(struct rk_round *round) __attribute__((warn_unused_result));
int rk_round_decide(struct rk_round *round) __attribute__((warn_unused_result));
int rk_round_write(struct rk_round *round) __attribute__((warn_unused_result));
/* The only item of a round, which some servers fail as a whole where MongoDB would refuse a statement: an issue
 * if it is known why, or if it was tried often enough; else it is put back. */
int rk_round_refuse(struct rk_round *round, const char *reason) __attribute__((warn_unused_result));

/* The facts and the decision for one item, in an open snapshot; used by the sweep too. */
int rk_item_decide(struct rk_round *round, struct rk_item *item)
	__attribute__((warn_unused_result));
/* Copies into the item what writing it takes. */
int rk_round_prepare(struct rk_round *round, struct rk_item *item, const struct rk_record *record)
	__attribute__((warn_unused_result));
/* The DID of a document's owner; empty: nobody known, and then *unknown. */
struct rk_slice rk_document_did(
	const struct rk_mirror *mirror, const struct rk_document *document, bool *unknown);

/* Remembers the document as it is now; whether it still is as it was then (false: not remembered). */
void rk_refusal_note(struct rk_mirror *mirror, const struct rk_item *item);
int rk_refusal_stands(struct rk_mirror *mirror, const struct rk_item *item, bool *stands)
	__attribute__((warn_unused_result));

void *rk_worker_main(void *mirror);

/* Whether users were last read so long ago, or a multiple of the time that took. */
bool rk_claims_old(const struct rk_mirror *mirror, int64_t age_ms);
/* Reads the users again and marks the records of repos that were, or no longer are, somebody's. */
int rk_claims_refresh(struct rk_mirror *mirror) __attribute__((warn_unused_result));
/* Whether an owner whose document the round is to mark gone, or to unlink, has by now another DID than the users
 * as last read say, or none. Asks for those owners alone. */
int rk_claims_moved(struct rk_round *round, bool *moved) __attribute__((warn_unused_result));
/* Marks all records of a repo. */
int rk_claims_mark(struct rk_mirror *mirror, rk_repo_id repo) __attribute__((warn_unused_result));

/* Reads all documents, marks what differs. */
int rk_sweep(struct rk_mirror *mirror) __attribute__((warn_unused_result));

/* On the mirror's thread: runs what rk_mirror_recover has queued. Negative: MongoDB was lost. */
int rk_recover_run(struct rk_mirror *mirror, struct rk_recover_call *call)
	__attribute__((warn_unused_result));
/* Takes the calls off that have waited too long, or all with the result. */
void rk_recover_expire(struct rk_mirror *mirror, int result_for_all);

#endif
