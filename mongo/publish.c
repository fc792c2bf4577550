/* See publish/publish.h. */
#include "mongo/publish.h"

#include <errno.h>

#include "mongo/draft.h"
#include "mongo/inside.h"

static void append_type_array(bson_t *list, const char *at, const char *field)
{
	bson_t one, type;

	BSON_APPEND_DOCUMENT_BEGIN(list, at, &one);
	BSON_APPEND_DOCUMENT_BEGIN(&one, field, &type);
	BSON_APPEND_UTF8(&type, "$type", "array");
	bson_append_document_end(&one, &type);
	bson_append_document_end(list, &one);
}

/* Of arrays any element would count, so they are named. */
static void filter_unpublished(bson_t *filter, const struct rk_collection *row)
{
	bson_t inner, either, one, not ;

	BSON_APPEND_DOCUMENT_BEGIN(filter, row->gone, &inner);
	BSON_APPEND_BOOL(&inner, "$ne", true);
	bson_append_document_end(filter, &inner);
	BSON_APPEND_ARRAY_BEGIN(filter, "$or", &either);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &one);
	BSON_APPEND_DOCUMENT_BEGIN(&one, "atproto.rkey", &inner);
	BSON_APPEND_DOCUMENT_BEGIN(&inner, "$not", &not );
	BSON_APPEND_UTF8(&not, "$gt", "");
	bson_append_document_end(&inner, &not );
	bson_append_document_end(&one, &inner);
	bson_append_document_end(&either, &one);
	append_type_array(&either, "1", "atproto.rkey");
	append_type_array(&either, "2", "atproto");
	bson_append_array_end(filter, &either);
}

/* May match more: what gone is has many forms. */
static void filter_gone(bson_t *filter, const struct rk_collection *row)
{
	bson_t inner, list;

	BSON_APPEND_DOCUMENT_BEGIN(filter, row->gone, &inner);
	BSON_APPEND_ARRAY_BEGIN(&inner, "$nin", &list);
	BSON_APPEND_BOOL(&list, "0", false);
	BSON_APPEND_NULL(&list, "1");
	bson_append_array_end(&inner, &list);
	bson_append_document_end(filter, &inner);
	BSON_APPEND_DOCUMENT_BEGIN(filter, "atproto.rkey", &inner);
	BSON_APPEND_UTF8(&inner, "$type", "string");
	bson_append_document_end(filter, &inner);
}

static int scan(struct rk_mongo *mongo, const struct rk_collection *row, const bson_t *filter,
	rk_mongo_visit_unpublished *visit, void *context)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t fields;
	struct rk_arena arena = {0};
	struct rk_buf id = {0};
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	rk_document_projection(&fields, row);
	cursor = rk_mongo_find(collection, filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		struct rk_document document;
		bool failed = false, read;

		rk_arena_reset(&arena);
		read = rk_document_read(&document, &arena, one, row, &failed);
		if (failed)
			r = -ENOMEM;
		if (failed || document.gone != (rk_document_rkey(&document).len > 0))
			continue;
		rk_buf_clear(&id);
		rk_document_id_text(&id, one);
		r = rk_buf_failed(&id);
		if (r == 0)
			r = visit(context, &document, rk_buf_cstr(&id), !read);
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	rk_buf_finish(&id);
	rk_arena_finish(&arena);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	return r;
}

int rk_mongo_unpublished(struct rk_mongo *mongo, const struct rk_collection *row,
	rk_mongo_visit_unpublished *visit, void *context)
{
	bson_t filter = BSON_INITIALIZER;
	int r;

	filter_unpublished(&filter, row);
	r = scan(mongo, row, &filter, visit, context);
	bson_destroy(&filter);
	return r;
}

int rk_mongo_astray(struct rk_mongo *mongo, const struct rk_collection *row,
	rk_mongo_visit_unpublished *visit, void *context)
{
	bson_t filter = BSON_INITIALIZER, either, one;
	int r;

	BSON_APPEND_ARRAY_BEGIN(&filter, "$or", &either);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &one);
	filter_unpublished(&one, row);
	bson_append_document_end(&either, &one);
	BSON_APPEND_DOCUMENT_BEGIN(&either, "1", &one);
	filter_gone(&one, row);
	bson_append_document_end(&either, &one);
	bson_append_array_end(&filter, &either);
	r = scan(mongo, row, &filter, visit, context);
	bson_destroy(&filter);
	return r;
}

int rk_mongo_bodies(struct rk_mongo *mongo, const struct rk_collection *row, struct rk_arena *arena,
	const struct rk_oid *ids, size_t count, rk_mongo_visit_body *visit, void *context)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter = BSON_INITIALIZER, fields;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	rk_mongo_filter_ids(&filter, ids, count);
	rk_draft_projection(&fields, row);
	cursor = rk_mongo_find(collection, &filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		struct rk_document document;
		bool failed = false;

		if (rk_document_read(&document, arena, one, row, &failed))
			r = visit(context, &document, one);
		else if (failed)
			r = -ENOMEM;
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}

int rk_mongo_user_text(
	struct rk_mongo *mongo, struct rk_buf *out, struct rk_slice user, const char *path)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "users");
	bson_t filter = BSON_INITIALIZER, fields = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;
	bson_iter_t iter, at;
	const bson_t *one;
	int r = 0;

	bson_append_utf8(&filter, "_id", -1, (const char *)user.data, (int)user.len);
	BSON_APPEND_INT32(&fields, path, 1);
	cursor = rk_mongo_find(collection, &filter, &fields);
	if (mongoc_cursor_next(cursor, &one) && bson_iter_init(&iter, one) &&
		bson_iter_find_descendant(&iter, path, &at) && BSON_ITER_HOLDS_UTF8(&at)) {
		uint32_t len;
		const char *text = bson_iter_utf8(&at, &len);

		rk_buf_add(out, text, len);
		r = rk_buf_failed(out);
	} else if (mongoc_cursor_error(cursor, &mongo->error)) {
		r = -EIO;
	}
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}
