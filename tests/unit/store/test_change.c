/*
 * Rules of THE record write: every table follows from the record, and the same change twice is the
 * same as once. What a version takes over from the one before it is in test_change_update.c.
 */
#include "tests/unit/store/kit.h"

#define X "65f0a1b2c3d4e5f601234567"
#define Y "65f0a1b2c3d4e5f601234568"

enum { MOOD = RK_COLLECTION_MOOD, PAINTING = RK_COLLECTION_PAINTING };

static void puts_and_removes_in_every_table(void **state)
{
	struct kit *k = *state;
	const struct kit_record put = {.collection = PAINTING,
		.rkey = kit_rkey(1),
		.ref = X,
		.code = "abc",
		.slug = "s",
		.when_ms = 1700000000000};
	struct kit_record gone = {.collection = PAINTING, .rkey = put.rkey, .gone = true};
	struct rk_counts counts;
	struct rk_record record;
	struct rk_repo repo;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &put, 5000);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	record = kit_record(k, id, PAINTING, put.rkey);
	assert_true(
		record.first == 1 && record.indexed_us == 5000 && record.link == RK_LINK_UNKNOWN);
	assert_true(record.flags == 0 && record.has_when && record.when_ms == put.when_ms);
	assert_slice_equal(record.code, rk_slice_str("abc"));
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, X, 0), put.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, X, id), put.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "abc", 0), put.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_SLUG, PAINTING, "s", id), put.rkey);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, "abc", 0).len, 0);
	assert_int_equal(kit_pending_flags(k, false, NULL, id, PAINTING, put.rkey), 0);
	assert_int_equal(rk_read_repo(k->s, &repo, id), 0);
	assert_int_equal(repo.counts[PAINTING], 1);
	assert_int_equal(repo.counts[MOOD], 0);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_true(counts.records[PAINTING] == 1 && counts.pending == 1);

	kit_write(k);
	kit_put(k, id, &gone, 6000);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_read_record(k->s, &record, id, PAINTING, put.rkey), RK_STORE_ABSENT);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, X, 0).len, 0);
	assert_int_equal(kit_pending_flags(k, false, NULL, id, PAINTING, put.rkey), -1);
	assert_int_equal(kit_pending_flags(k, true, X, id, PAINTING, put.rkey), RK_PENDING_GONE);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_true(counts.records[PAINTING] == 0 && counts.pending == 1);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_LOOKUP), 0);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_WHEN), 0);
}

static void same_change_twice_is_once(void **state)
{
	struct kit *k = *state;
	const struct kit_record records[] = {
		{.collection = PAINTING,
			.rkey = kit_rkey(1),
			.ref = X,
			.code = "abc",
			.slug = "s",
			.when_ms = 1},
		{.collection = MOOD, .rkey = kit_rkey(2), .ref = X, .when_ms = 1},
		{.collection = MOOD, .rkey = kit_rkey(3), .invalid = "broken"},
		{.collection = MOOD, .rkey = kit_rkey(4), .gone = true},
	};
	struct rk_buf before = {0}, after = {0};
	rk_repo_id id;

	for (int source = RK_CHANGE_LIVE; source <= RK_CHANGE_FIRST; source++) {
		char did[16] = "did:plc:a";

		did[8] = (char)('a' + source);
		kit_write(k);
		id = kit_repo(k, did);
		kit_apply(k, id, (enum rk_change_source)source, false, records, 4, 1000);
		kit_commit(k);
		kit_dump(k, &before, true);
		kit_write(k);
		assert_int_equal(kit_repo(k, did), id);
		kit_apply(k, id, (enum rk_change_source)source, false, records, 4, 2000);
		kit_apply(k, id, RK_CHANGE_FIRST, true, records, 4, 2000);
		kit_commit(k);
		kit_dump(k, &after, true);
		assert_true(rk_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after)));
	}
	kit_check(k);
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

static void removal_twice_is_once(void **state)
{
	struct kit *k = *state;
	const struct kit_record put = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};
	const struct kit_record gone = {.rkey = put.rkey, .gone = true};
	struct rk_buf before = {0}, after = {0};
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &put, 1);
	kit_put(k, id, &gone, 2);
	kit_commit(k);
	kit_dump(k, &before, true);
	kit_write(k);
	kit_put(k, id, &gone, 3);
	kit_commit(k);
	kit_dump(k, &after, true);
	assert_true(rk_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after)));
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

static void last_of_one_key_in_a_change_counts(void **state)
{
	struct kit *k = *state;
	const struct kit_record records[] = {
		{.rkey = kit_rkey(1), .ref = X, .when_ms = 1},
		{.rkey = kit_rkey(1), .ref = X, .when_ms = 2, .version = 1},
		{.rkey = kit_rkey(2), .ref = X, .when_ms = 3},
		{.rkey = kit_rkey(2), .gone = true},
		{.rkey = kit_rkey(3), .gone = true},
		{.rkey = kit_rkey(3), .ref = Y, .when_ms = 4},
		{.rkey = kit_rkey(3), .gone = true},
		{.rkey = kit_rkey(3), .ref = X, .when_ms = 4},
	};
	struct rk_repo repo;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_apply(k, id, RK_CHANGE_LIVE, false, records, 8, 1);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_read_repo(k->s, &repo, id), 0);
	assert_int_equal(repo.counts[MOOD], 2);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).when_ms, 2);
	assert_slice_equal(kit_record(k, id, MOOD, kit_rkey(3)).ref, rk_slice_str(X));
}

/* Entries are told apart by their keys where times are equal. */
static void removal_among_equal_times_takes_only_its_own(void **state)
{
	struct kit *k = *state;
	struct kit_record records[8];
	rk_repo_id id;

	for (unsigned i = 0; i < 8; i++)
		records[i] = (struct kit_record){.rkey = kit_rkey(i), .ref = X, .when_ms = 77};
	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_apply(k, id, RK_CHANGE_LIVE, false, records, 8, 5);
	kit_commit(k);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t count;
		struct rk_record answer;

		kit_read(k);
		assert_int_equal(
			rk_read_lookup(k->s, &answer, RK_LOOKUP_REF, MOOD, rk_slice_str(X), 0), 0);
		assert_slice_equal(answer.rkey, kit_rkey(i));
		assert_int_equal(rk_read_duplicates(k->s, NULL, 0, &count, &answer), 0);
		assert_int_equal(count, 7 - i);
		kit_write(k);
		records[i].gone = true;
		kit_put(k, id, &records[i], 6);
		kit_commit(k);
		kit_check(k);
	}
}

static void first_fetch_is_told_from_what_appeared(void **state)
{
	struct kit *k = *state;
	struct kit_record records[] = {
		{.rkey = kit_rkey(1), .ref = X},
		{.rkey = kit_rkey(2), .ref = Y},
		{.rkey = kit_rkey(3)},
	};
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	assert_int_equal(rk_write_seen(&k->w, id, MOOD, kit_rkey(2), RK_PENDING_APPEARED), 0);
	/* The last thing seen counts. */
	assert_int_equal(rk_write_seen(&k->w, id, MOOD, kit_rkey(3), RK_PENDING_APPEARED), 0);
	assert_int_equal(rk_write_seen(&k->w, id, MOOD, kit_rkey(3), RK_PENDING_DELETED), 0);
	kit_apply(k, id, RK_CHANGE_FIRST, false, records, 3, 10);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).flags, RK_RECORD_FIRST);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(2)).flags, 0);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(3)).flags, RK_RECORD_FIRST);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_SEEN), 0);

	/* Seen live after all; an update with the same ref is no such sight. */
	kit_write(k);
	kit_put(k, id, &records[0], 20);
	records[2].version = 1;
	kit_put(k, id, &records[2], 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).flags, 0);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).indexed_us, 10);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(3)).flags, RK_RECORD_FIRST);
}

static void seen_is_cleared_by_repo(void **state)
{
	struct kit *k = *state;
	rk_repo_id a, b;
	uint8_t flags;
	struct rk_slice value;
	struct rk_key_buf key = {0};

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(
			rk_write_seen(&k->w, a, i % 2, kit_rkey(i), RK_PENDING_APPEARED), 0);
		assert_int_equal(
			rk_write_seen(&k->w, b, i % 2, kit_rkey(i), RK_PENDING_DELETED), 0);
	}
	assert_int_equal(rk_write_seen_clear(&k->w, a), 0);
	assert_int_equal(rk_write_seen_clear(&k->w, a), 0);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_SEEN), 300);
	rk_key_record(&key, b, 1, kit_rkey(299));
	assert_int_equal(rk_table_get(k->s, RK_TABLE_SEEN, rk_key_slice(&key), &value), 0);
	flags = value.data[0];
	assert_int_equal(flags, RK_PENDING_DELETED);
	kit_write(k);
	assert_int_equal(rk_write_seen_clear(&k->w, b), 0);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_SEEN), 0);
	kit_commit(k);
}

static void vanished_is_believed_only_if_seen(void **state)
{
	struct kit *k = *state;
	struct kit_record records[] = {
		{.rkey = kit_rkey(1), .ref = X}, {.rkey = kit_rkey(2), .ref = Y}};
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_apply(k, id, RK_CHANGE_LIVE, false, records, 2, 10);
	assert_int_equal(rk_write_seen(&k->w, id, MOOD, kit_rkey(2), RK_PENDING_DELETED), 0);
	records[0].gone = records[1].gone = true;
	kit_apply(k, id, RK_CHANGE_LIVE, true, records, 2, 20);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_pending_flags(k, true, X, id, MOOD, kit_rkey(1)),
		RK_PENDING_GONE | RK_PENDING_VANISHED);
	assert_int_equal(kit_pending_flags(k, true, Y, id, MOOD, kit_rkey(2)), RK_PENDING_GONE);
}

static void forgotten_repos_take_nothing_in_and_leave_no_work(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = X, .version = 7};
	struct rk_record held;
	struct rk_cid cid;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 1);
	cid = kit_make(&record).cid;
	assert_int_equal(rk_write_tombstone(&k->w, rk_slice_str("did:plc:a")), 0);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_PENDING), 0);
	record.version = 1;
	kit_put(k, id, &record, 2);
	record.rkey = kit_rkey(2);
	kit_put(k, id, &record, 2);
	record.rkey = kit_rkey(1);
	kit_commit(k);
	kit_read(k);
	held = kit_record(k, id, MOOD, record.rkey);
	assert_true(rk_cid_equal(&held.cid, &cid));
	kit_write(k);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_RECORD), 1);
	assert_int_equal(rk_write_pending(&k->w, id, MOOD, record.rkey, RK_PENDING_RECOVER, 0), 0);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_PENDING), 0);
	record.gone = true;
	kit_put(k, id, &record, 3);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_RECORD), 0);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_PENDING), 0);
	kit_commit(k);
	kit_check(k);
}

static void long_keys_and_texts_live_like_others(void **state)
{
	static const size_t lens[] = {254, 255, 256, 512};
	struct kit *k = *state;
	char rkey[512];
	rk_repo_id id;

	for (size_t i = 0; i < 4; i++) {
		for (char last = 'a'; last <= 'b'; last++) {
			struct kit_record record = {.collection = PAINTING,
				.rkey = {(uint8_t *)rkey, lens[i]},
				.ref = X,
				.code = "abc",
				.when_ms = 1,
				.invalid = "key"};
			const struct rk_list_query query = {.collection = PAINTING};
			struct rk_record held;
			struct rk_issue issue = {.kind = RK_ISSUE_INVALID,
				.collection = PAINTING,
				.rkey = record.rkey};
			struct rk_key_buf key = {0};
			uint8_t position[RK_LIST_POSITION_MOST];
			struct rk_slice value;

			memset(rkey, 'k', sizeof(rkey));
			rkey[lens[i] - 1] = last;
			kit_write(k);
			id = kit_repo(k, "did:plc:a");
			kit_put(k, id, &record, 1);
			kit_commit(k);
			kit_check(k);
			kit_read(k);
			held = kit_record(k, id, PAINTING, record.rkey);
			assert_slice_equal(held.rkey, record.rkey);
			assert_slice_equal(held.json, kit_make(&record).read.json);
			assert_slice_equal(
				kit_lookup(k, RK_LOOKUP_REF, PAINTING, X, id), record.rkey);
			assert_int_equal(rk_read_record_after(
						 k->s, &held, id, PAINTING, (struct rk_slice){0}),
				0);
			assert_slice_equal(held.rkey, record.rkey);
			assert_int_equal(
				rk_read_record_after(k->s, &held, id, PAINTING, record.rkey),
				RK_STORE_ABSENT);
			issue.repo = id;
			rk_key_issue(&key, &issue);
			assert_int_equal(
				rk_table_get(k->s, RK_TABLE_ISSUE, rk_key_slice(&key), &value), 0);
			assert_true(rk_value_issue_read(&issue, rk_key_slice(&key), value));
			assert_slice_equal(issue.rkey, record.rkey);
			held = kit_record(k, id, PAINTING, record.rkey);
			assert_true(rk_list_position_valid(&query,
				rk_slice_make(
					position, rk_list_position(position, &query, &held))));
			kit_write(k);
			record.gone = true;
			kit_put(k, id, &record, 2);
			kit_commit(k);
			kit_check(k);
			kit_read(k);
			assert_int_equal(rk_table_entries(k->s, RK_TABLE_LOOKUP), 0);
			assert_int_equal(rk_table_entries(k->s, RK_TABLE_WHEN), 0);
		}
	}
}

static void change_of_an_unknown_repo_is_refused(void **state)
{
	struct kit *k = *state;
	const struct kit_record record = {.rkey = kit_rkey(1)};
	const struct rk_change_record one = kit_make(&record);
	const struct rk_change change = {.repo = 9, .records = &one, .count = 1};

	kit_write(k);
	assert_true(rk_write_change(&k->w, &change) < 0);
	rk_write_abort(&k->w);
	kit_check(k);
}

/* Memory that a change takes does not grow with it. */
static void a_whole_repo_in_one_change(void **state)
{
	enum { MANY = 20000 };
	struct kit *k = *state;
	static struct rk_change_record records[MANY];
	static char rkeys[MANY][RK_TID_LEN + 1];
	struct rk_change change = {.records = records, .count = MANY, .now_us = 1};

	kit_write(k);
	change.repo = kit_repo(k, "did:plc:a");
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			const struct kit_record in = {.rkey = {(uint8_t *)rkeys[i], RK_TID_LEN},
				.ref = X,
				.when_ms = i + 1,
				.version = (unsigned)round,
				.gone = round == 2};

			memcpy(rkeys[i], kit_rkey(i).data, RK_TID_LEN);
			records[i] = kit_make(&in);
			records[i].read.json = rk_slice_str("{\"same\":true}");
			records[i].read.facts.ref = rk_slice_str(i % 2 ? X : Y);
		}
		assert_int_equal(rk_write_change(&k->w, &change), 0);
		assert_true(k->w.arena.total < 1 << 20);
	}
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_RECORD), 0);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_PENDING), MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(puts_and_removes_in_every_table),
		TEST(same_change_twice_is_once),
		TEST(removal_twice_is_once),
		TEST(last_of_one_key_in_a_change_counts),
		TEST(removal_among_equal_times_takes_only_its_own),
		TEST(first_fetch_is_told_from_what_appeared),
		TEST(seen_is_cleared_by_repo),
		TEST(vanished_is_believed_only_if_seen),
		TEST(forgotten_repos_take_nothing_in_and_leave_no_work),
		TEST(long_keys_and_texts_live_like_others),
		TEST(change_of_an_unknown_repo_is_refused),
		TEST(a_whole_repo_in_one_change),
	};
	return cmocka_run_group_tests_name("store/change", tests, NULL, NULL);
}
