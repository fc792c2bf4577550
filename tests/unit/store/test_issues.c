/* Rules of store/issues: each once, dated from when it began, listed in pages. */
#include "tests/unit/store/kit.h"

#include "base/encode.h"

enum { MOST = 64 };

struct seen {
	struct rk_issue list[MOST];
	uint8_t position[RK_KEY_MOST];
	size_t position_len, count, most;
};

static bool see(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct seen *seen = context;

	if (seen->count == seen->most)
		return false;
	seen->list[seen->count++] = *issue;
	memcpy(seen->position, position.data, position.len);
	seen->position_len = position.len;
	return true;
}

static size_t count_of(struct kit *k, int kind, rk_repo_id repo)
{
	static struct seen seen;

	seen.count = 0;
	seen.most = MOST;
	kit_read(k);
	assert_int_equal(rk_read_issues(k->s, kind, repo, (struct rk_slice){0}, see, &seen), 0);
	return seen.count;
}

static const struct rk_issue some[] = {
	{.kind = RK_ISSUE_DANGLING,
		.repo = 1,
		.collection = 0,
		.ref = RK_SLICE_LIT("aa"),
		.at_ms = 5},
	{.kind = RK_ISSUE_DANGLING,
		.repo = 2,
		.collection = 0,
		.ref = RK_SLICE_LIT("ab"),
		.at_ms = 6},
	{.kind = RK_ISSUE_DANGLING,
		.repo = 1,
		.collection = 1,
		.ref = RK_SLICE_LIT("aa"),
		.at_ms = 7},
	{.kind = RK_ISSUE_UNCLAIMED, .repo = 1, .collection = -1, .at_ms = 8},
	{.kind = RK_ISSUE_UNCLAIMED, .repo = 2, .collection = -1, .at_ms = 9},
	{.kind = RK_ISSUE_DESYNCHRONIZED, .repo = 2, .collection = -1, .at_ms = 10},
};
enum { SOME = sizeof(some) / sizeof(some[0]) };

static void fill(struct kit *k)
{
	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_repo(k, "did:plc:b");
	for (size_t i = 0; i < SOME; i++)
		assert_int_equal(rk_write_issue(&k->w, &some[i]), 0);
	kit_commit(k);
	kit_check(k);
}

static void listed_by_kind_and_repo(void **state)
{
	struct kit *k = *state;

	fill(k);
	assert_int_equal(count_of(k, -1, 0), 6);
	assert_int_equal(count_of(k, -1, 1), 3);
	assert_int_equal(count_of(k, RK_ISSUE_DANGLING, 0), 3);
	assert_int_equal(count_of(k, RK_ISSUE_DANGLING, 2), 1);
	assert_int_equal(count_of(k, RK_ISSUE_DUPLICATE, 0), 0);
	assert_int_equal(count_of(k, RK_ISSUE_DESYNCHRONIZED, 1), 0);
}

static void pages_of_any_size_are_the_list(void **state)
{
	struct kit *k = *state;
	static struct seen page;

	fill(k);
	for (int kind = -1; kind < RK_ISSUE_COUNT; kind++) {
		for (rk_repo_id repo = 0; repo <= 2; repo++) {
			size_t all = count_of(k, kind, repo), got = 0;

			for (size_t size = 1; size <= 7; size++, got = 0) {
				page.position_len = 0;
				do {
					uint8_t position[RK_KEY_MOST];

					memcpy(position, page.position, page.position_len);
					page.count = 0;
					page.most = size;
					assert_int_equal(
						rk_read_issues(k->s, kind, repo,
							rk_slice_make(position, page.position_len),
							see, &page),
						0);
					got += page.count;
				} while (page.count);
				assert_int_equal(got, all);
			}
		}
	}
}

static void positions_from_outside_are_harmless(void **state)
{
	struct kit *k = *state;
	uint8_t bytes[600];
	static struct seen page;

	fill(k);
	memset(bytes, 0xff, sizeof(bytes));
	kit_read(k);
	page.most = MOST;
	assert_int_equal(rk_read_issues(k->s, -1, 0, rk_slice_make(bytes, 511), see, &page), 0);
	assert_true(rk_read_issues(k->s, -1, 0, rk_slice_make(bytes, 512), see, &page) < 0);
	assert_int_equal(page.count, 0);
	bytes[0] = 0;
	assert_int_equal(
		rk_read_issues(k->s, RK_ISSUE_DANGLING, 0, rk_slice_make(bytes, 1), see, &page), 0);
	assert_int_equal(page.count, 3);
}

static void written_again_keeps_its_date_and_count(void **state)
{
	struct kit *k = *state;
	struct rk_issue again = some[0];
	static struct seen seen;
	struct rk_counts counts;

	fill(k);
	again.at_ms = 99;
	again.message = rk_slice_str("newer");
	kit_write(k);
	assert_int_equal(rk_write_issue(&k->w, &again), 0);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	seen.most = 1;
	assert_int_equal(
		rk_read_issues(k->s, RK_ISSUE_DANGLING, 1, (struct rk_slice){0}, see, &seen), 0);
	assert_int_equal(seen.list[0].at_ms, 5);
	assert_slice_equal(seen.list[0].message, again.message);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.issues[RK_ISSUE_DANGLING], 3);
}

static void cleared_once_and_for_all(void **state)
{
	struct kit *k = *state;
	struct rk_counts counts;

	fill(k);
	for (int round = 0; round < 2; round++) {
		kit_write(k);
		for (size_t i = 0; i < SOME; i++)
			assert_int_equal(
				rk_write_issue_clear(&k->w, (enum rk_issue_kind)some[i].kind,
					some[i].repo, some[i].collection, some[i].ref),
				0);
		kit_commit(k);
		kit_check(k);
	}
	kit_read(k);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	for (int i = 0; i < RK_ISSUE_COUNT; i++)
		assert_int_equal(counts.issues[i], 0);
	assert_int_equal(rk_table_entries(k->s, RK_TABLE_ISSUE), 0);
}

static void long_texts_are_cut_between_letters(void **state)
{
	struct kit *k = *state;
	char ref[600], message[600];
	struct rk_issue issue = {.kind = RK_ISSUE_DANGLING,
		.repo = 1,
		.ref = rk_slice_make(ref, sizeof(ref)),
		.message = rk_slice_make(message, sizeof(message))};
	static struct seen seen;

	for (size_t i = 0; i < sizeof(message); i++) {
		message[i] = "\xf0\x9f\x8c\xb1"[(i + 1) % 4];
		ref[i] = "\xe2\x82\xac"[i % 3];
	}
	message[0] = message[1] = message[2] = 'm';
	kit_write(k);
	kit_repo(k, "did:plc:a");
	assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	seen.most = 2;
	seen.count = 0;
	assert_int_equal(rk_read_issues(k->s, -1, 0, (struct rk_slice){0}, see, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.list[0].ref.len, 255);
	assert_int_equal(seen.list[0].message.len, 499);
	assert_true(rk_utf8_valid(seen.list[0].ref));
	assert_true(rk_utf8_valid(seen.list[0].message));
	kit_write(k);
	assert_int_equal(rk_write_issue_clear(&k->w, RK_ISSUE_DANGLING, 1, 0, issue.ref), 0);
	kit_commit(k);
	kit_check(k);
	assert_int_equal(count_of(k, -1, 0), 0);
}

/* A record's own go with it. */
static void issues_of_a_record_go_with_it(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.rkey = kit_rkey(1), .ref = "ab", .invalid = "broken"};
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 1);
	kit_commit(k);
	kit_check(k);
	assert_int_equal(count_of(k, RK_ISSUE_INVALID, id), 1);
	record.gone = true;
	kit_write(k);
	kit_put(k, id, &record, 2);
	kit_commit(k);
	kit_check(k);
	assert_int_equal(count_of(k, -1, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(listed_by_kind_and_repo),
		TEST(pages_of_any_size_are_the_list),
		TEST(positions_from_outside_are_harmless),
		TEST(written_again_keeps_its_date_and_count),
		TEST(cleared_once_and_for_all),
		TEST(long_texts_are_cut_between_letters),
		TEST(issues_of_a_record_go_with_it),
	};
	return cmocka_run_group_tests_name("store/issues", tests, NULL, NULL);
}
