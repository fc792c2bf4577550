/*
 * Rules of THE record write, where a record is there already: what a version takes over from the one
 * before it.
 */
#include "tests/unit/store/kit.h"

#define X "65f0a1b2c3d4e5f601234567"
#define Y "65f0a1b2c3d4e5f601234568"

enum { MOOD = RK_COLLECTION_MOOD, PAINTING = RK_COLLECTION_PAINTING };

static void update_with_the_same_ref_keeps_age_and_link(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};
	struct rk_record held;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 10);
	kit_link(k, id, MOOD, record.rkey, RK_LINK_LINKED);
	record.version = 1;
	kit_put(k, id, &record, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_true(held.first == 1 && held.indexed_us == 20 && held.link == RK_LINK_LINKED);
	assert_int_equal(
		kit_pending_flags(k, false, NULL, id, MOOD, record.rkey), RK_PENDING_UPDATED);
	assert_int_equal(kit_pending_flags(k, true, X, id, MOOD, record.rkey), -1);
}

static void update_with_another_ref_lets_the_old_one_go(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};
	struct rk_record held;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_apply(k, id, RK_CHANGE_FIRST, false, &record, 1, 10);
	kit_link(k, id, MOOD, record.rkey, RK_LINK_LINKED);
	record.ref = Y;
	kit_put(k, id, &record, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_int_equal(held.link, RK_LINK_UNKNOWN);
	assert_int_equal(held.flags, 0); /* this ref appeared while we watched */
	assert_int_equal(held.first, 2);
	assert_int_equal(kit_pending_flags(k, true, X, id, MOOD, record.rkey), RK_PENDING_GONE);
	assert_int_equal(kit_pending_flags(k, false, NULL, id, MOOD, record.rkey), 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0).len, 0);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, Y, 0), record.rkey);
}

static void update_that_drops_the_ref_keeps_the_link(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};
	struct rk_record held;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 10);
	kit_link(k, id, MOOD, record.rkey, RK_LINK_LINKED);
	record.ref = NULL;
	kit_put(k, id, &record, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_true(
		held.link == RK_LINK_LINKED && held.flags == RK_RECORD_UNREF && held.first == 1);
	assert_int_equal(kit_pending_flags(k, true, X, id, MOOD, record.rkey), -1);

	/* It stays so over a version without a ref, and ends with a ref. */
	kit_write(k);
	record.version = 1;
	kit_put(k, id, &record, 30);
	kit_commit(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_true(held.link == RK_LINK_LINKED && held.flags == RK_RECORD_UNREF);
	kit_write(k);
	record.ref = X;
	kit_put(k, id, &record, 40);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_true(held.link == RK_LINK_UNKNOWN && held.flags == 0);
	/* What it was linked to without a ref is to be looked at. */
	assert_int_equal(kit_pending_flags(k, true, "", id, MOOD, record.rkey), RK_PENDING_GONE);
}

static void valid_invalid_valid(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};
	struct rk_counts counts;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 10);
	kit_link(k, id, MOOD, record.rkey, RK_LINK_LINKED);
	record.version = 1;
	record.invalid = "broken";
	kit_put(k, id, &record, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, record.rkey).flags, RK_RECORD_INVALID);
	assert_int_equal(kit_record(k, id, MOOD, record.rkey).issues, 1u << RK_ISSUE_INVALID);
	assert_int_equal(kit_pending_flags(k, false, NULL, id, MOOD, record.rkey), -1);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.issues[RK_ISSUE_INVALID], 1);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0), record.rkey);

	kit_write(k);
	record.version = 2;
	record.invalid = NULL;
	kit_put(k, id, &record, 30);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, record.rkey).flags, 0);
	assert_int_equal(kit_record(k, id, MOOD, record.rkey).issues, 0);
	assert_int_equal(kit_record(k, id, MOOD, record.rkey).link, RK_LINK_LINKED);
	assert_int_equal(
		kit_pending_flags(k, false, NULL, id, MOOD, record.rkey), RK_PENDING_UPDATED);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.issues[RK_ISSUE_INVALID], 0);
}

/* Whether its document is to be looked at hangs on the link that is known of an invalid record. */
static void removal_of_an_invalid_record(void **state)
{
	static const struct {
		enum rk_link link;
		bool work;
	} cases[] = {{RK_LINK_UNKNOWN, true}, {RK_LINK_LINKED, true}, {RK_LINK_NONE, false},
		{RK_LINK_CONFLICT, false}};
	struct kit *k = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct kit_record record = {.rkey = kit_rkey(i), .ref = X, .when_ms = 1};
		rk_repo_id id;

		kit_write(k);
		id = kit_repo(k, "did:plc:a");
		kit_put(k, id, &record, 10);
		if (cases[i].link)
			kit_link(k, id, MOOD, record.rkey, cases[i].link);
		record.invalid = "broken";
		record.version = 1;
		kit_put(k, id, &record, 20);
		record.gone = true;
		kit_put(k, id, &record, 30);
		kit_commit(k);
		kit_check(k);
		kit_read(k);
		assert_int_equal(kit_pending_flags(k, true, X, id, MOOD, record.rkey),
			cases[i].work ? RK_PENDING_GONE : -1);
	}
}

static void when_may_come_go_and_move(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X};
	static const int64_t whens[] = {0, 5, 6, 0, -5, 0};
	rk_repo_id id;

	for (unsigned i = 0; i < sizeof(whens) / sizeof(whens[0]); i++) {
		kit_write(k);
		id = kit_repo(k, "did:plc:a");
		record.when_ms = whens[i];
		record.version = i;
		kit_put(k, id, &record, i + 1);
		kit_commit(k);
		kit_check(k);
		kit_read(k);
		assert_int_equal(rk_table_entries(k->s, RK_TABLE_WHEN), whens[i] ? 2 : 0);
	}
}

/* A record that was linked for its own document must not answer for another one's code at once. */
static void update_with_another_code_ranks_last_until_judged(void **state)
{
	struct kit *k = *state;
	struct kit_record ours = {
		.collection = PAINTING, .rkey = kit_rkey(1), .ref = X, .code = "ours"};
	struct kit_record theirs = {
		.collection = PAINTING, .rkey = kit_rkey(2), .ref = Y, .code = "mine"};
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	kit_put(k, b, &theirs, 5);
	kit_link(k, b, PAINTING, theirs.rkey, RK_LINK_LINKED);
	kit_put(k, a, &ours, 10);
	theirs.code = "ours";
	theirs.version = 1;
	kit_put(k, b, &theirs, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "ours", 0), ours.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, Y, 0), theirs.rkey);
	assert_int_equal(kit_record(k, b, PAINTING, theirs.rkey).flags, RK_RECORD_RENAMED);

	kit_write(k);
	kit_link(k, b, PAINTING, theirs.rkey, RK_LINK_LINKED);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_record(k, b, PAINTING, theirs.rkey).flags, 0);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "ours", 0), theirs.rkey);
}

/* An old record that takes up a ref in an update is no older claim to it. */
static void update_to_a_ref_is_younger_than_who_had_it(void **state)
{
	struct kit *k = *state;
	struct kit_record early = {.rkey = kit_rkey(1)}, rightful = {.rkey = kit_rkey(2), .ref = X};
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	kit_put(k, b, &early, 5);
	kit_put(k, a, &rightful, 10);
	early.ref = X;
	kit_put(k, b, &early, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0), rightful.rkey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(update_with_the_same_ref_keeps_age_and_link),
		TEST(update_with_another_ref_lets_the_old_one_go),
		TEST(update_that_drops_the_ref_keeps_the_link),
		TEST(valid_invalid_valid),
		TEST(removal_of_an_invalid_record),
		TEST(when_may_come_go_and_move),
		TEST(update_with_another_code_ranks_last_until_judged),
		TEST(update_to_a_ref_is_younger_than_who_had_it),
	};
	return cmocka_run_group_tests_name("store/change_update", tests, NULL, NULL);
}
