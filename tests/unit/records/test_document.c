/* Rules of records/document: which document a record stands for. */
#include "tests/unit/test.h"

#include "base/encode.h"
#include "records/document.h"

static bool id_of(char out[25], const char *ref)
{
	struct rk_buf hex = {0};
	struct rk_oid oid;
	bool derived = rk_document_id(&oid, rk_slice_str(ref), rk_slice_str("did:plc:abc"),
		RK_COLLECTION_MOOD, rk_slice_str("3kaaaaaaaaaaa"));

	rk_hex_encode(&hex, rk_slice_make(oid.bytes, sizeof(oid.bytes)));
	strcpy(out, rk_buf_cstr(&hex));
	rk_buf_finish(&hex);
	return derived;
}

/* The expected value is printf 'did:plc:abc\0computer.aesthetic.mood\0003kaaaaaaaaaaa' | sha256sum. */
static void without_an_object_id_it_is_derived_by_a_fixed_rule(void **state)
{
	static const char *const refs[] = {
		"", "a", "not an id", "65f0a1b2c3d4e5f60123456", "65f0a1b2c3d4e5f6012345678"};
	char id[25];

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		assert_true(id_of(id, refs[i]));
		assert_string_equal(id, "d039524a87b41955ca294cc6");
	}
}

static void an_object_id_is_the_document(void **state)
{
	char id[25];

	assert_false(id_of(id, "65f0a1b2c3d4e5f601234567"));
	assert_string_equal(id, "65f0a1b2c3d4e5f601234567");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_object_id_it_is_derived_by_a_fixed_rule),
		cmocka_unit_test(an_object_id_is_the_document),
	};
	return cmocka_run_group_tests_name("records/document", tests, NULL, NULL);
}
