/* Rules of store/strangers: whose identities are dropped, and what goes with them. */
#include "tests/unit/store/kit.h"

#include <stdio.h>

enum { OLD = 1000, YOUNG = 2000 };

static const struct rk_slice nobody = RK_SLICE_LIT("did:plc:nobody");
static const struct rk_slice handle = RK_SLICE_LIT("nobody.test");

static void identity_put(struct kit *k, struct rk_slice did, struct rk_slice name, int64_t at_ms)
{
	const struct rk_identity identity = {.handle = name, .fetched_ms = at_ms};

	assert_int_equal(rk_write_identity(&k->w, did, &identity), 0);
}

/* Drops all of them, as a sweep does; how many were found. */
static size_t sweep(struct kit *k)
{
	struct rk_strangers found = {0};
	size_t count = 0;
	int r = 0;

	while (r == 0) {
		r = rk_read_strangers(kit_read(k), &found, YOUNG);
		assert_true(r >= 0);
		count += found.count;
		kit_write(k);
		for (size_t i = 0; i < found.count; i++)
			assert_int_equal(rk_write_stranger_drop(&k->w, &found.keys[i], YOUNG), 0);
		kit_commit(k);
	}
	assert_int_equal(r, RK_STORE_ABSENT);
	return count;
}

static bool is_there(struct kit *k, struct rk_slice did)
{
	struct rk_identity identity;
	int r = rk_read_identity(kit_read(k), &identity, did);

	assert_true(r == RK_STORE_OK || r == RK_STORE_ABSENT);
	return r == RK_STORE_OK;
}

static void drops_old_ones_without_a_repo_with_their_handles(void **state)
{
	const struct rk_slice known = rk_slice_str("did:plc:known"),
			      young = rk_slice_str("did:web:a");
	struct kit *k = *state;
	struct rk_repo repo;

	kit_write(k);
	kit_repo(k, "did:plc:known");
	identity_put(k, known, rk_slice_str("known.test"), OLD);
	identity_put(k, nobody, handle, OLD);
	identity_put(k, young, (struct rk_slice){0}, YOUNG);
	kit_commit(k);
	assert_int_equal(sweep(k), 1);
	assert_true(is_there(k, known));
	assert_true(is_there(k, young));
	assert_false(is_there(k, nobody));
	assert_int_equal(rk_read_repo_by_handle(kit_read(k), &repo, rk_slice_str("known.test")), 0);
	kit_check(k);
	/* Nothing is left of its handle: another account may have it. */
	kit_write(k);
	identity_put(k, known, handle, OLD);
	kit_commit(k);
	kit_check(k);
	assert_int_equal(sweep(k), 0);
}

static void keeps_a_handle_that_another_account_has_by_now(void **state)
{
	struct kit *k = *state;
	struct rk_repo repo;

	kit_write(k);
	identity_put(k, nobody, handle, OLD);
	kit_repo(k, "did:plc:known");
	identity_put(k, rk_slice_str("did:plc:known"), handle, OLD);
	kit_commit(k);
	assert_int_equal(sweep(k), 1);
	assert_int_equal(rk_read_repo_by_handle(kit_read(k), &repo, handle), 0);
	kit_check(k);
}

static void keeps_one_that_got_a_repo_meanwhile(void **state)
{
	struct kit *k = *state;
	struct rk_strangers found = {0};

	kit_write(k);
	identity_put(k, nobody, handle, OLD);
	kit_commit(k);
	assert_int_equal(rk_read_strangers(kit_read(k), &found, YOUNG), RK_STORE_ABSENT);
	assert_int_equal(found.count, 1);
	kit_write(k);
	kit_repo(k, "did:plc:nobody");
	assert_int_equal(rk_write_stranger_drop(&k->w, &found.keys[0], YOUNG), 0);
	kit_commit(k);
	assert_true(is_there(k, nobody));
}

static void finds_all_of_many_and_of_long_names(void **state)
{
	struct kit *k = *state;
	char did[600];

	kit_write(k);
	for (int i = 0; i < 3 * RK_STRANGERS_MOST; i++) {
		/* Every other one is longer than a key may be. */
		snprintf(did, sizeof(did), "did:web:%0*d", i % 2 ? 560 : 20, i);
		identity_put(k, rk_slice_str(did), (struct rk_slice){0}, OLD);
	}
	kit_commit(k);
	assert_int_equal(sweep(k), 3 * RK_STRANGERS_MOST);
	assert_int_equal(sweep(k), 0);
	kit_check(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define RULE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		RULE(drops_old_ones_without_a_repo_with_their_handles),
		RULE(keeps_a_handle_that_another_account_has_by_now),
		RULE(keeps_one_that_got_a_repo_meanwhile),
		RULE(finds_all_of_many_and_of_long_names),
	};

	return cmocka_run_group_tests_name("store/strangers", tests, NULL, NULL);
}
