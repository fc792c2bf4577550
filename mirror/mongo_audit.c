/* See mongo_audit.h. */
#include "mirror/mongo_audit.h"

#include <errno.h>

#include "mirror/mongo_inside.h"

int rk_mongo_each(struct rk_mongo *mongo, const struct rk_collection *row, struct rk_arena *arena,
	rk_mongo_visit_document *visit, void *context)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter = BSON_INITIALIZER, fields;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	rk_document_projection(&fields, row);
	cursor = rk_mongo_find(collection, &filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		struct rk_document document;
		bool failed = false;
		bool foreign = !rk_document_read(&document, arena, one, row, &failed);

		r = failed ? -ENOMEM : visit(context, &document, foreign);
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}
