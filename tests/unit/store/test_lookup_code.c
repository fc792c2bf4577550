/* Rules of store/lookup.c: which records a code that is somebody else's leads to. */
#include "tests/unit/store/kit.h"

#define X "65f0a1b2c3d4e5f601234567"

enum { PAINTING = RK_COLLECTION_PAINTING };

static void code_settle(struct kit *k, rk_repo_id repo, struct rk_slice rkey, bool taken)
{
	const struct rk_link_result result = {
		.repo = repo,
		.collection = PAINTING,
		.rkey = rkey,
		.set_link = true,
		.link = RK_LINK_LINKED,
		.code_taken = taken,
	};

	assert_int_equal(rk_write_link(&k->w, &result), 0);
}

static bool code_count(void *context, const struct rk_record *record)
{
	return ++*(unsigned *)context < 2;
}

/* A linked record with somebody else's code: found by its ref and its slug. */
static void code_taken_is_no_answer_to_the_code(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.collection = PAINTING,
		.rkey = kit_rkey(1),
		.ref = X,
		.code = "code",
		.slug = "slug"};
	rk_repo_id a;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	kit_put(k, a, &record, 1);
	code_settle(k, a, record.rkey, true);
	kit_commit(k);
	for (int updated = 0; updated < 2; updated++) {
		unsigned count = 0;

		kit_check(k);
		kit_read(k);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "code", 0).len, 0);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "code", a).len, 0);
		assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, X, 0), record.rkey);
		assert_slice_equal(kit_lookup(k, RK_LOOKUP_SLUG, PAINTING, "slug", 0), record.rkey);
		assert_int_equal(
			rk_read_code_all(k->s, PAINTING, rk_slice_str("code"), code_count, &count),
			0);
		assert_int_equal(count, 0);
		/* Nor is another version of it, which is not looked at yet. */
		kit_write(k);
		record.version = 1;
		kit_put(k, a, &record, 2);
		kit_commit(k);
	}
	kit_write(k);
	code_settle(k, a, record.rkey, false);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "code", 0), record.rkey);
}

static void code_all_gives_who_may_answer(void **state)
{
	struct kit *k = *state;
	rk_repo_id a;
	unsigned count = 0;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	for (unsigned i = 0; i < 4; i++) {
		const struct kit_record record = {
			.collection = PAINTING, .rkey = kit_rkey(i), .code = "code"};

		kit_put(k, a, &record, i);
	}
	code_settle(k, a, kit_rkey(0), true);
	kit_link(k, a, PAINTING, kit_rkey(1), RK_LINK_CONFLICT);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(
		rk_read_code_all(k->s, PAINTING, rk_slice_str("code"), code_count, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(
		rk_read_code_all(k->s, PAINTING, rk_slice_str("none"), code_count, &count), 0);
	assert_int_equal(rk_read_code_all(k->s, PAINTING, rk_slice_str(""), code_count, &count), 0);
	assert_int_equal(count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(code_taken_is_no_answer_to_the_code),
		TEST(code_all_gives_who_may_answer),
	};
	return cmocka_run_group_tests_name("store/lookup_code", tests, NULL, NULL);
}
