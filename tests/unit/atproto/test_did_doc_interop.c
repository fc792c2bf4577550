/* The W3C did:key vectors: the key that is read is the one the private key makes. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>

#include "atproto/did_doc.h"
#include "base/encode.h"
#include "tests/unit/vectors.h"

static json_t *load(const char *relative)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_t *list;

	rk_vectors_require(path, sizeof(path), relative);
	list = json_load_file(path, 0, NULL);
	assert_true(json_is_array(list) && json_array_size(list) > 0);
	return list;
}

static struct rk_slice did_key(const json_t *entry)
{
	struct rk_slice text =
		rk_slice_str(json_string_value(json_object_get(entry, "publicDidKey")));
	struct rk_slice prefix = RK_SLICE_LIT("did:key:");

	assert_true(rk_slice_starts(text, prefix));
	return rk_slice_sub(text, prefix.len, text.len - prefix.len);
}

static void k256_keys_are_their_private_keys(void **state)
{
	json_t *list = load("crypto/w3c_didkey_K256.json"), *entry;
	secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct rk_slice hex = rk_slice_str(
			json_string_value(json_object_get(entry, "privateKeyBytesHex")));
		uint8_t secret[32], point[33];
		size_t len = sizeof(point);
		secp256k1_pubkey public;
		struct rk_key key;

		assert_true(rk_hex_decode(secret, sizeof(secret), hex));
		assert_true(secp256k1_ec_pubkey_create(context, &public, secret));
		assert_true(secp256k1_ec_pubkey_serialize(
			context, point, &len, &public, SECP256K1_EC_COMPRESSED));
		assert_true(rk_key_from_multibase(&key, did_key(entry)));
		assert_int_equal(key.type, RK_KEY_K256);
		assert_memory_equal(key.point, point, sizeof(point));
	}
	json_decref(list);
	secp256k1_context_destroy(context);
}

static void p256_keys_are_their_private_keys(void **state)
{
	json_t *list = load("crypto/w3c_didkey_P256.json"), *entry;
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct rk_slice text = rk_slice_str(
			json_string_value(json_object_get(entry, "privateKeyBytesBase58")));
		EC_POINT *public = EC_POINT_new(group);
		struct rk_buf bytes = {0};
		BIGNUM *secret;
		uint8_t point[33];
		struct rk_key key;

		assert_true(rk_base58_decode(&bytes, text));
		secret = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
		assert_int_equal(EC_POINT_mul(group, public, secret, NULL, NULL, NULL), 1);
		assert_int_equal(EC_POINT_point2oct(group, public, POINT_CONVERSION_COMPRESSED,
					 point, sizeof(point), NULL),
			sizeof(point));
		assert_true(rk_key_from_multibase(&key, did_key(entry)));
		assert_int_equal(key.type, RK_KEY_P256);
		assert_memory_equal(key.point, point, sizeof(point));
		BN_free(secret);
		EC_POINT_free(public);
		rk_buf_finish(&bytes);
	}
	json_decref(list);
	EC_GROUP_free(group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(k256_keys_are_their_private_keys),
		cmocka_unit_test(p256_keys_are_their_private_keys),
	};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/did_doc interop", tests, NULL, NULL));
}
