/* See mongo_accounts.h. */
#include "mirror/mongo_accounts.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "mirror/mongo_inside.h"
#include "mirror/mongo_publish.h"

/* After a statement that matched nobody: it may be the one before whose answer was lost. */
static int stored_before(struct rk_mongo *mongo, bool *stored, struct rk_slice user,
	const char *did, const char *password)
{
	struct rk_buf theirs = {0}, secret = {0};
	int r = rk_mongo_user_text(mongo, &theirs, user, "atproto.did");

	if (r == 0)
		r = rk_mongo_user_text(mongo, &secret, user, "atproto.password");
	*stored = r == 0 && rk_slice_equal_str(rk_buf_slice(&theirs), did) &&
		rk_slice_equal_str(rk_buf_slice(&secret), password);
	rk_buf_wipe(&secret);
	rk_buf_finish(&theirs);
	return r;
}

int rk_mongo_account_store(struct rk_mongo *mongo, bool *stored, char refused[256],
	struct rk_slice user, const char *did, const char *password)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "users");
	bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER, inner, list, reply;
	bson_iter_t iter;
	bool ok;
	int r = 0;

	*stored = false;
	refused[0] = '\0';
	bson_append_utf8(&filter, "_id", -1, (const char *)user.data, (int)user.len);
	BSON_APPEND_DOCUMENT_BEGIN(&filter, "atproto.did", &inner);
	BSON_APPEND_ARRAY_BEGIN(&inner, "$in", &list);
	BSON_APPEND_NULL(&list, "0"); /* missing, or null */
	BSON_APPEND_UTF8(&list, "1", "");
	bson_append_array_end(&inner, &list);
	bson_append_document_end(&filter, &inner);
	BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &inner);
	BSON_APPEND_UTF8(&inner, "atproto.did", did);
	BSON_APPEND_UTF8(&inner, "atproto.password", password);
	bson_append_document_end(&update, &inner);
	ok = mongoc_collection_update_one(
		collection, &filter, &update, NULL, &reply, &mongo->error);
	if (ok)
		*stored = bson_iter_init_find(&iter, &reply, "matchedCount") &&
			bson_iter_as_int64(&iter) == 1;
	else if (bson_iter_init_find(&iter, &reply, "writeErrors"))
		snprintf(refused, 256, "%.250s", mongo->error.message);
	else
		r = -EIO;
	if (ok && !*stored)
		r = stored_before(mongo, stored, user, did, password);
	bson_destroy(&reply);
	bson_destroy(&update);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}
