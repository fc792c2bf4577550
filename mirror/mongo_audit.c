/* See mongo_audit.h. */
#include "mirror/mongo_audit.h"

#include <errno.h>

#include "mirror/mongo_inside.h"

int rk_mongo_each(struct rk_mongo *mongo, const struct rk_collection *row,
	rk_mongo_visit_document *visit, void *context)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter = BSON_INITIALIZER, fields;
	struct rk_arena arena = {0}; /* of one document */
	struct rk_buf text = {0};
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	rk_document_projection(&fields, row);
	cursor = rk_mongo_find(collection, &filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		struct rk_document document;
		bool failed = false;
		struct rk_slice id = {0};

		rk_arena_reset(&arena);
		if (!rk_document_read(&document, &arena, one, row, &failed) && !failed) {
			rk_buf_clear(&text);
			rk_document_id_text(&text, one);
			failed = rk_buf_failed(&text);
			id = rk_buf_slice(&text);
		}
		r = failed ? -ENOMEM : visit(context, &document, id);
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	rk_buf_finish(&text);
	rk_arena_finish(&arena);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}
