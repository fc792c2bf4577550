/*
 * Bulk writes, and what the server's answer says of each statement. Only a whole answer counts: with a
 * broken connection, or an unconfirmed write, nothing is taken as done.
 */
#include "mongo/inside.h"

#include <errno.h>

#include "base/metrics.h"

enum { CODE_TAKEN = 11000, CODE_TAKEN_ON_UPDATE = 11001, TEXT_MOST = 300 };

/* Of the server, not of the statement: it would be taken at another time. */
static const int busy_codes[] = {
	6, 7, 24, 50, 64, 89, 91, 112, 189, 202, 262, 9001, 10107, 11600, 11602, 13435, 13436};

static enum rk_statement judge(int code)
{
	if (code == CODE_TAKEN || code == CODE_TAKEN_ON_UPDATE)
		return RK_STATEMENT_TAKEN;
	for (size_t i = 0; i < sizeof(busy_codes) / sizeof(busy_codes[0]); i++) {
		if (code == busy_codes[i])
			return RK_STATEMENT_BUSY;
	}
	return RK_STATEMENT_REFUSED;
}

bool rk_mongo_is_away(const struct rk_mongo *mongo)
{
	enum { UNAUTHORIZED = 13, AUTHENTICATION_FAILED = 18 };
	int code = (int)mongo->error.code;

	switch (mongo->error.domain) {
	case MONGOC_ERROR_SERVER_SELECTION:
	case MONGOC_ERROR_WRITE_CONCERN:
		return true;
	case MONGOC_ERROR_SERVER:
		return code == UNAUTHORIZED || code == AUTHENTICATION_FAILED ||
			judge(code) == RK_STATEMENT_BUSY;
	default:
		return false;
	}
}

static int64_t number_at(const bson_t *bson, const char *name)
{
	bson_iter_t iter;

	return bson_iter_init_find(&iter, bson, name) ? bson_iter_as_int64(&iter) : -1;
}

/* One of writeErrors: {index, code, errmsg}. */
static bool error_read(struct rk_statement_result *results, size_t count, struct rk_arena *arena,
	const bson_t *error)
{
	int64_t index = number_at(error, "index");
	bson_iter_t iter;

	if (index < 0 || (uint64_t)index >= count)
		return false;
	results[index].result = judge((int)number_at(error, "code"));
	if (bson_iter_init_find(&iter, error, "errmsg") && BSON_ITER_HOLDS_UTF8(&iter)) {
		uint32_t len;
		const char *text = bson_iter_utf8(&iter, &len);
		char *copy = rk_arena_copy(
			arena, rk_slice_make(text, len < TEXT_MOST ? len : TEXT_MOST));

		if (!copy)
			return false;
		results[index].text = rk_slice_str(copy);
	}
	return true;
}

static bool is_empty_array(const bson_t *reply, const char *name)
{
	bson_iter_t iter, inner;

	return !bson_iter_init_find(&iter, reply, name) || !BSON_ITER_HOLDS_ARRAY(&iter) ||
		!bson_iter_recurse(&iter, &inner) || !bson_iter_next(&inner);
}

/* 0 if the answer covers every statement. */
static int reply_read(struct rk_mongo *mongo, struct rk_statement_result *results, size_t count,
	struct rk_arena *arena, const bson_t *reply, bool executed)
{
	bson_iter_t iter, each;

	if (executed)
		return 0;
	/* Statements were refused, and nothing else went wrong. */
	if (mongo->error.domain == MONGOC_ERROR_STREAM ||
		mongo->error.domain == MONGOC_ERROR_SERVER_SELECTION ||
		mongo->error.domain == MONGOC_ERROR_CLIENT ||
		is_empty_array(reply, "writeErrors") ||
		!is_empty_array(reply, "writeConcernErrors"))
		return -EIO;
	if (!bson_iter_init_find(&iter, reply, "writeErrors") || !bson_iter_recurse(&iter, &each))
		return -EIO;
	while (bson_iter_next(&each)) {
		const uint8_t *data;
		uint32_t len;
		bson_t error;

		if (!BSON_ITER_HOLDS_DOCUMENT(&each))
			return -EIO;
		bson_iter_document(&each, &len, &data);
		if (!bson_init_static(&error, data, len) ||
			!error_read(results, count, arena, &error))
			return -EIO;
	}
	return 0;
}

static mongoc_bulk_operation_t *bulk_new(mongoc_collection_t *collection)
{
	bson_t options = BSON_INITIALIZER;
	mongoc_bulk_operation_t *bulk;

	BSON_APPEND_BOOL(&options, "ordered", false);
	bulk = mongoc_collection_create_bulk_operation_with_opts(collection, &options);
	bson_destroy(&options);
	return bulk;
}

/* A statement that the driver itself will not send. */
static int refuse(
	struct rk_mongo *mongo, struct rk_statement_result *result, struct rk_arena *arena)
{
	char *copy = rk_arena_copy(arena, rk_slice_str(mongo->error.message));

	result->result = RK_STATEMENT_REFUSED;
	result->text = rk_slice_str(copy);
	return copy ? 0 : -ENOMEM;
}

/* Statements refused by the driver are not in the bulk: results are those of the ones that are. */
static int execute(struct rk_mongo *mongo, mongoc_bulk_operation_t *bulk, size_t *matched,
	struct rk_statement_result *results, size_t count, size_t sent, struct rk_arena *arena)
{
	struct rk_statement_result *answers;
	bson_t reply;
	bool ok;
	int r;

	*matched = 0;
	if (sent == 0)
		return 0;
	answers = rk_arena_calloc(arena, sent, sizeof(*answers));
	if (!answers)
		return -ENOMEM;
	ok = mongoc_bulk_operation_execute(bulk, &reply, &mongo->error) != 0;
	r = reply_read(mongo, answers, sent, arena, &reply, ok);
	if (r == 0) {
		int64_t n = number_at(&reply, "nMatched");

		*matched = n > 0 ? (size_t)n : 0;
	} else {
		rk_metric_add(RK_METRIC_MONGO_FAILURES, 1);
	}
	for (size_t i = 0, at = 0; r == 0 && i < count; i++) {
		if (results[i].result == RK_STATEMENT_DONE)
			results[i] = answers[at++];
	}
	bson_destroy(&reply);
	return r;
}

int rk_mongo_insert(struct rk_mongo *mongo, struct rk_statement_result *results,
	struct rk_arena *arena, const struct rk_collection *row, const bson_t *documents,
	size_t count)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	mongoc_bulk_operation_t *bulk = bulk_new(collection);
	size_t sent = 0, matched;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		results[i] = (struct rk_statement_result){0};
		if (mongoc_bulk_operation_insert_with_opts(
			    bulk, &documents[i], NULL, &mongo->error))
			sent++;
		else
			r = refuse(mongo, &results[i], arena);
	}
	if (r == 0)
		r = execute(mongo, bulk, &matched, results, count, sent, arena);
	mongoc_bulk_operation_destroy(bulk);
	mongoc_collection_destroy(collection);
	return r;
}

/* One command; see rk_mongo_update. */
static int update(struct rk_mongo *mongo, struct rk_statement_result *results, size_t *matched,
	struct rk_arena *arena, const struct rk_collection *row, const bson_t *filters,
	const bson_t *updates, size_t count)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	mongoc_bulk_operation_t *bulk = bulk_new(collection);
	size_t sent = 0;
	int r = 0;

	*matched = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		results[i] = (struct rk_statement_result){0};
		if (mongoc_bulk_operation_update_one_with_opts(
			    bulk, &filters[i], &updates[i], NULL, &mongo->error))
			sent++;
		else
			r = refuse(mongo, &results[i], arena);
	}
	if (r == 0)
		r = execute(mongo, bulk, matched, results, count, sent, arena);
	mongoc_bulk_operation_destroy(bulk);
	mongoc_collection_destroy(collection);
	return r;
}

/*
 * A server may end an unordered bulk at the first statement that it refuses, say another's number and
 * nothing of what it has done by then. Where its figures do not cover all statements, the others may
 * not have been tried: those that were do not match again.
 */
static bool is_in_doubt(const struct rk_statement_result *results, size_t count, size_t matched)
{
	size_t refused = 0;

	for (size_t i = 0; i < count; i++)
		refused += results[i].result == RK_STATEMENT_REFUSED ||
			results[i].result == RK_STATEMENT_TAKEN;
	return count > 1 && refused > 0 && matched + refused < count;
}

int rk_mongo_update(struct rk_mongo *mongo, struct rk_statement_result *results, size_t *matched,
	struct rk_arena *arena, const struct rk_collection *row, const bson_t *filters,
	const bson_t *updates, size_t count)
{
	size_t sum = 0, one;
	int r = update(mongo, results, matched, arena, row, filters, updates, count);

	if (r || !is_in_doubt(results, count, *matched))
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = update(mongo, &results[i], &one, arena, row, &filters[i], &updates[i], 1);
		sum += one;
	}
	*matched = sum;
	return r;
}

static int holder_find(struct rk_mongo *mongo, struct rk_document *out, bool *found,
	struct rk_arena *arena, const struct rk_collection *row, const struct rk_oid *id,
	const bson_t *filter)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t options = BSON_INITIALIZER, fields;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	bool failed = false;

	rk_document_projection(&fields, row);
	BSON_APPEND_DOCUMENT(&options, "projection", &fields);
	BSON_APPEND_INT64(&options, "limit", 2);
	cursor = mongoc_collection_find_with_opts(collection, filter, &options, NULL);
	*found = false;
	while (!*found && mongoc_cursor_next(cursor, &one)) {
		/* One whose _id is no ObjectId is somebody's all the same. */
		bool read = rk_document_read(out, arena, one, row, &failed);
		*found = !read || memcmp(out->id.bytes, id->bytes, sizeof(id->bytes)) != 0;
	}
	if (mongoc_cursor_error(cursor, &mongo->error))
		failed = true;
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	bson_destroy(&fields);
	bson_destroy(&options);
	return failed ? -EIO : 0;
}

int rk_mongo_hash(struct rk_mongo *mongo, uint64_t *out, const struct rk_collection *row,
	const struct rk_oid *id)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	bson_t filter = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	bson_oid_t oid;
	bool failed;

	memcpy(oid.bytes, id->bytes, sizeof(oid.bytes));
	BSON_APPEND_OID(&filter, "_id", &oid);
	cursor = mongoc_collection_find_with_opts(collection, &filter, NULL, NULL);
	*out = 0;
	if (mongoc_cursor_next(cursor, &one)) {
		const uint8_t *bytes = bson_get_data(one);

		*out = UINT64_C(14695981039346656037);
		for (uint32_t i = 0; i < one->len; i++)
			*out = (*out ^ bytes[i]) * UINT64_C(1099511628211);
	}
	failed = mongoc_cursor_error(cursor, &mongo->error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return failed ? -EIO : 0;
}

static void append_text(bson_t *out, const char *name, struct rk_slice text)
{
	bson_append_utf8(out, name, -1, (const char *)text.data, (int)text.len);
}

int rk_mongo_taken(struct rk_mongo *mongo, struct rk_mongo_taken *out, struct rk_arena *arena,
	const struct rk_collection *row, const struct rk_oid *id, struct rk_slice code,
	struct rk_slice slug, struct rk_slice user)
{
	struct rk_document unused;
	int r = 0;

	*out = (struct rk_mongo_taken){0};
	if (code.len > 0) {
		bson_t filter = BSON_INITIALIZER;

		append_text(&filter, "code", code);
		r = holder_find(mongo, &out->code_holder, &out->code, arena, row, id, &filter);
		bson_destroy(&filter);
	}
	if (r == 0 && slug.len > 0) {
		bson_t filter = BSON_INITIALIZER;

		append_text(&filter, "slug", slug);
		if (user.len > 0)
			append_text(&filter, "user", user);
		else
			BSON_APPEND_NULL(&filter, "user");
		r = holder_find(mongo, &unused, &out->slug, arena, row, id, &filter);
		bson_destroy(&filter);
	}
	return r;
}
