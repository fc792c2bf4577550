/* MongoDB answers, and has nothing: is it the right one, and was it lost? */
#ifndef RK_MIRROR_LOST_H
#define RK_MIRROR_LOST_H

#include "store/store.h"

/* Of a database with neither a user with an account nor a document. 0: the index has no record either, so that
 * nothing is wrong; -ENOENT: it has, and error says so; or negative. */
int rk_mongo_lost(struct rk_store *store, const char *database, char error[256])
	__attribute__((warn_unused_result));

#endif
