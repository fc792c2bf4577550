/* Rules of atproto/cid: one form in bytes, one in text. */
#include "tests/unit/test.h"

#include "atproto/cid.h"

/* Of the block "hello": digest and both texts as other implementations print them. */
static const char hello_raw[] = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
static const char hello_cbor[] = "bafyreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";

static void text_and_bytes_are_one_form_each(void **state)
{
	struct rk_slice block = rk_slice_str("hello");
	struct rk_buf text = {0};
	struct rk_cid raw, cbor, back;

	rk_cid_compute(&raw, RK_CODEC_RAW, block);
	rk_cid_compute(&cbor, RK_CODEC_DAG_CBOR, block);
	assert_false(rk_cid_equal(&raw, &cbor));
	rk_cid_format(&text, &raw);
	assert_string_equal(rk_buf_cstr(&text), hello_raw);
	rk_buf_clear(&text);
	rk_cid_format(&text, &cbor);
	assert_string_equal(rk_buf_cstr(&text), hello_cbor);
	assert_true(rk_cid_from_text(&back, rk_slice_str(hello_cbor)));
	assert_true(rk_cid_equal(&back, &cbor));
	assert_true(rk_cid_from_bytes(&back, rk_slice_make(raw.bytes, RK_CID_BYTES)));
	assert_true(rk_cid_equal(&back, &raw));
	rk_buf_finish(&text);
}

static void text_refused(void **state)
{
	static const char *const refused[] = {
		"",
		".",
		/* version 0 */
		"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
		/* one letter short, one more */
		"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4ye",
		"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeqa",
		/* bits after the last byte */
		"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yer",
		/* capitals, another multibase */
		"BAFKREIBM6JG3UX5QUMHCN2B3FLC3TYU6DMLB4XA7U5BF44YEGNRJHC4YEQ",
		"cafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
		/* dag-pb */
		"bafybeibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
	};
	struct rk_cid cid;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (rk_cid_from_text(&cid, rk_slice_str(refused[i])))
			fail_msg("taken: %s", refused[i]);
	}
}

static void each_byte_of_the_form_counts(void **state)
{
	struct rk_cid cid, out;

	rk_cid_compute(&cid, RK_CODEC_RAW, rk_slice_str("x"));
	for (size_t i = 0; i < 4; i++) {
		cid.bytes[i] ^= 1;
		assert_false(rk_cid_from_bytes(&out, rk_slice_make(cid.bytes, RK_CID_BYTES)));
		cid.bytes[i] ^= 1;
	}
	assert_false(rk_cid_from_bytes(&out, rk_slice_make(cid.bytes, RK_CID_BYTES - 1)));
	assert_false(rk_cid_from_bytes(&out, (struct rk_slice){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_bytes_are_one_form_each),
		cmocka_unit_test(text_refused),
		cmocka_unit_test(each_byte_of_the_form_counts),
	};
	return cmocka_run_group_tests_name("atproto/cid", tests, NULL, NULL);
}
