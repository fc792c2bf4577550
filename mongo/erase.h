/* What erasing asks MongoDB, besides mongo/mongo.h, whose results these give. */
#ifndef RK_MONGO_ERASE_H
#define RK_MONGO_ERASE_H

#include "mongo/mongo.h"

/* How many documents a user owns (rk_document_owner), whatever their state; and removing all of them for good. */
int rk_mongo_count_of(struct rk_mongo *mongo, uint64_t *out, const struct rk_collection *collection,
	struct rk_slice user) __attribute__((warn_unused_result));
int rk_mongo_remove_of(struct rk_mongo *mongo, uint64_t *removed,
	const struct rk_collection *collection, struct rk_slice user)
	__attribute__((warn_unused_result));

#endif
