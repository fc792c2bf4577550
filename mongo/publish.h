/* What publishing asks MongoDB, besides mongo/mongo.h, whose results these give. */
#ifndef RK_MONGO_PUBLISH_H
#define RK_MONGO_PUBLISH_H

#include "base/buf.h"
#include "mongo/mongo.h"

/* Living documents that name no record (no atproto.rkey, or one that is empty or no text), in no order, read
 * as far as rk_document_read does. Borrowed for the call; non-zero ends it and is returned. id: its _id, for
 * people; foreign: which is no ObjectId. */
typedef int rk_mongo_visit_unpublished(
	void *context, const struct rk_document *document, const char *id, bool foreign);
int rk_mongo_unpublished(struct rk_mongo *mongo, const struct rk_collection *collection,
	rk_mongo_visit_unpublished *visit, void *context) __attribute__((warn_unused_result));

/* The same, and besides the documents that are gone and name a record. */
int rk_mongo_astray(struct rk_mongo *mongo, const struct rk_collection *collection,
	rk_mongo_visit_unpublished *visit, void *context) __attribute__((warn_unused_result));

/* The documents with these _ids, with all that a record is made of. Borrowed as above. */
typedef int rk_mongo_visit_body(
	void *context, const struct rk_document *document, const bson_t *body);
int rk_mongo_bodies(struct rk_mongo *mongo, const struct rk_collection *collection,
	struct rk_arena *arena, const struct rk_oid *ids, size_t count, rk_mongo_visit_body *visit,
	void *context) __attribute__((warn_unused_result));

/* Appends a text of a user's, "atproto.password" or "email"; nothing if there is none. */
int rk_mongo_user_text(struct rk_mongo *mongo, struct rk_buf *out, struct rk_slice user,
	const char *path) __attribute__((warn_unused_result));

#endif
