/* Rules of atproto/sha256: the same digests one at a time, in parts, and several at once. */
#include "tests/unit/test.h"

#include <openssl/evp.h>

#include "atproto/sha256.h"

enum { LEN_MOST = 300, COUNT_MOST = 40 };

static uint8_t bytes[LEN_MOST + COUNT_MOST];

static int bytes_make(void **state)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256 + 1);
	return 0;
}

static void expect(const uint8_t digest[RK_SHA256_BYTES], struct rk_slice in)
{
	uint8_t other[EVP_MAX_MD_SIZE];

	assert_int_equal(EVP_Digest(in.data, in.len, other, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(digest, other, RK_SHA256_BYTES);
}

/* FIPS 180-2, B.1: the digest of "abc". */
static void the_standards_example(void **state)
{
	static const uint8_t abc[RK_SHA256_BYTES] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
		0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
		0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	const struct rk_slice in[] = {rk_slice_str("abc"), rk_slice_str("abc")};
	uint8_t one[RK_SHA256_BYTES], both[2][RK_SHA256_BYTES];

	rk_sha256(one, in[0]);
	assert_memory_equal(one, abc, sizeof(abc));
	rk_sha256_each(both, in, 2);
	assert_memory_equal(both[0], abc, sizeof(abc));
	assert_memory_equal(both[1], abc, sizeof(abc));
}

static void every_length_alone(void **state)
{
	uint8_t digest[RK_SHA256_BYTES];

	for (size_t len = 0; len <= LEN_MOST; len++) {
		struct rk_slice in = rk_slice_make(bytes, len);
		const struct rk_slice parts[] = {
			rk_slice_sub(in, 0, len / 3),
			rk_slice_sub(in, len / 3, len - len / 3),
		};

		rk_sha256(digest, in);
		expect(digest, in);
		rk_sha256_parts(digest, parts, 2);
		expect(digest, in);
	}
}

/* All pairs of lengths around the ends of blocks: whichever lane is through first. */
static void every_pair_side_by_side(void **state)
{
	static const size_t lengths[] = {0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 300};
	const size_t count = sizeof(lengths) / sizeof(lengths[0]);
	uint8_t digests[2][RK_SHA256_BYTES];

	for (size_t i = 0; i < count * count; i++) {
		const struct rk_slice in[] = {
			rk_slice_make(bytes, lengths[i / count]),
			rk_slice_make(bytes + 1, lengths[i % count]),
		};

		rk_sha256_each(digests, in, 2);
		expect(digests[0], in[0]);
		expect(digests[1], in[1]);
	}
}

static void any_number_in_any_order_of_lengths(void **state)
{
	uint8_t digests[COUNT_MOST][RK_SHA256_BYTES];
	struct rk_slice in[COUNT_MOST] = {0};

	for (size_t count = 0; count <= COUNT_MOST; count++) {
		for (size_t i = 0; i < count; i++)
			in[i] = rk_slice_make(bytes + i, (i * 97 + count * 31) % (LEN_MOST + 1));
		rk_sha256_each(digests, in, count);
		for (size_t i = 0; i < count; i++)
			expect(digests[i], in[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standards_example),
		cmocka_unit_test(every_length_alone),
		cmocka_unit_test(every_pair_side_by_side),
		cmocka_unit_test(any_number_in_any_order_of_lengths),
	};
	return cmocka_run_group_tests_name("atproto/sha256", tests, bytes_make, NULL);
}
