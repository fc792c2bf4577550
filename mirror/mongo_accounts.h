/* What accounts are stored with in MongoDB, besides mirror/mongo.h, whose results these give. */
#ifndef RK_MIRROR_MONGO_ACCOUNTS_H
#define RK_MIRROR_MONGO_ACCOUNTS_H

#include "mirror/mongo.h"

/* Sets atproto.{did, password} of a user who has no DID. *stored: false if there is no such user, or one
 * with a DID: what is stored already counts as stored if the DID is this one. refused: the server's text
 * where it refuses the statement, else "". */
int rk_mongo_account_store(struct rk_mongo *mongo, bool *stored, char refused[256],
	struct rk_slice user, const char *did, const char *password)
	__attribute__((warn_unused_result));

#endif
