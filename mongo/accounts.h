/* What accounts are stored with in MongoDB, besides mongo/mongo.h, whose results these give. */
#ifndef RK_MONGO_ACCOUNTS_H
#define RK_MONGO_ACCOUNTS_H

#include "mongo/mongo.h"

struct rk_mongo_account {
	struct rk_slice user; /* _id */
	const char *did, *password;
};

/* Sets atproto.{did, password} of a user who has no DID. One who has this DID by now is left as it is. refused: why it
 * is not stored, else "". */
int rk_mongo_account_store(struct rk_mongo *mongo, char refused[256],
	const struct rk_mongo_account *account) __attribute__((warn_unused_result));

/* Whether it could be stored: the user is there, and has no DID, nor anything else where it would be. */
int rk_mongo_account_has_room(struct rk_mongo *mongo, bool *room, struct rk_slice user)
	__attribute__((warn_unused_result));

#endif
