/* Rules of atproto/syntax beyond the shared lists: boundaries in pairs, parts, values. */
#include "tests/unit/test.h"

#include "base/buf.h"
#include "tests/unit/atproto/syntax_valid.h"

/* prefix, then `count` times `unit`, then suffix. */
struct grown {
	bool (*valid)(struct rk_slice in);
	const char *prefix, *unit, *suffix;
	size_t most; /* count that is still valid; one more is not */
};

static void longest_ok_one_more_refused(void **state)
{
	static const struct grown cases[] = {
		{did_valid, "did:m:", "v", "", RK_DID_MOST - 6},
		{did_valid, "did:", "m", ":v", RK_DID_MOST - 6},
		{handle_valid, "", "o", ".test", 63},
		{handle_valid, "a.", "o", "", 63},
		{handle_valid, "a.b", ".c", "", (RK_HANDLE_MOST - 3) / 2},
		{nsid_valid, "com.", "o", ".foo", 63},
		{nsid_valid, "com.example.", "o", "", 63},
		{nsid_valid, "a.b", ".c", ".name", (RK_NSID_MOST - 8) / 2},
		{rkey_valid, "", "o", "", RK_RKEY_MOST},
		{at_uri_valid, "at://did:plc:asdf123/com.example.post/", "o", "", RK_RKEY_MOST},
	};
	struct rk_buf text = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			rk_buf_clear(&text);
			rk_buf_add_str(&text, cases[i].prefix);
			for (size_t n = 0; n < cases[i].most + over; n++)
				rk_buf_add_str(&text, cases[i].unit);
			rk_buf_add_str(&text, cases[i].suffix);
			assert_int_equal(cases[i].valid(rk_buf_slice(&text)), over == 0);
		}
	}
	rk_buf_finish(&text);
}

static void refuses_empty_and_nul(void **state)
{
	static bool (*const all[])(struct rk_slice) = {
		did_valid,
		handle_valid,
		nsid_valid,
		rkey_valid,
		at_uri_valid,
		rk_language_valid,
	};
	static const struct rk_slice inputs[] = {
		{0},
		RK_SLICE_LIT(""),
		RK_SLICE_LIT("\0"),
		RK_SLICE_LIT("did:a:b\0"),
		RK_SLICE_LIT("a.b\0"),
		RK_SLICE_LIT("a.b.c\0"),
		RK_SLICE_LIT("at://a.b\0"),
		RK_SLICE_LIT("ja\0"),
		RK_SLICE_LIT("did:a:\0b"),
		RK_SLICE_LIT("a\0b"),
	};
	struct rk_at_identifier who;
	uint64_t tid;
	int64_t ms;

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		for (size_t v = 0; v < sizeof(all) / sizeof(all[0]); v++)
			assert_false(all[v](inputs[i]));
		assert_false(rk_at_identifier_parse(&who, inputs[i]));
		assert_false(rk_tid_parse(&tid, inputs[i]));
		assert_false(rk_datetime_parse(&ms, inputs[i]));
	}
	assert_false(rk_tid_parse(&tid, rk_slice_make("3jzfcijpj2z2\0", 13)));
}

static void at_uri_parts_are_borrowed_or_empty(void **state)
{
	static const struct {
		const char *uri, *authority, *collection, *rkey;
		bool is_did;
	} cases[] = {
		{"at://did:plc:abc", "did:plc:abc", "", "", true},
		{"at://User.example", "User.example", "", "", false},
		{"at://did:plc:abc/a.b.c", "did:plc:abc", "a.b.c", "", true},
		{"at://a.example/a.b.c/self", "a.example", "a.b.c", "self", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_at_uri uri;

		assert_true(rk_at_uri_parse(&uri, rk_slice_str(cases[i].uri)));
		assert_int_equal(uri.authority.is_did, cases[i].is_did);
		assert_true(rk_slice_equal_str(uri.authority.text, cases[i].authority));
		assert_true(rk_slice_equal_str(uri.collection, cases[i].collection));
		assert_true(rk_slice_equal_str(uri.rkey, cases[i].rkey));
	}
}

static void refused_input_leaves_out_alone(void **state)
{
	struct rk_at_uri uri = {.authority = {.is_did = true}};
	struct rk_did did = {0};
	struct rk_oid oid = {{1}};
	uint64_t tid = 7;
	int64_t ms = 8;

	assert_false(rk_at_uri_parse(&uri, rk_slice_str("at://a.example/a.b.c/")));
	assert_true(uri.authority.is_did && !uri.authority.text.data);
	assert_false(rk_did_parse(&did, rk_slice_str("did:")));
	assert_null(did.text.data);
	assert_false(rk_oid_parse(&oid, rk_slice_str("0123456789abcdef0123456g")));
	assert_int_equal(oid.bytes[0], 1);
	assert_false(rk_tid_parse(&tid, rk_slice_str("3jzfcijpj2z21")));
	assert_int_equal(tid, 7);
	assert_false(rk_datetime_parse(&ms, rk_slice_str("1985-04-12T23:20:50.123")));
	assert_int_equal(ms, 8);
}

static void tid_values_both_ways(void **state)
{
	static const struct {
		const char *text;
		uint64_t tid;
	} cases[] = {
		{"2222222222222", 0},
		{"2222222222223", 1},
		{"222222222222z", 31},
		{"2222222222232", 32},
		{"3jzfcijpj2z2a", UINT64_C(1728652679052295174)},
		{"bzzzzzzzzzzzz", (UINT64_C(1) << 63) - 1},
		{"jzzzzzzzzzzzz", UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[RK_TID_LEN + 1];
		uint64_t tid;

		assert_true(rk_tid_parse(&tid, rk_slice_str(cases[i].text)));
		assert_true(tid == cases[i].tid);
		rk_tid_format(text, tid);
		assert_string_equal(text, cases[i].text);
	}
	assert_true(
		rk_tid_unix_us(UINT64_C(1700000000000000) << 10 | 5) == INT64_C(1700000000000000));
}

static void oid_either_case_and_its_time(void **state)
{
	struct rk_oid lower, upper;
	char hex[RK_OID_LEN + 1];

	assert_true(rk_oid_parse(&lower, rk_slice_str("65a0b1c2d3e4f5061728394a")));
	assert_true(rk_oid_parse(&upper, rk_slice_str("65A0B1C2D3E4F5061728394A")));
	assert_memory_equal(lower.bytes, upper.bytes, 12);
	rk_oid_format(hex, &upper);
	assert_string_equal(hex, "65a0b1c2d3e4f5061728394a");
	assert_int_equal(rk_oid_unix_sec(&lower), 0x65a0b1c2);
	assert_true(rk_oid_parse(&lower, rk_slice_str("ffffffff0000000000000000")));
	assert_true(rk_oid_unix_sec(&lower) == INT64_C(0xffffffff));
	assert_false(rk_oid_parse(&lower, rk_slice_str("65a0b1c2d3e4f5061728394")));
	assert_false(rk_oid_parse(&lower, rk_slice_str("65a0b1c2d3e4f5061728394a0")));
}

static void language_rules_in_pairs(void **state)
{
	static const struct {
		const char *tag;
		bool valid;
	} cases[] = {
		{"en", true},
		{"e", false},
		{"eng", true},
		{"engl", false},
		{"En", false},
		{"en-", false},
		{"-en", false},
		{"en--us", false},
		{"e1", false},
		{"en_US", false},
		{"zh-min-nan", true},
		{"zh-cmn-yue-gan", true},
		{"zh-cmn-yue-gan-hak", false},
		{"zh-Hant-TW", true},
		{"zh-TW-Hant", false},
		{"es-419", true},
		{"es-41", false},
		{"es-419-ES", false},
		{"de-1996", true},
		{"de-199", true},
		{"de-a996", false},
		{"de-19965678", true},
		{"de-199656789", false},
		{"de-1901-1996", true},
		{"de-1901-1901", false},
		{"en-a", false},
		{"en-a-b", false},
		{"en-a-bb", true},
		{"en-a-bb-b-cc", true},
		{"en-a-bb-A-cc", false},
		{"en-x", false},
		{"en-x-a", true},
		{"en-x-a-a-x", true},
		{"x", false},
		{"x-a", true},
		{"X-12345678", true},
		{"x-123456789", false},
		{"en-gb-oed", true},
		{"en-oed-gb", true},
		{"i-klingon", true},
		{"i-unknown", false},
		{"i-Klingon", true},
		{"I-klingon", false},
		{"sgn-CH-DE", true},
		{"sgn-CH-FR", false},
		{"art-lojban", true},
		{"cel-gaulish", true},
		{"en-u-ca-buddhist-1901", true},
		{"en-1901-u-co-1901", true},
	};
	struct rk_buf tag = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (rk_language_valid(rk_slice_str(cases[i].tag)) != cases[i].valid)
			fail_msg("%s", cases[i].tag);
	}
	rk_buf_add_str(&tag, "en-x");
	while (tag.len < 128)
		rk_buf_add_str(&tag, "-a");
	assert_true(rk_language_valid(rk_buf_slice(&tag)));
	rk_buf_add_str(&tag, "b");
	assert_false(rk_language_valid(rk_buf_slice(&tag)));
	rk_buf_finish(&tag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_ok_one_more_refused),
		cmocka_unit_test(refuses_empty_and_nul),
		cmocka_unit_test(at_uri_parts_are_borrowed_or_empty),
		cmocka_unit_test(refused_input_leaves_out_alone),
		cmocka_unit_test(tid_values_both_ways),
		cmocka_unit_test(oid_either_case_and_its_time),
		cmocka_unit_test(language_rules_in_pairs),
	};
	return cmocka_run_group_tests_name("atproto/syntax", tests, NULL, NULL);
}
