/* What mongo.c and mongo_bulk.c share; for those two only. */
#ifndef RK_MIRROR_MONGO_INSIDE_H
#define RK_MIRROR_MONGO_INSIDE_H

#include <mongoc/mongoc.h>

#include "mirror/mongo.h"

struct rk_mongo {
	mongoc_client_t *client;
	char *database;
	bson_error_t error;
};

/* To be destroyed by the caller. */
mongoc_collection_t *rk_mongo_collection(struct rk_mongo *mongo, const char *name);

#endif
