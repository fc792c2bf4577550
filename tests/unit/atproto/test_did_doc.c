/* Rules of atproto/did_doc: which entry counts, both key forms, points off their curve. */
#include "tests/unit/test.h"

#include "atproto/did_doc.h"
#include "base/buf.h"

#define DID  "did:plc:abc"
#define K256 "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"
#define P256 "zDnaeTiq1PdzvZXUaMdezchcMJQpBdH2VN4pgrrEhMCCbmwSb"
/* The same points, uncompressed, without a prefix. */
#define K256_LEGACY                                                                                \
	"zQBL1VZCdC6hs61fqgwdoNjwh93UBcTg7imvRF9qShKfHR4DQ4RjKyqupL4f2mKduhzF5SzWzDbxKgGwnTsN2zSkg"
#define P256_LEGACY                                                                                \
	"zNT8mjyJy3tVtJJ6Q2nnmhgy3agZNb83zEvo3BuvHtosuiQdPtep5dCvsLaECeFxUxZNu3oCF8TdiELwwxbwX1ZRB"

static const uint8_t k256_point[33] = {
	0x03,
	0x87,
	0x4c,
	0x15,
	0xc7,
	0xfd,
	0xa2,
	0x0e,
	0x53,
	0x9c,
	0x6e,
	0x5b,
	0xa5,
	0x73,
	0xc1,
	0x39,
	0x88,
	0x4c,
	0x35,
	0x11,
	0x88,
	0x79,
	0x9f,
	0x54,
	0x58,
	0xb4,
	0xb4,
	0x1f,
	0x79,
	0x24,
	0xf2,
	0x35,
	0xcd,
};
static const uint8_t p256_point[33] = {
	0x02,
	0x30,
	0xe4,
	0xd8,
	0x60,
	0x41,
	0x88,
	0x8f,
	0xcc,
	0xe8,
	0x7b,
	0xc4,
	0x9a,
	0x07,
	0xf3,
	0x5e,
	0x25,
	0x61,
	0x24,
	0x25,
	0xa2,
	0x54,
	0x5a,
	0xaf,
	0xa0,
	0x8b,
	0x64,
	0x9c,
	0x98,
	0x1c,
	0xfa,
	0x81,
	0x04,
};

static bool parse(struct rk_did_doc *out, const char *json)
{
	struct rk_did did;

	assert_true(rk_did_parse(&did, rk_slice_str(DID)));
	return rk_did_doc_parse(out, did, rk_slice_str(json));
}

static void reads_all_three_parts(void **state)
{
	struct rk_did_doc doc;

	assert_true(parse(&doc,
		"{\"@context\":[\"https://www.w3.org/ns/did/v1\"],\"id\":\"" DID "\","
		"\"alsoKnownAs\":[\"at://Alice.Example\"],"
		"\"verificationMethod\":[{\"id\":\"" DID "#atproto\",\"type\":\"Multikey\","
		"\"controller\":\"" DID "\",\"publicKeyMultibase\":\"" K256 "\"}],"
		"\"service\":[{\"id\":\"#atproto_pds\",\"type\":\"AtprotoPersonalDataServer\","
		"\"serviceEndpoint\":\"https://PDS.example:443/\"}]}"));
	assert_string_equal(doc.handle, "alice.example");
	assert_string_equal(doc.pds, "https://pds.example");
	assert_int_equal(doc.key.type, RK_KEY_K256);
	assert_memory_equal(doc.key.point, k256_point, 33);
}

static void missing_parts_are_empty(void **state)
{
	struct rk_did_doc doc;

	memset(&doc, 0xff, sizeof(doc));
	assert_true(parse(&doc, "{\"id\":\"" DID "\"}"));
	assert_string_equal(doc.handle, "");
	assert_string_equal(doc.pds, "");
	assert_int_equal(doc.key.type, RK_KEY_NONE);
	/* so are parts of another shape */
	assert_true(parse(&doc,
		"{\"id\":\"" DID "\",\"alsoKnownAs\":\"at://a.b\",\"service\":{},"
		"\"verificationMethod\":[1,null,[],\"#atproto\",{}]}"));
	assert_string_equal(doc.handle, "");
	assert_int_equal(doc.key.type, RK_KEY_NONE);
}

static void refuses_what_is_not_this_did(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"\"" DID "\"",
		"{}",
		"{\"id\":1}",
		"{\"id\":\"did:plc:abd\"}",
		"{\"id\":\"did:plc:ab\"}",
		"{\"id\":\"DID:plc:abc\"}",
		"{\"id\":\"" DID "\"}{}",
		"{\"id\":\"" DID "\",\"x\":\"\xff\"}",
	};
	struct rk_did_doc doc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse(&doc, bad[i]));
}

static void refuses_over_long_and_over_deep(void **state)
{
	struct rk_buf json = {0};
	struct rk_did_doc doc;
	struct rk_did did = {RK_SLICE_LIT(DID)};

	rk_buf_add_str(&json, "{\"id\":\"" DID "\"}");
	while (json.len < RK_DID_DOC_MOST)
		rk_buf_add_byte(&json, ' ');
	assert_true(rk_did_doc_parse(&doc, did, rk_buf_slice(&json)));
	rk_buf_add_byte(&json, ' ');
	assert_false(rk_did_doc_parse(&doc, did, rk_buf_slice(&json)));

	rk_buf_clear(&json);
	rk_buf_add_str(&json, "{\"id\":\"" DID "\",\"x\":");
	for (int i = 0; i < 100000; i++)
		rk_buf_add_byte(&json, '[');
	assert_false(rk_did_doc_parse(&doc, did, rk_buf_slice(&json)));
	rk_buf_finish(&json);
}

static void first_valid_handle_counts(void **state)
{
	static const struct {
		const char *list, *handle;
	} cases[] = {
		{"[]", ""},
		{"[\"https://a.example\",\"at://b.example\",\"at://c.example\"]", "b.example"},
		{"[\"at://not_valid\",\"at://b.example/x\",\"at://b.example\"]", "b.example"},
		{"[\"at://did:plc:abc\"]", ""},
		{"[\"AT://a.example\"]", ""},
		{"[7,{},\"at://\",\"at://d.example\"]", "d.example"},
	};
	struct rk_did_doc doc;
	struct rk_buf json = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rk_buf_clear(&json);
		rk_buf_printf(&json, "{\"id\":\"" DID "\",\"alsoKnownAs\":%s}", cases[i].list);
		assert_true(parse(&doc, rk_buf_cstr(&json)));
		assert_string_equal(doc.handle, cases[i].handle);
	}
	rk_buf_finish(&json);
}

#define PDS(id, type, endpoint)                                                                    \
	"{\"id\":\"" id "\",\"type\":\"" type "\",\"serviceEndpoint\":" endpoint "}"
#define PDS_TYPE "AtprotoPersonalDataServer"

static void first_pds_counts_and_must_be_an_origin(void **state)
{
	static const struct {
		const char *list, *pds;
	} cases[] = {
		{PDS("#atproto_pds", PDS_TYPE, "\"http://localhost:2583\""),
			"http://localhost:2583"},
		{PDS(DID "#atproto_pds", PDS_TYPE, "\"https://a.example\""), "https://a.example"},
		{PDS("did:plc:abd#atproto_pds", PDS_TYPE, "\"https://a.example\""), ""},
		{PDS("atproto_pds", PDS_TYPE, "\"https://a.example\""), ""},
		{PDS("#atproto_pds", "Other", "\"https://a.example\""), ""},
		{PDS("#atproto_labeler", PDS_TYPE, "\"https://a.example\""), ""},
		{PDS("#atproto_pds", "Other", "\"https://a.example\"") "," PDS(
			 "#atproto_pds", PDS_TYPE, "\"https://b.example\""),
			"https://b.example"},
		{PDS("#atproto_pds", PDS_TYPE, "\"https://a.example\"") "," PDS(
			 "#atproto_pds", PDS_TYPE, "\"https://b.example\""),
			"https://a.example"},
		{PDS("#atproto_pds", PDS_TYPE, "\"https://a.example/path\"") "," PDS(
			 "#atproto_pds", PDS_TYPE, "\"https://b.example\""),
			""},
		{PDS("#atproto_pds", PDS_TYPE, "{\"uri\":\"https://a.example\"}"), ""},
		{PDS("#atproto_pds", PDS_TYPE, "\"ftp://a.example\""), ""},
	};
	struct rk_did_doc doc;
	struct rk_buf json = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rk_buf_clear(&json);
		rk_buf_printf(&json, "{\"id\":\"" DID "\",\"service\":[%s]}", cases[i].list);
		assert_true(parse(&doc, rk_buf_cstr(&json)));
		assert_string_equal(doc.pds, cases[i].pds);
	}
	rk_buf_finish(&json);
}

#define METHOD(id, type, controller, key)                                                          \
	"{\"id\":\"" id "\",\"type\":\"" type "\",\"controller\":\"" controller                    \
	"\",\"publicKeyMultibase\":\"" key "\"}"
#define K256_TYPE "EcdsaSecp256k1VerificationKey2019"
#define P256_TYPE "EcdsaSecp256r1VerificationKey2019"

static void first_key_counts_in_either_form(void **state)
{
	static const struct {
		const char *list;
		enum rk_key_type type;
	} cases[] = {
		{METHOD("#atproto", "Multikey", DID, K256), RK_KEY_K256},
		{METHOD("#atproto", "Multikey", DID, P256), RK_KEY_P256},
		{METHOD(DID "#atproto", K256_TYPE, DID, K256_LEGACY), RK_KEY_K256},
		{METHOD("#atproto", P256_TYPE, DID, P256_LEGACY), RK_KEY_P256},
		/* compressed, as some writers have it under the old types */
		{METHOD("#atproto", K256_TYPE, DID,
			 "z23o6Sau8NxxzXcgSc3PLcNxrzrZpbLeBn1izfv3jbKhuv"),
			RK_KEY_K256},
		{METHOD("#atproto", P256_TYPE, DID, K256_LEGACY), RK_KEY_NONE},
		{METHOD("#atproto", K256_TYPE, DID, K256), RK_KEY_NONE},
		{METHOD("#atproto", "Multikey", DID, K256_LEGACY), RK_KEY_NONE},
		{METHOD("#atproto", "JsonWebKey2020", DID, K256), RK_KEY_NONE},
		{METHOD("#atproto", "Multikey", "did:plc:abd", K256), RK_KEY_NONE},
		{METHOD("#atproto_label", "Multikey", DID, K256), RK_KEY_NONE},
		{METHOD("#atproto_label", "Multikey", DID, K256) "," METHOD(
			 "#atproto", "Multikey", DID, P256),
			RK_KEY_P256},
		{METHOD("#atproto", "Multikey", DID, P256) "," METHOD(
			 "#atproto", "Multikey", DID, K256),
			RK_KEY_P256},
		{METHOD("#atproto", "Multikey", DID, "z") "," METHOD(
			 "#atproto", "Multikey", DID, K256),
			RK_KEY_NONE},
	};
	struct rk_did_doc doc;
	struct rk_buf json = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rk_buf_clear(&json);
		rk_buf_printf(
			&json, "{\"id\":\"" DID "\",\"verificationMethod\":[%s]}", cases[i].list);
		assert_true(parse(&doc, rk_buf_cstr(&json)));
		assert_int_equal(doc.key.type, cases[i].type);
		if (doc.key.type != RK_KEY_NONE)
			assert_memory_equal(doc.key.point,
				doc.key.type == RK_KEY_K256 ? k256_point : p256_point, 33);
	}
	rk_buf_finish(&json);
}

static void refuses_points_off_the_curve(void **state)
{
	static const struct {
		const char *type, *key;
	} cases[] = {
		{K256_TYPE,
			"zQBL1VZCdC6hs61fqgwdoNjwh93UBcTg7imvRF9qShKfHR4DQ4RjKyqupL4f2mKduhzF5SzWzDbxKgGwnT"
			"sN2zSkf"},
		{P256_TYPE,
			"zNT8mjyJy3tVtJJ6Q2nnmhgy3agZNb83zEvo3BuvHtosuiQdPtep5dCvsLaECeFxUxZNu3oCF8TdiELwwx"
			"bwX1ZRC"},
		/* the right point in hybrid form (06 or 07) */
		{K256_TYPE,
			"zfXuVJYpLVKLeZPceNWcQqwHbVDEdfrw97jvT3vrRvM6pp4eSB33eew7AL6ez3TVKASaai4DWhDwt5K7i8"
			"uXZQ29v"},
		/* x = 5 and x = 7 have no y */
		{"Multikey", "zQ3shMQnkqiyfujhRPGFFqSEeD2yV9kUcmyBiu2fT2BXfFPMN"},
		{"Multikey", "zDnaeQRy3dcKsKa1zmKtVKsTy3m2HYoQnFnfKuxD6HfSTQgYn"},
	};
	struct rk_did_doc doc;
	struct rk_buf json = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rk_buf_clear(&json);
		rk_buf_printf(&json,
			"{\"id\":\"" DID
			"\",\"verificationMethod\":[{\"id\":\"#atproto\",\"type\":\"%s\","
			"\"controller\":\"" DID "\",\"publicKeyMultibase\":\"%s\"}]}",
			cases[i].type, cases[i].key);
		assert_true(parse(&doc, rk_buf_cstr(&json)));
		assert_int_equal(doc.key.type, RK_KEY_NONE);
	}
	rk_buf_finish(&json);
}

static void multibase_refusals_leave_the_key_alone(void **state)
{
	static const char *const bad[] = {
		"",
		"z",
		"Q3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
		"m" K256,
		K256 "1",
		"did:key:" K256,
		"zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBm0",
		"z6DtN2XeG3xRD5DWYgpqGGy1bwGutYZrX3mESMzVRk8o9xYt",    /* a byte short */
		"z2kjgo7KtofYUpYJRnJiA1H18sc1GKaSuUzkZkCDcs7fugLeY2K", /* a byte long */
		"zQebeuN44qzKNQkQRP1qsxyrrjYNpBPgMSF9HaoWVph23gi9t",   /* the prefix of ed25519 */
		"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
		"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
	};
	struct rk_key key = {.type = 9};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(rk_key_from_multibase(&key, rk_slice_str(bad[i])));
	assert_int_equal(key.type, 9);
	assert_true(rk_key_from_multibase(&key, rk_slice_str(P256)));
	assert_int_equal(key.type, RK_KEY_P256);
	assert_memory_equal(key.point, p256_point, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_three_parts),
		cmocka_unit_test(missing_parts_are_empty),
		cmocka_unit_test(refuses_what_is_not_this_did),
		cmocka_unit_test(refuses_over_long_and_over_deep),
		cmocka_unit_test(first_valid_handle_counts),
		cmocka_unit_test(first_pds_counts_and_must_be_an_origin),
		cmocka_unit_test(first_key_counts_in_either_form),
		cmocka_unit_test(refuses_points_off_the_curve),
		cmocka_unit_test(multibase_refusals_leave_the_key_alone),
	};
	return cmocka_run_group_tests_name("atproto/did_doc", tests, NULL, NULL);
}
