/* See audit/audit.h. */
#include "mongo/audit.h"

#include <errno.h>

#include "mongo/inside.h"

/* A document without the field is one where it is null. */
static void filter_whose(bson_t *filter, const struct rk_mongo_whose *whose)
{
	bson_t inner, list;
	uint32_t count = 0;
	char room[16];
	const char *at;

	BSON_APPEND_DOCUMENT_BEGIN(filter, "user", &inner);
	BSON_APPEND_ARRAY_BEGIN(&inner, "$in", &list);
	if (whose->nobodys) {
		bson_uint32_to_string(count++, &at, room, sizeof(room));
		BSON_APPEND_NULL(&list, at);
	}
	for (const struct rk_user *const *user = whose->users; *user; user++) {
		bson_uint32_to_string(count++, &at, room, sizeof(room));
		bson_append_utf8(
			&list, at, -1, (const char *)(*user)->id.data, (int)(*user)->id.len);
	}
	bson_append_array_end(&inner, &list);
	bson_append_document_end(filter, &inner);
}

int rk_mongo_each(struct rk_mongo *mongo, const struct rk_collection *row,
	const struct rk_mongo_whose *whose, rk_mongo_visit_document *visit, void *context)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter = BSON_INITIALIZER, fields;
	struct rk_arena arena = {0}; /* of one document */
	struct rk_buf text = {0};
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	if (whose)
		filter_whose(&filter, whose);
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
