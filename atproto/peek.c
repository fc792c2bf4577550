/*
 * See peek.h. Of a canonical commit, ops and repo come before the blocks, and the blocks are passed over
 * by their length: the cost is that of some fifteen heads, whatever the frame's size.
 */
#include "atproto/peek.h"

static const struct {
	struct rk_slice t;
	enum rk_event_type type;
	struct rk_slice did; /* the field that names the account */
} types[] = {
	{RK_SLICE_LIT("#commit"), RK_EVENT_COMMIT, RK_SLICE_LIT("repo")},
	{RK_SLICE_LIT("#sync"), RK_EVENT_SYNC, RK_SLICE_LIT("did")},
	{RK_SLICE_LIT("#identity"), RK_EVENT_IDENTITY, RK_SLICE_LIT("did")},
	{RK_SLICE_LIT("#account"), RK_EVENT_ACCOUNT, RK_SLICE_LIT("did")},
};

static bool is(struct rk_slice key, const char *name, size_t len)
{
	return key.len == len && memcmp(key.data, name, len) == 0;
}
#define IS(key, name) is(key, name, sizeof(name) - 1)

static struct rk_slice text_take(struct rk_reader *reader)
{
	struct rk_cbor_item item = rk_cbor_next(reader);

	return item.type == RK_CBOR_TEXT ? item.bytes : (struct rk_slice){0};
}

static int64_t number_take(struct rk_reader *reader)
{
	struct rk_cbor_item item = rk_cbor_next(reader);

	return item.type == RK_CBOR_UINT ? item.number : 0;
}

/* Index in types, or -1. */
static int header_take(struct rk_reader *reader)
{
	struct rk_slice t = {0};
	struct rk_cbor_map map;
	int64_t op = 0;

	if (!rk_cbor_map_begin(&map, reader))
		return -1;
	while (rk_cbor_map_next(&map, reader)) {
		if (IS(map.key, "t"))
			t = text_take(reader);
		else if (IS(map.key, "op"))
			op = number_take(reader);
		else
			rk_cbor_skip(reader);
	}
	for (size_t i = 0; op == 1 && i < sizeof(types) / sizeof(types[0]); i++) {
		if (rk_slice_equal(t, types[i].t))
			return (int)i;
	}
	return -1;
}

/* The collection of each operation's path. */
static bool ops_take(struct rk_reader *reader, bool (*wanted)(struct rk_slice nsid))
{
	struct rk_cbor_item ops = rk_cbor_next(reader);
	bool found = false;

	if (ops.type != RK_CBOR_ARRAY)
		reader->failed = true;
	for (size_t i = 0; i < ops.count && !reader->failed; i++) {
		struct rk_cbor_map map;

		rk_cbor_map_begin(&map, reader);
		while (rk_cbor_map_next(&map, reader)) {
			struct rk_slice path;
			const uint8_t *slash;

			if (!IS(map.key, "path")) {
				rk_cbor_skip(reader);
				continue;
			}
			path = text_take(reader);
			slash = path.len ? memchr(path.data, '/', path.len) : NULL;
			if (slash && !found)
				found = wanted(rk_slice_sub(path, 0, (size_t)(slash - path.data)));
		}
	}
	return found;
}

bool rk_event_peek(struct rk_peek *out, struct rk_slice frame, bool (*wanted)(struct rk_slice nsid))
{
	struct rk_reader reader = rk_reader_make(frame);
	struct rk_slice did = {0};
	struct rk_cbor_map map;
	int at;

	*out = (struct rk_peek){0};
	if (frame.len > RK_FRAME_MOST)
		return false;
	at = header_take(&reader);
	if (at < 0 || !rk_cbor_map_begin(&map, &reader))
		return false;
	out->type = types[at].type;
	while (rk_cbor_map_next(&map, &reader)) {
		if (rk_slice_equal(map.key, types[at].did))
			did = text_take(&reader);
		else if (IS(map.key, "seq"))
			out->seq = number_take(&reader);
		else if (IS(map.key, "time"))
			rk_datetime_parse(&out->time_ms, text_take(&reader));
		else if (out->type == RK_EVENT_COMMIT && IS(map.key, "ops"))
			out->wanted = ops_take(&reader, wanted);
		else
			rk_cbor_skip(&reader);
	}
	return !reader.failed && rk_reader_left(&reader) == 0 && out->seq > 0 &&
		rk_did_parse(&out->did, did);
}
