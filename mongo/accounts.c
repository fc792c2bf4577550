/* See account/accounts.h. */
#include "mongo/accounts.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "mongo/inside.h"
#include "mongo/publish.h"

/* The user, if there is room for an account: whole: no `atproto`, or null; else one that is an object, and has no DID.
 * Elsewhere than in an object nothing is put: the server would say back what is there. */
static void room_in(bson_t *filter, struct rk_slice user, bool whole)
{
	bson_t inner, list;

	bson_append_utf8(filter, "_id", -1, (const char *)user.data, (int)user.len);
	if (whole) {
		BSON_APPEND_NULL(filter, "atproto"); /* missing, or null */
		return;
	}
	BSON_APPEND_DOCUMENT_BEGIN(filter, "atproto", &inner);
	BSON_APPEND_UTF8(&inner, "$type", "object");
	bson_append_document_end(filter, &inner);
	BSON_APPEND_DOCUMENT_BEGIN(filter, "atproto.did", &inner);
	BSON_APPEND_ARRAY_BEGIN(&inner, "$in", &list);
	BSON_APPEND_NULL(&list, "0");
	BSON_APPEND_UTF8(&list, "1", "");
	bson_append_array_end(&inner, &list);
	bson_append_document_end(filter, &inner);
}

/* One statement. */
static int store_into(struct rk_mongo *mongo, bool *stored, char refused[256],
	const struct rk_mongo_account *account, bool whole)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "users");
	bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER, inner, list, reply;
	bson_iter_t iter;
	bool ok;
	int r = 0;

	room_in(&filter, account->user, whole);
	BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &inner);
	if (whole) {
		BSON_APPEND_DOCUMENT_BEGIN(&inner, "atproto", &list);
		BSON_APPEND_UTF8(&list, "did", account->did);
		BSON_APPEND_UTF8(&list, "password", account->password);
		bson_append_document_end(&inner, &list);
	} else {
		BSON_APPEND_UTF8(&inner, "atproto.did", account->did);
		BSON_APPEND_UTF8(&inner, "atproto.password", account->password);
	}
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
	bson_destroy(&reply);
	bson_destroy(&update);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}

/* Nothing matched: by a statement whose answer was lost, or by another run, the account may be there. */
static int look(struct rk_mongo *mongo, bool *stored, char refused[256],
	const struct rk_mongo_account *account)
{
	struct rk_buf did = {0};
	int r = rk_mongo_user_text(mongo, &did, account->user, "atproto.did");

	*stored = r == 0 && rk_slice_equal_str(rk_buf_slice(&did), account->did);
	if (r == 0 && !*stored && did.len)
		snprintf(refused, 256, "the user has another by now, %.200s", rk_buf_cstr(&did));
	else if (r == 0 && !*stored)
		snprintf(refused, 256, "the user is gone, or its atproto is no object");
	rk_buf_finish(&did);
	return r;
}

int rk_mongo_account_store(
	struct rk_mongo *mongo, char refused[256], const struct rk_mongo_account *account)
{
	bool stored = false;
	int r;

	refused[0] = '\0';
	r = store_into(mongo, &stored, refused, account, true);
	if (r == 0 && !stored && !refused[0])
		r = store_into(mongo, &stored, refused, account, false);
	if (r == 0 && !stored && !refused[0])
		r = look(mongo, &stored, refused, account);
	return r;
}

static int has_room_in(struct rk_mongo *mongo, bool *room, struct rk_slice user, bool whole)
{
	mongoc_collection_t *collection = rk_mongo_collection(mongo, "users");
	bson_t filter = BSON_INITIALIZER, fields = BSON_INITIALIZER;
	mongoc_cursor_t *cursor;
	const bson_t *one;
	int r;

	room_in(&filter, user, whole);
	BSON_APPEND_INT32(&fields, "_id", 1);
	cursor = rk_mongo_find(collection, &filter, &fields);
	*room = mongoc_cursor_next(cursor, &one);
	r = !*room && mongoc_cursor_error(cursor, &mongo->error) ? -EIO : 0;
	mongoc_cursor_destroy(cursor);
	bson_destroy(&filter);
	mongoc_collection_destroy(collection);
	return r;
}

int rk_mongo_account_has_room(struct rk_mongo *mongo, bool *room, struct rk_slice user)
{
	int r = has_room_in(mongo, room, user, true);

	return r == 0 && !*room ? has_room_in(mongo, room, user, false) : r;
}
