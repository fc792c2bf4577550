/* BSON from records and back; see build.h. */
#include "mongo/build.h"

#include <jansson.h>
#include <stdio.h>

#include "base/encode.h"

void rk_document_projection(bson_t *out, const struct rk_collection *collection)
{
	const char *code = rk_collection_document(collection, RK_ROLE_CODE);

	bson_init(out);
	BSON_APPEND_INT32(out, "user", 1);
	BSON_APPEND_INT32(out, rk_collection_document(collection, RK_ROLE_WHEN), 1);
	BSON_APPEND_INT32(out, collection->gone, 1);
	BSON_APPEND_INT32(out, "atproto", 1);
	if (code)
		BSON_APPEND_INT32(out, code, 1);
}

static bool field_read(
	struct rk_document_field *out, struct rk_arena *arena, const bson_iter_t *iter)
{
	const char *text, *copy;
	uint32_t len;

	out->type = bson_iter_type(iter);
	switch (out->type) {
	case BSON_TYPE_NULL:
	case BSON_TYPE_UNDEFINED:
		out->presence = RK_PRESENCE_NULL;
		return true;
	case BSON_TYPE_UTF8:
		out->presence = RK_PRESENCE_STRING;
		text = bson_iter_utf8(iter, &len);
		copy = rk_arena_copy(arena, rk_slice_make(text, len));
		out->text = rk_slice_make(copy, len);
		return copy != NULL;
	default:
		out->presence = RK_PRESENCE_OTHER;
		return true;
	}
}

/* Whatever is not plainly false: never bring back what somebody marked in another way. */
static bool is_marked(const bson_iter_t *iter)
{
	switch (bson_iter_type(iter)) {
	case BSON_TYPE_NULL:
	case BSON_TYPE_UNDEFINED:
		return false;
	case BSON_TYPE_BOOL:
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
	case BSON_TYPE_DOUBLE:
		return bson_iter_as_bool(iter);
	default:
		return true;
	}
}

bool rk_document_read(struct rk_document *out, struct rk_arena *arena, const bson_t *bson,
	const struct rk_collection *collection, bool *failed)
{
	const char *code = rk_collection_document(collection, RK_ROLE_CODE);
	bson_iter_t iter, inner;
	bool ok = true, native = false;

	*out = (struct rk_document){0};
	if (bson_iter_init_find(&iter, bson, "_id") && BSON_ITER_HOLDS_OID(&iter)) {
		memcpy(out->id.bytes, bson_iter_oid(&iter)->bytes, sizeof(out->id.bytes));
		native = true;
	}
	if (bson_iter_init_find(&iter, bson, "user"))
		ok = field_read(&out->user, arena, &iter);
	if (bson_iter_init_find(&iter, bson, rk_collection_document(collection, RK_ROLE_WHEN)) &&
		BSON_ITER_HOLDS_DATE_TIME(&iter))
		out->when_ms = bson_iter_date_time(&iter);
	if (bson_iter_init_find(&iter, bson, collection->gone))
		out->gone = is_marked(&iter);
	out->bare = bson_iter_init_find(&iter, bson, "atproto") && BSON_ITER_HOLDS_NULL(&iter);
	if (ok && bson_iter_init(&iter, bson) &&
		bson_iter_find_descendant(&iter, "atproto.rkey", &inner))
		ok = field_read(&out->rkey, arena, &inner);
	if (ok && bson_iter_init(&iter, bson) &&
		bson_iter_find_descendant(&iter, "atproto.uri", &inner)) {
		struct rk_document_field uri = {0};

		out->has_uri = true;
		ok = field_read(&uri, arena, &inner);
		out->uri = uri.text;
	}
	if (ok && code && bson_iter_init_find(&iter, bson, code)) {
		struct rk_document_field field = {0};

		ok = field_read(&field, arena, &iter);
		out->code = field.text;
	}
	if (!ok)
		*failed = true;
	return ok && native;
}

void rk_document_id_text(struct rk_buf *out, const bson_t *bson)
{
	static const char before[] = "{ \"_id\" : ", behind[] = " }";
	/* An _id may be as large as a document. */
	bson_json_opts_t *options =
		bson_json_opts_new(BSON_JSON_MODE_RELAXED, 4 * RK_DOCUMENT_ID_MOST);
	bson_t alone = BSON_INITIALIZER;
	size_t len = 0, skipped = strlen(before);
	bson_iter_t iter;
	char *json = NULL;

	if (bson_iter_init_find(&iter, bson, "_id") && BSON_ITER_HOLDS_OID(&iter)) {
		rk_hex_encode(out, rk_slice_make(bson_iter_oid(&iter)->bytes, 12));
	} else {
		if (bson_iter_init_find(&iter, bson, "_id") &&
			bson_append_iter(&alone, "_id", -1, &iter))
			json = bson_as_json_with_opts(&alone, &len, options);
		if (!json || len <= skipped) {
			rk_buf_add_str(out, "an _id that cannot be shown");
		} else if (len - skipped <= RK_DOCUMENT_ID_MOST) {
			rk_buf_add(out, json + skipped, len - skipped - strlen(behind));
		} else {
			for (len = RK_DOCUMENT_ID_MOST;
				((uint8_t)json[skipped + len] & 0xc0) == 0x80;)
				len--;
			rk_buf_add(out, json + skipped, len);
			rk_buf_add_str(out, "…");
		}
	}
	bson_free(json);
	bson_destroy(&alone);
	bson_json_opts_destroy(options);
}

struct rk_slice rk_document_owner(const struct rk_document *document, const char *guest_user)
{
	if (document->user.presence == RK_PRESENCE_STRING)
		return document->user.text;
	return document->user.presence == RK_PRESENCE_OTHER ? (struct rk_slice){0}
							    : rk_slice_str(guest_user);
}

struct rk_slice rk_document_rkey(const struct rk_document *document)
{
	return document->rkey.presence == RK_PRESENCE_STRING ? document->rkey.text
							     : (struct rk_slice){0};
}

static bool append_text(bson_t *out, const char *name, struct rk_slice text)
{
	return bson_append_utf8(
		out, name, -1, text.len ? (const char *)text.data : "", (int)text.len);
}

static void append_oid(bson_t *out, const char *name, const struct rk_oid *id)
{
	bson_oid_t oid;

	memcpy(oid.bytes, id->bytes, sizeof(oid.bytes));
	BSON_APPEND_OID(out, name, &oid);
}

/* The fields of the document that the record owns, in the table's order. */
static const char *append_fields(bson_t *out, const struct rk_build *build)
{
	const char *wrong = NULL;
	json_error_t error;
	/* Numbers do not matter here, and those that only CBOR can hold must not hurt. */
	json_t *json = json_loadb((const char *)build->json.data, build->json.len,
		JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);

	if (!json)
		return "the record's JSON cannot be read";
	for (const struct rk_field *field = build->collection->fields;
		!wrong && field < build->collection->fields + RK_FIELDS_MOST && field->name;
		field++) {
		const json_t *value;
		struct rk_slice text;
		int64_t when_ms;

		if (!field->document)
			continue;
		value = json_object_get(json, field->name);
		if (!value && field->older)
			value = json_object_get(json, field->older);
		if (!value && !field->required)
			continue;
		if (!json_is_string(value)) {
			wrong = "a field of the record is missing or no string";
			break;
		}
		text = rk_slice_make(json_string_value(value), json_string_length(value));
		if (field->kind == RK_FIELD_DATETIME) {
			if (!rk_datetime_parse(&when_ms, text))
				wrong = "a date of the record cannot be read";
			else
				BSON_APPEND_DATE_TIME(out, field->document, when_ms);
		} else if (!append_text(out, field->document, text)) {
			wrong = "a field of the record does not fit a document";
		}
	}
	json_decref(json);
	return wrong;
}

/* All of atproto: the key. */
static void append_key(bson_t *out, const struct rk_build *build)
{
	bson_t atproto;

	BSON_APPEND_DOCUMENT_BEGIN(out, "atproto", &atproto);
	append_text(&atproto, "rkey", build->rkey);
	bson_append_document_end(out, &atproto);
}

const char *rk_build_insert(bson_t *out, const struct rk_build *build)
{
	const struct rk_collection *collection = build->collection;
	const char *wrong;

	bson_init(out);
	append_oid(out, "_id", &build->id);
	if (build->user.len > 0)
		append_text(out, "user", build->user);
	wrong = append_fields(out, build);
	if (wrong)
		return wrong;
	if (collection->bucket)
		BSON_APPEND_UTF8(out, "bucket",
			build->user.len > 0 || !collection->bucket_guest
				? collection->bucket
				: collection->bucket_guest);
	append_key(out, build);
	return NULL;
}

/* field: as it was read. */
static void append_as_read(bson_t *out, const char *name, const struct rk_document_field *field)
{
	bson_t inner;

	switch (field->presence) {
	case RK_PRESENCE_MISSING:
		BSON_APPEND_DOCUMENT_BEGIN(out, name, &inner);
		BSON_APPEND_BOOL(&inner, "$exists", false);
		bson_append_document_end(out, &inner);
		break;
	case RK_PRESENCE_NULL:
		BSON_APPEND_NULL(out, name);
		break;
	case RK_PRESENCE_STRING:
		append_text(out, name, field->text);
		break;
	case RK_PRESENCE_OTHER:
		BSON_APPEND_DOCUMENT_BEGIN(out, name, &inner);
		BSON_APPEND_INT32(&inner, "$type", (int32_t)field->type);
		bson_append_document_end(out, &inner);
		break;
	}
}

void rk_build_filter(
	bson_t *out, const struct rk_document *document, const struct rk_collection *collection)
{
	bson_t inner;

	bson_init(out);
	append_oid(out, "_id", &document->id);
	append_as_read(out, "user", &document->user);
	if (document->bare)
		BSON_APPEND_NULL(out, "atproto");
	else
		append_as_read(out, "atproto.rkey", &document->rkey);
	BSON_APPEND_DOCUMENT_BEGIN(out, collection->gone, &inner);
	BSON_APPEND_BOOL(&inner, "$ne", true);
	bson_append_document_end(out, &inner);
}

static bool uri_is_of(const struct rk_document *document, const struct rk_build *build)
{
	char uri[RK_AT_URI_MOST];
	int len = snprintf(uri, sizeof(uri), "at://%.*s/%s/%.*s", RK_SLICE_ARG(build->did),
		build->collection->nsid, RK_SLICE_ARG(build->rkey));

	return len > 0 && (size_t)len < sizeof(uri) &&
		rk_slice_equal(document->uri, rk_slice_make(uri, (size_t)len));
}

const char *rk_build_update(bson_t *out, const struct rk_document *document,
	const struct rk_build *build, unsigned changes)
{
	bool link = changes & RK_BUILD_RKEY;
	bool unlink = changes & RK_BUILD_UNLINK;
	bool drop_uri = document->has_uri && (unlink || (link && !uri_is_of(document, build)));
	const char *wrong = NULL;
	bson_t inner;

	bson_init(out);
	if (changes & ~(unsigned)RK_BUILD_UNLINK) {
		BSON_APPEND_DOCUMENT_BEGIN(out, "$set", &inner);
		if (changes & RK_BUILD_GONE)
			BSON_APPEND_BOOL(&inner, build->collection->gone, true);
		if (changes & RK_BUILD_FIELDS)
			wrong = append_fields(&inner, build);
		if (link && document->bare)
			append_key(&inner, build);
		else if (link)
			append_text(&inner, "atproto.rkey", build->rkey);
		bson_append_document_end(out, &inner);
	}
	if (drop_uri || (unlink && document->rkey.presence != RK_PRESENCE_MISSING)) {
		BSON_APPEND_DOCUMENT_BEGIN(out, "$unset", &inner);
		if (unlink && document->rkey.presence != RK_PRESENCE_MISSING)
			BSON_APPEND_UTF8(&inner, "atproto.rkey", "");
		if (drop_uri)
			BSON_APPEND_UTF8(&inner, "atproto.uri", "");
		bson_append_document_end(out, &inner);
	}
	return wrong;
}
