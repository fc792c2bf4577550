/* Rules of indexer/apply for accounts: who comes in, who signs, who is active. */
#include "tests/unit/indexer/world.h"

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
		assert_int_equal(world->identities, (int)i + 1);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused);
		/* Judged by the newest document it is refused for good. */
		assert_int_equal(apply_as(world, &decoded, true), RK_APPLY_DONE);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused + 1);
		/* What was just read is not read again (but for one look that is taken here already), … */
		rk_looks_take(&world->looks, rk_slice_str(did), 1, now_ms);
		document_read_at(world, now_ms - RK_KEY_TRUST_MS);
		decoded.key_fetched_ms = now_ms - RK_KEY_TRUST_MS;
		assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
		assert_int_equal(rk_metric_refused_get(curable[i]), refused + 2);
		/* … and one that was judged by an earlier one is judged by it. */
		decoded.key_fetched_ms--;
		assert_int_equal(apply(world, &decoded), RK_APPLY_OUTDATED);
		assert_int_equal(world->identities, (int)i + 1);
	}
	assert_int_equal(world->strangers, 0);
	assert_int_equal(record_now(world, &record), RK_STORE_ABSENT);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

/* A key may change without a word: what was read just now is read once more, and then judged by what came of it. */
static void the_first_signature_that_does_not_fit_has_a_look(void **state)
{
	const int64_t now_ms = NOW_US / 1000;
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	int64_t refused = rk_metric_refused_get(RK_VERDICT_SIGNATURE_WRONG);

	repo_in(world);
	decoded.verdict = RK_VERDICT_SIGNATURE_WRONG;
	decoded.key_fetched_ms = now_ms - 1000;
	document_read_at(world, now_ms - 1000);
	assert_int_equal(apply(world, &decoded), RK_APPLY_DOUBT);
	assert_int_equal(world->identities, 1);
	/* What is being asked already is asked again, … */
	assert_int_equal(world->doubts, 1);
	/* … but once: the next one waits for the same look. */
	assert_int_equal(apply(world, &decoded), RK_APPLY_DOUBT);
	assert_int_equal(world->doubts, 1);
	/* It was in vain: forged ones get no other. */
	document_read_at(world, now_ms - 500);
	decoded.key_fetched_ms = now_ms - 500;
	assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_SIGNATURE_WRONG), refused + 1);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

static void who_is_not_in_the_index_is_a_stranger(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	decoded.verdict = RK_VERDICT_KEY_UNKNOWN;
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(world->strangers, 1);
	repo_in(world);
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(world->identities, 2);
	assert_int_equal(world->strangers, 1);
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

static void what_waits_behind_a_word_taken_back_is_come_for(void **state)
{
	struct world *world = *state;
	struct rk_decoded account = {
		.event =
			{
				.type = RK_EVENT_ACCOUNT,
				.seq = 8,
				.did = {.text = rk_slice_str(did)},
				.active = true,
			},
	};
	struct rk_repo repo;

	repo_in(world);
	repo = repo_now(world);
	repo.account = RK_ACCOUNT_INACTIVE;
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	world->apply.relay = true;
	world->waiting = true;
	apply(world, &account);
	assert_true(repo_now(world).said);
	assert_int_equal(world->identities, 0);
	account.event.active = false;
	account.event.status = rk_slice_str("no name of a state");
	apply(world, &account);
	assert_false(repo_now(world).said);
	assert_int_equal(world->identities, 1);
	world->apply.relay = world->waiting = false;
}

/* Whoever left may have moved, and what is being asked just now was asked before it was told. */
static void of_who_is_not_active_the_document_is_read_anew(void **state)
{
	static const char *const statuses[] = {"deactivated", "takendown", "deleted"};
	struct world *world = *state;
	struct rk_identity held;
	int reads = 0;

	repo_in(world);
	for (int relay = 0; relay <= 1; relay++) {
		struct rk_decoded account = {
			.event =
				{
					.type = RK_EVENT_ACCOUNT,
					.did = {.text = rk_slice_str(did)},
				},
		};

		world->apply.relay = relay;
		for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
			account.event.status = rk_slice_str(statuses[i]);
			document_read_at(world, NOW_US / 1000);
			account.event.seq++;
			apply(world, &account);
			assert_int_equal(rk_read_identity(rk_write_view(&world->w), &held,
						 rk_slice_str(did)),
				0);
			assert_int_equal(held.fetched_ms, 0);
			assert_int_equal(world->identities, ++reads);
			assert_in_range(world->doubts, reads, 2 * reads);
		}
		/* Said again by its host, a fetch may have been answered so before. */
		apply(world, &account);
		assert_int_equal(world->identities, ++reads);
		account.event.active = true;
		apply(world, &account);
		apply(world, &account);
		assert_int_equal(world->identities, reads);
	}
	world->apply.relay = false;
}

static void what_waits_of_an_account_that_is_hidden_is_come_for(void **state)
{
	struct world *world = *state;
	const struct rk_decoded account = {
		.event =
			{
				.type = RK_EVENT_ACCOUNT,
				.seq = 8,
				.did = {.text = rk_slice_str(did)},
				.status = rk_slice_str("takendown"),
			},
	};
	struct rk_repo repo;

	repo_in(world);
	repo = repo_now(world);
	repo.sync = RK_SYNC_DESYNCHRONIZED;
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	world->waiting = true;
	apply(world, &account);
	assert_int_equal(repo_now(world).account, RK_ACCOUNT_TAKENDOWN);
	assert_int_equal(world->identities, 1);
	world->waiting = false;
}

/* Whoever changed what the account waited for, and did not see that it waited. */
static void what_waits_for_nothing_is_come_for(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);
	struct rk_repo repo;

	repo_in(world);
	repo = repo_now(world);
	repo.sync = RK_SYNC_DESYNCHRONIZED;
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	document_read_at(world, NOW_US / 1000);
	world->waiting = true;
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(world->identities, 0); /* its repo is to be fetched */
	repo.flags |= RK_REPO_TOMBSTONE;
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(world->identities, 1);
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(world->identities, 1); /* its document is to be read */
	world->waiting = false;
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
	decoded.verified.before = decoded.verified.commit.data;
	apply(world, &decoded);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
	assert_int_equal(repo_now(world).rev, 11);
	assert_true(repo_now(world).flags & RK_REPO_BORN);
}

static void old_first_commit_told_again_is_no_birth(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	decoded.event.op_count = decoded.count = 0;
	assert_true(rk_cid_from_text(&decoded.verified.commit.data,
		rk_slice_str("bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm")));
	decoded.verified.before = decoded.verified.commit.data;
	atomic_store(&world->notes.event_ms, 2 * RK_COMMIT_LATE_MS);
	apply(world, &decoded);
	assert_int_equal(repo_now(world).flags & RK_REPO_BORN, 0);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
	/* Nor is it one where the repo is known: it is an old commit. */
	repo_in(world);
	decoded.event.rev = 9;
	apply(world, &decoded);
	assert_int_equal(repo_now(world).flags & RK_REPO_BORN, 0);
	assert_int_equal(repo_now(world).rev, 10);
	assert_int_equal(repo_now(world).sync, RK_SYNC_SYNCHRONIZED);
}

/* … but what waited for its DID document while hours of the stream passed is no old one. */
static void first_commit_that_waited_is_a_birth(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	assert_true(rk_cid_from_text(&decoded.verified.before,
		rk_slice_str("bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm")));
	decoded.stream_ms = RK_COMMIT_LATE_MS;
	atomic_store(&world->notes.event_ms, 2 * RK_COMMIT_LATE_MS);
	apply_as(world, &decoded, true);
	assert_true(repo_now(world).flags & RK_REPO_BORN);
}

static void first_commit_that_came_late_and_waited_is_no_birth(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	assert_true(rk_cid_from_text(&decoded.verified.before,
		rk_slice_str("bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm")));
	decoded.stream_ms = 2 * RK_COMMIT_LATE_MS;
	apply_as(world, &decoded, true);
	assert_int_equal(repo_now(world).flags & RK_REPO_BORN, 0);
}

/* Nobody signed that nothing came before it. */
static void creation_is_shown_by_the_tree_and_not_by_what_is_said(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, true);

	decoded.event.since = 0;
	apply(world, &decoded);
	assert_int_equal(repo_now(world).flags & RK_REPO_BORN, 0);
}

static void strangers_come_in_by_a_record_that_is_shown(void **state)
{
	struct world *world = *state;
	struct rk_change_record change;
	struct rk_decoded decoded = commit(&change, 11, false);
	struct rk_repo repo;

	world->apply.relay = true;
	assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
	decoded.count = 0; /* too big for the stream, say */
	assert_int_equal(apply(world, &decoded), RK_APPLY_DONE);
	assert_int_equal(rk_read_repo_by_did(rk_write_view(&world->w), &repo, rk_slice_str(did)),
		RK_STORE_ABSENT);
	decoded = commit(&change, 12, true);
	assert_int_equal(apply(world, &decoded), RK_APPLY_WAIT);
	assert_int_equal(repo_now(world).sync, RK_SYNC_DESYNCHRONIZED);
}

/* What it says of a document makes old what is being asked of anybody. */
static void documents_are_doubted_also_of_accounts_that_are_not_known(void **state)
{
	struct world *world = *state;
	struct rk_decoded identity = {
		.event = {.type = RK_EVENT_IDENTITY, .seq = 1, .did = {.text = rk_slice_str(did)}},
	};

	apply(world, &identity);
	assert_int_equal(world->doubts, 1);
	assert_int_equal(world->identities, 0);
	repo_in(world);
	apply(world, &identity);
	assert_int_equal(world->doubts, 2);
	assert_int_equal(world->identities, 1);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(what_is_not_proven_waits_for_another_key),
		RULE(the_first_signature_that_does_not_fit_has_a_look),
		RULE(who_is_not_in_the_index_is_a_stranger),
		RULE(account_events_of_a_relay_are_asked_at_the_host),
		RULE(what_waits_behind_a_word_taken_back_is_come_for),
		RULE(of_who_is_not_active_the_document_is_read_anew),
		RULE(what_waits_of_an_account_that_is_hidden_is_come_for),
		RULE(what_waits_for_nothing_is_come_for),
		RULE(account_events_sent_again_change_nothing),
		RULE(first_commit_without_records_is_a_whole_repo),
		RULE(old_first_commit_told_again_is_no_birth),
		RULE(first_commit_that_waited_is_a_birth),
		RULE(first_commit_that_came_late_and_waited_is_no_birth),
		RULE(creation_is_shown_by_the_tree_and_not_by_what_is_said),
		RULE(strangers_come_in_by_a_record_that_is_shown),
		RULE(documents_are_doubted_also_of_accounts_that_are_not_known),
		RULE(inactive_accounts_are_hidden_and_fetched_when_back),
	};
	rk_log_setup(RK_LOG_ERROR, RK_LOG_TEXT);
	return cmocka_run_group_tests_name("indexer/apply_accounts", tests, NULL, NULL);
}
