/* Rules of store/forget: what goes of a repo, what stays, in however many pieces. */
#include "tests/unit/store/kit.h"

#include <stdio.h>

#define MOOD     0
#define PAINTING 1
#define X        "65a0000000000000000000aa"
#define Y        "65a0000000000000000000bb"
#define DID      "did:plc:a"
#define OTHER    "did:plc:b"

static void fill(struct kit *k, rk_repo_id id, unsigned from)
{
	for (unsigned i = from; i < from + 5; i++) {
		struct kit_record mood = {.rkey = kit_rkey(i), .ref = X, .when_ms = i};
		struct kit_record painting = {.collection = PAINTING,
			.rkey = kit_rkey(i),
			.code = "abc",
			.slug = "a/b",
			.invalid = i % 2 ? "for a test" : NULL};

		kit_put(k, id, &mood, i);
		kit_put(k, id, &painting, i);
	}
}

static void two_repos(struct kit *k, rk_repo_id *a, rk_repo_id *b)
{
	const struct kit_record gone = {.rkey = kit_rkey(1), .gone = true};
	struct rk_identity identity = {.handle = RK_SLICE_LIT("ada.test"), .fetched_ms = 1};
	struct rk_issue issue = {.kind = RK_ISSUE_DANGLING,
		.collection = MOOD,
		.ref = RK_SLICE_LIT(Y),
		.message = RK_SLICE_LIT("names nothing")};

	kit_write(k);
	*a = kit_repo(k, DID);
	*b = kit_repo(k, OTHER);
	fill(k, *a, 1);
	fill(k, *b, 21);
	kit_put(k, *a, &gone, 30);
	kit_owner(k, MOOD, X, *a);
	issue.repo = *a;
	assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	assert_int_equal(rk_write_seen(&k->w, *a, MOOD, kit_rkey(9), RK_PENDING_APPEARED), 0);
	assert_int_equal(rk_write_identity(&k->w, rk_slice_str(DID), &identity), 0);
	kit_commit(k);
	kit_check(k);
}

static void forget(struct kit *k, size_t most, int calls)
{
	bool more = true;
	int done = 0;

	while (more) {
		kit_write(k);
		assert_int_equal(rk_write_forget(&k->w, rk_slice_str(DID), most, &more), 0);
		kit_commit(k);
		kit_check(k);
		assert_true(++done <= calls);
	}
	assert_int_equal(done, calls);
}

static void everything_goes_but_what_keeps_it_forgotten(void **state)
{
	static const struct {
		size_t most;
		int calls;
	} cases[] = {{1000, 1}, {2, 5}, {1, 10}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kit *k;
		struct rk_counts counts;
		struct rk_identity identity;
		struct rk_owner_view owner;
		struct rk_record record;
		struct rk_repo repo;
		rk_repo_id a, b;

		kit_setup((void **)&k);
		two_repos(k, &a, &b);
		forget(k, cases[i].most, cases[i].calls);
		forget(k, 1, 1); /* again: nothing */
		kit_read(k);
		assert_int_equal(rk_read_repo_by_did(k->s, &repo, rk_slice_str(DID)), 0);
		assert_true(repo.flags & RK_REPO_TOMBSTONE);
		assert_false(rk_repo_is_queued(&repo));
		assert_int_equal(repo.sync, RK_SYNC_SYNCHRONIZED);
		assert_int_equal(rk_read_counts(k->s, &counts), 0);
		assert_int_equal(counts.records[MOOD], 5);
		assert_int_equal(counts.records[PAINTING], 5);
		assert_int_equal(counts.issues[RK_ISSUE_DANGLING], 0);
		assert_int_equal(counts.issues[RK_ISSUE_INVALID], 3); /* of the other */
		assert_int_equal(counts.pending, 5 + 2);
		assert_int_equal(rk_table_entries(k->s, RK_TABLE_SEEN), 0);
		assert_int_equal(rk_table_entries(k->s, RK_TABLE_RECORD), 10);
		assert_int_equal(rk_read_record_after(k->s, &record, a, MOOD, (struct rk_slice){0}),
			RK_STORE_ABSENT);
		assert_int_equal(rk_read_repo_by_handle(k->s, &repo, rk_slice_str("ada.test")),
			RK_STORE_ABSENT);
		assert_int_equal(rk_read_identity(k->s, &identity, rk_slice_str(DID)), 0);
		assert_int_equal(identity.handle.len, 0);
		/* Whose the ref was: nobody else's record is ever its answer. */
		assert_int_equal(rk_read_owner(k->s, &owner, MOOD, rk_slice_str(X)), 0);
		assert_int_equal(owner.owner.repo, a);
		assert_int_equal(kit_record(k, b, MOOD, kit_rkey(21)).repo, b);
		kit_teardown((void **)&k);
	}
}

static void a_handle_does_not_come_back(void **state)
{
	struct kit *k = *state;
	struct rk_identity identity = {.handle = RK_SLICE_LIT("ada.test"), .fetched_ms = 2};
	struct rk_repo repo;

	kit_write(k);
	assert_int_equal(rk_write_tombstone(&k->w, rk_slice_str(DID)), 0);
	assert_int_equal(rk_write_identity(&k->w, rk_slice_str(DID), &identity), 0);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(
		rk_read_repo_by_handle(k->s, &repo, rk_slice_str("ada.test")), RK_STORE_ABSENT);
	assert_int_equal(rk_read_repo_by_did(k->s, &repo, rk_slice_str(DID)), 0);
	assert_true(repo.flags & RK_REPO_TOMBSTONE); /* also of one that was not known */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_goes_but_what_keeps_it_forgotten),
		cmocka_unit_test_setup_teardown(
			a_handle_does_not_come_back, kit_setup, kit_teardown),
	};
	return cmocka_run_group_tests_name("store/forget", tests, NULL, NULL);
}
