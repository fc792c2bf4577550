/* Signing for tests, which the service itself never does: keys of both curves from one secret. */
#ifndef RK_TESTS_UNIT_ATPROTO_SIGN_H
#define RK_TESTS_UNIT_ATPROTO_SIGN_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>

#include "tests/unit/test.h"

#include "atproto/key.h"

/* Of the fixtures: 32 bytes of 01. */
#define SIGN_SECRET "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"

static inline EC_KEY *sign_p256_key(const char *secret)
{
	EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *number = BN_bin2bn((const uint8_t *)secret, 32, NULL);
	EC_POINT *point = EC_POINT_new(EC_KEY_get0_group(key));

	assert_int_equal(EC_POINT_mul(EC_KEY_get0_group(key), point, number, NULL, NULL, NULL), 1);
	assert_int_equal(EC_KEY_set_private_key(key, number), 1);
	assert_int_equal(EC_KEY_set_public_key(key, point), 1);
	EC_POINT_free(point);
	BN_free(number);
	return key;
}

/* The public key of a secret of 32 bytes. */
static inline struct rk_key sign_key(enum rk_key_type type, const char *secret)
{
	uint8_t point[RK_POINT_COMPRESSED];
	struct rk_key key = {0};

	if (type == RK_KEY_K256) {
		secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
		size_t len = sizeof(point);
		secp256k1_pubkey public;

		assert_int_equal(
			secp256k1_ec_pubkey_create(context, &public, (const uint8_t *)secret), 1);
		secp256k1_ec_pubkey_serialize(
			context, point, &len, &public, SECP256K1_EC_COMPRESSED);
		secp256k1_context_destroy(context);
	} else {
		EC_KEY *private = sign_p256_key(secret);

		assert_int_equal(EC_POINT_point2oct(EC_KEY_get0_group(private),
					 EC_KEY_get0_public_key(private),
					 POINT_CONVERSION_COMPRESSED, point, sizeof(point), NULL),
			sizeof(point));
		EC_KEY_free(private);
	}
	assert_true(rk_key_from_point(&key, type, rk_slice_make(point, sizeof(point))));
	return key;
}

static inline struct rk_key_ready sign_key_ready(enum rk_key_type type, const char *secret)
{
	struct rk_key key = sign_key(type, secret);
	struct rk_key_ready ready;

	assert_true(rk_key_ready_make(&ready, &key));
	return ready;
}

/* The order of a curve, to be freed. */
static inline BIGNUM *sign_order(enum rk_key_type type)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(
		type == RK_KEY_K256 ? NID_secp256k1 : NID_X9_62_prime256v1);
	BIGNUM *order = BN_dup(EC_GROUP_get0_order(group));

	EC_GROUP_free(group);
	return order;
}

/* The other spelling of the same signature. */
static inline void sign_turn_s(uint8_t signature[RK_SIGNATURE_BYTES], enum rk_key_type type)
{
	BIGNUM *order = sign_order(type), *s = BN_bin2bn(signature + 32, 32, NULL);

	assert_int_equal(BN_sub(s, order, s), 1);
	assert_int_equal(BN_bn2binpad(s, signature + 32, 32), 32);
	BN_free(s);
	BN_free(order);
}

/* In low-S form. */
static inline void sign_digest(uint8_t out[RK_SIGNATURE_BYTES], enum rk_key_type type,
	const char *secret, const uint8_t digest[RK_SHA256_BYTES])
{
	if (type == RK_KEY_K256) {
		secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
		secp256k1_ecdsa_signature signature;

		assert_int_equal(secp256k1_ecdsa_sign(context, &signature, digest,
					 (const uint8_t *)secret, NULL, NULL),
			1);
		secp256k1_ecdsa_signature_serialize_compact(context, out, &signature);
		secp256k1_context_destroy(context);
	} else {
		EC_KEY *key = sign_p256_key(secret);
		ECDSA_SIG *signature = ECDSA_do_sign(digest, RK_SHA256_BYTES, key);

		assert_non_null(signature);
		BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32);
		BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32);
		if (rk_signature_look(type, rk_slice_make(out, RK_SIGNATURE_BYTES)) ==
			RK_SIGNATURE_HIGH_S)
			sign_turn_s(out, type);
		ECDSA_SIG_free(signature);
		EC_KEY_free(key);
	}
}

#endif
