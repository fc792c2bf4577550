/*
 * Keys and signatures. k256 is libsecp256k1's, whose static context serves to check and to parse;
 * P-256 is OpenSSL's, through its low-level functions: EVP would want each signature in DER.
 * Whether r and s are in range, and s in the lower half, is looked at here for both curves alike.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "atproto/key.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>
#include <stdlib.h>

#include "base/encode.h"

enum {
	MULTICODEC_BYTES = 2,
	MULTIBASE_MOST = 128, /* letters: 65 bytes are 90 at most */
	SCALAR_BYTES = 32,
};

struct curve {
	uint8_t type;
	uint8_t codec[MULTICODEC_BYTES]; /* a Multikey's prefix: the varint of 0xe7 or 0x1200 */
	uint8_t order[SCALAR_BYTES], half[SCALAR_BYTES]; /* half: of the order, rounded down */
};

static const struct curve curves[] = {
	{
		RK_KEY_K256,
		{0xe7, 0x01},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2,
			0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41},
		{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9,
			0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0},
	},
	{
		RK_KEY_P256,
		{0x80, 0x24},
		{0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9,
			0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51},
		{0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc,
			0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8},
	},
};

static const struct curve *curve_of(uint8_t type)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		if (curves[i].type == type)
			return &curves[i];
	}
	return NULL;
}

/* Writes the point in the form that `size` bytes are. */
static bool point_load_k256(uint8_t *out, size_t size, struct rk_slice point)
{
	secp256k1_pubkey key;
	size_t len = size;

	return secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, point.data, point.len) &&
		secp256k1_ec_pubkey_serialize(secp256k1_context_static, out, &len, &key,
			size == RK_POINT_WHOLE ? SECP256K1_EC_UNCOMPRESSED
					       : SECP256K1_EC_COMPRESSED);
}

static bool point_load_p256(uint8_t *out, size_t size, struct rk_slice in)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	/* oct2point refuses what is not on the curve. */
	bool good = point && EC_POINT_oct2point(group, point, in.data, in.len, NULL) == 1 &&
		EC_POINT_point2oct(group, point,
			size == RK_POINT_WHOLE ? POINT_CONVERSION_UNCOMPRESSED
					       : POINT_CONVERSION_COMPRESSED,
			out, size, NULL) == size;

	EC_POINT_free(point);
	EC_GROUP_free(group);
	ERR_clear_error();
	return good;
}

/* From 02/03 and x, or 04, x and y; no infinity, no hybrid form. */
static bool point_load(uint8_t *out, size_t size, uint8_t type, struct rk_slice point)
{
	bool compressed = point.len == RK_POINT_COMPRESSED && (point.data[0] | 1) == 3;

	if (!compressed && (point.len != RK_POINT_WHOLE || point.data[0] != 4))
		return false;
	switch (type) {
	case RK_KEY_K256:
		return point_load_k256(out, size, point);
	case RK_KEY_P256:
		return point_load_p256(out, size, point);
	default:
		return false;
	}
}

bool rk_key_from_point(struct rk_key *out, enum rk_key_type type, struct rk_slice point)
{
	struct rk_key key = {.type = (uint8_t)type};

	if (!point_load(key.point, sizeof(key.point), key.type, point))
		return false;
	*out = key;
	return true;
}

bool rk_key_from_multibase(struct rk_key *out, struct rk_slice multibase)
{
	struct rk_buf bytes = {0};
	bool good = false;

	if (multibase.len < 2 || multibase.len > MULTIBASE_MOST || multibase.data[0] != 'z')
		return false;
	if (!rk_base58_decode(&bytes, rk_slice_sub(multibase, 1, multibase.len - 1)) ||
		bytes.len != MULTICODEC_BYTES + RK_POINT_COMPRESSED)
		goto done;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]) && !good; i++) {
		if (memcmp(bytes.data, curves[i].codec, MULTICODEC_BYTES) == 0)
			good = rk_key_from_point(out, (enum rk_key_type)curves[i].type,
				rk_slice_make(bytes.data + MULTICODEC_BYTES, RK_POINT_COMPRESSED));
	}
done:
	rk_buf_finish(&bytes);
	return good;
}

bool rk_key_ready_make(struct rk_key_ready *out, const struct rk_key *key)
{
	*out = (struct rk_key_ready){0};
	if (!point_load(out->point, sizeof(out->point), key->type,
		    rk_slice_make(key->point, sizeof(key->point))))
		return false;
	out->type = key->type;
	return true;
}

/* The curve, and room for the point and signature of one check. */
struct rk_key_checker {
	EC_KEY *key;
	EC_POINT *point;
	ECDSA_SIG *signature;
	BIGNUM *r, *s; /* the signature's */
	BN_CTX *scratch;
};

struct rk_key_checker *rk_key_checker_create(void)
{
	struct rk_key_checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return NULL;
	checker->key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	if (!checker->key)
		goto fail;
	checker->point = EC_POINT_new(EC_KEY_get0_group(checker->key));
	checker->scratch = BN_CTX_new();
	checker->signature = ECDSA_SIG_new();
	checker->r = BN_new();
	checker->s = BN_new();
	if (!checker->point || !checker->scratch || !checker->signature || !checker->r ||
		!checker->s)
		goto fail;
	ECDSA_SIG_set0(checker->signature, checker->r, checker->s);
	return checker;
fail:
	BN_free(checker->r);
	BN_free(checker->s);
	checker->r = checker->s = NULL;
	rk_key_checker_destroy(checker);
	return NULL;
}

void rk_key_checker_destroy(struct rk_key_checker *checker)
{
	if (!checker)
		return;
	ECDSA_SIG_free(checker->signature); /* with r and s */
	BN_CTX_free(checker->scratch);
	EC_POINT_free(checker->point);
	EC_KEY_free(checker->key);
	free(checker);
}

enum rk_signature_result rk_signature_look(enum rk_key_type type, struct rk_slice signature)
{
	static const uint8_t zero[SCALAR_BYTES];
	const struct curve *curve = curve_of((uint8_t)type);
	const uint8_t *r = signature.data, *s;

	if (!curve || signature.len != RK_SIGNATURE_BYTES)
		return RK_SIGNATURE_MALFORMED;
	s = r + SCALAR_BYTES;
	if (memcmp(r, zero, SCALAR_BYTES) == 0 || memcmp(s, zero, SCALAR_BYTES) == 0 ||
		memcmp(r, curve->order, SCALAR_BYTES) >= 0 ||
		memcmp(s, curve->order, SCALAR_BYTES) >= 0)
		return RK_SIGNATURE_MALFORMED;
	return memcmp(s, curve->half, SCALAR_BYTES) > 0 ? RK_SIGNATURE_HIGH_S : RK_SIGNATURE_OK;
}

static int check_k256(
	const struct rk_key_ready *key, const uint8_t *digest, struct rk_slice signature)
{
	secp256k1_ecdsa_signature parsed;
	secp256k1_pubkey point;

	return secp256k1_ec_pubkey_parse(
		       secp256k1_context_static, &point, key->point, sizeof(key->point)) &&
			secp256k1_ecdsa_signature_parse_compact(
				secp256k1_context_static, &parsed, signature.data) &&
			secp256k1_ecdsa_verify(secp256k1_context_static, &parsed, digest, &point)
		? RK_SIGNATURE_OK
		: RK_SIGNATURE_WRONG;
}

/* What OpenSSL could not finish: for want of memory, or because the numbers lead nowhere. The owner
 * of a key can choose r so that the sum of points is the one at infinity. */
static int failure(void)
{
	bool memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;

	ERR_clear_error();
	return memory ? -ENOMEM : RK_SIGNATURE_WRONG;
}

static int check_p256(struct rk_key_checker *checker, const struct rk_key_ready *key,
	const uint8_t *digest, struct rk_slice signature)
{
	const EC_GROUP *group = EC_KEY_get0_group(checker->key);

	if (!BN_bin2bn(signature.data, SCALAR_BYTES, checker->r) ||
		!BN_bin2bn(signature.data + SCALAR_BYTES, SCALAR_BYTES, checker->s) ||
		!EC_POINT_oct2point(
			group, checker->point, key->point, sizeof(key->point), checker->scratch) ||
		!EC_KEY_set_public_key(checker->key, checker->point))
		return failure();
	switch (ECDSA_do_verify(digest, RK_SHA256_BYTES, checker->signature, checker->key)) {
	case 1:
		return RK_SIGNATURE_OK;
	case 0:
		return RK_SIGNATURE_WRONG;
	default:
		return failure();
	}
}

int rk_signature_check(struct rk_key_checker *checker, const struct rk_key_ready *key,
	const uint8_t digest[RK_SHA256_BYTES], struct rk_slice signature)
{
	struct rk_key_checker *own = NULL;
	int result;

	if (key->type == RK_KEY_NONE)
		return RK_SIGNATURE_WRONG;
	result = rk_signature_look((enum rk_key_type)key->type, signature);
	if (result != RK_SIGNATURE_OK)
		return result;
	if (key->type == RK_KEY_K256)
		return check_k256(key, digest, signature);
	if (!checker) {
		checker = own = rk_key_checker_create();
		if (!own)
			return -ENOMEM;
	}
	result = check_p256(checker, key, digest, signature);
	rk_key_checker_destroy(own);
	return result;
}
