/* Rules of base/encode: round trips, canonical forms only, UTF-8 as RFC 3629 has it. */
#include "tests/unit/test.h"

#include "base/encode.h"

static const struct {
	const char *bytes, *hex, *base32, *base58, *base64;
} pairs[] = {
	{"", "", "", "", ""},
	{"f", "66", "my", "2m", "Zg"},
	{"fo", "666f", "mzxq", "8o8", "Zm8"},
	{"foo", "666f6f", "mzxw6", "bQbp", "Zm9v"},
	{"foob", "666f6f62", "mzxw6yq", "3csAg9", "Zm9vYg"},
	{"foobar", "666f6f626172", "mzxw6ytboi", "t1Zv2yaZ", "Zm9vYmFy"},
};

static void known_pairs_both_ways(void **state)
{
	struct rk_buf out = {0};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct rk_slice bytes = rk_slice_str(pairs[i].bytes);
		uint8_t raw[16];

		rk_buf_clear(&out);
		rk_hex_encode(&out, bytes);
		assert_string_equal(rk_buf_cstr(&out), pairs[i].hex);
		assert_true(rk_hex_decode(raw, bytes.len, rk_slice_str(pairs[i].hex)));
		assert_memory_equal(raw, bytes.data, bytes.len);

		rk_buf_clear(&out);
		rk_base32_encode(&out, bytes);
		assert_string_equal(rk_buf_cstr(&out), pairs[i].base32);
		rk_buf_clear(&out);
		assert_true(rk_base32_decode(&out, rk_slice_str(pairs[i].base32)));
		assert_true(rk_slice_equal(rk_buf_slice(&out), bytes));

		rk_buf_clear(&out);
		assert_true(rk_base58_encode(&out, bytes));
		assert_string_equal(rk_buf_cstr(&out), pairs[i].base58);
		rk_buf_clear(&out);
		assert_true(rk_base58_decode(&out, rk_slice_str(pairs[i].base58)));
		assert_true(rk_slice_equal(rk_buf_slice(&out), bytes));

		rk_buf_clear(&out);
		rk_base64_encode(&out, bytes);
		assert_string_equal(rk_buf_cstr(&out), pairs[i].base64);
		rk_buf_clear(&out);
		assert_true(rk_base64_decode(&out, rk_slice_str(pairs[i].base64), false));
		assert_true(rk_slice_equal(rk_buf_slice(&out), bytes));
	}
	rk_buf_finish(&out);
}

static void base58_keeps_leading_zeros(void **state)
{
	struct rk_buf text = {0}, back = {0};
	struct rk_slice bytes = rk_slice_make("\0\0\1", 3);

	assert_true(rk_base58_encode(&text, bytes));
	assert_string_equal(rk_buf_cstr(&text), "112");
	assert_true(rk_base58_decode(&back, rk_buf_slice(&text)));
	assert_true(rk_slice_equal(rk_buf_slice(&back), bytes));
	rk_buf_finish(&text);
	rk_buf_finish(&back);
}

static void refuses_what_is_not_canonical(void **state)
{
	static const char *const base32[] = {"m", "mz1", "MY", "mz", "my======", "mzxw6y"};
	static const char *const base64[] = {"Z", "Zh", "Zg=", "Zm8==", "Zm-_", "Zm9 v", "===="};
	static const char *const base58[] = {"0", "O", "I", "l", "a b"};
	struct rk_buf out = {0};
	uint8_t raw[2];

	for (size_t i = 0; i < sizeof(base32) / sizeof(base32[0]); i++)
		assert_false(rk_base32_decode(&out, rk_slice_str(base32[i])));
	for (size_t i = 0; i < sizeof(base64) / sizeof(base64[0]); i++)
		assert_false(rk_base64_decode(&out, rk_slice_str(base64[i]), false));
	for (size_t i = 0; i < sizeof(base58) / sizeof(base58[0]); i++)
		assert_false(rk_base58_decode(&out, rk_slice_str(base58[i])));
	assert_int_equal(out.len, 0);
	assert_true(rk_base64_decode(&out, rk_slice_str("-_8"), true));
	assert_false(rk_base64_decode(&out, rk_slice_str("+/8"), true));
	assert_false(rk_hex_decode(raw, 2, rk_slice_str("abc")));
	assert_false(rk_hex_decode(raw, 2, rk_slice_str("abcg")));
	assert_false(rk_hex_decode(raw, 2, rk_slice_str("abcdef")));
	rk_buf_finish(&out);
}

static void utf8_boundaries_in_pairs(void **state)
{
	static const struct {
		const char *bytes;
		bool valid;
	} cases[] = {
		{"", true},
		{"a\x7f", true},
		{"\x80", false},
		{"\xc1\xbf", false},
		{"\xc2\x80", true},
		{"\xdf\xbf", true},
		{"\xe0\x9f\xbf", false},
		{"\xe0\xa0\x80", true},
		{"\xed\x9f\xbf", true},
		{"\xed\xa0\x80", false},
		{"\xef\xbf\xbf", true},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf0\x90\x80\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xe2\x82", false},
		{"\xf0\x9f\x98", false},
		{"ab\xffgh", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rk_utf8_valid(rk_slice_str(cases[i].bytes)), cases[i].valid);
}

static void percent_leaves_only_unreserved(void **state)
{
	struct rk_buf out = {0};

	rk_percent_encode(&out, rk_slice_make("aZ09-._~ &=+/%\0\xc3\xa9", 17));
	assert_string_equal(rk_buf_cstr(&out), "aZ09-._~%20%26%3D%2B%2F%25%00%C3%A9");
	rk_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_pairs_both_ways),
		cmocka_unit_test(base58_keeps_leading_zeros),
		cmocka_unit_test(refuses_what_is_not_canonical),
		cmocka_unit_test(percent_leaves_only_unreserved),
		cmocka_unit_test(utf8_boundaries_in_pairs),
	};
	return cmocka_run_group_tests_name("base/encode", tests, NULL, NULL);
}
