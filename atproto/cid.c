/*
 * Content ids. The forms are fixed: any other version, codec, hash or length is refused, so that a CID
 * is 36 bytes everywhere and can be compared as such.
 */
#include "atproto/cid.h"

#include "base/encode.h"

bool rk_cid_from_bytes(struct rk_cid *out, struct rk_slice in)
{
	if (in.len != RK_CID_BYTES || !rk_cid_is_valid(in.data))
		return false;
	memcpy(out->bytes, in.data, RK_CID_BYTES);
	return true;
}

bool rk_cid_from_text(struct rk_cid *out, struct rk_slice in)
{
	uint8_t room[RK_CID_BYTES + 1];
	/* The limit lies within the room: the buffer never grows and holds nothing to free. */
	struct rk_buf bytes = {.data = room, .cap = sizeof(room), .limit = RK_CID_BYTES};

	if (in.len != RK_CID_TEXT || in.data[0] != 'b')
		return false;
	return rk_base32_decode(&bytes, rk_slice_sub(in, 1, in.len - 1)) &&
		rk_cid_from_bytes(out, rk_buf_slice(&bytes));
}

void rk_cid_format(struct rk_buf *out, const struct rk_cid *cid)
{
	rk_buf_add_byte(out, 'b');
	rk_base32_encode(out, rk_slice_make(cid->bytes, RK_CID_BYTES));
}

void rk_cid_compute_parts(
	struct rk_cid *out, uint8_t codec, const struct rk_slice *parts, size_t count)
{
	out->bytes[0] = 1;
	out->bytes[1] = codec;
	out->bytes[2] = RK_MULTIHASH_SHA256;
	out->bytes[3] = RK_SHA256_BYTES;
	rk_sha256_parts(out->bytes + 4, parts, count);
}

void rk_cid_compute(struct rk_cid *out, uint8_t codec, struct rk_slice block)
{
	rk_cid_compute_parts(out, codec, &block, 1);
}
