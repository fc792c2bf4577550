/*
 * What a server that has change streams tells of a collection: that something changed, not what. Only
 * to look sooner: nothing is missed where there are none, or one breaks.
 */
#ifndef RK_MONGO_CHANGES_H
#define RK_MONGO_CHANGES_H

#include "mongo/mongo.h"

struct rk_mongo_changes;

/* From now on, through the client, which must outlive it. -EIO: the server has none (no replica set, not allowed,
 * another server than MongoDB), or is not to be had. */
int rk_mongo_changes_begin(struct rk_mongo *mongo, struct rk_mongo_changes **out,
	const struct rk_collection *collection) __attribute__((warn_unused_result));
/* Waits for a fifth of a second at most, or until something has changed: *changed, if anything has since it
 * was last asked. -EIO: it broke; end it. */
int rk_mongo_changes_wait(struct rk_mongo_changes *changes, bool *changed)
	__attribute__((warn_unused_result));
void rk_mongo_changes_end(struct rk_mongo_changes *changes);

#endif
