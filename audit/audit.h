/*
 * The audit: what MongoDB has and what the PDS has, read now and compared, and beside that what the
 * index believes of the same records. Writes nothing.
 *
 * A finding is the truth of a moment: documents are read, then the repo, then the documents that
 * something was found of once more; where one has changed in between, the user is looked at again.
 */
#ifndef RK_AUDIT_AUDIT_H
#define RK_AUDIT_AUDIT_H

#include <stdatomic.h>

#include "atproto/cid.h"
#include "mongo/users.h"
#include "records/collections.h"
#include "store/store.h"

/* X(id, name, side, one, many): what may be wrong. side: of a DOCUMENT, a RECORD, or of what the INDEX has.
 * one, many: what follows the collection's noun, of one and of several. */
#define RK_AUDIT_KINDS(X)                                                                          \
	X(NOT_SYNCED, "notSynced", DOCUMENT, "not synced to ATProto", "not synced to ATProto")     \
	X(DANGLING, "dangling", DOCUMENT, "that names no record of its own",                       \
		"that name no record of their own")                                                \
	X(UNLINKED, "unlinked", RECORD, "that its document does not name",                         \
		"that their documents do not name")                                                \
	X(ORPHANED, "orphaned", RECORD, "whose document is deleted",                               \
		"whose documents are deleted")                                                     \
	X(DUPLICATE, "duplicates", RECORD, "that is there besides the document's",                 \
		"that are there besides the document's")                                           \
	X(CONFLICT, "conflicts", RECORD, "with the ref or code of somebody else's document",       \
		"with the ref or code of somebody else's document")                                \
	X(INVALID, "invalid", RECORD, "that fails its lexicon", "that fail their lexicon")         \
	X(ABSENT, "absent", RECORD, "without a document, for `refkey recover`",                    \
		"without a document, for `refkey recover`")                                        \
	X(FORGOTTEN, "forgotten", RECORD, "of a forgotten user, for `refkey forget`",              \
		"of a forgotten user, for `refkey forget`")                                        \
	X(INDEX_MISSING, "indexMissing", INDEX, "that the index lacks", "that the index lacks")    \
	X(INDEX_EXTRA, "indexExtra", INDEX, "that only the index has", "that only the index has")  \
	X(INDEX_DIFFERS, "indexDiffers", INDEX, "that the index has otherwise",                    \
		"that the index has otherwise")

enum rk_audit_kind {
#define RK_AUDIT_ID(id, name, side, one, many) RK_AUDIT_##id,
	RK_AUDIT_KINDS(RK_AUDIT_ID)
#undef RK_AUDIT_ID
		RK_AUDIT_KIND_COUNT,
	RK_AUDIT_FINE = RK_AUDIT_KIND_COUNT,
};
enum rk_audit_side { RK_AUDIT_OF_DOCUMENT, RK_AUDIT_OF_RECORD, RK_AUDIT_OF_INDEX };
struct rk_audit_kind_row {
	const char *name, *one, *many;
	enum rk_audit_side side;
};
extern const struct rk_audit_kind_row rk_audit_kind_rows[RK_AUDIT_KIND_COUNT];

#define RK_AUDIT_NONE SIZE_MAX /* no such place in the other side's list */

struct rk_audit_document {
	struct rk_oid id;
	bool foreign;         /* its _id is no ObjectId: nothing can be linked to it */
	struct rk_slice name; /* foreign: the _id, for people */
	const char *flaw;     /* what of it can never be synced, or is no key; NULL: nothing */
	bool gone;            /* marked deleted or nuked */
	bool vanished;        /* its record went in a copy that the index did not believe */
	struct rk_slice rkey; /* that it names; empty: none */
	struct rk_slice code;
	enum rk_audit_kind kind;
	size_t record; /* its record, whether it names it or not */
	const char *reason;
};

struct rk_audit_record {
	struct rk_slice rkey, ref; /* ref: lower case; empty: none that can be used */
	struct rk_slice code, slug;
	struct rk_slice json; /* the record, where the request wants it */
	struct rk_cid cid;
	struct rk_oid target;     /* _id of its document … */
	bool derived;             /* … which follows from the record's place */
	const char *invalid;      /* the rule of its lexicon that it breaks; NULL: none */
	bool foreign, code_taken; /* such a document is somebody else's */
	bool known;               /* the document is absent now, and was there once */
	bool unshown; /* it cannot be read, or its key is no record key: the index leaves it out */
	bool differs; /* the index links it otherwise */
	enum rk_audit_kind kind;
	size_t document;
	const char *reason;
};

/* Of a collection in the index. */
struct rk_audit_index {
	uint64_t records, linked;
	uint64_t unknown; /* MongoDB was not asked yet, or is to be asked again */
};

/* One finding. Empty texts: does not apply. */
struct rk_audit_finding {
	enum rk_audit_kind kind;
	struct rk_slice ref, rkey;
	const char *reason; /* "": none */
};

/* A user's documents and records in one collection. */
struct rk_audit_collection {
	struct rk_audit_document *documents; /* by _id, those without an ObjectId last */
	struct rk_audit_record *records;     /* by key, which is by age */
	size_t document_count, record_count;
	bool forgotten; /* the user is, so that no record is taken in or linked, and no document published */
	uint64_t living, synced, gone, vanished, matched; /* living: documents that are not gone */
	uint64_t counts[RK_AUDIT_KIND_COUNT];
	struct rk_audit_index index;
	struct rk_audit_finding *findings; /* in the order of the kinds */
	size_t finding_count;
};

struct rk_audit_person {
	const struct rk_user *user; /* id empty: documents that are nobody's */
	uint64_t rev;               /* of the repo that was read; 0: none */
	uint64_t index_rev;         /* 0: the index has none */
	const char *unread; /* why the repo could not be read; NULL: it was, or there is none */
	struct rk_audit_collection collections[RK_COLLECTION_COUNT];
	struct rk_arena arena; /* of the lists and their texts */
};
uint64_t rk_audit_found(const struct rk_audit_person *person);

struct rk_audit_options {
	const char *mongo_uri, *database; /* secret */
	const char *guest_user;
	const char *pds;        /* origin */
	const char *bypass_key; /* secret; NULL: none */
	const char *data_dir;   /* repos are spooled there */
	bool relay;             /* repos are where the index says that DID documents name */
	bool allow_private;
	bool live; /* the index follows the stream: it is waited for, for some seconds */
};

struct rk_audit_request {
	const char *const *users; /* @handle, DID or users._id; ended by NULL; NULL: all */
	const char *const *skip;
	bool in_turn; /* the next user is read only when the one before was told; records with JSON */
	int64_t max_wait_ms; /* the longest wait for a limit of the PDS; -1: any */
	bool index_only; /* neither MongoDB nor the PDS is asked, save for names that are no DIDs */
	/* From the calling thread, in order of users' _ids; borrowed for the call. person: negative ends
	 * the run, which returns it. */
	int (*person)(void *context, const struct rk_audit_person *person);
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void (*waiting)(void *context, int64_t ms); /* as the PDS's limits want it */
	void *context;
	const atomic_bool *stop; /* set: end cleanly with what was done */
};

struct rk_audit_summary {
	uint64_t users, told; /* told: handed to person */
	bool stopped;
	char error[256];
};

/* 0 done, whatever was found; -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; -ENOENT: a user is
 * not known (error says which), or there is nobody at all, and records are; -EAGAIN: a limit of the PDS lasts
 * too long; or negative. */
int rk_audit_run(struct rk_store *store, struct rk_audit_summary *out,
	const struct rk_audit_options *options, const struct rk_audit_request *request)
	__attribute__((warn_unused_result));

#endif
