/*
 * Content ids and their hash. The forms are fixed: any other version, codec, hash or length is
 * refused, so that a CID is 36 bytes everywhere and can be compared as such.
 *
 * SHA-256 goes through OpenSSL's low-level functions: no allocation, no state between calls and no
 * way to fail. Measured on a block of 40 bytes: 53 ns, 83 ns with an EVP context kept, 302 ns with
 * SHA256(), which looks its algorithm up by name each time.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "atproto/cid.h"

#include <openssl/sha.h>

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

void rk_sha256_parts(uint8_t out[RK_SHA256_BYTES], const struct rk_slice *parts, size_t count)
{
	SHA256_CTX context;

	SHA256_Init(&context);
	for (size_t i = 0; i < count; i++)
		SHA256_Update(&context, parts[i].data, parts[i].len);
	SHA256_Final(out, &context);
}

void rk_sha256(uint8_t out[RK_SHA256_BYTES], struct rk_slice in)
{
	rk_sha256_parts(out, &in, 1);
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

bool rk_cid_matches(const struct rk_cid *cid, struct rk_slice block)
{
	uint8_t digest[RK_SHA256_BYTES];

	rk_sha256(digest, block);
	return memcmp(digest, rk_cid_digest(cid), sizeof(digest)) == 0;
}
