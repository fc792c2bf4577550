/*
 * Rules of indexer/apply: what follows from what is held is taken, what does not marks a gap, what was
 * refused changes nothing, and the cursor moves in the same transaction.
 */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "indexer/apply.h"
#include "store/inside.h"

#define NOW_US INT64_C(100000000000)

static const char did[] = "did:plc:abcdefghijklmnopqrstuvwx";
static const char rkey[] = "3k2yihcrzzk2c";
static const char ref[] = "507f1f77bcf86cd799439011";

struct world {
	char dir[64];
	struct rk_store *store;
	struct rk_write w;
	struct rk_stream_notes notes;
	struct rk_course course;
	struct rk_apply apply;
	bool waiting; /* for something earlier */
	int identities;
};

static bool waits(void *context, struct rk_slice account)
{
	const struct world *world = context;

	assert_int_not_equal(account.len, 0);
	return world->waiting;
}

static void identity(void *context, struct rk_slice account)
{
	struct world *world = context;

	assert_int_not_equal(account.len, 0);
	world->identities++;
}

static int world_begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rk_store_options options = {.dir = world->dir, .map_bytes = 64 << 20};
	char error[256];

	snprintf(world->dir, sizeof(world->dir), "/tmp/refkey-apply-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	assert_int_equal(rk_store_open(&world->store, &options, error), 0);
	assert_int_equal(rk_write_begin(&world->w, world->store), 0);
	world->apply = (struct rk_apply){
		.source = RK_SLICE_LIT("http://pds"),
		.notes = &world->notes,
		.course = &world->course,
		.waits = waits,
		.identity = identity,
		.context = world,
	};
	*state = world;
	return 0;
}

static int world_end(void **state)
{
	struct world *world = *state;
	char command[128];

	rk_write_abort(&world->w);
	rk_write_finish(&world->w);
	rk_store_close(world->store);
	snprintf(command, sizeof(command), "rm -r %s", world->dir);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static struct rk_cid tree(uint8_t mark)
{
	struct rk_cid cid;

	rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, rk_slice_make(&mark, 1));
	return cid;
}

/* A repo that is in, at rev 10 with tree 10. */
static rk_repo_id repo_in(struct world *world)
{
	struct rk_repo repo;

	assert_int_equal(rk_write_repo_make(&world->w, &repo, rk_slice_str(did)), 0);
	repo.sync = RK_SYNC_SYNCHRONIZED;
	repo.flags = RK_REPO_BACKFILLED;
	repo.rev = 10;
	repo.data = tree(10);
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	return repo.id;
}

/* A commit from rev - 1 to rev that puts one mood, or removes it. */
static struct rk_decoded commit(struct rk_change_record *record, uint64_t rev, bool put)
{
	struct rk_decoded decoded = {
		.event =
			{
				.type = RK_EVENT_COMMIT,
				.seq = (int64_t)rev * 100,
				.did = {.text = rk_slice_str(did)},
				.rev = rev,
				.since = rev - 1,
				.prev_data = tree((uint8_t)(rev - 1)),
				.op_count = 1,
				.time_ms = 1000,
			},
		.records = record,
		.count = 1,
	};

	*record = (struct rk_change_record){
		.collection = RK_COLLECTION_MOOD,
		.rkey = rk_slice_str(rkey),
		.read = {.facts = {.ref = rk_slice_str(ref)}, .json = RK_SLICE_LIT("{}")},
	};
	if (put)
		record->cid = tree((uint8_t)(100 + rev));
	record->created = put;
	decoded.verified.commit.data = tree((uint8_t)rev);
	decoded.verified.before = decoded.event.prev_data;
	return decoded;
}

static int apply_as(struct world *world, const struct rk_decoded *decoded, bool again)
{
	int r = rk_apply(&world->apply, &world->w, decoded, NOW_US, again);

	assert_true(r == RK_APPLY_DONE || r == RK_APPLY_WAIT || r == RK_APPLY_DOUBT);
	return r;
}

static int apply(struct world *world, const struct rk_decoded *decoded)
{
	return apply_as(world, decoded, false);
}

static struct rk_repo repo_now(struct world *world)
{
	struct rk_repo repo;

	assert_int_equal(
		rk_read_repo_by_did(rk_write_view(&world->w), &repo, rk_slice_str(did)), 0);
	return repo;
}

static int record_now(struct world *world, struct rk_record *record)
{
	return rk_read_record(rk_write_view(&world->w), record, repo_now(world).id,
		RK_COLLECTION_MOOD, rk_slice_str(rkey));
}

static void takes_a_commit_that_follows(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	struct rk_record record;
	struct rk_repo repo;

	repo_in(world);
	apply(world, &decoded);
	repo = repo_now(world);
	assert_int_equal(repo.rev, 11);
	assert_true(rk_cid_equal(&repo.data, &decoded.verified.commit.data));
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags, 0);
	decoded = commit(&change, 12, false);
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(atomic_load(&world->notes.event_ms), 1000);
}

static void skips_replayed_rev(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded;
	struct rk_record record;

	repo_in(world);
	decoded = commit(&change, 11, true);
	apply(world, &decoded);
	decoded = commit(&change, 12, false);
	apply(world, &decoded);
	decoded = commit(&change, 11, true);
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(repo_now(world).rev, 12);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

static void what_does_not_follow_is_a_gap(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded wrong_since = commit(&change, 12, true);
	struct rk_record record;

	/* The tree is the one held: what came between may have undone itself, and yet was not seen. */
	wrong_since.event.prev_data = wrong_since.verified.before = tree(10);
	repo_in(world);
	assert_int_equal(apply(world, &wrong_since), RK_APPLY_WAIT);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
	assert_int_equal(repo_now(world).rev, 10);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
}

/* What the commit does not say is known: the tree with its operations undone is the one that is held. */
static void commit_without_prev_data_is_taken_where_the_tree_held_proves_it(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	repo_in(world);
	decoded.event.prev_data = (struct rk_cid){0};
	assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
	assert_int_equal(repo_now(world).rev, 11);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

/* Each has it fetched, but what does not say what it changed may be a forged copy: later. */
static void gap_by_tree_by_missing_prev_data_and_by_size(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;

	repo_in(world);
	for (int i = 0; i < 3; i++) {
		struct rk_decoded decoded = commit(&change, 11, true);
		struct rk_repo repo;

		if (i == 0)
			decoded.event.prev_data = decoded.verified.before = tree(99);
		if (i == 1)
			decoded.event.prev_data = decoded.verified.before = (struct rk_cid){0};
		if (i == 2)
			decoded.event.too_big = true;
		apply(world, &decoded);
		repo = repo_now(world);
		assert_int_equal(repo.sync, RK_SYNC_DESYNCHRONIZED);
		assert_int_equal(repo.rev, 10);
		assert_int_equal(repo.retry_ms > 0, i == 1);
		repo.retry_ms = 0;
		repo.sync = RK_SYNC_SYNCHRONIZED;
		assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	}
}

static void refused_frames_change_nothing(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	struct rk_record record;

	repo_in(world);
	decoded.verdict = RK_VERDICT_BLOCK_CID;
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(repo_now(world).rev, 10);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

static void unknown_repo_is_made_and_to_be_fetched(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	apply(world, &decoded);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
	assert_int_equal(repo_now(world).flags & RK_REPO_BORN, 0);
}

static void document_read_at(struct world *world, int64_t at_ms)
{
	const struct rk_identity identity = {.fetched_ms = at_ms};

	assert_int_equal(rk_write_identity(&world->w, rk_slice_str(did), &identity), 0);
}

static void what_is_not_proven_waits_for_another_key(void **state)
{
	const int64_t now_ms = NOW_US / 1000;
	static const enum rk_verdict curable[] = {RK_VERDICT_KEY_UNKNOWN, RK_VERDICT_KEY_MISSING,
		RK_VERDICT_SIGNATURE_WRONG, RK_VERDICT_REPO_ELSEWHERE};
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	struct rk_record record;

	repo_in(world);
	for (size_t i = 0; i < sizeof(curable) / sizeof(curable[0]); i++) {
		int64_t refused = rk_metric_refused_get(curable[i]);

		decoded.verdict = curable[i];
		document_read_at(world, now_ms - RK_KEY_TRUST_MS - 1);
		decoded.key_fetched_ms = now_ms - RK_KEY_TRUST_MS - 1;
		/* Without a key nothing can be judged; with one, the others go on. */
		assert_int_equal(apply(world, &decoded),
			curable[i] == RK_VERDICT_KEY_UNKNOWN ? RK_APPLY_WAIT : RK_APPLY_DOUBT);
		assert_int_equal(world->identities, 2 * (int)i + 1);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused);
		/* Judged by the newest document it is refused for good. */
		assert_int_equal(apply_as(world, &decoded, true), RK_APPLY_DONE);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused + 1);
		/* What was just read is not read again, … */
		document_read_at(world, now_ms - RK_KEY_TRUST_MS);
		decoded.key_fetched_ms = now_ms - RK_KEY_TRUST_MS;
		assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused + 2);
		/* … unless the event was judged by an earlier one. */
		decoded.key_fetched_ms--;
		assert_int_not_equal(apply(world, &decoded), RK_APPLY_DONE);
	}
	assert_int_equal(world->identities, 8);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

static void later_events_wait_behind_earlier_ones(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	repo_in(world);
	world->waiting = true;
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(repo_now(world).rev, 10);
	assert_int_equal(apply_as(world, &decoded, true), RK_APPLY_DONE);
	assert_int_equal(repo_now(world).rev, 11);
}

static void account_events_of_a_relay_are_asked_at_the_host(void **state)
{
	static const struct {
		const char *status;
		uint8_t flags;
	} cases[] = {{"deleted", RK_REPO_PURGE}, {"takendown", 0}, {"deactivated", 0}};
	struct world *world = *state;

	repo_in(world);
	world->apply.relay = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_decoded account = {
			.event =
				{
					.type = RK_EVENT_ACCOUNT,
					.seq = 8,
					.did = {.text = rk_slice_str(did)},
					.status = rk_slice_str(cases[i].status),
				},
		};
		struct rk_repo repo = repo_now(world);

		repo.sync = RK_SYNC_SYNCHRONIZED;
		repo.flags = RK_REPO_BACKFILLED;
		assert_int_equal(rk_write_repo(&world->w, &repo), 0);
		apply(world, &account);
		assert_int_equal(repo_now(world).account, RK_ACCOUNT_ACTIVE);
		assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
		assert_int_equal(repo_now(world).flags & RK_REPO_PURGE, cases[i].flags);
	}
	world->apply.relay = false;
}

static void account_events_sent_again_change_nothing(void **state)
{
	struct world *world = *state;
	struct rk_decoded account = {
		.event =
			{
				.type = RK_EVENT_ACCOUNT,
				.seq = 7,
				.did = {.text = rk_slice_str(did)},
				.status = RK_SLICE_LIT("deleted"),
			},
	};

	repo_in(world);
	world->course.seq = 7;
	apply(world, &account);
	assert_int_equal(repo_now(world).account, RK_ACCOUNT_ACTIVE);
	/* A number that a lie put far ahead does not count. */
	world->course.leap = INT64_C(1) << 50;
	account.event.seq = 8;
	apply(world, &account);
	assert_int_equal(repo_now(world).account, RK_ACCOUNT_DELETED);
	assert_true(repo_now(world).flags & RK_REPO_PURGE);
}

static void first_commit_without_records_is_a_whole_repo(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	decoded.event.since = 0;
	decoded.event.prev_data = (struct rk_cid){0};
	decoded.event.op_count = decoded.count = 0;
	assert_true(rk_cid_from_text(&decoded.verified.commit.data,
		rk_slice_str("bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm")));
	apply(world, &decoded);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
	assert_int_equal(repo_now(world).rev, 11);
	assert_true(repo_now(world).flags & RK_REPO_BORN);
}

static void record_created_during_the_first_fetch_is_not_from_before(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded;
	struct rk_change fetched = {
		.source = RK_CHANGE_FIRST, .records = &change, .count = 1, .now_us = 1};
	struct rk_record record;
	struct rk_repo repo;

	/* Seen live while the repo was to be fetched: remembered until the copy is in. */
	assert_int_equal(rk_write_repo_make(&world->w, &repo, rk_slice_str(did)), 0);
	fetched.repo = repo.id;
	decoded = commit(&change, 11, true);
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(rk_write_change(&world->w, &fetched), 0);
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, 0);
}

static void record_fetched_before_its_event_is_not_from_before_either(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 10, true);
	struct rk_change fetched = {
		.source = RK_CHANGE_FIRST, .records = &change, .count = 1, .now_us = 1};
	struct rk_record record;

	fetched.repo = repo_in(world);
	assert_int_equal(rk_write_change(&world->w, &fetched), 0);
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, RK_RECORD_FIRST);
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, 0);
}

static void record_updated_during_the_first_fetch_is_from_before(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded;
	struct rk_change fetched = {
		.source = RK_CHANGE_FIRST, .records = &change, .count = 1, .now_us = 1};
	struct rk_record record;
	struct rk_repo repo;

	assert_int_equal(rk_write_repo_make(&world->w, &repo, rk_slice_str(did)), 0);
	fetched.repo = repo.id;
	decoded = commit(&change, 11, true);
	change.created = false;
	apply(world, &decoded);
	assert_int_equal(rk_write_change(&world->w, &fetched), 0);
	repo.rev = 11;
	repo.sync = RK_SYNC_SYNCHRONIZED;
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	apply(world, &decoded); /* replayed: it still is */
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, RK_RECORD_FIRST);
}

static void inactive_accounts_are_hidden_and_fetched_when_back(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	struct rk_decoded account = {
		.event =
			{
				.type = RK_EVENT_ACCOUNT,
				.seq = 5,
				.did = {.text = rk_slice_str(did)},
				.status = RK_SLICE_LIT("takendown"),
			},
	};

	repo_in(world);
	apply(world, &account);
	assert_int_equal(repo_now(world).account, RK_ACCOUNT_TAKENDOWN);
	apply(world, &decoded);
	assert_int_equal(repo_now(world).rev, 10);
	account.event.active = true;
	apply(world, &account);
	assert_int_equal(repo_now(world).account, RK_ACCOUNT_ACTIVE);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
}

static void sync_message_with_another_tree_is_a_gap(void **state)
{
	struct world *world = *state;
	struct rk_decoded sync = {
		.event = {.type = RK_EVENT_SYNC, .did = {.text = rk_slice_str(did)}, .rev = 11},
	};

	repo_in(world);
	sync.verified.commit.rev = 10;
	sync.verified.commit.data = tree(77);
	apply(world, &sync);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
	sync.verified.commit.rev = 11;
	sync.verified.commit.data = tree(10);
	apply(world, &sync);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
	assert_int_equal(repo_now(world).rev, 11);
	sync.verified.commit.rev = 12;
	sync.verified.commit.data = tree(77);
	apply(world, &sync);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
}

static void the_cursor_is_kept_by_source(void **state)
{
	struct world *world = *state;
	struct rk_course course = {.seq = 7};
	struct rk_snapshot *view = rk_write_view(&world->w);

	assert_int_equal(rk_course_write(&course, &world->w, world->apply.source), 0);
	course = (struct rk_course){0};
	assert_int_equal(rk_course_read(&course, view, world->apply.source), 0);
	assert_int_equal(course.seq, 7);
	/* Not written yet, it goes on; set back by another hand, it begins there. */
	course.seq = 9;
	assert_int_equal(rk_course_read(&course, view, world->apply.source), 0);
	assert_int_equal(course.seq, 9);
	assert_int_equal(rk_course_read(&course, view, rk_slice_str("http://other")), 0);
	assert_int_equal(course.seq, 0);
}

static void notes_what_the_stream_says_of_itself(void **state)
{
	struct world *world = *state;
	struct rk_decoded note = {
		.event = {.type = RK_EVENT_INFO, .name = RK_SLICE_LIT("OutdatedCursor")}};

	apply(world, &note);
	assert_true(atomic_load(&world->notes.outdated));
	note.event.type = RK_EVENT_ERROR;
	note.event.name = (struct rk_slice)RK_SLICE_LIT("ConsumerTooSlow");
	apply(world, &note);
	assert_false(atomic_load(&world->notes.future_cursor));
	note.event.name = (struct rk_slice)RK_SLICE_LIT("FutureCursor");
	apply(world, &note);
	assert_true(atomic_load(&world->notes.future_cursor));
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(takes_a_commit_that_follows),
		RULE(skips_replayed_rev),
		RULE(what_does_not_follow_is_a_gap),
		RULE(commit_without_prev_data_is_taken_where_the_tree_held_proves_it),
		RULE(gap_by_tree_by_missing_prev_data_and_by_size),
		RULE(refused_frames_change_nothing),
		RULE(unknown_repo_is_made_and_to_be_fetched),
		RULE(what_is_not_proven_waits_for_another_key),
		RULE(later_events_wait_behind_earlier_ones),
		RULE(account_events_of_a_relay_are_asked_at_the_host),
		RULE(account_events_sent_again_change_nothing),
		RULE(first_commit_without_records_is_a_whole_repo),
		RULE(record_created_during_the_first_fetch_is_not_from_before),
		RULE(record_fetched_before_its_event_is_not_from_before_either),
		RULE(record_updated_during_the_first_fetch_is_from_before),
		RULE(inactive_accounts_are_hidden_and_fetched_when_back),
		RULE(sync_message_with_another_tree_is_a_gap),
		RULE(the_cursor_is_kept_by_source),
		RULE(notes_what_the_stream_says_of_itself),
	};
	rk_log_setup(RK_LOG_ERROR, RK_LOG_TEXT);
	return cmocka_run_group_tests_name("indexer/apply", tests, NULL, NULL);
}
