/* See state.h. */
#include "indexer/state.h"

#include "net/backoff.h"

/* What becomes of retry_ms. */
enum due {
	KEPT,
	NOW,
	LATER,   /* not before RK_RESYNC_LATER_MS from now */
	REST,    /* not before RK_RESYNC_REST_MS from now, and failures are over */
	BACKOFF, /* a failure: longer each time */
	GIVEN,
	GIVEN_AS_FAILURE,
};

enum { SYNC_KEPT = RK_SYNC_SYNCHRONIZED + 1 };
#define SYNC_DESYNCHRONIZED RK_SYNC_DESYNCHRONIZED
#define SYNC_SYNCHRONIZED   RK_SYNC_SYNCHRONIZED

static const struct row {
	uint8_t sync, set, clear;
	enum due due;
} rows[RK_REPO_EVENT_COUNT] = {
#define ROW(id, sync_to, due_to, set_flags, clear_flags, what)                                     \
	[RK_REPO_EVENT_##id] = {                                                                   \
		.sync = SYNC_##sync_to, .due = due_to, .set = set_flags, .clear = clear_flags},
	RK_REPO_EVENTS(ROW)
#undef ROW
};

static int64_t backoff_wait(const struct rk_repo *repo)
{
	struct rk_backoff backoff = {
		.first_ms = RK_RESYNC_BACKOFF_FIRST_MS,
		.most_ms = RK_RESYNC_BACKOFF_MOST_MS,
		.tries = repo->failures < 16 ? repo->failures : 16,
	};

	return rk_backoff_next(&backoff, rk_backoff_random());
}

void rk_repo_happen(
	struct rk_repo *repo, enum rk_repo_event event, int64_t now_ms, int64_t given_ms)
{
	const struct row *row = &rows[event];
	/* A repo that waits its turn already is not put off because more is amiss. */
	bool waits = repo->sync == RK_SYNC_DESYNCHRONIZED;

	switch (row->due) {
	case KEPT:
		break;
	case NOW:
		repo->retry_ms = 0;
		break;
	case LATER:
		if (!waits && repo->retry_ms < now_ms + RK_RESYNC_LATER_MS)
			repo->retry_ms = now_ms + RK_RESYNC_LATER_MS;
		break;
	case REST:
		repo->retry_ms = now_ms + RK_RESYNC_REST_MS;
		repo->failures = 0;
		break;
	case BACKOFF:
		repo->retry_ms = now_ms + backoff_wait(repo);
		repo->failures += repo->failures < UINT8_MAX;
		break;
	case GIVEN_AS_FAILURE:
		repo->failures += repo->failures < UINT8_MAX;
		repo->retry_ms = given_ms;
		break;
	case GIVEN:
		repo->retry_ms = given_ms;
		break;
	}
	if (row->sync != SYNC_KEPT)
		repo->sync = row->sync;
	repo->flags = (uint8_t)((repo->flags & ~row->clear) | row->set);
}

bool rk_repo_answer(struct rk_repo *repo, enum rk_account account, bool asked)
{
	bool settled = repo->said && asked, changed = repo->account != (uint8_t)account;
	bool taken_back = !repo->said && asked;

	repo->said = (repo->said && !settled) || (taken_back && changed);
	repo->account = (uint8_t)account;
	return settled && !changed;
}
