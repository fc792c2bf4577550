/* Reads nodes; see mst_node.h. */
#include "atproto/mst_node.h"

#include "atproto/mst.h"

enum { BYTES = 0x40, ARRAY = 0x80, UINT = 0x00, NULL_VALUE = 0xf6 };

static const char cid_head[] = "\xd8\x2a\x58\x25"; /* with its NUL: the 0x00 before a CID */
enum { CID_WHOLE = sizeof(cid_head) + RK_CID_BYTES };

static bool literal(struct rk_reader *reader, const char *expected, size_t len)
{
	if (rk_reader_left(reader) < len || memcmp(reader->at, expected, len) != 0)
		return false;
	reader->at += len;
	return true;
}

#define LITERAL(reader, text) literal((reader), (text), sizeof(text) - 1)

/* A number below 2^32 behind its kind, in the shortest form. */
static bool number_take(size_t *out, struct rk_reader *reader, uint8_t kind)
{
	uint8_t info;
	unsigned bytes;

	if (rk_reader_left(reader) == 0 || (*reader->at & 0xe0) != kind)
		return false;
	info = *reader->at++ & 0x1f;
	*out = info;
	if (info < 24)
		return true;
	if (info > 26)
		return false;
	bytes = 1u << (info - 24);
	if (rk_reader_left(reader) < bytes)
		return false;
	*out = (size_t)rk_reader_uint(reader, bytes);
	return info == 24 ? *out >= 24 : *out >> (bytes * 4) != 0;
}

/* A CID where the tree allows one kind: tag 42, bytes, 0x00 and the CID. NULL: none. */
static const struct rk_cid *cid_take(struct rk_reader *reader)
{
	const uint8_t *at = reader->at;

	if (rk_reader_left(reader) < CID_WHOLE || memcmp(at, cid_head, sizeof(cid_head)) != 0 ||
		!rk_cid_is_valid(at + sizeof(cid_head)))
		return NULL;
	reader->at += CID_WHOLE;
	return (const struct rk_cid *)(at + sizeof(cid_head)); /* bytes: no alignment to respect */
}

/* NULL for null. */
static bool subtree_take(const struct rk_cid **out, struct rk_reader *reader)
{
	*out = NULL;
	if (rk_reader_left(reader) && *reader->at == NULL_VALUE) {
		reader->at++;
		return true;
	}
	*out = cid_take(reader);
	return *out != NULL;
}

bool rk_mst_entry_take(struct rk_mst_entry *out, struct rk_reader *reader)
{
	size_t len;

	if (!LITERAL(reader, "\xa4\x61k") || !number_take(&len, reader, BYTES) ||
		rk_reader_left(reader) < len)
		return false;
	out->rest = rk_slice_make(reader->at, len);
	reader->at += len;
	if (!LITERAL(reader, "\x61p") || !number_take(&out->prefix, reader, UINT) ||
		!LITERAL(reader, "\x61t") || !subtree_take(&out->right, reader) ||
		!LITERAL(reader, "\x61v"))
		return false;
	out->value = cid_take(reader);
	return out->value != NULL;
}

/*
 * What is behind the entries has one of two lengths, and its beginning tells which: where the longer
 * form would begin, the shorter has, if there is an entry, the second byte of the entry's last CID.
 */
static bool left_take(struct rk_mst_node *out, struct rk_reader *reader)
{
	static const char field[] = "\x61l";
	static const size_t lengths[] = {sizeof(field) - 1 + CID_WHOLE, sizeof(field)};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct rk_reader tail = *reader;

		if (rk_reader_left(reader) < lengths[i])
			continue;
		tail.at = reader->end - lengths[i];
		if (LITERAL(&tail, "\x61l") && subtree_take(&out->left, &tail) &&
			rk_reader_left(&tail) == 0) {
			reader->end -= lengths[i];
			return true;
		}
	}
	return false;
}

bool rk_mst_node_open(struct rk_mst_node *out, struct rk_slice block)
{
	struct rk_reader reader = rk_reader_make(block);

	if (!LITERAL(&reader, "\xa2\x61\x65") || !number_take(&out->count, &reader, ARRAY) ||
		!left_take(out, &reader))
		return false;
	out->reader = reader;
	return true;
}
