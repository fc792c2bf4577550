/*
 * The door to the MongoDB server: connecting, reading users and documents, bulk writes. One client,
 * for one thread. Every call is bounded by timeouts. Reads go to the primary, writes wait for the
 * majority.
 *
 * All: 0, -ENOMEM, or -EIO: the server was not to be had or refused the command as a whole (the text
 * of it is in rk_mongo_error; nothing is known of what was written).
 */
#ifndef RK_MONGO_MONGO_H
#define RK_MONGO_MONGO_H

#include "mongo/build.h"
#include "mongo/users.h"

struct rk_mongo;

/* Does not connect. -EINVAL: a URI the driver refuses; error gets why, without the URI. */
int rk_mongo_create(struct rk_mongo **out, const char *uri, const char *database, char error[256])
	__attribute__((warn_unused_result));
void rk_mongo_destroy(struct rk_mongo *mongo);
int rk_mongo_ping(struct rk_mongo *mongo) __attribute__((warn_unused_result));
/* Of the last call that failed. Never holds the URI's user or password. */
const char *rk_mongo_error(const struct rk_mongo *mongo);

enum { RK_MONGO_ERROR = 256 };
/* The result of a call as the runs of the mirror end with it: -EIO is -EHOSTUNREACH, and error gets its text; any
 * other is as it is. */
int rk_mongo_result(const struct rk_mongo *mongo, int r, char error[RK_MONGO_ERROR]);

/* The last failure was the server's (not to be had, not allowed, not now), not the command's. */
bool rk_mongo_is_away(const struct rk_mongo *mongo);

/* All users that have a DID, or, with handles, all users and their @handles. On failure users is as
 * it was. */
int rk_mongo_users(struct rk_mongo *mongo, struct rk_users *users, bool handles)
	__attribute__((warn_unused_result));

/* Into an empty table: the users with these _ids, without their @handles. */
int rk_mongo_users_by_id(struct rk_mongo *mongo, struct rk_users *out, const struct rk_slice *ids,
	size_t count) __attribute__((warn_unused_result));

struct rk_documents {
	struct rk_document *list;
	size_t count, room;
};
void rk_documents_finish(struct rk_documents *documents);
/* NULL: it is not among them. */
const struct rk_document *rk_documents_find(
	const struct rk_documents *documents, const struct rk_oid *id);

/* Appends the documents with these _ids, or whose atproto.rkey or code is one of these. Texts live in the
 * arena. Those whose _id is no ObjectId are passed over. */
int rk_mongo_by_id(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_oid *ids, size_t count)
	__attribute__((warn_unused_result));
int rk_mongo_by_rkey(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_slice *rkeys, size_t count)
	__attribute__((warn_unused_result));
int rk_mongo_by_code(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_slice *codes, size_t count)
	__attribute__((warn_unused_result));

/* All documents of a collection, in no order. next appends some to out; *more is false at the end. */
struct rk_mongo_scan;
int rk_mongo_scan_begin(struct rk_mongo *mongo, struct rk_mongo_scan **out,
	const struct rk_collection *collection) __attribute__((warn_unused_result));
int rk_mongo_scan_next(struct rk_mongo_scan *scan, struct rk_documents *out, struct rk_arena *arena,
	bool *more) __attribute__((warn_unused_result));
void rk_mongo_scan_end(struct rk_mongo_scan *scan);

/* A hash of all of a document, 0 if there is none. */
int rk_mongo_hash(struct rk_mongo *mongo, uint64_t *out, const struct rk_collection *collection,
	const struct rk_oid *id) __attribute__((warn_unused_result));

/* Who has a unique value that an insert was refused for. */
struct rk_mongo_taken {
	bool code, slug;                /* taken by a document with another _id */
	struct rk_document code_holder; /* if code */
};
int rk_mongo_taken(struct rk_mongo *mongo, struct rk_mongo_taken *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_oid *id, struct rk_slice code,
	struct rk_slice slug, struct rk_slice user) __attribute__((warn_unused_result));

/* What the server said to one statement of a bulk. */
enum rk_statement {
	RK_STATEMENT_DONE,
	RK_STATEMENT_TAKEN,   /* a unique value, or the _id, is taken */
	RK_STATEMENT_BUSY,    /* not now: the server is changing over, or ran out of time */
	RK_STATEMENT_REFUSED, /* by a rule of the server, see text */
};
struct rk_statement_result {
	enum rk_statement result;
	struct rk_slice text; /* in the arena */
};

/* Unordered, one command each; the caller bounds count. Filled in for each statement when 0 is
 * returned. matched: how many filters matched; when it is not count less the failed ones, it is not
 * known which did not. Updates among which one is refused may be sent again one by one, where the server
 * leaves open what became of the others: a filter must no longer match once its update is done, or the
 * update be as good twice. */
int rk_mongo_insert(struct rk_mongo *mongo, struct rk_statement_result *results,
	struct rk_arena *arena, const struct rk_collection *collection, const bson_t *documents,
	size_t count) __attribute__((warn_unused_result));
int rk_mongo_update(struct rk_mongo *mongo, struct rk_statement_result *results, size_t *matched,
	struct rk_arena *arena, const struct rk_collection *collection, const bson_t *filters,
	const bson_t *updates, size_t count) __attribute__((warn_unused_result));

#endif
