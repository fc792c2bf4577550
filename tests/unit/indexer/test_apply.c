/*
 * Rules of indexer/apply: what follows from what is held is taken, what does not marks a gap, what was
 * refused changes nothing, and the cursor moves in the same transaction.
 */
#include "tests/unit/indexer/world.h"

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

/* It is not signed. What the tree held is shown to lead to is all there is, whatever came between. */
static void since_has_nothing_fetched_where_the_tree_held_proves_the_commit(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded wrong_since = commit(&change, 12, true);
	struct rk_record record;

	wrong_since.event.prev_data = wrong_since.verified.before = tree(10);
	repo_in(world);
	assert_int_equal(apply(world, &wrong_since), RK_APPLY_DONE);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
	assert_int_equal(repo_now(world).rev, 12);
	assert_int_equal(record_now(world, &record), 0);
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

static void old_commit_told_again_says_nothing_of_what_appeared(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 10, true);
	struct rk_change fetched = {
		.source = RK_CHANGE_FIRST, .records = &change, .count = 1, .now_us = 1};
	struct rk_record record;
	struct rk_repo repo;

	atomic_store(&world->notes.event_ms, 2 * RK_COMMIT_LATE_MS);
	/* While its repo is to be fetched … */
	assert_int_equal(rk_write_repo_make(&world->w, &repo, rk_slice_str(did)), 0);
	fetched.repo = repo.id;
	apply(world, &decoded);
	assert_int_equal(rk_write_change(&world->w, &fetched), 0);
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, RK_RECORD_FIRST);
	/* … and once it is in. */
	repo_in(world);
	apply(world, &decoded);
	assert_int_equal(record_now(world, &record), 0);
	assert_int_equal(record.flags & RK_RECORD_FIRST, RK_RECORD_FIRST);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(takes_a_commit_that_follows),
		RULE(skips_replayed_rev),
		RULE(since_has_nothing_fetched_where_the_tree_held_proves_the_commit),
		RULE(commit_without_prev_data_is_taken_where_the_tree_held_proves_it),
		RULE(gap_by_tree_by_missing_prev_data_and_by_size),
		RULE(refused_frames_change_nothing),
		RULE(unknown_repo_is_made_and_to_be_fetched),
		RULE(later_events_wait_behind_earlier_ones),
		RULE(record_created_during_the_first_fetch_is_not_from_before),
		RULE(record_fetched_before_its_event_is_not_from_before_either),
		RULE(old_commit_told_again_says_nothing_of_what_appeared),
		RULE(record_updated_during_the_first_fetch_is_from_before),
		RULE(sync_message_with_another_tree_is_a_gap),
		RULE(the_cursor_is_kept_by_source),
		RULE(notes_what_the_stream_says_of_itself),
	};
	rk_log_setup(RK_LOG_ERROR, RK_LOG_TEXT);
	return cmocka_run_group_tests_name("indexer/apply", tests, NULL, NULL);
}
