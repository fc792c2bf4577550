/* Rules of store/pending: work is kept until it is acknowledged, and only by whom it was given to. */
#include "tests/unit/store/kit.h"

#define X "65f0a1b2c3d4e5f601234567"

enum { MOOD = RK_COLLECTION_MOOD };
enum { MOST = 16 };

struct work {
	struct rk_pending list[MOST];
	char keys[MOST][400], rkeys[MOST][600], refs[MOST][64];
	size_t count, most;
};

/* Copies: they outlive the snapshot. */
static bool take(void *context, const struct rk_pending *pending)
{
	struct work *work = context;
	struct rk_pending *one = &work->list[work->count];

	if (work->count == work->most)
		return false;
	*one = *pending;
	one->key =
		rk_slice_make(memcpy(work->keys[work->count], pending->key.data, pending->key.len),
			pending->key.len);
	one->rkey = rk_slice_make(
		memcpy(work->rkeys[work->count], pending->rkey.data, pending->rkey.len),
		pending->rkey.len);
	if (pending->ref.len)
		memcpy(work->refs[work->count], pending->ref.data, pending->ref.len);
	one->ref.data = (uint8_t *)work->refs[work->count];
	work->count++;
	return true;
}

static void work_read(struct kit *k, struct work *work, int64_t now_ms)
{
	work->count = 0;
	work->most = MOST;
	kit_read(k);
	assert_int_equal(rk_read_pending(k->s, now_ms, take, work), 0);
	kit_stop(k);
}

static struct rk_link_result answer(const struct rk_pending *pending)
{
	return (struct rk_link_result){
		.pending_key = pending->key,
		.generation = pending->generation,
		.repo = pending->repo,
		.collection = pending->collection,
		.rkey = pending->rkey,
	};
}

static void acknowledge(struct kit *k, const struct rk_link_result *result)
{
	kit_write(k);
	assert_int_equal(rk_write_link(&k->w, result), 0);
	kit_commit(k);
	kit_check(k);
}

static rk_repo_id put(struct kit *k, struct kit_record record, int64_t now_us)
{
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, now_us);
	kit_commit(k);
	return id;
}

static void due_work_comes_oldest_first(void **state)
{
	static const int64_t dues[] = {5000, -3, 7000, 5000, 0};
	static const unsigned order[] = {1, 4, 0, 3, 2};
	struct kit *k = *state;
	static struct work work;
	int64_t due;

	kit_read(k);
	assert_int_equal(rk_read_pending_due(k->s, &due), 0);
	assert_true(due == INT64_MAX);
	for (unsigned i = 0; i < 5; i++) {
		rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(i), .ref = X}, 1);

		kit_write(k);
		assert_int_equal(rk_write_pending(&k->w, id, MOOD, kit_rkey(i), 0, dues[i]), 0);
		kit_commit(k);
	}
	kit_check(k);
	work_read(k, &work, INT64_MAX);
	assert_int_equal(work.count, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_slice_equal(work.list[i].rkey, kit_rkey(order[i]));
	work_read(k, &work, 4999);
	assert_int_equal(work.count, 2);
	work_read(k, &work, 5000);
	assert_int_equal(work.count, 4);
	work.count = 0;
	work.most = 3;
	kit_read(k);
	assert_int_equal(rk_read_pending(k->s, INT64_MAX, take, &work), 0);
	assert_int_equal(work.count, 3);
	assert_int_equal(rk_read_pending_due(k->s, &due), 0);
	assert_true(due == -3);
}

static void acknowledged_work_is_taken_off_once(void **state)
{
	struct kit *k = *state;
	static struct work work;
	struct rk_link_result result;
	struct rk_counts counts;

	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	work_read(k, &work, 1);
	assert_int_equal(work.count, 1);
	assert_true(
		work.list[0].due_ms == 1 && work.list[0].attempts == 0 && work.list[0].flags == 0);
	result = answer(&work.list[0]);
	acknowledge(k, &result);
	acknowledge(k, &result);
	work_read(k, &work, INT64_MAX);
	assert_int_equal(work.count, 0);
	kit_read(k);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.pending, 0);
}

static void work_that_changed_meanwhile_stays(void **state)
{
	struct kit *k = *state;
	static struct work work, again;
	struct rk_link_result result;

	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	work_read(k, &work, 1);
	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X, .version = 1}, 2000);
	result = answer(&work.list[0]);
	acknowledge(k, &result);
	result.again = true;
	result.due_ms = 99;
	acknowledge(k, &result);
	work_read(k, &again, 50);
	assert_int_equal(again.count, 1);
	assert_true(again.list[0].generation != work.list[0].generation);
	assert_true(again.list[0].due_ms == 2 && again.list[0].flags == RK_PENDING_UPDATED);
	/* Removed and put again at once: still another generation. */
	put(k, (struct kit_record){.rkey = kit_rkey(1), .gone = true}, 3000);
	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X, .version = 1}, 3000);
	result = answer(&again.list[0]);
	acknowledge(k, &result);
	work_read(k, &again, 50);
	assert_int_equal(again.count, 2);
}

static void work_put_back_waits_and_counts(void **state)
{
	struct kit *k = *state;
	static struct work work;

	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	put(k, (struct kit_record){.rkey = kit_rkey(2), .ref = X}, 1000);
	put(k, (struct kit_record){.rkey = kit_rkey(2), .gone = true}, 1000);
	for (uint32_t i = 0; i < 3; i++) {
		work_read(k, &work, 1 + i * 100);
		assert_int_equal(work.count, 2);
		for (size_t w = 0; w < 2; w++) {
			bool gone = work.list[w].flags & RK_PENDING_GONE;
			struct rk_link_result result = answer(&work.list[w]);

			assert_int_equal(work.list[w].attempts, i);
			assert_slice_equal(work.list[w].rkey, kit_rkey(gone ? 2 : 1));
			assert_slice_equal(work.list[w].ref, rk_slice_str(gone ? X : ""));
			result.again = true;
			result.due_ms = 1 + (i + 1) * 100;
			/* Whatever the flags given say, the key says whether it is gone. */
			result.flags = RK_PENDING_LOOKED | (i == 1 ? RK_PENDING_GONE : 0);
			acknowledge(k, &result);
		}
		work_read(k, &work, i * 100 + 100);
		assert_int_equal(work.count, 0);
	}
	work_read(k, &work, INT64_MAX);
	assert_true(work.list[0].flags & RK_PENDING_LOOKED);
}

static void long_keys_are_put_back_whole(void **state)
{
	struct kit *k = *state;
	static struct work work;
	char rkey[512];
	const struct rk_slice name = rk_slice_make(rkey, sizeof(rkey));

	memset(rkey, 'q', sizeof(rkey));
	put(k, (struct kit_record){.rkey = name, .ref = X}, 1000);
	for (int gone = 0; gone < 2; gone++) {
		struct rk_link_result result;

		if (gone)
			put(k, (struct kit_record){.rkey = name, .gone = true}, 1000);
		work_read(k, &work, INT64_MAX);
		assert_int_equal(work.count, 1);
		result = answer(&work.list[0]);
		result.again = true;
		acknowledge(k, &result);
		work_read(k, &work, INT64_MAX);
		assert_int_equal(work.count, 1);
		assert_slice_equal(work.list[0].rkey, name);
	}
}

static void marks_add_flags_and_forget_the_look(void **state)
{
	struct kit *k = *state;
	static struct work work;
	struct rk_link_result result;
	rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);

	work_read(k, &work, 1);
	result = answer(&work.list[0]);
	result.again = true;
	result.flags = RK_PENDING_LOOKED | RK_PENDING_UPDATED;
	acknowledge(k, &result);
	kit_write(k);
	assert_int_equal(rk_write_pending(&k->w, id, MOOD, kit_rkey(1), RK_PENDING_RECOVER, 5), 0);
	assert_int_equal(rk_write_pending(&k->w, id, MOOD, kit_rkey(1), RK_PENDING_RESTORE, 7), 0);
	/* A mark cannot say that a record which is there is gone. */
	assert_int_equal(rk_write_pending(&k->w, id, MOOD, kit_rkey(1), RK_PENDING_GONE, 8), 0);
	assert_int_equal(rk_write_pending(&k->w, id, MOOD, kit_rkey(2), 0, 7), RK_STORE_ABSENT);
	assert_int_equal(rk_write_pending(&k->w, id + 1, MOOD, kit_rkey(1), 0, 7), RK_STORE_ABSENT);
	kit_commit(k);
	kit_check(k);
	work_read(k, &work, INT64_MAX);
	assert_int_equal(work.count, 1);
	assert_int_equal(
		work.list[0].flags, RK_PENDING_UPDATED | RK_PENDING_RECOVER | RK_PENDING_RESTORE);
	assert_true(work.list[0].due_ms == 8 && work.list[0].attempts == 0);
	/* What an operator asked for lasts over a new version. */
	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X, .version = 1}, 9000);
	work_read(k, &work, INT64_MAX);
	assert_int_equal(
		work.list[0].flags, RK_PENDING_UPDATED | RK_PENDING_RECOVER | RK_PENDING_RESTORE);
}

static void links_and_issues_are_of_the_version_judged(void **state)
{
	struct kit *k = *state;
	const uint32_t orphan = 1u << RK_ISSUE_ORPHAN, conflict = 1u << RK_ISSUE_CONFLICT;
	rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	struct rk_link_result result = {
		.repo = id,
		.rkey = kit_rkey(1),
		.set_link = true,
		.link = RK_LINK_CONFLICT,
		.judged = orphan | conflict,
		.issues = conflict,
		.message = rk_slice_str("whose"),
	};
	struct rk_counts counts;

	kit_read(k);
	result.cid = kit_record(k, id, MOOD, kit_rkey(1)).cid;
	acknowledge(k, &result);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).link, RK_LINK_CONFLICT);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).issues, conflict);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.issues[RK_ISSUE_CONFLICT], 1);

	/* Of an older version: nothing. */
	put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X, .version = 1}, 2000);
	result.link = RK_LINK_LINKED;
	acknowledge(k, &result);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).link, RK_LINK_CONFLICT);

	/* Kinds that were not judged stay as they are. */
	memset(result.cid.bytes, 0, RK_CID_BYTES);
	result.judged = result.issues = orphan;
	acknowledge(k, &result);
	result.judged = conflict;
	result.issues = conflict | orphan;
	acknowledge(k, &result);
	result.judged = result.issues = 0;
	acknowledge(k, &result);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).issues, orphan | conflict);
	result.judged = orphan | conflict;
	acknowledge(k, &result);
	kit_read(k);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).issues, 0);
	assert_int_equal(kit_record(k, id, MOOD, kit_rkey(1)).link, RK_LINK_LINKED);

	/* Of a record that is not there: nothing. */
	result.rkey = kit_rkey(9);
	result.issues = orphan;
	acknowledge(k, &result);
	kit_read(k);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.issues[RK_ISSUE_ORPHAN], 0);
}

static void same_link_result_twice_is_once(void **state)
{
	struct kit *k = *state;
	struct rk_buf before = {0}, after = {0};
	rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	const struct rk_link_result result = {
		.repo = id,
		.rkey = kit_rkey(1),
		.set_link = true,
		.link = RK_LINK_NONE,
		.judged = UINT32_MAX >> (32 - RK_ISSUE_COUNT),
		.issues = 1u << RK_ISSUE_DUPLICATE | 1u << RK_ISSUE_REJECTED,
		.message = rk_slice_str("why"),
		.set_owner = true,
		.owner_ref = rk_slice_str(X),
		.owner = {.repo = id},
	};

	acknowledge(k, &result);
	kit_dump(k, &before, true);
	acknowledge(k, &result);
	kit_dump(k, &after, true);
	assert_true(rk_slice_equal(rk_buf_slice(&before), rk_buf_slice(&after)));
	rk_buf_finish(&before);
	rk_buf_finish(&after);
}

static void work_for_a_ref_is_told_by_repo(void **state)
{
#define Y "65f0a1b2c3d4e5f601234568"
	struct kit *k = *state;
	static struct work work;
	struct rk_link_result result;
	rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);
	bool found;

	for (int gone = 0; gone < 2; gone++) {
		const struct {
			rk_repo_id repo;
			uint8_t collection;
			const char *ref;
			bool found;
		} cases[] = {
			{id, MOOD, X, true},
			{id, MOOD, Y, false},
			{id + 1, MOOD, X, false},
			{id, RK_COLLECTION_PAINTING, X, false},
			{id, MOOD, "", false},
		};

		if (gone)
			put(k, (struct kit_record){.rkey = kit_rkey(1), .gone = true}, 2000);
		kit_read(k);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			assert_int_equal(rk_read_pending_ref(k->s, &found, cases[i].repo,
						 cases[i].collection, rk_slice_str(cases[i].ref)),
				0);
			assert_int_equal(found, cases[i].found);
		}
		work_read(k, &work, INT64_MAX);
		assert_int_equal(work.count, 1);
		result = answer(&work.list[0]);
		acknowledge(k, &result);
		kit_read(k);
		assert_int_equal(rk_read_pending_ref(k->s, &found, id, MOOD, rk_slice_str(X)), 0);
		assert_false(found);
	}
}

static void a_withdrawn_record_leaves_no_work(void **state)
{
	struct kit *k = *state;
	struct rk_link_result result = {
		.rkey = kit_rkey(1), .set_link = true, .link = RK_LINK_LINKED};
	static struct work work;

	/* What takes the mark back: nothing, we, a new version, the sight of its living document. */
	for (int back = 0; back < 4; back++) {
		rk_repo_id id = put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X}, 1000);

		kit_write(k);
		assert_int_equal(
			rk_write_withdrawn(&k->w, id, MOOD, kit_rkey(2), true), RK_STORE_ABSENT);
		for (int twice = 0; twice < 2; twice++)
			assert_int_equal(rk_write_withdrawn(&k->w, id, MOOD, kit_rkey(1), true), 0);
		if (back == 1)
			assert_int_equal(
				rk_write_withdrawn(&k->w, id, MOOD, kit_rkey(1), false), 0);
		kit_commit(k);
		kit_check(k);
		if (back == 2)
			put(k, (struct kit_record){.rkey = kit_rkey(1), .ref = X, .version = 1},
				2000);
		result.repo = id;
		if (back == 3)
			acknowledge(k, &result);
		put(k, (struct kit_record){.rkey = kit_rkey(1), .gone = true}, 3000);
		work_read(k, &work, INT64_MAX);
		assert_int_equal(work.count, back > 0);
		if (work.count) {
			struct rk_link_result over = answer(&work.list[0]);

			acknowledge(k, &over);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(due_work_comes_oldest_first),
		TEST(acknowledged_work_is_taken_off_once),
		TEST(work_that_changed_meanwhile_stays),
		TEST(work_put_back_waits_and_counts),
		TEST(long_keys_are_put_back_whole),
		TEST(marks_add_flags_and_forget_the_look),
		TEST(links_and_issues_are_of_the_version_judged),
		TEST(same_link_result_twice_is_once),
		TEST(work_for_a_ref_is_told_by_repo),
		TEST(a_withdrawn_record_leaves_no_work),
	};
	return cmocka_run_group_tests_name("store/pending", tests, NULL, NULL);
}
