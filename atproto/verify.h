/*
 * The one place where a commit, a sync message or a whole repo is believed or refused: an ordered
 * list of checks, cheap before costly. Pure: bytes in, verdict out; what needs stored state (the
 * rev already held, since and prevData against it) is the indexer's.
 *
 * Every way to fail has one row here: its name is the counter's label and the log's reason. The last
 * ones are of what is said of accounts, and told by the indexer, which asks.
 */
#ifndef RK_ATPROTO_VERIFY_H
#define RK_ATPROTO_VERIFY_H

#include "atproto/blocks.h"
#include "atproto/commit.h"
#include "atproto/did_doc.h"
#include "atproto/event.h"
#include "atproto/mst.h"

/* X(id, name, help) */
#define RK_VERDICTS(X)                                                                             \
	X(OK, "ok", "believed")                                                                    \
	X(FRAME_HEADER, "frame_header", "the frame's header is malformed")                         \
	X(FRAME_BODY, "frame_body", "the frame's body is truncated or not canonical DAG-CBOR")     \
	X(FRAME_TRAILING, "frame_trailing", "bytes follow the frame's body")                       \
	X(FRAME_FIELD, "frame_field", "a required field is absent or of the wrong kind")           \
	X(FRAME_TOO_LARGE, "frame_too_large", "the frame is over the size limit")                  \
	X(FRAME_TEXT, "frame_text", "a text message where a binary one belongs")                   \
	X(OPS_TOO_MANY, "ops_too_many", "a commit has more than 200 operations")                   \
	X(OPS_DUPLICATE, "ops_duplicate", "two operations of a commit have one path")              \
	X(OPS_PREV, "ops_prev", "an update or delete does not say what was there before")          \
	X(CAR_MALFORMED, "car_malformed", "the blocks are not a CAR v1")                           \
	X(CAR_TOO_LARGE, "car_too_large", "the blocks are too large, or too many")                 \
	X(CAR_ROOT, "car_root", "the blocks' root is not the message's commit")                    \
	X(BLOCK_CID, "block_cid", "a block's bytes do not hash to its CID")                        \
	X(COMMIT_MISSING, "commit_missing", "the commit's block is not among the blocks")          \
	X(COMMIT_MALFORMED, "commit_malformed", "the commit object is not a canonical version 3")  \
	X(COMMIT_DID, "commit_did", "the commit is of another repo")                               \
	X(COMMIT_REV, "commit_rev", "the commit's rev differs from the message's")                 \
	X(REV_FUTURE, "rev_future", "the rev is more than five minutes ahead")                     \
	X(REV_ORDER, "rev_order", "the rev is not behind the one that it is said to follow")       \
	X(REV_OLDER, "rev_older", "a whole repo is older than what is held")                       \
	X(KEY_UNKNOWN, "key_unknown", "the repo's signing key is not known yet")                   \
	X(KEY_MISSING, "key_missing", "the account has no usable signing key")                     \
	X(SIGNATURE_MALFORMED, "signature_malformed", "the signature is not r and s in range")     \
	X(SIGNATURE_HIGH_S, "signature_high_s", "the signature is not in its low-S form")          \
	X(SIGNATURE_WRONG, "signature_wrong", "the commit is not signed with the repo's key")      \
	X(RECORD_MISSING, "record_missing", "an operation's record is not among the blocks")       \
	X(RECORD_MALFORMED, "record_malformed", "a record is no canonical DAG-CBOR map")           \
	X(TREE_MISSING, "tree_missing", "a node of the tree is not among the blocks")              \
	X(TREE_MALFORMED, "tree_malformed", "the tree breaks a rule of the MST")                   \
	X(OP_ABSENT, "op_absent", "an operation's path is not in the tree")                        \
	X(OP_DIFFERS, "op_differs", "the tree has another record at an operation's path")          \
	X(OP_PRESENT, "op_present", "a deleted path is still in the tree")                         \
	X(INVERSION, "inversion", "with its operations undone the tree is not the one before")     \
	X(NO_ROOM, "no_room", "there is no room to wait for the account's DID document")           \
	X(REPO_INACTIVE, "repo_inactive", "the account is not active")                             \
	X(REPO_ELSEWHERE, "repo_elsewhere", "the account's DID document names another PDS")        \
	X(ACCOUNT_DENIED, "account_denied", "the account's PDS denies what a relay said of it")    \
	X(HANDLE_FALSE, "handle_false", "a DID document names a handle that is not the account's") \
	X(HANDLE_TAKEN, "handle_taken", "… or one that another account has, by its own PDS's word")

enum rk_verdict {
#define RK_VERDICT_ID(id, name, help) RK_VERDICT_##id,
	RK_VERDICTS(RK_VERDICT_ID)
#undef RK_VERDICT_ID
		RK_VERDICT_COUNT
};

struct rk_verdict_row {
	const char *name, *help;
};
extern const struct rk_verdict_row rk_verdict_rows[RK_VERDICT_COUNT];

enum rk_verdict rk_verdict_of_event(enum rk_event_result result);

struct rk_verify_options {
	const struct rk_key_ready *key; /* the repo's signing key; NULL: not known */
	bool key_needed; /* without a key, refuse; false: then no signature is looked at */
	struct rk_key_checker *checker; /* may be NULL: see atproto/key.h */
	int64_t now_ms;                 /* wall clock, for revs in the future */
};

/* A believed commit or sync: the blocks stay borrowed from the event's frame. */
struct rk_verified {
	struct rk_blocks blocks; /* in the arena */
	struct rk_commit commit;
	/* Of a commit: its creates and updates are proven, but not that there was nothing else, for
	 * it does not say the tree before. Senders from before sync 1.1; the repo is to be fetched. */
	bool legacy;
	/* Of a commit: the root of the tree with its operations undone; unset where they cannot be. Whoever
	 * holds that very tree has the proof that a legacy commit lacks. */
	struct rk_cid before;
};

/* Negative: no memory. Else an enum rk_verdict; out is whole only with RK_VERDICT_OK. A commit that
 * says tooBig is believed to have happened and no more: its blocks are not read, out is zeroed. */
int rk_verify_commit(struct rk_verified *out, struct rk_arena *arena, const struct rk_event *event,
	const struct rk_verify_options *options) __attribute__((warn_unused_result));
int rk_verify_sync(struct rk_verified *out, struct rk_arena *arena, const struct rk_event *event,
	const struct rk_verify_options *options) __attribute__((warn_unused_result));

/* A record and its part of the tree's nodes never take less than this on average for each block, with its
 * CID and length, however small the record is. */
enum { RK_REPO_BLOCK_BYTES = 64 };

/* A whole repo as getRepo sends it. The caller finishes out->blocks, whatever comes back (malloc,
 * 16 bytes a slot, flat in record size; no more than rk_verify_repo_memory, for more blocks than one in
 * RK_REPO_BLOCK_BYTES are refused). The commit is judged first, before anything is kept, wherever it stands.
 * Then every block is hashed and the tree walked: visit is
 * called for each entry in key order, may find records in out->blocks and says for itself whether
 * they are missing or malformed. A verdict may come after entries were visited; when visit stops
 * the walk, the result is -ECANCELED. */
int rk_verify_repo(struct rk_verified *out, struct rk_slice car, struct rk_did did,
	const struct rk_verify_options *options, rk_mst_visit *visit, void *context)
	__attribute__((warn_unused_result));
/* Bytes that a CAR of such a length can make it allocate. */
size_t rk_verify_repo_memory(size_t bytes);

/* The same of a CAR's first bytes: whether its commit would be believed. -EAGAIN: they do not hold all of
 * the first block, or that is not the commit. */
int rk_verify_repo_start(struct rk_slice start, struct rk_did did,
	const struct rk_verify_options *options) __attribute__((warn_unused_result));

#endif
