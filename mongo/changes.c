/* See changes.h. */
#include "mongo/changes.h"

#include <errno.h>
#include <stdlib.h>

#include "mongo/inside.h"

enum {
	WAIT_MS = 200,
	READ_MOST = 10000, /* changes in one go: a collection that never rests has changed, too */
};

struct rk_mongo_changes {
	struct rk_mongo *mongo;
	mongoc_collection_t *collection;
	mongoc_change_stream_t *stream;
};

static int failed(struct rk_mongo_changes *changes)
{
	const bson_t *reply;

	return mongoc_change_stream_error_document(changes->stream, &changes->mongo->error, &reply)
		? -EIO
		: 0;
}

int rk_mongo_changes_begin(struct rk_mongo *mongo, struct rk_mongo_changes **out,
	const struct rk_collection *collection)
{
	struct rk_mongo_changes *changes = calloc(1, sizeof(*changes));
	bson_t options = BSON_INITIALIZER;
	bson_t *pipeline;
	int r;

	*out = NULL;
	if (!changes)
		return -ENOMEM;
	changes->mongo = mongo;
	changes->collection = rk_mongo_collection(mongo, collection->documents);
	BSON_APPEND_INT64(&options, "maxAwaitTimeMS", WAIT_MS);
	/* No documents: their _ids, by which the driver goes on after a failure. */
	pipeline = BCON_NEW(
		"pipeline", "[", "{", "$project", "{", "_id", BCON_INT32(1), "}", "}", "]");
	changes->stream = mongoc_collection_watch(changes->collection, pipeline, &options);
	bson_destroy(pipeline);
	bson_destroy(&options);
	r = failed(changes);
	if (r)
		rk_mongo_changes_end(changes);
	else
		*out = changes;
	return r;
}

int rk_mongo_changes_wait(struct rk_mongo_changes *changes, bool *changed)
{
	const bson_t *one;

	*changed = false;
	for (int i = 0; i < READ_MOST && mongoc_change_stream_next(changes->stream, &one); i++)
		*changed = true;
	return failed(changes);
}

void rk_mongo_changes_end(struct rk_mongo_changes *changes)
{
	if (!changes)
		return;
	mongoc_change_stream_destroy(changes->stream);
	mongoc_collection_destroy(changes->collection);
	free(changes);
}
