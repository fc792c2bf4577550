/*
 * Reads commit objects: {did, rev, sig, data, prev, version: 3}, all six, in canonical DAG-CBOR.
 * prev is a CID or null and tells nothing in version 3: it is not kept. Whether the signature is
 * good, and has the length of one, is asked elsewhere.
 */
#include "atproto/commit.h"

enum { FIELDS = 6, VERSION = 3, MAJOR_MAP = 5 };

/* The value of the next field if that has the name, else RK_CBOR_INVALID. */
static struct rk_cbor_item field(
	struct rk_cbor_map *map, struct rk_reader *reader, const char *name)
{
	if (!rk_cbor_map_next(map, reader) || !rk_slice_equal_str(map->key, name))
		return (struct rk_cbor_item){0};
	return rk_cbor_next(reader);
}

bool rk_commit_parse(struct rk_commit *out, struct rk_slice block)
{
	struct rk_reader reader = rk_reader_make(block);
	struct rk_commit commit = {.block = block};
	struct rk_cbor_item item;
	struct rk_cbor_map map;

	if (!rk_cbor_map_begin(&map, &reader) || map.left != FIELDS)
		return false;
	item = field(&map, &reader, "did");
	if (item.type != RK_CBOR_TEXT || !rk_did_parse(&commit.did, item.bytes))
		return false;
	item = field(&map, &reader, "rev");
	if (item.type != RK_CBOR_TEXT || !rk_tid_parse(&commit.rev, item.bytes))
		return false;
	commit.sig_at = (size_t)(reader.at - block.data);
	item = field(&map, &reader, "sig");
	if (item.type != RK_CBOR_BYTES)
		return false;
	commit.sig = item.bytes;
	commit.sig_end = (size_t)(reader.at - block.data);
	item = field(&map, &reader, "data");
	if (item.type != RK_CBOR_CID)
		return false;
	commit.data = item.cid;
	item = field(&map, &reader, "prev");
	if (item.type != RK_CBOR_CID && item.type != RK_CBOR_NULL)
		return false;
	item = field(&map, &reader, "version");
	if (item.type != RK_CBOR_UINT || item.number != VERSION || rk_reader_left(&reader) != 0)
		return false;
	*out = commit;
	return true;
}

void rk_commit_digest(uint8_t out[RK_SHA256_BYTES], const struct rk_commit *commit)
{
	/* The order of fields stays without one of them, and so does the form of the map's head. */
	static const uint8_t head = MAJOR_MAP << 5 | (FIELDS - 1);
	const struct rk_slice parts[] = {
		{.data = &head, .len = 1},
		rk_slice_sub(commit->block, 1, commit->sig_at - 1),
		rk_slice_sub(commit->block, commit->sig_end, commit->block.len - commit->sig_end),
	};

	rk_sha256_parts(out, parts, sizeof(parts) / sizeof(parts[0]));
}
