/*
 * Parses firehose frames. Enforced: two canonical DAG-CBOR maps and nothing behind them; op 1 with
 * a type, or op -1; sizes and counts before anything is allocated; the syntax of every identifier;
 * an operation has a CID, unless it deletes.
 *
 * Tolerated, because senders differ: fields we do not know; a time that is absent or no datetime;
 * null for an optional field; rebase, blobs, prev and tooBig left out, which the lexicon calls
 * deprecated (the first three are passed over); a handle that is none, taken as absent.
 *
 * What is read is a table for each type of event. Keys come sorted, and so are the tables: one pass
 * over both.
 */
#include "atproto/event.h"

#include <errno.h>

enum kind {
	KIND_INT,
	KIND_SEQ, /* from 1 to what every reader of numbers can hold */
	KIND_BOOL,
	KIND_BYTES,
	KIND_TEXT,
	KIND_CID,
	KIND_CID_OR_NULL,
	KIND_DID,
	KIND_HANDLE,
	KIND_TID,
	KIND_TID_OR_NULL,
	KIND_TIME,
	KIND_OPS,
};

/* A field of a map and where its value goes. */
struct field {
	struct rk_slice name;
	enum kind kind;
	bool required;
	size_t offset;
};

struct table {
	const struct field *fields; /* in canonical order of their names */
	size_t count;
};

#define TABLE(rows)                                                                                \
	{                                                                                          \
		.fields = (rows), .count = sizeof(rows) / sizeof((rows)[0])                        \
	}
#define REQUIRED(type, member, field_kind, text)                                                   \
	{                                                                                          \
		.name = RK_SLICE_LIT(text), .kind = (field_kind), .required = true,                \
		.offset = offsetof(type, member)                                                   \
	}
#define OPTIONAL(type, member, field_kind, text)                                                   \
	{                                                                                          \
		.name = RK_SLICE_LIT(text), .kind = (field_kind), .offset = offsetof(type, member) \
	}

struct header {
	struct rk_slice t;
	int64_t op;
};

struct op {
	struct rk_slice action, path;
	struct rk_cid cid, prev;
};

static const struct field header_fields[] = {
	OPTIONAL(struct header, t, KIND_TEXT, "t"),
	REQUIRED(struct header, op, KIND_INT, "op"),
};

static const struct field op_fields[] = {
	REQUIRED(struct op, cid, KIND_CID_OR_NULL, "cid"),
	REQUIRED(struct op, path, KIND_TEXT, "path"),
	OPTIONAL(struct op, prev, KIND_CID, "prev"),
	REQUIRED(struct op, action, KIND_TEXT, "action"),
};

static const struct field commit_fields[] = {
	REQUIRED(struct rk_event, ops, KIND_OPS, "ops"),
	REQUIRED(struct rk_event, rev, KIND_TID, "rev"),
	REQUIRED(struct rk_event, seq, KIND_SEQ, "seq"),
	REQUIRED(struct rk_event, did, KIND_DID, "repo"),
	OPTIONAL(struct rk_event, time_ms, KIND_TIME, "time"),
	REQUIRED(struct rk_event, since, KIND_TID_OR_NULL, "since"),
	REQUIRED(struct rk_event, blocks, KIND_BYTES, "blocks"),
	REQUIRED(struct rk_event, commit, KIND_CID, "commit"),
	OPTIONAL(struct rk_event, too_big, KIND_BOOL, "tooBig"),
	OPTIONAL(struct rk_event, prev_data, KIND_CID, "prevData"),
};

static const struct field sync_fields[] = {
	REQUIRED(struct rk_event, did, KIND_DID, "did"),
	REQUIRED(struct rk_event, rev, KIND_TID, "rev"),
	REQUIRED(struct rk_event, seq, KIND_SEQ, "seq"),
	OPTIONAL(struct rk_event, time_ms, KIND_TIME, "time"),
	REQUIRED(struct rk_event, blocks, KIND_BYTES, "blocks"),
};

static const struct field identity_fields[] = {
	REQUIRED(struct rk_event, did, KIND_DID, "did"),
	REQUIRED(struct rk_event, seq, KIND_SEQ, "seq"),
	OPTIONAL(struct rk_event, time_ms, KIND_TIME, "time"),
	OPTIONAL(struct rk_event, handle, KIND_HANDLE, "handle"),
};

static const struct field account_fields[] = {
	REQUIRED(struct rk_event, did, KIND_DID, "did"),
	REQUIRED(struct rk_event, seq, KIND_SEQ, "seq"),
	OPTIONAL(struct rk_event, time_ms, KIND_TIME, "time"),
	REQUIRED(struct rk_event, active, KIND_BOOL, "active"),
	OPTIONAL(struct rk_event, status, KIND_TEXT, "status"),
};

static const struct field info_fields[] = {
	REQUIRED(struct rk_event, name, KIND_TEXT, "name"),
	OPTIONAL(struct rk_event, message, KIND_TEXT, "message"),
};

static const struct field error_fields[] = {
	REQUIRED(struct rk_event, name, KIND_TEXT, "error"),
	OPTIONAL(struct rk_event, message, KIND_TEXT, "message"),
};

static const struct {
	const char *t;
	enum rk_event_type type;
	struct table table;
} types[] = {
	{"#commit", RK_EVENT_COMMIT, TABLE(commit_fields)},
	{"#sync", RK_EVENT_SYNC, TABLE(sync_fields)},
	{"#identity", RK_EVENT_IDENTITY, TABLE(identity_fields)},
	{"#account", RK_EVENT_ACCOUNT, TABLE(account_fields)},
	{"#info", RK_EVENT_INFO, TABLE(info_fields)},
};

static const struct table header_table = TABLE(header_fields), op_table = TABLE(op_fields),
			  error_table = TABLE(error_fields);

struct parser {
	struct rk_reader reader;
	struct rk_arena *arena;
};

static int ops_parse(struct parser *parser, struct rk_event *event, size_t count);

static bool text_parse(void *to, enum kind kind, struct rk_slice text)
{
	struct rk_handle handle;

	switch (kind) {
	case KIND_TEXT:
		*(struct rk_slice *)to = text;
		return true;
	case KIND_DID:
		return rk_did_parse(to, text);
	case KIND_HANDLE:
		if (rk_handle_parse(&handle, text))
			*(struct rk_slice *)to = handle.text;
		return true;
	case KIND_TID:
	case KIND_TID_OR_NULL:
		return rk_tid_parse(to, text);
	case KIND_TIME:
		rk_datetime_parse(to, text); /* leaves 0 where it is none */
		return true;
	default:
		return false;
	}
}

/* Reads one value into its place in base. */
static int field_parse(struct parser *parser, void *base, const struct field *field)
{
	struct rk_cbor_item item = rk_cbor_next(&parser->reader);
	void *to = (char *)base + field->offset;
	bool good = false;

	switch (item.type) {
	case RK_CBOR_INVALID:
		return RK_EVENT_MALFORMED_BODY;
	case RK_CBOR_UINT:
	case RK_CBOR_NEGINT:
		good = field->kind == KIND_INT ||
			(field->kind == KIND_SEQ && item.number > 0 &&
				item.number <= RK_EVENT_SEQ_MOST);
		if (good)
			*(int64_t *)to = item.number;
		break;
	case RK_CBOR_BOOL:
		good = field->kind == KIND_BOOL;
		if (good)
			*(bool *)to = item.number;
		break;
	case RK_CBOR_BYTES:
		good = field->kind == KIND_BYTES;
		if (good)
			*(struct rk_slice *)to = item.bytes;
		break;
	case RK_CBOR_TEXT:
		good = text_parse(to, field->kind, item.bytes);
		break;
	case RK_CBOR_CID:
		good = field->kind == KIND_CID || field->kind == KIND_CID_OR_NULL;
		if (good)
			*(struct rk_cid *)to = item.cid;
		break;
	case RK_CBOR_ARRAY:
		if (field->kind == KIND_OPS)
			return ops_parse(parser, base, item.count);
		break;
	case RK_CBOR_NULL: /* what is unset is zero already */
		good = !field->required || field->kind == KIND_CID_OR_NULL ||
			field->kind == KIND_TID_OR_NULL;
		break;
	case RK_CBOR_MAP:
	case RK_CBOR_FLOAT:
		break;
	}
	return good ? RK_EVENT_OK : RK_EVENT_MISSING_FIELD;
}

/* Reads a map by its table. base is zeroed. */
static int map_parse(struct parser *parser, void *base, const struct table *table)
{
	const struct field *next = table->fields, *end = next + table->count;
	struct rk_cbor_map map;

	if (!rk_cbor_map_begin(&map, &parser->reader))
		return RK_EVENT_MALFORMED_BODY;
	while (rk_cbor_map_next(&map, &parser->reader)) {
		int result, order = -1;

		for (; next < end; next++) {
			order = rk_cbor_key_compare(map.key, next->name);
			if (order <= 0)
				break;
			if (next->required)
				return RK_EVENT_MISSING_FIELD;
		}
		if (next == end || order != 0) {
			rk_cbor_skip(&parser->reader);
			continue;
		}
		result = field_parse(parser, base, next);
		if (result)
			return result;
		next++;
	}
	if (parser->reader.failed)
		return RK_EVENT_MALFORMED_BODY;
	for (; next < end; next++) {
		if (next->required)
			return RK_EVENT_MISSING_FIELD;
	}
	return RK_EVENT_OK;
}

static bool action_parse(enum rk_op_action *out, struct rk_slice text)
{
	static const char *const names[] = {
		[RK_OP_CREATE] = "create",
		[RK_OP_UPDATE] = "update",
		[RK_OP_DELETE] = "delete",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (rk_slice_equal_str(text, names[i])) {
			*out = (enum rk_op_action)i;
			return true;
		}
	}
	return false;
}

static bool path_parse(struct rk_event_op *out, struct rk_slice path)
{
	const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
	struct rk_nsid nsid;
	struct rk_rkey rkey;
	size_t len;

	if (!slash)
		return false;
	len = (size_t)(slash - path.data);
	if (!rk_nsid_parse(&nsid, rk_slice_sub(path, 0, len)) ||
		!rk_rkey_parse(&rkey, rk_slice_sub(path, len + 1, path.len - len - 1)))
		return false;
	out->path = path;
	out->collection = nsid.text;
	out->rkey = rkey.text;
	return true;
}

static int ops_parse(struct parser *parser, struct rk_event *event, size_t count)
{
	if (count > RK_EVENT_OPS_MOST)
		return RK_EVENT_TOO_MANY_OPS;
	if (count == 0)
		return RK_EVENT_OK;
	event->ops = rk_arena_calloc(parser->arena, count, sizeof(*event->ops));
	if (!event->ops)
		return -ENOMEM;
	event->op_count = count;
	for (size_t i = 0; i < count; i++) {
		struct rk_event_op *out = &event->ops[i];
		struct op op = {0};
		int result = map_parse(parser, &op, &op_table);

		if (result)
			return result;
		if (!action_parse(&out->action, op.action) || !path_parse(out, op.path))
			return RK_EVENT_MISSING_FIELD;
		out->cid = op.cid;
		out->prev = op.prev;
		if (rk_cid_is_set(&out->cid) != (out->action != RK_OP_DELETE) ||
			(rk_cid_is_set(&out->prev) && out->action == RK_OP_CREATE))
			return RK_EVENT_MISSING_FIELD;
	}
	return RK_EVENT_OK;
}

static int body_parse(struct parser *parser, struct rk_event *event, const struct header *header)
{
	if (header->op == -1) {
		event->type = RK_EVENT_ERROR;
		return map_parse(parser, event, &error_table);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (rk_slice_equal_str(header->t, types[i].t)) {
			event->type = types[i].type;
			return map_parse(parser, event, &types[i].table);
		}
	}
	event->type = RK_EVENT_UNKNOWN;
	event->name = header->t;
	rk_cbor_skip(&parser->reader);
	return parser->reader.failed ? RK_EVENT_MALFORMED_BODY : RK_EVENT_OK;
}

int rk_event_parse(struct rk_event *out, struct rk_arena *arena, struct rk_slice frame)
{
	struct parser parser = {.reader = rk_reader_make(frame), .arena = arena};
	struct header header = {0};
	int result;

	*out = (struct rk_event){0};
	if (frame.len > RK_FRAME_MOST)
		return RK_EVENT_TOO_LARGE;
	if (map_parse(&parser, &header, &header_table) ||
		!(header.op == -1 || (header.op == 1 && header.t.len > 0)))
		return RK_EVENT_MALFORMED_HEADER;
	result = body_parse(&parser, out, &header);
	if (result)
		return result;
	return rk_reader_left(&parser.reader) ? RK_EVENT_TRAILING_BYTES : RK_EVENT_OK;
}
