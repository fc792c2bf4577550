/* Rules of store/keys: the order of keys, and keys for what is too long for LMDB. */
#include "tests/unit/store/kit.h"

static void fill(char *out, size_t len, char last)
{
	memset(out, 'k', len);
	out[len - 1] = last;
}

static void rkey_254_is_itself_255_is_hashed(void **state)
{
	static const struct {
		size_t len, stored;
	} cases[] = {{1, 1}, {13, 13}, {253, 253}, {254, 254}, {255, 255}, {256, 255}, {512, 255}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_key_buf a = {0}, b = {0};
		char rkey[512];

		fill(rkey, cases[i].len, 'a');
		rk_key_rkey(&a, rk_slice_make(rkey, cases[i].len));
		fill(rkey, cases[i].len, 'b');
		rk_key_rkey(&b, rk_slice_make(rkey, cases[i].len));
		assert_false(a.failed);
		assert_int_equal(a.len, cases[i].stored);
		assert_int_equal(b.len, cases[i].stored);
		/* Different ones stay different, however late they differ. */
		assert_memory_not_equal(a.bytes, b.bytes, a.len);
		if (cases[i].len > RK_RKEY_PLAIN)
			assert_memory_equal(a.bytes, rkey, RK_RKEY_KEPT);
	}
}

static void longest_keys_fit(void **state)
{
	struct rk_record record = {.repo = UINT32_MAX, .collection = 0xff};
	struct rk_key_buf key = {0};
	char rkey[512], ref[RK_REF_MOST], did[RK_DID_MOST];

	fill(rkey, sizeof(rkey), 'z');
	memset(ref, 'f', sizeof(ref));
	memset(did, 'd', sizeof(did));
	record.rkey = rk_slice_make(rkey, sizeof(rkey));
	rk_key_pending(&key, true, rk_slice_make(ref, sizeof(ref)), record.repo, record.collection,
		record.rkey);
	assert_false(key.failed);
	assert_int_equal(key.len, 1 + 1 + 64 + 5 + 255);
	key = (struct rk_key_buf){0};
	rk_key_when(&key, UINT32_MAX, &record);
	assert_false(key.failed);
	key = (struct rk_key_buf){0};
	rk_key_lookup(&key, RK_LOOKUP_SLUG, 0xff, UINT32_MAX, rk_slice_make(did, RK_SLUG_MOST));
	assert_false(key.failed);
	key = (struct rk_key_buf){0};
	record.ref = rk_slice_make(ref, sizeof(ref));
	rk_key_answer(&key, &record);
	assert_false(key.failed);
	assert_int_equal(key.len, 1 + 64 + 1 + RK_KEY_PLACE);
	key = (struct rk_key_buf){0};
	rk_key_ref(&key, 0, rk_slice_make(did, RK_REF_MOST + 1));
	assert_int_equal(rk_key_slice(&key).len, 0);
	key = (struct rk_key_buf){0};
	rk_key_did(&key, rk_slice_make(did, RK_DID_MOST));
	assert_false(key.failed);
	assert_int_equal(key.len, 33);
	assert_int_equal(key.bytes[0], 0xff);
}

static void did_500_is_itself_501_is_hashed(void **state)
{
	char did[502];
	struct rk_key_buf key = {0};

	memset(did, 'd', sizeof(did));
	rk_key_did(&key, rk_slice_make(did, 500));
	assert_int_equal(key.len, 500);
	key.len = 0;
	rk_key_did(&key, rk_slice_make(did, 501));
	assert_int_equal(key.len, 33);
}

static void overlong_keys_fail_and_are_empty(void **state)
{
	struct rk_key_buf key = {0};
	char bytes[RK_KEY_MOST + 1] = {0};

	rk_key_add(&key, rk_slice_make(bytes, RK_KEY_MOST));
	assert_int_equal(rk_key_slice(&key).len, RK_KEY_MOST);
	rk_key_add(&key, rk_slice_make(bytes, 1));
	assert_true(key.failed);
	assert_int_equal(rk_key_slice(&key).len, 0);
}

static void empty_keys_find_nothing_and_cannot_be_put(void **state)
{
	struct kit *k = *state;
	struct rk_slice value, nothing = {0};

	kit_write(k);
	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_META, nothing, &value), RK_STORE_ABSENT);
	assert_true(rk_table_put(&k->w, RK_TABLE_META, nothing, nothing) < 0);
	assert_int_equal(rk_table_del(&k->w, RK_TABLE_META, nothing, nothing), 0);
	kit_commit(k);
}

static void order_of_keys_is_order_of_numbers(void **state)
{
	static const int64_t times[] = {
		INT64_MIN, -62167219200000, -1, 0, 1, 1700000000000, INT64_MAX};

	for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
		struct rk_key_buf a = {0}, b = {0};

		rk_key_uint(&a, rk_key_time(times[i - 1]), 8);
		rk_key_uint(&b, rk_key_time(times[i]), 8);
		assert_true(rk_slice_compare(rk_key_slice(&a), rk_key_slice(&b)) < 0);
	}
	for (unsigned bytes = 1; bytes <= 8; bytes++) {
		struct rk_key_buf key = {0};

		rk_key_uint(&key, UINT64_C(0x0102030405060708), bytes);
		assert_int_equal(key.len, bytes);
		assert_int_equal(key.bytes[bytes - 1], 8);
		assert_int_equal(key.bytes[0], 9 - bytes);
	}
}

/* Packed or not: what differs in any byte has another key, and none is the beginning of another's. */
static void keys_of_refs_are_apart(void **state)
{
	static const char *const refs[] = {"", "6", "65f0a1b2c3d4e5f60123456",
		"65f0a1b2c3d4e5f601234567", "65f0a1b2c3d4e5f601234568", "65F0a1b2c3d4e5f601234567",
		"65f0a1b2c3d4e5f60123456g", "65f0a1b2c3d4e5f6012345670", "not an id",
		"\x65\xf0\xa1\xb2\xc3\xd4\xe5\xf6\x01\x23\x45\x67",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
	enum { COUNT = sizeof(refs) / sizeof(refs[0]) };

	for (size_t i = 0; i < COUNT; i++) {
		struct rk_record record = {.ref = rk_slice_str(refs[i]), .collection = 1};
		struct rk_key_buf a = {0}, answer = {0};

		rk_key_ref(&a, 1, record.ref);
		assert_int_equal(a.len, i == 3 || i == 4 ? 14 : record.ref.len + 2);
		assert_true(rk_key_is_owner(rk_key_slice(&a)));
		rk_key_answer(&answer, &record);
		assert_true(rk_slice_starts(rk_key_slice(&answer), rk_key_slice(&a)));
		assert_false(rk_key_is_owner(rk_key_slice(&answer)));
		for (size_t j = 0; j < COUNT; j++) {
			struct rk_key_buf b = {0};

			rk_key_ref(&b, 1, rk_slice_str(refs[j]));
			assert_int_equal(
				rk_slice_starts(rk_key_slice(&answer), rk_key_slice(&b)), i == j);
		}
	}
	assert_false(rk_key_is_owner((struct rk_slice){0}));
}

/* Of a record, a document and an account: never the same key. */
static void issue_keys_are_apart(void **state)
{
	const struct rk_issue issues[] = {
		{.kind = 1, .repo = 7, .collection = -1},
		{.kind = 1, .repo = 7, .collection = 0, .ref = RK_SLICE_LIT("abc")},
		{.kind = 1, .repo = 7, .collection = 0, .rkey = RK_SLICE_LIT("abc")},
		{.kind = 1, .repo = 8, .collection = 0, .rkey = RK_SLICE_LIT("abc")},
		{.kind = 1, .repo = 7, .collection = 1, .rkey = RK_SLICE_LIT("abc")},
		{.kind = 2, .repo = 7, .collection = 0, .rkey = RK_SLICE_LIT("abc")},
	};
	enum { COUNT = sizeof(issues) / sizeof(issues[0]) };

	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = 0; j < COUNT; j++) {
			struct rk_key_buf a = {0}, b = {0};

			rk_key_issue(&a, &issues[i]);
			rk_key_issue(&b, &issues[j]);
			assert_int_equal(
				rk_slice_equal(rk_key_slice(&a), rk_key_slice(&b)), i == j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rkey_254_is_itself_255_is_hashed),
		cmocka_unit_test(longest_keys_fit),
		cmocka_unit_test(did_500_is_itself_501_is_hashed),
		cmocka_unit_test(overlong_keys_fail_and_are_empty),
		cmocka_unit_test_setup_teardown(
			empty_keys_find_nothing_and_cannot_be_put, kit_setup, kit_teardown),
		cmocka_unit_test(order_of_keys_is_order_of_numbers),
		cmocka_unit_test(keys_of_refs_are_apart),
		cmocka_unit_test(issue_keys_are_apart),
	};
	return cmocka_run_group_tests_name("store/keys", tests, NULL, NULL);
}
