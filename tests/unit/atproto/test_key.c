/* Rules of atproto/key: r and s in range, s low, and nothing but the one signature. */
#include "tests/unit/atproto/sign.h"

static const enum rk_key_type types[] = {RK_KEY_K256, RK_KEY_P256};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static const char secret[] = SIGN_SECRET;

/* A good signature, with its key and digest. */
struct signed_digest {
	struct rk_key_ready key;
	uint8_t digest[RK_SHA256_BYTES], signature[RK_SIGNATURE_BYTES];
};

static struct signed_digest sign(enum rk_key_type type, const char *text)
{
	struct signed_digest out = {.key = sign_key_ready(type, secret)};

	rk_sha256(out.digest, rk_slice_str(text));
	sign_digest(out.signature, type, secret, out.digest);
	return out;
}

/* With a checker kept and without one. */
static int check(const struct signed_digest *in)
{
	struct rk_slice signature = rk_slice_make(in->signature, sizeof(in->signature));
	struct rk_key_checker *checker = rk_key_checker_create();
	int result;

	assert_non_null(checker);
	result = rk_signature_check(checker, &in->key, in->digest, signature);
	assert_int_equal(rk_signature_check(checker, &in->key, in->digest, signature), result);
	assert_int_equal(rk_signature_check(NULL, &in->key, in->digest, signature), result);
	rk_key_checker_destroy(checker);
	return result;
}

static void good_signatures_are_good(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		for (int n = 0; n < 50; n++) {
			struct signed_digest in =
				sign(types[i], n % 2 ? "text" : (char[]){(char)('a' + n), 0});

			assert_int_equal(check(&in), RK_SIGNATURE_OK);
		}
	}
}

static void high_s_is_refused_as_such(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");

		sign_turn_s(in.signature, types[i]);
		assert_int_equal(check(&in), RK_SIGNATURE_HIGH_S);
		sign_turn_s(in.signature, types[i]);
		assert_int_equal(check(&in), RK_SIGNATURE_OK);
	}
}

static void every_flipped_bit_is_refused(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");

		for (size_t bit = 0; bit < 8 * sizeof(in.signature); bit++) {
			in.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_not_equal(rk_signature_check(NULL, &in.key, in.digest,
						     rk_slice_make(in.signature, 64)),
				RK_SIGNATURE_OK);
			in.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		in.digest[31] ^= 1;
		assert_int_equal(check(&in), RK_SIGNATURE_WRONG);
	}
}

static void another_key_is_refused(void **state)
{
	char other[] = SIGN_SECRET;

	other[31] = 2;
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");

		in.key = sign_key_ready(types[i], other);
		assert_int_equal(check(&in), RK_SIGNATURE_WRONG);
		in.key = sign_key_ready(types[1 - i], secret);
		assert_int_not_equal(check(&in), RK_SIGNATURE_OK);
		in.key = (struct rk_key_ready){0};
		assert_int_equal(check(&in), RK_SIGNATURE_WRONG);
	}
}

static void lengths_but_64_are_malformed(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");
		uint8_t longer[RK_SIGNATURE_BYTES + 1] = {0};

		memcpy(longer, in.signature, sizeof(in.signature));
		for (size_t len = 0; len <= sizeof(longer); len++) {
			int result = rk_signature_check(
				NULL, &in.key, in.digest, rk_slice_make(longer, len));

			assert_int_equal(result,
				len == RK_SIGNATURE_BYTES ? RK_SIGNATURE_OK
							  : RK_SIGNATURE_MALFORMED);
		}
		assert_int_equal(
			rk_signature_look(types[i], (struct rk_slice){0}), RK_SIGNATURE_MALFORMED);
	}
}

/* r or s at a distance from the order (times: 1) or from its half (times: 2). */
static void put_number(uint8_t *at, enum rk_key_type type, int times, int more)
{
	BIGNUM *number = sign_order(type);

	if (times == 0)
		BN_zero(number);
	if (times == 2)
		assert_int_equal(BN_rshift1(number, number), 1);
	assert_int_equal(
		more < 0 ? BN_sub_word(number, 1) : BN_add_word(number, (BN_ULONG)more), 1);
	assert_int_equal(BN_bn2binpad(number, at, 32), 32);
	BN_free(number);
}

static void r_and_s_have_bounds(void **state)
{
	static const struct {
		const char *what;
		size_t at; /* 0: r, 32: s */
		int times, more;
		enum rk_signature_result result;
	} rows[] = {
		{"r 0", 0, 0, 0, RK_SIGNATURE_MALFORMED},
		{"r 1", 0, 0, 1, RK_SIGNATURE_OK},
		{"r order - 1", 0, 1, -1, RK_SIGNATURE_OK},
		{"r order", 0, 1, 0, RK_SIGNATURE_MALFORMED},
		{"r order + 1", 0, 1, 1, RK_SIGNATURE_MALFORMED},
		{"s 0", 32, 0, 0, RK_SIGNATURE_MALFORMED},
		{"s 1", 32, 0, 1, RK_SIGNATURE_OK},
		{"s half - 1", 32, 2, -1, RK_SIGNATURE_OK},
		{"s half", 32, 2, 0, RK_SIGNATURE_OK},
		{"s half + 1", 32, 2, 1, RK_SIGNATURE_HIGH_S},
		{"s order - 1", 32, 1, -1, RK_SIGNATURE_HIGH_S},
		{"s order", 32, 1, 0, RK_SIGNATURE_MALFORMED},
	};

	for (size_t i = 0; i < TYPES; i++) {
		for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
			struct signed_digest in = sign(types[i], "text");

			put_number(in.signature + rows[row].at, types[i], rows[row].times,
				rows[row].more);
			if (rk_signature_look(types[i], rk_slice_make(in.signature, 64)) !=
				rows[row].result)
				fail_msg("%s", rows[row].what);
			assert_int_equal(check(&in),
				rows[row].result == RK_SIGNATURE_OK ? RK_SIGNATURE_WRONG
								    : rows[row].result);
		}
	}
	assert_int_equal(
		rk_signature_look(RK_KEY_NONE, rk_slice_make(secret, 32)), RK_SIGNATURE_MALFORMED);
}

/* r = -digest / secret takes the sum of points to infinity. Whoever has the key can do that. */
static void a_sum_at_infinity_is_a_wrong_signature(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");
		BIGNUM *order = sign_order(types[i]), *r = BN_new();
		BIGNUM *inverse = BN_bin2bn((const uint8_t *)secret, 32, NULL);
		BIGNUM *digest = BN_bin2bn(in.digest, 32, NULL);
		BN_CTX *scratch = BN_CTX_new();

		assert_non_null(BN_mod_inverse(inverse, inverse, order, scratch));
		assert_int_equal(BN_mod_mul(r, digest, inverse, order, scratch), 1);
		assert_int_equal(BN_sub(r, order, r), 1);
		assert_int_equal(BN_bn2binpad(r, in.signature, 32), 32);
		assert_int_equal(check(&in), RK_SIGNATURE_WRONG);
		BN_free(order);
		BN_free(r);
		BN_free(inverse);
		BN_free(digest);
		BN_CTX_free(scratch);
	}
}

static void keys_are_points_of_their_curve(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct rk_key key = sign_key(types[i], secret), again = {0};
		struct rk_key_ready ready;

		assert_true(rk_key_ready_make(&ready, &key));
		assert_int_equal(ready.point[0], 4);
		assert_memory_equal(ready.point + 1, key.point + 1, 32);
		assert_true(rk_key_from_point(
			&again, types[i], rk_slice_make(ready.point, sizeof(ready.point))));
		assert_memory_equal(&again, &key, sizeof(key));
		for (size_t len = 0; len < sizeof(ready.point); len++) {
			assert_false(rk_key_from_point(
				&again, types[i], rk_slice_make(ready.point, len)));
		}
		ready.point[64] ^= 1;
		assert_false(rk_key_from_point(
			&again, types[i], rk_slice_make(ready.point, sizeof(ready.point))));
		memset(key.point + 1, 0xff, 32);
		assert_false(rk_key_ready_make(&ready, &key));
		assert_int_equal(ready.type, RK_KEY_NONE);
	}
	assert_false(rk_key_ready_make(&(struct rk_key_ready){0}, &(struct rk_key){0}));
}

/* What was spoiled between two checks does not matter to the second. */
static void spoiled_keys_sign_nothing(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		struct signed_digest in = sign(types[i], "text");

		in.key.point[64] ^= 1;
		assert_int_equal(check(&in), RK_SIGNATURE_WRONG);
		in.key.point[64] ^= 1;
		assert_int_equal(check(&in), RK_SIGNATURE_OK);
	}
	rk_key_checker_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_signatures_are_good),
		cmocka_unit_test(high_s_is_refused_as_such),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(lengths_but_64_are_malformed),
		cmocka_unit_test(r_and_s_have_bounds),
		cmocka_unit_test(a_sum_at_infinity_is_a_wrong_signature),
		cmocka_unit_test(keys_are_points_of_their_curve),
		cmocka_unit_test(spoiled_keys_sign_nothing),
	};
	return cmocka_run_group_tests_name("atproto/key", tests, NULL, NULL);
}
