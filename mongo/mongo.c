/* The client, its timeouts, reading users and documents. Bulk writes are in bulk.c. */
#include "mongo/inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

enum {
	SELECT_MS = 2000, /* to find the server */
	CONNECT_MS = 2000,
	ANSWER_MS = 10000, /* to hear of one command */
};

/* The driver's own lines may name hosts and options; they are for developers. */
static void driver_log(
	mongoc_log_level_t level, const char *domain, const char *message, void *unused)
{
	if (level <= MONGOC_LOG_LEVEL_WARNING)
		rk_log(RK_LOG_DEBUG, "mongo", "driver", RK_LOG_STR("domain", domain),
			RK_LOG_STR("text", message));
}

/*
 * Debian's driver starts itself when it is loaded, before main, and already logs then, raw on standard
 * error. So the handler is set even before that.
 */
static void driver_prepare(void)
{
	mongoc_log_set_handler(driver_log, NULL);
}
__attribute__((section(".preinit_array"), used)) static void (*const driver_preparing)(
	void) = driver_prepare;

/* Its counters in shared memory nobody reads, and a process that is killed would leave their name
 * behind. */
__attribute__((constructor)) static void driver_tidy(void)
{
	char name[32];

	snprintf(name, sizeof(name), "/mongoc-%u", (unsigned)getpid());
	shm_unlink(name);
}

static void default_option(mongoc_uri_t *uri, const char *name, int32_t value)
{
	if (!mongoc_uri_has_option(uri, name))
		mongoc_uri_set_option_as_int32(uri, name, value);
}

int rk_mongo_create(struct rk_mongo **out, const char *text, const char *database, char error[256])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rk_mongo *mongo = calloc(1, sizeof(*mongo));
	mongoc_write_concern_t *majority = NULL;
	mongoc_read_prefs_t *primary = NULL;
	mongoc_uri_t *uri;
	int r = -ENOMEM;

	if (!mongo)
		return -ENOMEM;
	pthread_once(&once, mongoc_init);
	uri = mongoc_uri_new_with_error(text, &mongo->error);
	if (!uri) {
		/* The driver's text may quote the URI, which holds a password. */
		snprintf(error, 256, "not a MongoDB connection string");
		r = -EINVAL;
		goto fail;
	}
	default_option(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECT_MS);
	default_option(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
	default_option(uri, MONGOC_URI_SOCKETTIMEOUTMS, ANSWER_MS);
	mongo->client = mongoc_client_new_from_uri_with_error(uri, &mongo->error);
	if (!mongo->client) {
		snprintf(error, 256, "the driver refuses the connection string");
		r = -EINVAL;
		goto fail;
	}
	mongo->database = strdup(database);
	majority = mongoc_write_concern_new();
	primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	if (!mongo->database || !majority || !primary)
		goto fail;
	mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_write_concern_set_wtimeout_int64(majority, ANSWER_MS / 2);
	mongoc_client_set_write_concern(mongo->client, majority);
	mongoc_client_set_read_prefs(mongo->client, primary);
	mongoc_client_set_error_api(mongo->client, MONGOC_ERROR_API_VERSION_2);
	mongoc_client_set_appname(mongo->client, "refkey");
	*out = mongo;
	mongo = NULL;
	r = 0;
fail:
	mongoc_read_prefs_destroy(primary);
	mongoc_write_concern_destroy(majority);
	if (uri)
		mongoc_uri_destroy(uri);
	rk_mongo_destroy(mongo);
	return r;
}

void rk_mongo_destroy(struct rk_mongo *mongo)
{
	if (!mongo)
		return;
	if (mongo->client)
		mongoc_client_destroy(mongo->client);
	free(mongo->database);
	free(mongo);
}

int rk_mongo_ping(struct rk_mongo *mongo)
{
	bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
	bool ok = mongoc_client_command_simple(
		mongo->client, mongo->database, ping, NULL, NULL, &mongo->error);

	bson_destroy(ping);
	return ok ? 0 : -EIO;
}

const char *rk_mongo_error(const struct rk_mongo *mongo)
{
	return mongo->error.message;
}

int rk_mongo_result(const struct rk_mongo *mongo, int r, char error[RK_MONGO_ERROR])
{
	if (r != -EIO)
		return r;
	snprintf(error, RK_MONGO_ERROR, "MongoDB: %.200s", rk_mongo_error(mongo));
	return -EHOSTUNREACH;
}

mongoc_collection_t *rk_mongo_collection(struct rk_mongo *mongo, const char *name)
{
	return mongoc_client_get_collection(mongo->client, mongo->database, name);
}

mongoc_cursor_t *rk_mongo_find(
	mongoc_collection_t *collection, const bson_t *filter, bson_t *fields)
{
	bson_t options = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;

	BSON_APPEND_DOCUMENT(&options, "projection", fields);
	BSON_APPEND_INT32(&options, "batchSize", RK_MONGO_READ_BATCH);
	cursor = mongoc_collection_find_with_opts(collection, filter, &options, NULL);
	bson_destroy(&options);
	bson_destroy(fields);
	return cursor;
}

static struct rk_slice text_at(const bson_t *bson, const char *path)
{
	bson_iter_t iter, inner;
	uint32_t len;
	const char *text;

	if (!bson_iter_init(&iter, bson) || !bson_iter_find_descendant(&iter, path, &inner) ||
		!BSON_ITER_HOLDS_UTF8(&inner))
		return (struct rk_slice){0};
	text = bson_iter_utf8(&inner, &len);
	return rk_slice_make(text, len);
}

/* Those the filter matches; all: also without a DID. */
static int users_read(
	struct rk_mongo *mongo, struct rk_users *users, const bson_t *filter, bool all)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "users");
	bson_t fields = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	BSON_APPEND_INT32(&fields, "atproto.did", 1); /* and never the password beside it */
	cursor = rk_mongo_find(collection, filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		const struct rk_user user = {
			.id = text_at(one, "_id"),
			.did = text_at(one, "atproto.did"),
		};

		if (user.id.len > 0 && (all || user.did.len > 0))
			r = rk_users_add(users, &user);
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	return r ? r : rk_users_seal(users);
}

static int handles_read(struct rk_mongo *mongo, struct rk_users *users)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "@handles");
	bson_t filter = BSON_INITIALIZER, fields = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r = 0;

	BSON_APPEND_INT32(&fields, "handle", 1);
	cursor = rk_mongo_find(collection, &filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one)) {
		struct rk_slice handle = text_at(one, "handle");
		struct rk_user *user = rk_users_by_id(users, text_at(one, "_id"));
		char *copy;

		if (!user || handle.len == 0)
			continue;
		if (handle.data[0] == '@')
			handle = rk_slice_sub(handle, 1, handle.len - 1);
		copy = rk_arena_copy(&users->arena, handle);
		if (copy)
			user->handle = rk_slice_make(copy, handle.len);
		else
			r = -ENOMEM;
	}
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}

int rk_mongo_users(struct rk_mongo *mongo, struct rk_users *users, bool handles)
{
	struct rk_users fresh = {0};
	bson_t filter = BSON_INITIALIZER, exists;
	int r;

	if (!handles) {
		BSON_APPEND_DOCUMENT_BEGIN(&filter, "atproto.did", &exists);
		BSON_APPEND_BOOL(&exists, "$exists", true);
		bson_append_document_end(&filter, &exists);
	}
	r = users_read(mongo, &fresh, &filter, handles);
	bson_destroy(&filter);
	if (r == 0 && handles)
		r = handles_read(mongo, &fresh);
	if (r) {
		rk_users_finish(&fresh);
		return r;
	}
	fresh.loaded_ms = rk_clock_mono_ms();
	rk_users_finish(users);
	*users = fresh;
	return 0;
}

int rk_mongo_users_by_id(
	struct rk_mongo *mongo, struct rk_users *out, const struct rk_slice *ids, size_t count)
{
	bson_t filter = BSON_INITIALIZER, in, list;
	int r;

	BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &in);
	BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
	for (size_t i = 0; i < count; i++) {
		char at[24];
		const char *key;
		size_t len = bson_uint32_to_string((uint32_t)i, &key, at, sizeof(at));

		bson_append_utf8(&list, key, (int)len, (const char *)ids[i].data, (int)ids[i].len);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(&filter, &in);
	r = users_read(mongo, out, &filter, true);
	bson_destroy(&filter);
	return r;
}

void rk_documents_finish(struct rk_documents *documents)
{
	if (!documents)
		return;
	free(documents->list);
	*documents = (struct rk_documents){0};
}

const struct rk_document *rk_documents_find(
	const struct rk_documents *documents, const struct rk_oid *id)
{
	for (size_t i = 0; i < documents->count; i++) {
		if (memcmp(&documents->list[i].id, id, sizeof(*id)) == 0)
			return &documents->list[i];
	}
	return NULL;
}

static int documents_add(struct rk_documents *out, struct rk_arena *arena, const bson_t *bson,
	const struct rk_collection *collection)
{
	bool failed = false;

	if (rk_list_grow(&out->list, &out->room, out->count, sizeof(*out->list)) != 0)
		return -ENOMEM;
	if (rk_document_read(&out->list[out->count], arena, bson, collection, &failed))
		out->count++;
	return failed ? -ENOMEM : 0;
}

static int documents_find(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *row, const bson_t *filter)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, row->documents);
	mongoc_cursor_t *cursor;
	const bson_t *one;
	bson_t fields;
	int r = 0;

	rk_document_projection(&fields, row);
	cursor = rk_mongo_find(collection, filter, &fields);
	while (r == 0 && mongoc_cursor_next(cursor, &one))
		r = documents_add(out, arena, one, row);
	if (r == 0 && mongoc_cursor_error(cursor, &mongo->error))
		r = -EIO;
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	return r;
}

void rk_mongo_filter_ids(bson_t *filter, const struct rk_oid *ids, size_t count)
{
	bson_t in, list;

	BSON_APPEND_DOCUMENT_BEGIN(filter, "_id", &in);
	BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
	for (size_t i = 0; i < count; i++) {
		char name[16];
		const char *key;
		bson_oid_t oid;

		memcpy(oid.bytes, ids[i].bytes, sizeof(oid.bytes));
		bson_uint32_to_string((uint32_t)i, &key, name, sizeof(name));
		BSON_APPEND_OID(&list, key, &oid);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(filter, &in);
}

int rk_mongo_by_id(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_oid *ids, size_t count)
{
	int r = 0;

	for (size_t from = 0; r == 0 && from < count; from += RK_MONGO_READ_BATCH) {
		size_t to = from + RK_MONGO_READ_BATCH < count ? from + RK_MONGO_READ_BATCH : count;
		bson_t filter = BSON_INITIALIZER;

		rk_mongo_filter_ids(&filter, ids + from, to - from);
		r = documents_find(mongo, out, arena, collection, &filter);
		bson_destroy(&filter);
	}
	return r;
}

static int by_text(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const char *field, const struct rk_slice *texts,
	size_t count)
{
	int r = 0;

	for (size_t from = 0; r == 0 && from < count; from += RK_MONGO_READ_BATCH) {
		size_t to = from + RK_MONGO_READ_BATCH < count ? from + RK_MONGO_READ_BATCH : count;
		bson_t filter = BSON_INITIALIZER, in, list;

		BSON_APPEND_DOCUMENT_BEGIN(&filter, field, &in);
		BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
		for (size_t i = from; i < to; i++) {
			char name[16];
			const char *key;

			bson_uint32_to_string((uint32_t)(i - from), &key, name, sizeof(name));
			bson_append_utf8(
				&list, key, -1, (const char *)texts[i].data, (int)texts[i].len);
		}
		bson_append_array_end(&in, &list);
		bson_append_document_end(&filter, &in);
		r = documents_find(mongo, out, arena, collection, &filter);
		bson_destroy(&filter);
	}
	return r;
}

int rk_mongo_by_rkey(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_slice *rkeys, size_t count)
{
	return by_text(mongo, out, arena, collection, "atproto.rkey", rkeys, count);
}

int rk_mongo_by_code(struct rk_mongo *mongo, struct rk_documents *out, struct rk_arena *arena,
	const struct rk_collection *collection, const struct rk_slice *codes, size_t count)
{
	const char *field = rk_collection_document(collection, RK_ROLE_CODE);

	return by_text(mongo, out, arena, collection, field, codes, count);
}

struct rk_mongo_scan {
	struct rk_mongo *mongo;
	const struct rk_collection *row;
	mongoc_collection_t *collection;
	mongoc_cursor_t *cursor;
};

int rk_mongo_scan_begin(
	struct rk_mongo *mongo, struct rk_mongo_scan **out, const struct rk_collection *row)
{
	struct rk_mongo_scan *scan = calloc(1, sizeof(*scan));
	bson_t filter = BSON_INITIALIZER, fields;

	if (!scan)
		return -ENOMEM;
	scan->mongo = mongo;
	scan->row = row;
	scan->collection = rk_mongo_collection(mongo, row->documents);
	rk_document_projection(&fields, row);
	scan->cursor = rk_mongo_find(scan->collection, &filter, &fields);
	bson_destroy(&filter);
	*out = scan;
	return 0;
}

int rk_mongo_scan_next(
	struct rk_mongo_scan *scan, struct rk_documents *out, struct rk_arena *arena, bool *more)
{
	const bson_t *one;
	int r = 0;

	*more = true;
	for (int i = 0; r == 0 && i < RK_MONGO_READ_BATCH; i++) {
		if (!mongoc_cursor_next(scan->cursor, &one)) {
			*more = false;
			if (mongoc_cursor_error(scan->cursor, &scan->mongo->error))
				r = -EIO;
			break;
		}
		r = documents_add(out, arena, one, scan->row);
	}
	return r;
}

void rk_mongo_scan_end(struct rk_mongo_scan *scan)
{
	if (!scan)
		return;
	mongoc_cursor_destroy(scan->cursor);
	mongoc_collection_destroy(scan->collection);
	free(scan);
}
