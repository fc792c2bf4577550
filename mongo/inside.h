/* What mongo.c, bulk.c and publish/publish.c share; for those only. */
#ifndef RK_MONGO_INSIDE_H
#define RK_MONGO_INSIDE_H

#include <mongoc/mongoc.h>

#include "mongo/mongo.h"

struct rk_mongo {
	mongoc_client_t *client;
	char *database;
	bson_error_t error;
};

/* To be destroyed by the caller. */
mongoc_collection_t *rk_mongo_collection(struct rk_mongo *mongo, const char *name);

enum { RK_MONGO_READ_BATCH = 1000 }; /* documents in one answer */

/* A find with the options that every reading has. fields is taken over. */
mongoc_cursor_t *rk_mongo_find(
	mongoc_collection_t *collection, const bson_t *filter, bson_t *fields);
/* Adds {_id: {$in: [ids]}}. */
void rk_mongo_filter_ids(bson_t *filter, const struct rk_oid *ids, size_t count);

#endif
