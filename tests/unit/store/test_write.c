/* Rules of store/write and store/snapshot: repos, the queue of fetches, identities, cursors, counts. */
#include "tests/unit/store/kit.h"

static struct rk_repo repo_of(struct kit *k, rk_repo_id id)
{
	struct rk_repo repo;

	assert_int_equal(rk_read_repo(k->reading ? k->s : rk_write_view(&k->w), &repo, id), 0);
	return repo;
}

static void a_new_repo_is_to_be_fetched(void **state)
{
	struct kit *k = *state;
	struct rk_counts counts;
	struct rk_repo repo;
	int64_t wait;

	kit_write(k);
	assert_int_equal(kit_repo(k, "did:plc:a"), 1);
	assert_int_equal(kit_repo(k, "did:plc:b"), 2);
	assert_int_equal(kit_repo(k, "did:plc:a"), 1);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_read_repo_by_did(k->s, &repo, rk_slice_str("did:plc:b")), 0);
	assert_int_equal(repo.id, 2);
	assert_true(repo.sync == RK_SYNC_DESYNCHRONIZED && repo.account == RK_ACCOUNT_ACTIVE &&
		repo.rev == 0);
	assert_int_equal(
		rk_read_repo_by_did(k->s, &repo, rk_slice_str("did:plc:c")), RK_STORE_ABSENT);
	assert_int_equal(rk_read_repo_by_did(k->s, &repo, (struct rk_slice){0}), RK_STORE_ABSENT);
	assert_int_equal(rk_read_repo(k->s, &repo, 0), RK_STORE_ABSENT);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 0, NULL, 0), 0);
	assert_int_equal(repo.id, 1);
	assert_int_equal(wait, 0);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_true(counts.repos == 2 && counts.desynchronized == 2 && counts.unready == 2);
}

static void long_dids_are_repos_like_others(void **state)
{
	static const size_t lens[] = {500, 501, 502, 2048};
	struct kit *k = *state;
	char did[RK_DID_MOST];

	memset(did, 'd', sizeof(did));
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned last = 0; last < 2; last++) {
			struct rk_repo repo;

			did[lens[i] - 1] = (char)('a' + last);
			kit_write(k);
			assert_int_equal(
				rk_write_repo_make(&k->w, &repo, rk_slice_make(did, lens[i])), 0);
			assert_int_equal(repo.id, i * 2 + last + 1);
			kit_commit(k);
			kit_read(k);
			assert_int_equal(
				rk_read_repo_by_did(k->s, &repo, rk_slice_make(did, lens[i])), 0);
			assert_int_equal(repo.id, i * 2 + last + 1);
			assert_slice_equal(repo.did, rk_slice_make(did, lens[i]));
		}
		did[lens[i] - 1] = 'd';
	}
	kit_check(k);
}

static void writing_a_repo_keeps_its_did_and_counts(void **state)
{
	struct kit *k = *state;
	struct rk_repo repo;

	kit_write(k);
	kit_put(k, kit_repo(k, "did:plc:a"), &(struct kit_record){.rkey = kit_rkey(1)}, 1);
	repo = repo_of(k, 1);
	repo.did = rk_slice_str("did:plc:other");
	repo.counts[0] = 77;
	repo.rev = 5;
	assert_int_equal(rk_write_repo(&k->w, &repo), 0);
	repo.id = 9;
	assert_true(rk_write_repo(&k->w, &repo) < 0);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	repo = repo_of(k, 1);
	assert_slice_equal(repo.did, rk_slice_str("did:plc:a"));
	assert_true(repo.counts[0] == 1 && repo.rev == 5);
}

/* Which repos stand in the queue, and how they are counted. */
static void queue_holds_active_desynchronized_repos(void **state)
{
	struct kit *k = *state;

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_commit(k);
	for (unsigned bits = 0; bits < 16; bits++) {
		const bool desynchronized = bits & 1, active = bits & 2, tombstone = bits & 4,
			   failed = bits & 8;
		const bool queued = desynchronized && active && !tombstone;
		struct rk_counts counts;
		struct rk_repo repo;
		int64_t wait;

		kit_write(k);
		repo = repo_of(k, 1);
		repo.sync = desynchronized ? RK_SYNC_DESYNCHRONIZED : RK_SYNC_SYNCHRONIZED;
		repo.account = active ? RK_ACCOUNT_ACTIVE : RK_ACCOUNT_DEACTIVATED;
		repo.flags = tombstone ? RK_REPO_TOMBSTONE : 0;
		repo.failures = failed ? RK_FAILURES_READY : RK_FAILURES_READY - 1;
		repo.retry_ms = bits;
		assert_int_equal(rk_write_repo(&k->w, &repo), 0);
		assert_int_equal(rk_write_repo(&k->w, &repo), 0);
		kit_commit(k);
		kit_check(k);
		kit_read(k);
		assert_int_equal(rk_read_counts(k->s, &counts), 0);
		assert_int_equal(counts.desynchronized, queued);
		assert_int_equal(counts.unready, queued && !failed);
		assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 100, NULL, 0),
			queued ? 0 : RK_STORE_ABSENT);
		assert_int_equal(wait, queued ? 0 : -1);
	}
}

static void queue_gives_the_first_due_that_is_not_skipped(void **state)
{
	static const int64_t retries[] = {500, 0, 300};
	const rk_repo_id skip[] = {2, 3, 1};
	struct kit *k = *state;
	struct rk_repo repo;
	int64_t wait;

	kit_write(k);
	for (unsigned i = 0; i < 3; i++) {
		char did[] = "did:plc:a";

		did[8] = (char)('a' + i);
		kit_repo(k, did);
		repo = repo_of(k, i + 1);
		repo.retry_ms = retries[i];
		assert_int_equal(rk_write_repo(&k->w, &repo), 0);
	}
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 400, NULL, 0), 0);
	assert_int_equal(repo.id, 2);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 400, skip, 1), 0);
	assert_int_equal(repo.id, 3);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 299, skip, 1), RK_STORE_ABSENT);
	assert_int_equal(wait, 1);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 400, skip, 2), RK_STORE_ABSENT);
	assert_int_equal(wait, 100);
	assert_int_equal(rk_read_resync_next(k->s, &repo, &wait, 400, skip, 3), RK_STORE_ABSENT);
	assert_int_equal(wait, -1);
}

static void repos_one_after_another(void **state)
{
	struct kit *k = *state;
	struct rk_repo repo;
	rk_repo_id id = 0;

	kit_write(k);
	for (unsigned i = 0; i < 26; i++) {
		char did[] = "did:plc:a";

		did[8] = (char)('a' + i);
		kit_repo(k, did);
	}
	kit_commit(k);
	kit_read(k);
	for (unsigned i = 1; i <= 26; i++) {
		assert_int_equal(rk_read_repo_after(k->s, &repo, id), 0);
		assert_int_equal(repo.id, i);
		id = repo.id;
	}
	assert_int_equal(rk_read_repo_after(k->s, &repo, id), RK_STORE_ABSENT);
	assert_int_equal(rk_read_repo_after(k->s, &repo, UINT32_MAX), RK_STORE_ABSENT);
}

static void records_one_after_another(void **state)
{
	struct kit *k = *state;
	struct rk_slice at = {0};
	struct rk_record record;
	unsigned count = 0;

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_repo(k, "did:plc:b");
	for (unsigned i = 0; i < 60; i++)
		kit_put(k, 1 + i % 2,
			&(struct kit_record){.collection = i / 2 % 2, .rkey = kit_rkey(i)}, i);
	kit_commit(k);
	kit_read(k);
	while (rk_read_record_after(k->s, &record, 1, 1, at) == 0) {
		assert_true(record.repo == 1 && record.collection == 1);
		assert_true(rk_slice_compare(at, record.rkey) < 0);
		at = record.rkey;
		count++;
	}
	assert_int_equal(count, 15);
	/* From between two keys, and behind the last of all. */
	assert_int_equal(rk_read_record_after(k->s, &record, 1, 0, kit_rkey(1)), 0);
	assert_slice_equal(record.rkey, kit_rkey(4));
	assert_int_equal(rk_read_record_after(k->s, &record, 1, 0, kit_rkey(60)), RK_STORE_ABSENT);
	assert_int_equal(rk_read_record_after(k->s, &record, 2, 1, kit_rkey(60)), RK_STORE_ABSENT);
	assert_int_equal(
		rk_read_record_after(k->s, &record, 3, 0, (struct rk_slice){0}), RK_STORE_ABSENT);
}

static void identity_put(struct kit *k, const char *did, const char *handle)
{
	const struct rk_identity identity = {.handle = rk_slice_str(handle),
		.pds = rk_slice_str("https://pds.example"),
		.key = {.type = RK_KEY_K256},
		.fetched_ms = 7};

	kit_write(k);
	assert_int_equal(rk_write_identity(&k->w, rk_slice_str(did), &identity), 0);
	kit_commit(k);
	kit_check(k);
}

static rk_repo_id by_handle(struct kit *k, const char *handle)
{
	struct rk_repo repo;
	int r;

	kit_read(k);
	r = rk_read_repo_by_handle(k->s, &repo, rk_slice_str(handle));
	assert_true(r == 0 || r == RK_STORE_ABSENT);
	return r == 0 ? repo.id : 0;
}

static void handles_lead_to_who_has_them_now(void **state)
{
	struct kit *k = *state;
	struct rk_identity identity;
	char text[300];

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_repo(k, "did:plc:b");
	kit_commit(k);
	identity_put(k, "did:plc:a", "a.example");
	assert_int_equal(by_handle(k, "a.example"), 1);
	assert_int_equal(by_handle(k, "A.Example"), 1);
	assert_int_equal(rk_read_identity(k->s, &identity, rk_slice_str("did:plc:a")), 0);
	assert_true(identity.fetched_ms == 7 && identity.key.type == RK_KEY_K256);
	assert_int_equal(
		rk_read_identity(k->s, &identity, rk_slice_str("did:plc:b")), RK_STORE_ABSENT);
	identity_put(k, "did:plc:a", "aa.example");
	assert_int_equal(by_handle(k, "a.example"), 0);
	assert_int_equal(by_handle(k, "aa.example"), 1);
	/* Another one got it; the first letting go of it must not take it away. */
	identity_put(k, "did:plc:b", "aa.example");
	assert_int_equal(by_handle(k, "aa.example"), 2);
	identity_put(k, "did:plc:a", "");
	assert_int_equal(by_handle(k, "aa.example"), 2);
	identity_put(k, "did:plc:b", NULL);
	assert_int_equal(by_handle(k, "aa.example"), 0);
	assert_int_equal(by_handle(k, ""), 0);
	memset(text, 'h', sizeof(text));
	text[299] = '\0';
	assert_int_equal(by_handle(k, text), 0);
}

/* Read, changed and written back within one transaction. */
static void identity_written_back_from_its_own_view(void **state)
{
	struct kit *k = *state;
	struct rk_identity identity;

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_commit(k);
	identity_put(k, "did:plc:a", "a.example");
	kit_write(k);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(rk_read_identity(rk_write_view(&k->w), &identity,
					 rk_slice_str("did:plc:a")),
			0);
		identity.fetched_ms = i;
		identity.failed = true;
		if (i == 8)
			identity.handle.len = 0;
		assert_int_equal(rk_write_identity(&k->w, rk_slice_str("did:plc:a"), &identity), 0);
	}
	kit_commit(k);
	kit_check(k);
	assert_int_equal(by_handle(k, "a.example"), 0);
	assert_int_equal(rk_read_identity(k->s, &identity, rk_slice_str("did:plc:a")), 0);
	assert_true(identity.failed && identity.fetched_ms == 9);
	assert_slice_equal(identity.pds, rk_slice_str("https://pds.example"));
}

static bool cursor_count(void *context, struct rk_slice source, const struct rk_cursor *cursor)
{
	struct rk_cursor all[] = {{INT64_MAX, 3}, {1, UINT32_MAX}};
	size_t *count = context;

	assert_in_range(*count, 0, 1);
	assert_true(rk_slice_equal_str(source, *count ? "b" : "a"));
	assert_true(cursor->seq == all[*count].seq && cursor->epoch == all[*count].epoch);
	++*count;
	return true;
}

static void cursors_are_by_source(void **state)
{
	struct kit *k = *state;
	struct rk_cursor cursor;
	size_t count = 0;

	kit_read(k);
	assert_int_equal(rk_read_cursor(k->s, &cursor, rk_slice_str("a")), RK_STORE_ABSENT);
	kit_write(k);
	assert_int_equal(
		rk_write_cursor(&k->w, rk_slice_str("a"), &(struct rk_cursor){INT64_MAX, 3}), 0);
	assert_int_equal(
		rk_write_cursor(&k->w, rk_slice_str("b"), &(struct rk_cursor){1, UINT32_MAX}), 0);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_read_cursor(k->s, &cursor, rk_slice_str("a")), 0);
	assert_true(cursor.seq == INT64_MAX && cursor.epoch == 3);
	assert_int_equal(rk_read_cursor(k->s, &cursor, rk_slice_str("b")), 0);
	assert_true(cursor.seq == 1 && cursor.epoch == UINT32_MAX);
	assert_int_equal(rk_read_cursors(k->s, cursor_count, &count), 0);
	assert_int_equal(count, 2);
}

static void aborted_is_as_if_never(void **state)
{
	struct kit *k = *state;
	struct rk_buf before = {0}, after = {0};

	kit_write(k);
	kit_put(k, kit_repo(k, "did:plc:a"), &(struct kit_record){.rkey = kit_rkey(1), .ref = "ab"},
		1);
	kit_commit(k);
	kit_dump(k, &before, true);
	kit_write(k);
	kit_put(k, kit_repo(k, "did:plc:b"), &(struct kit_record){.rkey = kit_rkey(1), .ref = "ab"},
		1);
	kit_put(k, 1, &(struct kit_record){.rkey = kit_rkey(1), .gone = true}, 1);
	kit_account(k, 1, RK_ACCOUNT_DELETED);
	rk_write_abort(&k->w);
	kit_dump(k, &after, true);
	assert_true(rk_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after)));
	/* Ids and generations go on from what is stored. */
	kit_write(k);
	assert_int_equal(kit_repo(k, "did:plc:c"), 2);
	kit_commit(k);
	kit_check(k);
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

static void accounts_have_names(void **state)
{
	for (int i = 0; i < RK_ACCOUNT_COUNT; i++)
		assert_int_equal(
			rk_account_parse(rk_slice_str(rk_account_name((enum rk_account)i))), i);
	assert_int_equal(rk_account_parse(rk_slice_str("throttled")), RK_ACCOUNT_INACTIVE);
	assert_int_equal(rk_account_parse((struct rk_slice){0}), RK_ACCOUNT_INACTIVE);
}

static void reopened_it_is_the_same(void **state)
{
	struct kit *k = *state;
	struct rk_buf before = {0}, after = {0};

	kit_write(k);
	for (unsigned i = 0; i < 500; i++)
		kit_put(k, kit_repo(k, "did:plc:a"),
			&(struct kit_record){.rkey = kit_rkey(i), .ref = "ab", .when_ms = i + 1},
			i);
	kit_commit(k);
	kit_dump(k, &before, true);
	kit_reopen(k, 0);
	kit_dump(k, &after, true);
	assert_true(rk_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after)));
	kit_check(k);
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(a_new_repo_is_to_be_fetched),
		TEST(long_dids_are_repos_like_others),
		TEST(writing_a_repo_keeps_its_did_and_counts),
		TEST(queue_holds_active_desynchronized_repos),
		TEST(queue_gives_the_first_due_that_is_not_skipped),
		TEST(repos_one_after_another),
		TEST(records_one_after_another),
		TEST(handles_lead_to_who_has_them_now),
		TEST(identity_written_back_from_its_own_view),
		TEST(cursors_are_by_source),
		TEST(aborted_is_as_if_never),
		cmocka_unit_test(accounts_have_names),
		TEST(reopened_it_is_the_same),
	};
	return cmocka_run_group_tests_name("store/write", tests, NULL, NULL);
}
