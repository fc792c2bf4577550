/* The interop suite's signatures: good ones, high-S and DER of both curves. */
#include "tests/unit/test.h"

#include <jansson.h>

#include "atproto/key.h"
#include "base/encode.h"
#include "tests/unit/vectors.h"

static struct rk_slice text_of(const json_t *object, const char *name)
{
	const json_t *text = json_object_get(object, name);

	assert_true(json_is_string(text));
	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static struct rk_key key_of(const json_t *entry)
{
	struct rk_slice text = text_of(entry, "publicKeyDid"), prefix = RK_SLICE_LIT("did:key:");
	struct rk_key key;

	assert_true(rk_slice_starts(text, prefix));
	assert_true(
		rk_key_from_multibase(&key, rk_slice_sub(text, prefix.len, text.len - prefix.len)));
	return key;
}

/* What the suite's tags say of an invalid one. */
static enum rk_signature_result expected(const json_t *entry)
{
	const json_t *tags = json_object_get(entry, "tags");

	if (json_is_true(json_object_get(entry, "validSignature")))
		return RK_SIGNATURE_OK;
	assert_int_equal(json_array_size(tags), 1);
	if (strcmp(json_string_value(json_array_get(tags, 0)), "high-s") == 0)
		return RK_SIGNATURE_HIGH_S;
	assert_string_equal(json_string_value(json_array_get(tags, 0)), "der-encoded");
	return RK_SIGNATURE_MALFORMED;
}

static void signatures(void **state)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_t *list, *entry;
	size_t i;

	rk_vectors_require(path, sizeof(path), "crypto/signature-fixtures.json");
	list = json_load_file(path, 0, NULL);
	assert_true(json_is_array(list) && json_array_size(list) > 0);
	json_array_foreach(list, i, entry)
	{
		struct rk_key_checker *checker = rk_key_checker_create();
		struct rk_buf message = {0}, signature = {0};
		struct rk_key key = key_of(entry);
		uint8_t digest[RK_SHA256_BYTES];
		struct rk_key_ready ready;

		assert_true(rk_base64_decode(&message, text_of(entry, "messageBase64"), false));
		assert_true(rk_base64_decode(&signature, text_of(entry, "signatureBase64"), false));
		rk_sha256(digest, rk_buf_slice(&message));
		assert_true(rk_key_ready_make(&ready, &key));
		if (rk_signature_check(checker, &ready, digest, rk_buf_slice(&signature)) !=
			(int)expected(entry))
			fail_msg("%s", json_string_value(json_object_get(entry, "comment")));
		rk_key_checker_destroy(checker);
		rk_buf_finish(&message);
		rk_buf_finish(&signature);
	}
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures),
	};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/key interop", tests, NULL, NULL));
}
