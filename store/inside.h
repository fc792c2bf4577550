/*
 * Inside the store: the sub-databases, their keys and values. Included by store/ only.
 *
 * Keys, all integers big-endian so that LMDB's bytewise order is theirs:
 *
 *   rkey*    the rkey as it is up to 254 bytes; a longer one is its first 223 bytes and the SHA-256 of
 *            the whole, so 255 bytes: told apart by its length, and the value holds the full rkey
 *   recordkey = repo(4) collection(1) rkey*
 *
 *   meta     name                                        -> by name
 *   did      DID, or ff SHA-256(DID) when over 500 bytes -> repo(4)
 *   handle   handle in lower case                        -> DID
 *   repo     repo(4)                                     -> struct rk_repo
 *   identity DID, as in did                              -> struct rk_identity
 *   resync   retry_ms(8) repo(4)                         -> ""        to be fetched, first due first
 *   place  = rank(1) first(6): sorts those that claim one value, best first. No number `first` is
 *            given out twice, so it tells them apart, too
 *   ref*     len(1) ref, no ref: len 0; but 24 lower-case hexadecimal digits are 80 and their 12 bytes
 *
 *   answer   ref* collection(1)                          -> repo(4) of the document's owner
 *            ref* collection(1) place                    -> struct rk_record
 *            So all that getByRef asks of one ref stands together, and under short keys: in a large
 *            index, the way to a page that no cache holds costs more than what is read there.
 *   record   recordkey                                   -> its key in `answer`
 *   lookup   kind(1) repo(4) value collection(1)         => place recordkey
 *            under its repo, under repo 0 (whoever's), or both: see rk_lookup_is_under
 *   when     repo(4) collection(1) when(8) repo(4) rkey* -> ""        repo 0: whoever's
 *   pending  'R' recordkey | 'G' len(1) ref recordkey    -> struct rk_pending
 *   due      due_ms(8) generation(8)                     -> key in pending
 *   seen     recordkey                                   -> flags(1)
 *   issue    kind(1) 'R' recordkey | 'D' collection(1) ref | 'A' repo(4) -> struct rk_issue
 *
 * `->` one value a key, `=>` sorted duplicates. Every struct value starts with its version.
 */
#ifndef RK_STORE_INSIDE_H
#define RK_STORE_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/reader.h"
#include "store/write.h"

/* X(id, name, LMDB flags) */
#define RK_TABLES(X)                                                                               \
	X(META, "meta", 0)                                                                         \
	X(DID, "did", 0)                                                                           \
	X(HANDLE, "handle", 0)                                                                     \
	X(REPO, "repo", 0)                                                                         \
	X(IDENTITY, "identity", 0)                                                                 \
	X(RESYNC, "resync", 0)                                                                     \
	X(ANSWER, "answer", 0)                                                                     \
	X(RECORD, "record", 0)                                                                     \
	X(LOOKUP, "lookup", MDB_DUPSORT)                                                           \
	X(WHEN, "when", 0)                                                                         \
	X(PENDING, "pending", 0)                                                                   \
	X(DUE, "due", 0)                                                                           \
	X(SEEN, "seen", 0)                                                                         \
	X(ISSUE, "issue", 0)

enum rk_table {
#define RK_TABLE_ID(id, name, flags) RK_TABLE_##id,
	RK_TABLES(RK_TABLE_ID)
#undef RK_TABLE_ID
		RK_TABLE_COUNT
};

enum { RK_SCHEMA = 4 };

extern const struct rk_table_row {
	const char *name;
	unsigned flags;
} rk_tables[RK_TABLE_COUNT];

struct rk_store {
	MDB_env *env;
	MDB_dbi dbi[RK_TABLE_COUNT];
	int lock_fd;
	char *dir;
	struct rk_heads *heads;
	/* Compaction (compact.c) puts another environment in the place of this one. Whoever uses it is known
	 * by a snapshot's busy, or counted in users. */
	pthread_mutex_t turn;
	pthread_cond_t opened; /* no longer closing */
	atomic_bool closing;
	struct rk_snapshot *snapshots;
	unsigned users;
};

enum { RK_ENV_FLAGS = MDB_NOTLS | MDB_NORDAHEAD };
/* An LMDB code. */
int rk_env_create(MDB_env **out, size_t map_bytes);
/* Takes away what a compaction that was killed left behind. */
int rk_store_leftover_remove(const char *dir);
/* Between the two the environment stays. Not with a snapshot begun. */
void rk_store_enter(struct rk_store *store);
void rk_store_leave(struct rk_store *store);

struct rk_snapshot {
	struct rk_store *store;
	struct rk_snapshot *next, **prev; /* of the store's */
	atomic_bool busy;                 /* begun */
	MDB_txn *txn;                     /* NULL: to be made at the next begin */
	MDB_cursor *answer;               /* kept between reads: opening one allocates */
	/* What a lookup learnt and the reads after it ask again; not kept in a transaction that writes. */
	struct rk_repo repo;       /* the last one read; id 0: none */
	struct rk_slice only_rkey; /* of the last answer, if no other record has its ref */
	bool live;
};

/* The environment is about to be closed. */
void rk_snapshot_let_go(struct rk_snapshot *snapshot);

struct rk_write {
	struct rk_snapshot view; /* over the same transaction */
	struct rk_counts counts;
	/* What is given out next. */
	rk_repo_id next_repo;
	uint64_t generation;
	uint64_t first;        /* struct rk_record.first */
	struct rk_arena arena; /* copies of what was read: LMDB moves it at the next write */
	struct rk_buf value;   /* the value being built */
};

/* A zeroed w may begin. begin: 0 or negative. commit and abort end the transaction and keep the
 * memory for the next one; finish frees it. */
int rk_write_begin(struct rk_write *w, struct rk_store *store);
int rk_write_commit(struct rk_write *w);
void rk_write_abort(struct rk_write *w);
void rk_write_finish(struct rk_write *w);
/* LMDB calls a write that was cut short EIO, as if the disk were broken: nearly always it is full. */
int rk_write_error(const struct rk_store *store, int r);
/* The bytes where the next write to a table cannot move them, until the next rk_write_*. */
int rk_write_keep(struct rk_write *w, struct rk_slice *bytes);
int rk_write_keep_record(struct rk_write *w, struct rk_record *record);
/* Puts *now, counts and all, where *old is; of that no slice is looked at. */
int rk_write_repo_over(struct rk_write *w, const struct rk_repo *old, const struct rk_repo *now);

enum { RK_KEY_MOST = 511, RK_RKEY_PLAIN = 254, RK_RKEY_KEPT = 223, RK_DID_PLAIN = 500 };
enum { RK_KEY_PLACE = 1 + 6 }; /* bytes of a place */

/* A key being built; over-long is a fault of the caller and sticks. */
struct rk_key_buf {
	uint8_t bytes[RK_KEY_MOST];
	size_t len;
	bool failed;
};
void rk_key_uint(struct rk_key_buf *key, uint64_t value, unsigned bytes);
void rk_key_add(struct rk_key_buf *key, struct rk_slice bytes);
void rk_key_rkey(struct rk_key_buf *key, struct rk_slice rkey);
void rk_key_record(
	struct rk_key_buf *key, rk_repo_id repo, uint8_t collection, struct rk_slice rkey);
void rk_key_did(struct rk_key_buf *key, struct rk_slice did);
void rk_key_lookup(struct rk_key_buf *key, enum rk_lookup kind, uint8_t collection, rk_repo_id repo,
	struct rk_slice value);
void rk_key_entry(struct rk_key_buf *key, enum rk_lookup kind, const struct rk_record *record);
/* A ref in a collection: its owner's key, and in front of those of its records. */
void rk_key_ref(struct rk_key_buf *key, uint8_t collection, struct rk_slice ref);
/* Whether a key of `answer` is an owner's. */
bool rk_key_is_owner(struct rk_slice key);
void rk_key_answer(struct rk_key_buf *key, const struct rk_record *record);
void rk_key_when(struct rk_key_buf *key, rk_repo_id under, const struct rk_record *record);
void rk_key_pending(struct rk_key_buf *key, bool gone, struct rk_slice ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);
void rk_key_issue(struct rk_key_buf *key, const struct rk_issue *issue);
/* Biased so that times before 1970 sort first. */
static inline uint64_t rk_key_time(int64_t value)
{
	return (uint64_t)value ^ (UINT64_C(1) << 63);
}

/* Values. Encoding appends to buf; decoding checks every length and returns false on a bad value. */
void rk_value_repo(struct rk_buf *out, const struct rk_repo *repo);
bool rk_value_repo_read(struct rk_repo *out, rk_repo_id id, struct rk_slice in);
void rk_value_identity(struct rk_buf *out, const struct rk_identity *identity);
bool rk_value_identity_read(struct rk_identity *out, struct rk_slice in);
void rk_value_record(struct rk_buf *out, const struct rk_record *record);
/* key: that of `answer`; gives the collection and `first`. Every slice of *out is of `in`. */
bool rk_value_record_read(struct rk_record *out, struct rk_slice key, struct rk_slice in);
/* The repo alone, of the same value. */
bool rk_value_record_repo(rk_repo_id *out, struct rk_slice in);
void rk_value_pending(struct rk_buf *out, const struct rk_pending *pending);
bool rk_value_pending_read(struct rk_pending *out, struct rk_slice key, struct rk_slice in);
void rk_value_issue(struct rk_buf *out, const struct rk_issue *issue);
bool rk_value_issue_read(struct rk_issue *out, struct rk_slice key, struct rk_slice in);
void rk_value_counts(struct rk_buf *out, const struct rk_write *w);
bool rk_value_counts_read(struct rk_write *out, struct rk_slice in);

/* LMDB by table; slices in and out. 0, RK_STORE_ABSENT, or negative errno. No key is empty: under an
 * over-long one, which rk_key_slice makes empty, nothing is found, and to put there is -EINVAL. */
int rk_table_get(
	struct rk_snapshot *s, enum rk_table table, struct rk_slice key, struct rk_slice *out);
int rk_table_put(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value);
/* value: for tables of duplicates; else empty. Absent is fine: 0. */
int rk_table_del(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value);
int rk_table_cursor(struct rk_snapshot *s, enum rk_table table, MDB_cursor **out);
uint64_t rk_table_entries(struct rk_snapshot *s, enum rk_table table);
/* LMDB's codes to negative errno; MDB_NOTFOUND to RK_STORE_ABSENT. */
int rk_lmdb_error(int code);

static inline struct rk_slice rk_key_slice(const struct rk_key_buf *key)
{
	return rk_slice_make(key->bytes, key->failed ? 0 : key->len);
}
static inline MDB_val rk_val(struct rk_slice s)
{
	return (MDB_val){.mv_data = (void *)s.data, .mv_size = s.len};
}
static inline struct rk_slice rk_val_slice(MDB_val v)
{
	return rk_slice_make(v.mv_data, v.mv_size);
}

/* Entries of a record in `lookup` and `when`; remove is for the record as stored. */
uint8_t rk_lookup_rank(const struct rk_record *record, enum rk_lookup kind);
/* By what a record is looked up; empty: not by that. */
struct rk_lookup_values {
	struct rk_slice of[RK_LOOKUP_COUNT];
	struct rk_oid derived;
};
/* The slices are the record's, and of *out itself. */
int rk_lookup_values(
	struct rk_snapshot *s, struct rk_lookup_values *out, const struct rk_record *record);
/* Whether a kind's entries stand under the record's repo, or under repo 0. */
bool rk_lookup_is_under(enum rk_lookup kind, rk_repo_id repo);
/* The record without an ObjectId for a ref whose document has the _id `ref`, in a collection or (-1) in
 * all of them. *owned: the document was seen, and is of the record's repo. */
int rk_lookup_derived(struct rk_snapshot *s, struct rk_record *out, bool *owned,
	struct rk_slice ref, int collection);
int rk_lookup_add(struct rk_write *w, const struct rk_record *record);
int rk_lookup_remove(struct rk_write *w, const struct rk_record *record);

/* Pending work: makes or changes the entry, with a new generation. keep: flags of an entry already
 * there that stay. */
int rk_pending_put(struct rk_write *w, struct rk_slice key, uint8_t flags, uint8_t keep,
	int64_t due_ms, uint32_t attempts, struct rk_slice rkey);
/* The same of a record that was not there before: nothing is pending for it. */
int rk_pending_make(struct rk_write *w, struct rk_slice key, uint8_t flags, int64_t due_ms,
	struct rk_slice rkey);
int rk_pending_remove(struct rk_write *w, struct rk_slice key);

/* Sets exactly the issues in `now` among `judged` for a record; record->issues is updated. */
int rk_issues_set(struct rk_write *w, struct rk_record *record, uint32_t judged, uint32_t now,
	struct rk_slice message, int64_t at_ms);

/* record.c: records by recordkey. */
int rk_record_get(struct rk_snapshot *s, struct rk_record *out, struct rk_slice recordkey);
/* Puts a record in place of what had its key. No slice of it may be borrowed from LMDB. */
int rk_record_put(struct rk_write *w, const struct rk_record *record);
/* The same where rk_record_get found none. */
int rk_record_make(struct rk_write *w, const struct rk_record *record);
int rk_record_remove(struct rk_write *w, const struct rk_record *record);

/* The repo whose records an entry's are, if they are answered. */
int rk_account_shown(struct rk_snapshot *s, rk_repo_id id, bool *shown);
enum { RK_RANK_LINKED, RK_RANK_PLAIN, RK_RANK_CONFLICT };
/* Entries looked at for one answer: those of inactive accounts are passed over. */
enum { RK_ENTRIES_MOST = 4096 };

#endif
