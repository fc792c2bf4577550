/* Rules of store/check: each single fault is found, whichever table it is in. */
#include "tests/unit/store/kit.h"

#define X "65f0a1b2c3d4e5f601234567"

static struct rk_key_buf key;

static struct rk_slice fresh(void)
{
	key = (struct rk_key_buf){0};
	return (struct rk_slice){0};
}

static struct rk_slice record_key(void)
{
	fresh();
	rk_key_record(&key, 1, 0, kit_rkey(1));
	return rk_key_slice(&key);
}

/* Where that record's value is. */
static struct rk_slice answer_key(struct kit *k)
{
	struct rk_slice place;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_RECORD, record_key(), &place), 0);
	fresh();
	rk_key_add(&key, place);
	return rk_key_slice(&key);
}

static void drop_first(struct kit *k, enum rk_table table)
{
	MDB_cursor *cursor;
	MDB_val entry, value;

	assert_int_equal(rk_table_cursor(&k->w.view, table, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &entry, &value, MDB_FIRST), 0);
	assert_int_equal(mdb_cursor_del(cursor, 0), 0);
	mdb_cursor_close(cursor);
}

static void put(
	struct kit *k, enum rk_table table, struct rk_slice name, const void *value, size_t len)
{
	assert_int_equal(rk_table_put(&k->w, table, name, rk_slice_make(value, len)), 0);
}

/* Rewrites a value with one byte changed. */
static void flip(struct kit *k, enum rk_table table, struct rk_slice name, size_t at)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, table, name, &value), 0);
	assert_true(at < value.len && value.len <= sizeof(copy));
	memcpy(copy, value.data, value.len);
	copy[at] ^= 1;
	put(k, table, name, copy, value.len);
}

static void lookup_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_LOOKUP);
}
static void when_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_WHEN);
}
static void did_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_DID);
}
static void repo_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_REPO);
}
static void resync_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_RESYNC);
}
static void record_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_RECORD);
}
static void pending_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_PENDING);
}
static void due_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_DUE);
}
static void issue_gone(struct kit *k)
{
	drop_first(k, RK_TABLE_ISSUE);
}
static void counts_gone(struct kit *k)
{
	/* Written again at commit: wrong numbers instead. */
	k->w.counts = (struct rk_counts){0};
}
static void count_of_records(struct kit *k)
{
	k->w.counts.records[1]++;
}
static void count_of_repos(struct kit *k)
{
	k->w.counts.repos--;
}
static void count_of_queue(struct kit *k)
{
	k->w.counts.desynchronized++;
}
static void count_of_unready(struct kit *k)
{
	k->w.counts.unready++;
}
static void count_of_issues(struct kit *k)
{
	k->w.counts.issues[RK_ISSUE_REJECTED]++;
}
static void next_repo_in_use(struct kit *k)
{
	k->w.next_repo = 1;
}
static void generation_in_use(struct kit *k)
{
	k->w.generation = 1;
}
static void number_in_use(struct kit *k)
{
	k->w.first = 1;
}

static void lookup_left_over(struct kit *k)
{
	struct rk_key_buf entry = {0};

	fresh();
	rk_key_lookup(&key, RK_LOOKUP_CODE, 0, 0, rk_slice_str("zz"));
	rk_key_uint(&entry, 1, 1);
	rk_key_uint(&entry, 0, RK_KEY_PLACE - 1);
	rk_key_record(&entry, 1, 0, kit_rkey(1));
	put(k, RK_TABLE_LOOKUP, rk_key_slice(&key), entry.bytes, entry.len);
}

/* Both at once: as many as there should be, but not those. */
static void lookup_moved(struct kit *k)
{
	lookup_gone(k);
	lookup_left_over(k);
}

static void when_left_over(struct kit *k)
{
	const struct rk_record record = {.repo = 1, .rkey = kit_rkey(77), .when_ms = 5};

	fresh();
	rk_key_when(&key, 0, &record);
	put(k, RK_TABLE_WHEN, rk_key_slice(&key), "", 0);
}

static void resync_left_over(struct kit *k)
{
	fresh();
	rk_key_uint(&key, 9, 8);
	rk_key_uint(&key, 1, 4);
	put(k, RK_TABLE_RESYNC, rk_key_slice(&key), "", 0);
}

static void due_left_over(struct kit *k)
{
	fresh();
	rk_key_uint(&key, 9, 8);
	rk_key_uint(&key, 9, 8);
	put(k, RK_TABLE_DUE, rk_key_slice(&key), "x", 1);
}

static void did_left_over(struct kit *k)
{
	put(k, RK_TABLE_DID, rk_slice_str("did:plc:z"), "\0\0\0\1", 4);
}

static void did_elsewhere(struct kit *k)
{
	put(k, RK_TABLE_DID, rk_slice_str("did:plc:a"), "\0\0\0\2", 4);
}

static void issue_left_over(struct kit *k)
{
	const struct rk_issue issue = {.kind = RK_ISSUE_ORPHAN,
		.repo = 1,
		.collection = 0,
		.rkey = kit_rkey(5),
		.at_ms = 1};

	assert_int_equal(rk_write_issue(&k->w, &issue), 0);
}

static void pending_without_record(struct kit *k)
{
	fresh();
	rk_key_pending(&key, false, (struct rk_slice){0}, 1, 0, kit_rkey(77));
	assert_int_equal(rk_pending_put(&k->w, rk_key_slice(&key), 0, 0, 1, 0, kit_rkey(77)), 0);
}

static void handle_elsewhere(struct kit *k)
{
	put(k, RK_TABLE_HANDLE, rk_slice_str("other.example"), "did:plc:a", 9);
}

static void handle_nowhere(struct kit *k)
{
	put(k, RK_TABLE_HANDLE, rk_slice_str("a.example"), "did:plc:z", 9);
}

static void owner_without_repo(struct kit *k)
{
	kit_owner(k, 0, "ff", 9);
}

static void seen_without_repo(struct kit *k)
{
	assert_int_equal(rk_write_seen(&k->w, 9, 0, kit_rkey(1), RK_PENDING_APPEARED), 0);
}

static void record_value_cut(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_ANSWER, answer_key(k), &value), 0);
	memcpy(copy, value.data, value.len);
	put(k, RK_TABLE_ANSWER, answer_key(k), copy, value.len - 1);
}

static void record_json_broken(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_ANSWER, answer_key(k), &value), 0);
	memcpy(copy, value.data, value.len);
	copy[value.len - 1] = 'x';
	put(k, RK_TABLE_ANSWER, answer_key(k), copy, value.len);
}

/* Behind the version, the repo and the CID: flags, link, issues. */
static void record_link_changed(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_ANSWER, answer_key(k), &value), 0);
	memcpy(copy, value.data, value.len);
	copy[1 + 4 + RK_CID_BYTES + 1] = RK_LINK_LINKED;
	put(k, RK_TABLE_ANSWER, answer_key(k), copy, value.len);
}
static void record_issue_unlisted(struct kit *k)
{
	flip(k, RK_TABLE_ANSWER, answer_key(k), 1 + 4 + RK_CID_BYTES + 5);
}
static void record_cid_zero(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_ANSWER, answer_key(k), &value), 0);
	memcpy(copy, value.data, value.len);
	memset(copy + 1 + 4, 0, RK_CID_BYTES);
	put(k, RK_TABLE_ANSWER, answer_key(k), copy, value.len);
}
static void record_version(struct kit *k)
{
	flip(k, RK_TABLE_ANSWER, answer_key(k), 0);
}

/* Another repo, another ref: what stands in its place is not the record. */
static void record_repo_changed(struct kit *k)
{
	flip(k, RK_TABLE_ANSWER, answer_key(k), 4);
}
static void record_ref_changed(struct kit *k)
{
	flip(k, RK_TABLE_ANSWER, answer_key(k),
		1 + 4 + RK_CID_BYTES + 1 + 1 + 4 + 1 + 8 + 8 + 2 + RK_TID_LEN + 1);
}

/* Two records of one number: one of the places leads to the other record. */
static void place_of_another(struct kit *k)
{
	uint8_t copy[RK_KEY_MOST];
	struct rk_slice place = answer_key(k);
	size_t len = place.len;

	memcpy(copy, place.data, len);
	fresh();
	rk_key_record(&key, 1, 0, kit_rkey(2));
	put(k, RK_TABLE_RECORD, rk_key_slice(&key), copy, len);
}

/* The record without a ref is no longer found by the _id of its document. */
static void derived_gone(struct kit *k)
{
	struct rk_key_buf entry = {0};
	struct rk_lookup_values values;
	struct rk_record record;

	assert_int_equal(rk_read_record(&k->w.view, &record, 1, 1, kit_rkey(3)), 0);
	assert_int_equal(rk_lookup_values(&k->w.view, &values, &record), 0);
	fresh();
	rk_key_lookup(&key, RK_LOOKUP_DERIVED, 1, 0, values.of[RK_LOOKUP_DERIVED]);
	rk_key_entry(&entry, RK_LOOKUP_DERIVED, &record);
	assert_int_equal(
		rk_table_del(&k->w, RK_TABLE_LOOKUP, rk_key_slice(&key), rk_key_slice(&entry)), 0);
}

/* A value without a place, and places that lead nowhere or elsewhere. */
static void answer_left_over(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_ANSWER, answer_key(k), &value), 0);
	memcpy(copy, value.data, value.len);
	key.bytes[key.len - 1] ^= 1;
	put(k, RK_TABLE_ANSWER, rk_key_slice(&key), copy, value.len);
}

static void answer_gone(struct kit *k)
{
	assert_int_equal(
		rk_table_del(&k->w, RK_TABLE_ANSWER, answer_key(k), (struct rk_slice){0}), 0);
}

static void record_left_over(struct kit *k)
{
	uint8_t copy[1024];
	struct rk_slice value;

	assert_int_equal(rk_table_get(&k->w.view, RK_TABLE_RECORD, record_key(), &value), 0);
	memcpy(copy, value.data, value.len);
	fresh();
	rk_key_record(&key, 9, 0, kit_rkey(1));
	put(k, RK_TABLE_RECORD, rk_key_slice(&key), copy, value.len);
}

static void place_value_cut(struct kit *k)
{
	put(k, RK_TABLE_RECORD, record_key(), "\1", 1);
}
static void place_rank_changed(struct kit *k)
{
	flip(k, RK_TABLE_RECORD, record_key(), 14);
}
static void place_ref_changed(struct kit *k)
{
	flip(k, RK_TABLE_RECORD, record_key(), 1);
}

static void repo_count_changed(struct kit *k)
{
	uint8_t copy[256];
	struct rk_slice value;

	assert_int_equal(
		rk_table_get(&k->w.view, RK_TABLE_REPO, rk_slice_make("\0\0\0\1", 4), &value), 0);
	memcpy(copy, value.data, value.len);
	copy[value.len - 1] ^= 1; /* of the last collection */
	put(k, RK_TABLE_REPO, rk_slice_make("\0\0\0\1", 4), copy, value.len);
}

static void repo_count_of_none(struct kit *k)
{
	uint8_t copy[256];
	struct rk_slice value;

	assert_int_equal(
		rk_table_get(&k->w.view, RK_TABLE_REPO, rk_slice_make("\0\0\0\2", 4), &value), 0);
	memcpy(copy, value.data, value.len);
	copy[value.len - 1] ^= 1;
	put(k, RK_TABLE_REPO, rk_slice_make("\0\0\0\2", 4), copy, value.len);
}

static void repo_value_cut(struct kit *k)
{
	put(k, RK_TABLE_REPO, rk_slice_make("\0\0\0\1", 4), "\1", 1);
}
static void pending_value_cut(struct kit *k)
{
	fresh();
	rk_key_pending(&key, false, (struct rk_slice){0}, 1, 0, kit_rkey(1));
	put(k, RK_TABLE_PENDING, rk_key_slice(&key), "\1", 1);
}
static void issue_value_cut(struct kit *k)
{
	const struct rk_issue issue = {.kind = RK_ISSUE_UNCLAIMED, .repo = 1, .collection = -1};

	fresh();
	rk_key_issue(&key, &issue);
	put(k, RK_TABLE_ISSUE, rk_key_slice(&key), "\1", 1);
}
static void identity_value_cut(struct kit *k)
{
	put(k, RK_TABLE_IDENTITY, rk_slice_str("did:plc:a"), "\1", 1);
}
static void owner_value_cut(struct kit *k)
{
	fresh();
	rk_key_ref(&key, 0, rk_slice_str(X));
	put(k, RK_TABLE_ANSWER, rk_key_slice(&key), "\1", 1);
}
static void seen_value_empty(struct kit *k)
{
	fresh();
	rk_key_record(&key, 1, 0, kit_rkey(9));
	put(k, RK_TABLE_SEEN, rk_key_slice(&key), "", 0);
}

static const struct {
	const char *name;
	void (*damage)(struct kit *k);
} faults[] = {
#define FAULT(f)                                                                                   \
	{                                                                                          \
#f, f                                                                              \
	}
	FAULT(lookup_gone),
	FAULT(when_gone),
	FAULT(did_gone),
	FAULT(repo_gone),
	FAULT(resync_gone),
	FAULT(record_gone),
	FAULT(pending_gone),
	FAULT(due_gone),
	FAULT(issue_gone),
	FAULT(counts_gone),
	FAULT(count_of_records),
	FAULT(count_of_repos),
	FAULT(count_of_queue),
	FAULT(count_of_unready),
	FAULT(count_of_issues),
	FAULT(next_repo_in_use),
	FAULT(generation_in_use),
	FAULT(number_in_use),
	FAULT(lookup_left_over),
	FAULT(lookup_moved),
	FAULT(when_left_over),
	FAULT(resync_left_over),
	FAULT(due_left_over),
	FAULT(did_left_over),
	FAULT(did_elsewhere),
	FAULT(issue_left_over),
	FAULT(pending_without_record),
	FAULT(handle_elsewhere),
	FAULT(handle_nowhere),
	FAULT(owner_without_repo),
	FAULT(seen_without_repo),
	FAULT(record_value_cut),
	FAULT(record_json_broken),
	FAULT(record_link_changed),
	FAULT(record_issue_unlisted),
	FAULT(record_cid_zero),
	FAULT(record_version),
	FAULT(record_repo_changed),
	FAULT(record_ref_changed),
	FAULT(place_of_another),
	FAULT(derived_gone),
	FAULT(record_left_over),
	FAULT(answer_left_over),
	FAULT(answer_gone),
	FAULT(place_value_cut),
	FAULT(place_rank_changed),
	FAULT(place_ref_changed),
	FAULT(repo_count_changed),
	FAULT(repo_count_of_none),
	FAULT(repo_value_cut),
	FAULT(pending_value_cut),
	FAULT(issue_value_cut),
	FAULT(identity_value_cut),
	FAULT(owner_value_cut),
	FAULT(seen_value_empty),
};

static void fill(struct kit *k)
{
	const struct rk_identity identity = {.handle = RK_SLICE_LIT("a.example"), .fetched_ms = 1};
	const struct rk_issue issue = {.kind = RK_ISSUE_UNCLAIMED, .repo = 1, .collection = -1};

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_repo(k, "did:plc:b");
	kit_put(k, 1,
		&(struct kit_record){.rkey = kit_rkey(1), .ref = X, .code = "abc", .when_ms = 1},
		1);
	kit_put(k, 1,
		&(struct kit_record){.rkey = kit_rkey(2), .ref = X, .when_ms = 2, .invalid = "so"},
		2);
	kit_put(k, 1, &(struct kit_record){.collection = 1, .rkey = kit_rkey(3), .slug = "s"}, 3);
	assert_int_equal(rk_write_identity(&k->w, rk_slice_str("did:plc:a"), &identity), 0);
	assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	assert_int_equal(rk_write_seen(&k->w, 1, 0, kit_rkey(9), RK_PENDING_APPEARED), 0);
	kit_owner(k, 0, X, 1);
	kit_commit(k);
	kit_check(k);
}

static void each_fault_is_found(void **state)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		void *kit;
		struct kit *k;

		kit_setup(&kit);
		k = kit;
		fill(k);
		kit_write(k);
		faults[i].damage(k);
		kit_commit(k);
		if (kit_wrong(k) <= 0)
			fail_msg("%s is not found", faults[i].name);
		kit_teardown(&kit);
	}
}

static void summary_tells_what_is_there(void **state)
{
	struct kit *k = *state;
	struct rk_check_summary summary;

	fill(k);
	assert_int_equal(rk_store_check(k->store, &summary, NULL, NULL), 0);
	assert_true(summary.counts.repos == 2 && summary.counts.records[0] == 2);
	assert_true(summary.counts.records[1] == 1 && summary.counts.pending == 2);
	assert_true(summary.lookups == 7 && summary.times == 4);
	assert_true(summary.counts.issues[RK_ISSUE_INVALID] == 1);
}

/* What a writer may legally leave is not called a fault: a name with a NUL, which JSON parsers mind. */
static void odd_json_is_no_fault(void **state)
{
	struct kit *k = *state;
	struct rk_change_record record = kit_make(&(struct kit_record){.rkey = kit_rkey(1)});
	const struct rk_change change = {.repo = 1, .records = &record, .count = 1, .now_us = 1};

	record.read.json = rk_slice_str("{\"a\\u0000b\":[9223372036854775807,\"\\u0000\"]}");
	kit_write(k);
	kit_repo(k, "did:plc:a");
	assert_int_equal(rk_write_change(&k->w, &change), 0);
	kit_commit(k);
	kit_check(k);
}

static void count(void *context, const char *what)
{
	++*(unsigned *)context;
}

static void reports_are_bounded(void **state)
{
	struct kit *k = *state;
	struct rk_check_summary summary;
	unsigned reports = 0;

	kit_write(k);
	for (unsigned i = 0; i < 1500; i++) {
		fresh();
		rk_key_record(&key, 9, 0, kit_rkey(i));
		put(k, RK_TABLE_RECORD, rk_key_slice(&key), "x", 1);
	}
	kit_commit(k);
	assert_int_equal(rk_store_check(k->store, &summary, count, &reports), 1500);
	assert_int_equal(reports, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_found),
		cmocka_unit_test_setup_teardown(
			summary_tells_what_is_there, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(odd_json_is_no_fault, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(reports_are_bounded, kit_setup, kit_teardown),
	};
	return cmocka_run_group_tests_name("store/check", tests, NULL, NULL);
}
