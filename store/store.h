/*
 * The index: an LMDB environment that one process has open. Reading is by snapshots, writing by
 * the one writer (store/writer.h). Nothing outside this folder knows of LMDB.
 */
#ifndef RK_STORE_STORE_H
#define RK_STORE_STORE_H

#include <errno.h>

#include "store/types.h"

struct rk_store;
struct rk_snapshot;

struct rk_store_options {
	const char *dir;  /* created with mode 0700 if it is not there */
	size_t map_bytes; /* address space; 0: 64 GiB */
	int64_t wait_ms;  /* for another process that has it open to let go of it */
};

enum rk_store_result {
	RK_STORE_OK,
	RK_STORE_ABSENT,  /* no such record, repo, … */
	RK_STORE_LOCKED,  /* another process has the index open, and kept it */
	RK_STORE_NEWER,   /* written by a newer refkey: refused */
	RK_STORE_CORRUPT, /* a value that cannot be: see refkey check */
};

/* 0, RK_STORE_LOCKED, RK_STORE_NEWER, RK_STORE_CORRUPT, or negative errno. error gets a text. */
int rk_store_open(struct rk_store **out, const struct rk_store_options *options, char error[256])
	__attribute__((warn_unused_result));
void rk_store_close(struct rk_store *store);
/* A hot, compacted copy into dir (created 0700, must be empty). 0 or negative errno. */
int rk_store_backup(struct rk_store *store, const char *dir) __attribute__((warn_unused_result));
struct rk_store_space {
	uint64_t file_bytes, used_bytes;
};
void rk_store_space(struct rk_store *store, struct rk_store_space *out);

/* Writes the index anew, so that no byte is left in the data folder of what was removed; needs as much
 * room again as what is in it. Where nobody writes meanwhile: on the writer's thread (rk_writer_compact).
 * Reading goes on. 0; -EBUSY: somebody kept reading for 30 s; or negative: the index is as it was, or has
 * been compacted and may not be so after a power cut. */
int rk_store_compact(struct rk_store *store) __attribute__((warn_unused_result));

/* A reader, for one thread at a time; begin and end are cheap (no allocation, no lock,
 * unless the index was just compacted). Between them
 * the view does not change. Keep it short: an old reader makes the file grow. */
int rk_snapshot_create(struct rk_snapshot **out, struct rk_store *store)
	__attribute__((warn_unused_result));
void rk_snapshot_destroy(struct rk_snapshot *snapshot);
int rk_snapshot_begin(struct rk_snapshot *snapshot) __attribute__((warn_unused_result));
void rk_snapshot_end(struct rk_snapshot *snapshot);

/* All reads: RK_STORE_OK, RK_STORE_ABSENT, RK_STORE_CORRUPT, or negative errno. For callers to whom all but
 * the first are failures (-EUCLEAN: the index is not what it should be), at the end of a loop, where nothing
 * more is none, and where absent is an answer: */
static inline int rk_read_found(int r)
{
	return r > 0 ? -EUCLEAN : r;
}
static inline int rk_read_ended(int r)
{
	return r == RK_STORE_ABSENT ? 0 : rk_read_found(r);
}
static inline int rk_read_asked(int r)
{
	return r == RK_STORE_ABSENT ? r : rk_read_found(r);
}

int rk_read_cursor(struct rk_snapshot *s, struct rk_cursor *out, struct rk_slice source);
/* Every source that has a cursor, borrowed for the call; false from visit stops. */
typedef bool rk_cursor_visit(void *context, struct rk_slice source, const struct rk_cursor *cursor);
int rk_read_cursors(struct rk_snapshot *s, rk_cursor_visit *visit, void *context);
int rk_read_counts(struct rk_snapshot *s, struct rk_counts *out);

int rk_read_repo(struct rk_snapshot *s, struct rk_repo *out, rk_repo_id id);
int rk_read_repo_by_did(struct rk_snapshot *s, struct rk_repo *out, struct rk_slice did);
/* Among verified handles; any case. */
int rk_read_repo_by_handle(struct rk_snapshot *s, struct rk_repo *out, struct rk_slice handle);
/* Of any account, also one whose repo is not known. */
int rk_read_identity(struct rk_snapshot *s, struct rk_identity *out, struct rk_slice did);
/* Identities of accounts whose repo is not known, last read before that time, among the RK_STRANGERS_MOST
 * behind out->at (zeroed: the first), which is moved. ABSENT: those were the last. */
enum { RK_STRANGERS_MOST = 256, RK_IDENTITY_KEY_MOST = 511 };
struct rk_identity_key {
	size_t len;
	uint8_t bytes[RK_IDENTITY_KEY_MOST];
};
struct rk_strangers {
	struct rk_identity_key at;
	struct rk_identity_key keys[RK_STRANGERS_MOST];
	size_t count;
};
int rk_read_strangers(struct rk_snapshot *s, struct rk_strangers *out, int64_t before_ms);
/* The next repo with an id above *id (start at 0), for loops over all of them. */
int rk_read_repo_after(struct rk_snapshot *s, struct rk_repo *out, rk_repo_id id);
/* The desynchronized, active repo that may be fetched first, among those not in skip[]. *wait_ms
 * gets how long until the first one is due (ABSENT: -1 if there is none at all). */
int rk_read_resync_next(struct rk_snapshot *s, struct rk_repo *out, int64_t *wait_ms,
	int64_t now_ms, const rk_repo_id *skip, size_t skip_count);

int rk_read_record(struct rk_snapshot *s, struct rk_record *out, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);
/* The next record of the repo and collection after rkey in key order (empty: the first). */
int rk_read_record_after(struct rk_snapshot *s, struct rk_record *out, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);

enum rk_lookup {
	RK_LOOKUP_REF,
	RK_LOOKUP_CODE,
	RK_LOOKUP_SLUG,
	RK_LOOKUP_DERIVED, /* the 12 bytes of rk_document_id, of a record whose ref is no ObjectId */
	RK_LOOKUP_COUNT
};
/*
 * The record that answers for a value, by the contract's rule: the linked one; else the owner's that
 * was indexed first; where the owner is not known, the one indexed first; never one in conflict and
 * never one of an inactive account. repo 0: any.
 */
int rk_read_lookup(struct rk_snapshot *s, struct rk_record *out, enum rk_lookup kind,
	uint8_t collection, struct rk_slice value, rk_repo_id repo);
/* The same for a ref, in a collection or (-1) in all of them. Records without an ObjectId for a ref
 * answer to the _id of their document, too (rk_document_id). */
int rk_read_ref(struct rk_snapshot *s, struct rk_record *out, struct rk_slice ref, int collection);
/* Other live records of the answer's repo with the same ref: at most `most` into out[], all of them
 * counted in *count. */
int rk_read_duplicates(struct rk_snapshot *s, struct rk_record *out, size_t most, uint64_t *count,
	const struct rk_record *answer);
/* Every record with the ref, whoever's, best first; returns false from visit to stop. */
typedef bool rk_record_visit(void *context, const struct rk_record *record);
int rk_read_ref_all(struct rk_snapshot *s, uint8_t collection, struct rk_slice ref,
	rk_record_visit *visit, void *context);
/* Every record that may answer for the code, also those of inactive accounts; likewise. */
int rk_read_code_all(struct rk_snapshot *s, uint8_t collection, struct rk_slice code,
	rk_record_visit *visit, void *context);

struct rk_owner_view {
	bool known;
	struct rk_owner owner;
};
int rk_read_owner(
	struct rk_snapshot *s, struct rk_owner_view *out, uint8_t collection, struct rk_slice ref);

/* Listing by `when`. Records of inactive accounts and without `when` are passed over. */
struct rk_list_query {
	uint8_t collection;
	rk_repo_id repo; /* 0: any */
	bool has_since, has_until;
	int64_t since_ms, until_ms; /* since <= when < until */
	bool oldest_first;
	struct rk_slice position; /* where the page before ended (rk_list_position); empty: start */
};
enum { RK_LIST_POSITION_MOST = 511 };
/* Calls visit for each record in order; when it returns false, the list stops before that record. */
int rk_read_list(struct rk_snapshot *s, const struct rk_list_query *query, rk_record_visit *visit,
	void *context);
/* The position right behind a record, to be given back in a later query. Returns its length. */
size_t rk_list_position(uint8_t out[RK_LIST_POSITION_MOST], const struct rk_list_query *query,
	const struct rk_record *record);
/* False for bytes that no rk_list_position of such a query can have made. */
bool rk_list_position_valid(const struct rk_list_query *query, struct rk_slice position);

/* Pending work that is due, oldest first; false from visit stops. */
typedef bool rk_pending_visit(void *context, const struct rk_pending *pending);
int rk_read_pending(struct rk_snapshot *s, int64_t now_ms, rk_pending_visit *visit, void *context);
/* Unix ms when the earliest entry is due; INT64_MAX: none. */
int rk_read_pending_due(struct rk_snapshot *s, int64_t *due_ms);
/* The flags of a record's entry, due or not; ABSENT. */
int rk_read_pending_flags(struct rk_snapshot *s, uint8_t *flags, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);
/* Whether there is work, due or not, for a record of the repo with this ref, or for one that is gone. */
int rk_read_pending_ref(
	struct rk_snapshot *s, bool *out, rk_repo_id repo, uint8_t collection, struct rk_slice ref);

/* Issues in stored order after `position` (empty: from the start; then issue_position of the last
 * seen). kind -1 and repo 0: any. */
typedef bool rk_issue_visit(void *context, const struct rk_issue *issue, struct rk_slice position);
int rk_read_issues(struct rk_snapshot *s, int kind, rk_repo_id repo, struct rk_slice position,
	rk_issue_visit *visit, void *context);

/* Proves that the index agrees with itself: every entry follows from a record, repo or pending work and
 * none is left over, counts are true, JSON is JSON. report is called for each thing that is wrong
 * (text for people), at most 1,000 times. Returns how many, or negative. */
typedef void rk_check_report(void *context, const char *what);
struct rk_check_summary {
	struct rk_counts counts;
	uint64_t lookups, times;
};
int64_t rk_store_check(struct rk_store *store, struct rk_check_summary *out,
	rk_check_report *report, void *context);

#endif
