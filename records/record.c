/*
 * Reads one record by the rows of its collection; see record.h. The fields are found in one walk
 * over the map's top level and checked against their rows afterwards, so that the reason given is
 * the first broken row, whatever the order in the record.
 */
#include "records/record.h"

#include <errno.h>

#include "atproto/data.h"
#include "atproto/syntax.h"

/* What stands under a field's name in the record. */
struct found {
	bool here;
	struct rk_cbor_item item;
	struct rk_slice whole; /* the value's bytes */
};

/* {"$type": "blob", "ref": CID, "mimeType": …, "size": …} */
static bool blob_valid(struct rk_slice value, uint32_t most)
{
	struct rk_reader reader = rk_reader_make(value);
	struct rk_cbor_map map;
	bool type = false, ref = false, mime = false, size = false;

	if (!rk_cbor_map_begin(&map, &reader))
		return false;
	while (rk_cbor_map_next(&map, &reader)) {
		struct rk_reader at = reader;
		struct rk_cbor_item item = rk_cbor_next(&at);

		if (rk_slice_equal_str(map.key, "$type"))
			type = item.type == RK_CBOR_TEXT && rk_slice_equal_str(item.bytes, "blob");
		else if (rk_slice_equal_str(map.key, "ref"))
			ref = item.type == RK_CBOR_CID;
		else if (rk_slice_equal_str(map.key, "mimeType"))
			mime = item.type == RK_CBOR_TEXT &&
				(rk_slice_equal_str(item.bytes, "image/png") ||
					rk_slice_equal_str(item.bytes, "image/jpeg"));
		else if (rk_slice_equal_str(map.key, "size"))
			size = item.type == RK_CBOR_UINT && item.number <= (int64_t)most;
		rk_cbor_skip(&reader);
	}
	return !reader.failed && type && ref && mime && size;
}

/* The reason why a value breaks its row, or NULL. */
static const char *field_check(
	const struct rk_field *field, const struct found *found, struct rk_facts *facts)
{
	int64_t when_ms;

	if (!found->here)
		return field->required ? "a required field is missing" : NULL;
	if (field->kind == RK_FIELD_BLOB)
		return blob_valid(found->whole, field->most)
			? NULL
			: "a blob is not an image of this kind";
	if (found->item.type != RK_CBOR_TEXT)
		return "a field is not a string";
	if (field->most && found->item.bytes.len > field->most)
		return "a string is too long";
	switch (field->kind) {
	case RK_FIELD_DATETIME:
		if (!rk_datetime_parse(&when_ms, found->item.bytes))
			return "a datetime is malformed";
		if (field->role == RK_ROLE_WHEN) {
			facts->has_when = true;
			facts->when_ms = when_ms;
		}
		break;
	case RK_FIELD_URI:
		if (!rk_uri_valid(found->item.bytes))
			return "a URI is malformed";
		break;
	case RK_FIELD_STRING:
	case RK_FIELD_BLOB:
		break;
	}
	return NULL;
}

bool rk_ref_normalize(uint8_t *out, struct rk_slice ref)
{
	bool hex = true;

	if (ref.len == 0 || ref.len > RK_REF_MOST)
		return false;
	for (size_t i = 0; i < ref.len; i++) {
		uint8_t c = ref.data[i];
		uint8_t low = c | 0x20;

		/* Without branches: no processor foresees digits. */
		hex &= ((unsigned)c - '0' < 10) | ((unsigned)low - 'a' < 6);
	}
	for (size_t i = 0; i < ref.len; i++) {
		uint8_t c = ref.data[i];

		out[i] = (uint8_t)(c | (hex & (c >= 'A') & (c <= 'F')) << 5);
	}
	return true;
}

/* Values for lookups are kept even from invalid records, as long as they fit. */
static int facts_fill(struct rk_facts *facts, struct rk_arena *arena, const struct rk_field *field,
	const struct found *found)
{
	struct rk_slice value = found->item.bytes;
	struct rk_slice *to;
	size_t most;
	char *copy;

	switch (field->role) {
	case RK_ROLE_REF:
		to = &facts->ref;
		most = RK_REF_MOST;
		break;
	case RK_ROLE_CODE:
		to = &facts->code;
		most = RK_CODE_MOST;
		break;
	case RK_ROLE_SLUG:
		to = &facts->slug;
		most = RK_SLUG_MOST;
		break;
	default:
		return 0;
	}
	if (!found->here || found->item.type != RK_CBOR_TEXT || value.len == 0 || value.len > most)
		return 0;
	copy = rk_arena_copy(arena, value);
	if (!copy)
		return -ENOMEM;
	if (field->role == RK_ROLE_REF && !rk_ref_normalize((uint8_t *)copy, value))
		return 0;
	*to = rk_slice_make(copy, value.len);
	return 0;
}

static bool fields_find(
	struct found *found, bool *typed, const struct rk_collection *row, struct rk_slice cbor)
{
	struct rk_reader reader = rk_reader_make(cbor);
	struct rk_cbor_map map;

	if (!rk_cbor_map_begin(&map, &reader))
		return false;
	while (rk_cbor_map_next(&map, &reader)) {
		struct rk_reader at = reader;
		struct rk_slice whole = rk_cbor_skip(&reader);
		struct rk_cbor_item item;

		if (reader.failed)
			return false;
		item = rk_cbor_next(&at);
		if (rk_slice_equal_str(map.key, "$type"))
			*typed = item.type == RK_CBOR_TEXT &&
				rk_slice_equal_str(item.bytes, row->nsid);
		for (size_t i = 0; i < RK_FIELDS_MOST && row->fields[i].name; i++) {
			const struct rk_field *field = &row->fields[i];
			bool named = rk_slice_equal_str(map.key, field->name);

			/* Of both names the lexicon's counts. */
			if (named ||
				(field->older && !found[i].here &&
					rk_slice_equal_str(map.key, field->older))) {
				found[i] =
					(struct found){.here = true, .item = item, .whole = whole};
				break;
			}
		}
	}
	return !reader.failed;
}

int rk_record_read(struct rk_record_read *out, struct rk_arena *arena,
	enum rk_collection_id collection, struct rk_slice rkey, struct rk_slice cbor)
{
	const struct rk_collection *row = &rk_collections[collection];
	struct found found[RK_FIELDS_MOST] = {0};
	struct rk_buf json = {0};
	bool typed = false;
	uint64_t tid;
	char *copy;
	int r = 0;

	*out = (struct rk_record_read){0};
	if (!rk_data_cbor_to_json(&json, cbor)) {
		r = rk_buf_failed(&json);
		rk_buf_finish(&json);
		return r ? r : -EINVAL;
	}
	copy = rk_arena_copy(arena, rk_buf_slice(&json));
	out->json = rk_slice_make(copy, json.len);
	rk_buf_finish(&json);
	if (!copy)
		return -ENOMEM;

	if (!fields_find(found, &typed, row, cbor))
		out->facts.invalid = "the record is not an object";
	else if (!typed)
		out->facts.invalid = "$type is not the collection";
	else if (!rk_tid_parse(&tid, rkey))
		out->facts.invalid = "the record key is not a TID";
	for (size_t i = 0; r == 0 && i < RK_FIELDS_MOST && row->fields[i].name; i++) {
		const char *reason = field_check(&row->fields[i], &found[i], &out->facts);

		if (reason && !out->facts.invalid)
			out->facts.invalid = reason;
		r = facts_fill(&out->facts, arena, &row->fields[i], &found[i]);
	}
	return r;
}
