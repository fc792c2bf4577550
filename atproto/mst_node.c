/* Reads nodes; see mst_node.h. */
#include "atproto/mst_node.h"

#include "atproto/cbor.h"
#include "atproto/mst.h"

static bool literal(struct rk_reader *reader, struct rk_slice expected)
{
	struct rk_slice in = rk_reader_take(reader, expected.len);

	if (!reader->failed && memcmp(in.data, expected.data, expected.len) != 0)
		reader->failed = true;
	return !reader->failed;
}

#define LITERAL(reader, text) literal((reader), (struct rk_slice)RK_SLICE_LIT(text))

/* A CID where the tree allows one kind: tag 42, bytes, 0x00 and the CID. */
static const struct rk_cid *cid_take(struct rk_reader *reader)
{
	struct rk_slice in;
	struct rk_cid cid;

	if (!LITERAL(reader, "\xd8\x2a\x58\x25\x00"))
		return NULL;
	in = rk_reader_take(reader, RK_CID_BYTES);
	if (reader->failed || !rk_cid_from_bytes(&cid, in)) {
		reader->failed = true;
		return NULL;
	}
	return (const struct rk_cid *)in.data; /* bytes in a struct: no alignment to respect */
}

/* NULL for null; look at failed. */
static const struct rk_cid *subtree_take(struct rk_reader *reader)
{
	if (rk_reader_left(reader) && *reader->at == 0xf6) {
		reader->at++;
		return NULL;
	}
	return cid_take(reader);
}

bool rk_mst_entry_take(struct rk_mst_entry *out, struct rk_reader *reader)
{
	struct rk_cbor_item item;

	LITERAL(reader, "\xa4\x61k");
	item = rk_cbor_next(reader);
	if (item.type != RK_CBOR_BYTES)
		return false;
	out->rest = item.bytes;
	LITERAL(reader, "\x61p");
	item = rk_cbor_next(reader);
	if (item.type != RK_CBOR_UINT || item.number > RK_MST_KEY_MOST)
		return false;
	out->prefix = (size_t)item.number;
	LITERAL(reader, "\x61t");
	out->right = subtree_take(reader);
	LITERAL(reader, "\x61v");
	out->value = cid_take(reader);
	return !reader->failed;
}

bool rk_mst_node_open(struct rk_mst_node *out, struct rk_slice block)
{
	struct rk_reader reader = rk_reader_make(block);
	struct rk_cbor_item item;
	struct rk_mst_entry entry;

	LITERAL(&reader,
		"\xa2\x61"
		"e");
	item = rk_cbor_next(&reader);
	if (item.type != RK_CBOR_ARRAY)
		return false;
	out->count = item.count;
	out->reader = reader;
	for (size_t i = 0; i < item.count; i++) {
		if (!rk_mst_entry_take(&entry, &reader))
			return false;
	}
	LITERAL(&reader, "\x61l");
	out->left = subtree_take(&reader);
	return !reader.failed && rk_reader_left(&reader) == 0;
}
