/* See erase.h. */
#include "mongo/erase.h"

#include <errno.h>

#include "mongo/inside.h"

/* What rk_document_owner takes for the user's: a list that names the user is equal, too, to a server. */
static void filter_make(bson_t *out, struct rk_slice user)
{
	bson_t is, not ;

	bson_init(out);
	BSON_APPEND_DOCUMENT_BEGIN(out, "user", &is);
	bson_append_utf8(&is, "$eq", -1, (const char *)user.data, (int)user.len);
	BSON_APPEND_DOCUMENT_BEGIN(&is, "$not", &not );
	BSON_APPEND_UTF8(&not, "$type", "array");
	bson_append_document_end(&is, &not );
	bson_append_document_end(out, &is);
}

int rk_mongo_count_of(struct rk_mongo *mongo, uint64_t *out, const struct rk_collection *row,
	struct rk_slice user)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	int64_t count;
	bson_t filter;

	filter_make(&filter, user);
	count = mongoc_collection_count_documents(
		collection, &filter, NULL, NULL, NULL, &mongo->error);
	*out = count < 0 ? 0 : (uint64_t)count;
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return count < 0 ? -EIO : 0;
}

int rk_mongo_remove_of(struct rk_mongo *mongo, uint64_t *removed, const struct rk_collection *row,
	struct rk_slice user)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter, reply;
	bson_iter_t iter;
	bool ok;

	filter_make(&filter, user);
	ok = mongoc_collection_delete_many(collection, &filter, NULL, &reply, &mongo->error);
	*removed = ok && bson_iter_init_find(&iter, &reply, "deletedCount")
		? (uint64_t)bson_iter_as_int64(&iter)
		: 0;
	bson_destroy(&reply);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return ok ? 0 : -EIO;
}
