/* Rules of indexer/state: what each event leaves of a repo, from each state it may be in. */
#include "tests/unit/test.h"

#include "indexer/state.h"

enum { NOW = 1000000, GIVEN = 5000000 };

/* due: Unix ms, or … */
enum { SAME = -1, BACKOFF = -2 };

static const struct {
	enum rk_repo_event event;
	int sync; /* SAME, or enum rk_repo_sync */
	int64_t due;
	uint8_t set, cleared;
	int failures; /* added; SAME: over */
} rules[RK_REPO_EVENT_COUNT] = {
	{RK_REPO_EVENT_GAP, RK_SYNC_DESYNCHRONIZED, SAME, 0, 0, 0},
	{RK_REPO_EVENT_UNPROVEN, RK_SYNC_DESYNCHRONIZED, NOW + RK_RESYNC_LATER_MS, 0, 0, 0},
	{RK_REPO_EVENT_DOUBTED, RK_SYNC_DESYNCHRONIZED, SAME, 0, 0, 0},
	{RK_REPO_EVENT_SAID_DELETED, RK_SYNC_DESYNCHRONIZED, SAME, RK_REPO_PURGE, 0, 0},
	{RK_REPO_EVENT_DELETED, RK_SYNC_DESYNCHRONIZED, 0, RK_REPO_PURGE, 0, 0},
	{RK_REPO_EVENT_DEACTIVATED, SAME, NOW + RK_RESYNC_REST_MS, 0, RK_REPO_PURGE, SAME},
	{RK_REPO_EVENT_ACTIVATED, RK_SYNC_DESYNCHRONIZED, 0, 0, RK_REPO_PURGE, 0},
	{RK_REPO_EVENT_WENT_AWAY, SAME, SAME, RK_REPO_MOVED, 0, 0},
	{RK_REPO_EVENT_CAME_BACK, RK_SYNC_DESYNCHRONIZED, 0, 0, RK_REPO_MOVED, 0},
	{RK_REPO_EVENT_SEQUENCE_RESET, SAME, SAME, RK_REPO_RESET | RK_REPO_WENT_BACK, 0, 0},
	{RK_REPO_EVENT_BORN, SAME, SAME, RK_REPO_BORN, 0, 0},
	{RK_REPO_EVENT_BORN_WHOLE, RK_SYNC_SYNCHRONIZED, SAME, RK_REPO_BORN | RK_REPO_BACKFILLED, 0,
		0},
	{RK_REPO_EVENT_LISTED_BEHIND, RK_SYNC_DESYNCHRONIZED, 0, RK_REPO_WENT_BACK, 0, 0},
	{RK_REPO_EVENT_LISTED_AHEAD, RK_SYNC_DESYNCHRONIZED, 0, 0, 0, 0},
	{RK_REPO_EVENT_LISTED_SAME, SAME, SAME, 0, RK_REPO_WENT_BACK | RK_REPO_RESET, 0},
	{RK_REPO_EVENT_FETCHED, RK_SYNC_SYNCHRONIZED, NOW + RK_RESYNC_REST_MS, RK_REPO_BACKFILLED,
		RK_REPO_WENT_BACK | RK_REPO_RESET | RK_REPO_PURGE, SAME},
	{RK_REPO_EVENT_UNCHANGED, RK_SYNC_SYNCHRONIZED, NOW + RK_RESYNC_REST_MS, 0, RK_REPO_PURGE,
		SAME},
	{RK_REPO_EVENT_OVERTAKEN, RK_SYNC_DESYNCHRONIZED, BACKOFF, 0, 0, 1},
	{RK_REPO_EVENT_FAILED, SAME, BACKOFF, 0, 0, 1},
	{RK_REPO_EVENT_FAILED_OLDER, SAME, BACKOFF, RK_REPO_WENT_BACK, 0, 1},
	{RK_REPO_EVENT_PUT_OFF, SAME, GIVEN, 0, 0, 0},
	{RK_REPO_EVENT_HOST_FAILING, SAME, GIVEN, 0, 0, 1},
	{RK_REPO_EVENT_GONE, SAME, NOW + RK_RESYNC_REST_MS, RK_REPO_WENT_BACK, RK_REPO_PURGE, SAME},
};

static void every_event_has_its_rule(void **state)
{
	for (int i = 0; i < RK_REPO_EVENT_COUNT; i++)
		assert_int_equal(rules[i].event, i);
}

static void events_change_what_their_rule_says_and_no_more(void **state)
{
	for (int i = 0; i < RK_REPO_EVENT_COUNT; i++) {
		for (unsigned flags = 0; flags < 256; flags++) {
			for (int sync = 0; sync <= RK_SYNC_SYNCHRONIZED; sync++) {
				struct rk_repo repo = {
					.id = 7,
					.rev = 9,
					.sync = (uint8_t)sync,
					.flags = (uint8_t)flags,
					.account = RK_ACCOUNT_TAKENDOWN,
					.failures = 2,
					.retry_ms = 123,
				};
				uint8_t after =
					(uint8_t)((flags & ~rules[i].cleared) | rules[i].set);
				int64_t due = rules[i].due;

				/* What waits already is not put off. */
				if (rules[i].event == RK_REPO_EVENT_UNPROVEN &&
					sync == RK_SYNC_DESYNCHRONIZED)
					due = SAME;
				rk_repo_happen(&repo, rules[i].event, NOW, GIVEN);
				assert_int_equal(
					repo.sync, rules[i].sync == SAME ? sync : rules[i].sync);
				assert_int_equal(repo.flags, after);
				assert_int_equal(repo.failures,
					rules[i].failures == SAME ? 0 : 2 + rules[i].failures);
				if (due == BACKOFF)
					assert_in_range(repo.retry_ms,
						NOW + 2 * RK_RESYNC_BACKOFF_FIRST_MS,
						NOW + 4 * RK_RESYNC_BACKOFF_FIRST_MS);
				else
					assert_int_equal(repo.retry_ms, due == SAME ? 123 : due);
				assert_true(repo.id == 7 && repo.rev == 9);
				assert_int_equal(repo.account, RK_ACCOUNT_TAKENDOWN);
			}
		}
	}
}

static void failures_stay_at_their_most(void **state)
{
	struct rk_repo repo = {.failures = UINT8_MAX};

	rk_repo_happen(&repo, RK_REPO_EVENT_FAILED, NOW, 0);
	assert_int_equal(repo.failures, UINT8_MAX);
	assert_in_range(repo.retry_ms, NOW + RK_RESYNC_BACKOFF_MOST_MS / 2,
		NOW + RK_RESYNC_BACKOFF_MOST_MS);
}

static void without_a_did_document_nothing_is_shown_or_fetched(void **state)
{
	struct rk_repo repo = {.sync = RK_SYNC_DESYNCHRONIZED};

	assert_true(rk_repo_is_shown(&repo));
	assert_true(rk_repo_is_queued(&repo));
	repo.unreadable = true;
	assert_false(rk_repo_is_shown(&repo));
	assert_false(rk_repo_is_queued(&repo));
	repo.flags = RK_REPO_MOVED;
	assert_false(rk_repo_is_shown(&repo));
	repo.flags = RK_REPO_PURGE;
	assert_true(rk_repo_is_queued(&repo));
}

/* What a relay says: what it said when the host was asked, and what it says when the answer is there. */
static void an_answer_settles_what_was_asked_about(void **state)
{
	static const struct {
		bool asked, said;
		enum rk_account answer;
		bool left, denied;
	} cases[] = {
		{true, true, RK_ACCOUNT_ACTIVE, false, true},
		{true, true, RK_ACCOUNT_INACTIVE, false, false},
		/* It has said something since. */
		{false, true, RK_ACCOUNT_ACTIVE, true, false},
		{false, true, RK_ACCOUNT_INACTIVE, true, false},
		/* It took it back, and the answer may be older than that. */
		{true, false, RK_ACCOUNT_ACTIVE, false, false},
		{true, false, RK_ACCOUNT_INACTIVE, true, false},
		{false, false, RK_ACCOUNT_ACTIVE, false, false},
		{false, false, RK_ACCOUNT_INACTIVE, false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_repo repo = {.account = RK_ACCOUNT_ACTIVE, .said = cases[i].said};

		assert_int_equal(
			rk_repo_answer(&repo, cases[i].answer, cases[i].asked), cases[i].denied);
		assert_int_equal(repo.said, cases[i].left);
		assert_int_equal(repo.account, cases[i].answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_did_document_nothing_is_shown_or_fetched),
		cmocka_unit_test(an_answer_settles_what_was_asked_about),
		cmocka_unit_test(every_event_has_its_rule),
		cmocka_unit_test(events_change_what_their_rule_says_and_no_more),
		cmocka_unit_test(failures_stay_at_their_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
