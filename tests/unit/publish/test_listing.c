/* Rules of publish/listing: what a repo has, found by ref and by key. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "publish/listing.h"

static struct rk_slice s(const char *text)
{
	return rk_slice_str(text);
}

static struct rk_oid oid(const char *text)
{
	struct rk_oid id;

	assert_true(rk_oid_parse(&id, s(text)));
	return id;
}

#define A "65e1c0ffee65e1c0ffee65ea"
#define B "65e1c0ffee65e1c0ffee65eb"
#define C "65e1c0ffee65e1c0ffee65ec"

static void finds_the_oldest_of_a_ref(void **state)
{
	struct rk_listing listing = {0};
	struct rk_oid a = oid(A), b = oid(B), c = oid(C);
	uint64_t tid;

	assert_int_equal(rk_listing_ref(&listing, &a).len, 0);
	assert_false(rk_listing_taken(&listing, 1));
	assert_int_equal(rk_listing_add(&listing, s("3kccccccccccc"), s(A)), 0);
	assert_int_equal(rk_listing_add(&listing, s("3kbbbbbbbbbbb"), s(A)), 0);
	assert_int_equal(
		rk_listing_add(&listing, s("not-a-tid"), s("65E1C0FFEE65E1C0FFEE65EB")), 0);
	assert_int_equal(rk_listing_add(&listing, s("3kddddddddddd"), s("")), 0);
	assert_int_equal(rk_listing_add(&listing, s("3keeeeeeeeeee"), s("no ObjectId")), 0);
	rk_listing_seal(&listing);
	assert_true(rk_slice_equal_str(rk_listing_ref(&listing, &a), "3kbbbbbbbbbbb"));
	assert_true(rk_slice_equal_str(rk_listing_ref(&listing, &b), "not-a-tid"));
	assert_int_equal(rk_listing_ref(&listing, &c).len, 0);
	for (const char *const *key = (const char *const[]){"3kbbbbbbbbbbb", "3kccccccccccc",
		     "3kddddddddddd", "3keeeeeeeeeee", NULL};
		*key; key++) {
		assert_true(rk_tid_parse(&tid, s(*key)));
		assert_true(rk_listing_taken(&listing, tid));
		assert_false(rk_listing_taken(&listing, tid + 1));
	}
	rk_listing_finish(&listing);
	assert_int_equal(rk_listing_ref(&listing, &a).len, 0);
}

static void finds_among_many(void **state)
{
	struct rk_listing listing = {0};

	for (uint32_t n = 0; n < 3000; n++) {
		char rkey[RK_TID_LEN + 1], ref[25];

		rk_tid_format(rkey, (uint64_t)1 << 50 | (uint64_t)(n * 7919 % 3000));
		snprintf(ref, sizeof(ref), "%024x", n);
		assert_int_equal(rk_listing_add(&listing, s(rkey), s(ref)), 0);
	}
	rk_listing_seal(&listing);
	for (uint32_t n = 0; n < 3000; n++) {
		char rkey[RK_TID_LEN + 1], ref[25];
		struct rk_oid id;

		rk_tid_format(rkey, (uint64_t)1 << 50 | (uint64_t)(n * 7919 % 3000));
		snprintf(ref, sizeof(ref), "%024x", n);
		id = oid(ref);
		assert_true(rk_slice_equal_str(rk_listing_ref(&listing, &id), rkey));
		assert_true(rk_listing_taken(&listing, (uint64_t)1 << 50 | n));
	}
	assert_false(rk_listing_taken(&listing, (uint64_t)1 << 50 | 3000));
	rk_listing_finish(&listing);
}

/* Added in any order; what has neither a ref nor a TID for a key is nothing to a listing. */
static void two_of_one_repo_are_equal(void **state)
{
	static const struct {
		const char *rkey, *ref;
		bool same; /* once it is in one of them only */
	} more[] = {
		{"not-a-tid", "", true},
		{"not-a-tid", "no ObjectId", true},
		{"3kddddddddddd", "", false},
		{"not-a-tid", A, false},
		{"3kccccccccccc", B, false},
	};
	struct rk_listing a = {0};

	assert_true(rk_listing_equal(&a, &a));
	assert_int_equal(rk_listing_add(&a, s("3kccccccccccc"), s(A)), 0);
	assert_int_equal(rk_listing_add(&a, s("3kbbbbbbbbbbb"), s("")), 0);
	rk_listing_seal(&a);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct rk_listing b = {0};

		assert_int_equal(rk_listing_add(&b, s("3kbbbbbbbbbbb"), s("")), 0);
		assert_int_equal(rk_listing_add(&b, s("3kccccccccccc"), s(A)), 0);
		rk_listing_seal(&b);
		assert_true(rk_listing_equal(&a, &b));
		assert_int_equal(rk_listing_add(&b, s(more[i].rkey), s(more[i].ref)), 0);
		rk_listing_seal(&b);
		assert_int_equal(rk_listing_equal(&a, &b), more[i].same);
		rk_listing_finish(&b);
	}
	rk_listing_finish(&a);
	/* As many, of others. */
	for (int i = 0; i < 2; i++) {
		struct rk_listing b = {0}, c = {0};

		assert_int_equal(rk_listing_add(&b, s("3kccccccccccc"), s(A)), 0);
		assert_int_equal(
			rk_listing_add(&c, s(i ? "3kbbbbbbbbbbb" : "3kccccccccccc"), s(i ? A : B)),
			0);
		rk_listing_seal(&b);
		rk_listing_seal(&c);
		assert_false(rk_listing_equal(&b, &c));
		rk_listing_finish(&b);
		rk_listing_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_oldest_of_a_ref),
		cmocka_unit_test(finds_among_many),
		cmocka_unit_test(two_of_one_repo_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
