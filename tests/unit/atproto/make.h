/* What tests of the codecs build: bytes from hex, CARs from blocks. */
#ifndef RK_TESTS_UNIT_ATPROTO_MAKE_H
#define RK_TESTS_UNIT_ATPROTO_MAKE_H

#include "tests/unit/test.h"

#include "atproto/cbor.h"
#include "base/encode.h"

/* Replaces what out holds by the bytes; spaces in hex are for the reader. */
static inline struct rk_slice make_hex(struct rk_buf *out, const char *hex)
{
	char pair[2];
	size_t have = 0;
	uint8_t byte;

	rk_buf_clear(out);
	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		pair[have++] = *hex;
		if (have == 2) {
			assert_true(rk_hex_decode(&byte, 1, rk_slice_make(pair, 2)));
			rk_buf_add_byte(out, byte);
			have = 0;
		}
	}
	assert_int_equal(have, 0);
	return rk_buf_slice(out);
}

static inline void make_varint(struct rk_buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		rk_buf_add_byte(out, (uint8_t)(value | 0x80));
	rk_buf_add_byte(out, (uint8_t)value);
}

static inline void make_car(struct rk_buf *out, const struct rk_cid *root)
{
	struct rk_buf header = {0};

	rk_cbor_put_map(&header, 2);
	rk_cbor_put_text(&header, rk_slice_str("roots"));
	rk_cbor_put_array(&header, 1);
	rk_cbor_put_cid(&header, root);
	rk_cbor_put_text(&header, rk_slice_str("version"));
	rk_cbor_put_int(&header, 1);
	make_varint(out, header.len);
	rk_buf_add_slice(out, rk_buf_slice(&header));
	rk_buf_finish(&header);
}

static inline void make_block(struct rk_buf *out, const struct rk_cid *cid, struct rk_slice bytes)
{
	make_varint(out, RK_CID_BYTES + bytes.len);
	rk_buf_add(out, cid->bytes, RK_CID_BYTES);
	rk_buf_add_slice(out, bytes);
}

static inline struct rk_cid make_cid(struct rk_slice bytes)
{
	struct rk_cid cid;

	rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, bytes);
	return cid;
}

#endif
