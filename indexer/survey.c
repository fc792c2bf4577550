/*
 * How each known repo stands at its own host: com.atproto.sync.getRepoStatus, one after the other, under
 * the rules for hosts (hosts.h). A host that is failing or has enough of us is passed over, and the next
 * survey begins with the first repo that was: in time every repo is asked for, however many there are.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "indexer/sweep.h"

enum {
	WAIT_MOST_MS = 2000, /* for a busy host; longer, and its repos are left for the next time */
	SLOW_MS = 3000,      /* an answer that took longer is the last of its host, this time */
};

static bool is_of_interest(const struct rk_repo *repo)
{
	if (repo->rev == 0 || repo->flags & RK_REPO_TOMBSTONE)
		return false;
	return repo->account != RK_ACCOUNT_ACTIVE || repo->sync == RK_SYNC_SYNCHRONIZED;
}

/* The next one after *at, round the end once. ABSENT: all were seen. */
static int next(struct rk_sweep *s, struct rk_repo_copy *out, rk_repo_id *at, bool *wrapped)
{
	struct rk_repo repo;
	int r = rk_snapshot_begin(s->fetcher.snapshot);

	if (r)
		return r;
	r = rk_read_repo_after(s->fetcher.snapshot, &repo, *at);
	rk_snapshot_end(s->fetcher.snapshot);
	if (r == RK_STORE_ABSENT && !*wrapped && s->survey_after) {
		*wrapped = true;
		*at = 0;
		return next(s, out, at, wrapped);
	}
	if (r)
		return r == RK_STORE_CORRUPT ? -EUCLEAN : r;
	if (*wrapped && repo.id > s->survey_after)
		return RK_STORE_ABSENT;
	*at = repo.id;
	return rk_repo_copy_read(&s->fetcher, out, repo.id);
}

/* What the host said of the repo. */
static int take(struct rk_sweep *s, const struct rk_repo *repo, int result, const char *rev)
{
	const struct rk_pds_repo listed = {
		.did = repo->did,
		.rev = rk_slice_str(rev),
		.active = true,
	};

	int r;

	if (result == RK_PDS_OK) {
		r = rk_sweep_visit(s, &listed);
		return r < 0 ? r : 0;
	}
	if ((result == RK_PDS_ABSENT || result == RK_PDS_INACTIVE) &&
		repo->account == RK_ACCOUNT_ACTIVE)
		return rk_sweep_doubt(s, repo);
	return 0;
}

/* Whether the host was asked at all. */
static bool ask(struct rk_sweep *s, const struct rk_repo_copy *copy, int *error)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	char host[RK_ORIGIN_MOST], rev[RK_PDS_REV_SIZE];
	struct rk_pds_reply reply;
	int64_t wait, asked_ms;
	int r;

	*error = 0;
	if (!rk_fetcher_host(&s->fetcher, host, copy->repo.did))
		return true; /* nobody to ask, until the DID document was read again */
	while ((wait = rk_hosts_enter(indexer->hosts, host, rk_clock_mono_ms())) > 0) {
		if (wait > WAIT_MOST_MS || atomic_load(&indexer->stopping))
			return false;
		pthread_mutex_lock(&indexer->lock);
		rk_indexer_wait(indexer, wait);
		pthread_mutex_unlock(&indexer->lock);
	}
	asked_ms = rk_clock_mono_ms();
	r = rk_pds_repo_status(s->fetcher.pds, &reply, rev, host, copy->did);
	rk_hosts_leave(indexer->hosts, host,
		r >= 0 && r != RK_PDS_RETRY && rk_clock_mono_ms() - asked_ms < SLOW_MS,
		reply.retry_after_ms, rk_clock_mono_ms());
	*error = r < 0 ? r : take(s, &copy->repo, r, rev);
	return r != RK_PDS_RETRY;
}

int rk_survey(struct rk_sweep *s)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	rk_repo_id at = s->survey_after, passed_over = 0;
	uint64_t asked = 0, left = 0;
	bool wrapped = false;
	int r = 0;

	while (r == 0 && !atomic_load(&indexer->stopping)) {
		struct rk_repo_copy copy;

		r = next(s, &copy, &at, &wrapped);
		if (r || !is_of_interest(&copy.repo))
			continue;
		if (ask(s, &copy, &r)) {
			asked++;
		} else {
			left++;
			passed_over = passed_over ? passed_over : at;
		}
	}
	s->survey_after = passed_over ? passed_over - 1 : 0;
	if (left)
		rk_log(RK_LOG_WARN, "sweep", "hosts of some repos do not answer",
			RK_LOG_INT("repos", left), RK_LOG_INT("asked", asked));
	return r == RK_STORE_ABSENT ? 0 : r;
}
