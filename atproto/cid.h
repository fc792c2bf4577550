/*
 * Content ids as the AT Protocol allows them: CIDv1, codec dag-cbor or raw, SHA-256.
 * Binary form 36 bytes: 01, codec, 12, 20, digest. Text form: 'b' and base32, 59 letters.
 * Source: atproto.com/specs/data-model ("Link and CID formats").
 */
#ifndef RK_ATPROTO_CID_H
#define RK_ATPROTO_CID_H

#include "atproto/sha256.h"
#include "base/buf.h"

enum { RK_CID_BYTES = 36, RK_CID_TEXT = 59 };
enum { RK_CODEC_RAW = 0x55, RK_CODEC_DAG_CBOR = 0x71, RK_MULTIHASH_SHA256 = 0x12 };

struct rk_cid {
	uint8_t bytes[RK_CID_BYTES]; /* all zero: no CID */
};

/* Whether the 36 bytes are of the form above. */
static inline bool rk_cid_is_valid(const uint8_t bytes[RK_CID_BYTES])
{
	return bytes[0] == 1 && (bytes[1] == RK_CODEC_DAG_CBOR || bytes[1] == RK_CODEC_RAW) &&
		bytes[2] == RK_MULTIHASH_SHA256 && bytes[3] == RK_SHA256_BYTES;
}
/* Exactly the 36-byte form above. */
bool rk_cid_from_bytes(struct rk_cid *out, struct rk_slice in);
bool rk_cid_from_text(struct rk_cid *out, struct rk_slice in);
void rk_cid_format(struct rk_buf *out, const struct rk_cid *cid);
/* The CID of a block's bytes. */
void rk_cid_compute(struct rk_cid *out, uint8_t codec, struct rk_slice block);
/* The same of a block in parts. */
void rk_cid_compute_parts(
	struct rk_cid *out, uint8_t codec, const struct rk_slice *parts, size_t count);

static inline bool rk_cid_equal(const struct rk_cid *a, const struct rk_cid *b)
{
	return memcmp(a->bytes, b->bytes, RK_CID_BYTES) == 0;
}
static inline bool rk_cid_is_set(const struct rk_cid *cid)
{
	return cid->bytes[0] != 0;
}
static inline const uint8_t *rk_cid_digest(const struct rk_cid *cid)
{
	return cid->bytes + 4;
}

#endif
