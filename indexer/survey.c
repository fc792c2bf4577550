/*
 * How each known repo stands at its own host: com.atproto.sync.getRepoStatus, by a handful of threads
 * that ask many hosts at once (rota.h), under the rules for hosts (hosts.h). The time of all of it is
 * bounded by what one host may take, whoever is silent or slow.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "indexer/rota.h"
#include "indexer/sweep.h"
#include "net/backoff.h"

enum {
	SURVEYORS = 16,
	ANSWER_MS = 5000, /* a host that takes longer is left for the next time */
	SLOW_MS = 3000,   /* and so is one that took so long, once it has answered */
};

struct survey {
	struct rk_sweep *sweep;
	struct rk_rota *rota;
	pthread_mutex_t lock; /* of all that is here, and of what the sweep collects */
	pthread_cond_t turn;  /* one is over */
	int error;
};

static bool is_of_interest(const struct rk_repo *repo)
{
	if (repo->rev == 0 || repo->flags & RK_REPO_TOMBSTONE)
		return false;
	return repo->account != RK_ACCOUNT_ACTIVE || repo->sync == RK_SYNC_SYNCHRONIZED;
}

/* Every repo whose host is known: nobody is to be asked of the others until their documents were read. */
static int collect(struct survey *survey)
{
	struct rk_sweep *s = survey->sweep;
	rk_repo_id at = 0;
	int r = 0;

	while (r == 0 && !atomic_load(&s->fetcher.indexer->stopping)) {
		char host[RK_ORIGIN_MOST];
		struct rk_repo_copy copy;
		struct rk_repo repo;

		r = rk_snapshot_begin(s->fetcher.snapshot);
		if (r)
			return r;
		r = rk_read_repo_after(s->fetcher.snapshot, &repo, at);
		at = repo.id;
		rk_snapshot_end(s->fetcher.snapshot);
		if (r == 0)
			r = rk_repo_copy_read(&s->fetcher, &copy, at);
		if (r == 0 && is_of_interest(&copy.repo) &&
			rk_fetcher_host(&s->fetcher, host, copy.repo.did))
			r = rk_rota_add(survey->rota, host, at, rk_backoff_random());
	}
	return rk_read_ended(r);
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

/* Asks, without the lock; ends the turn, under it. */
static void ask(struct survey *survey, struct rk_fetcher *fetcher, const struct rk_rota_turn *turn)
{
	struct rk_pds_reply reply = {.retry_after_ms = -1};
	int64_t asked_ms = rk_clock_mono_ms();
	struct rk_repo_copy copy;
	char rev[RK_PDS_REV_SIZE];
	bool there;
	int r = rk_repo_copy_read(fetcher, &copy, turn->repo), error = 0;

	there = r == 0;
	if (there)
		r = rk_pds_repo_status(fetcher->pds, &reply, rev, turn->origin, copy.did);
	pthread_mutex_lock(&survey->lock);
	if (there && r >= 0)
		error = take(survey->sweep, &copy.repo, r, rev);
	else if (r < 0)
		error = r;
	if (error)
		survey->error = error;
	rk_rota_end(survey->rota, turn, fetcher->indexer->hosts,
		r >= 0 && r != RK_PDS_RETRY && rk_clock_mono_ms() - asked_ms < SLOW_MS,
		reply.retry_after_ms, rk_clock_mono_ms());
	pthread_cond_broadcast(&survey->turn);
	pthread_mutex_unlock(&survey->lock);
}

static void *surveyor_run(void *context)
{
	struct survey *survey = context;
	struct rk_indexer *indexer = survey->sweep->fetcher.indexer;
	struct rk_fetcher fetcher;
	int r = rk_fetcher_init(&fetcher, indexer, ANSWER_MS);

	pthread_mutex_lock(&survey->lock);
	if (r)
		survey->error = r;
	while (survey->error == 0 && !atomic_load(&indexer->stopping)) {
		struct rk_rota_turn turn;
		int64_t wait_ms;
		enum rk_rota_result next = rk_rota_next(
			survey->rota, &turn, &wait_ms, indexer->hosts, rk_clock_mono_ms());

		if (next == RK_ROTA_OVER)
			break;
		if (next == RK_ROTA_WAIT) {
			const struct timespec until = rk_clock_after(wait_ms);

			pthread_cond_timedwait(&survey->turn, &survey->lock, &until);
			continue;
		}
		pthread_mutex_unlock(&survey->lock);
		ask(survey, &fetcher, &turn);
		pthread_mutex_lock(&survey->lock);
	}
	pthread_mutex_unlock(&survey->lock);
	rk_fetcher_finish(&fetcher);
	return NULL;
}

static void survey_run(struct survey *survey)
{
	pthread_t threads[SURVEYORS];
	int started = 0;

	while (started < SURVEYORS &&
		pthread_create(&threads[started], NULL, surveyor_run, survey) == 0)
		started++;
	if (started == 0)
		survey->error = -EAGAIN;
	while (started)
		pthread_join(threads[--started], NULL);
}

int rk_survey(struct rk_sweep *s)
{
	struct survey survey = {.sweep = s, .rota = rk_rota_create()};
	struct rk_rota_sums sums;
	int r;

	if (!survey.rota)
		return -ENOMEM;
	pthread_mutex_init(&survey.lock, NULL);
	rk_clock_cond_init(&survey.turn);
	r = collect(&survey);
	if (r == 0) {
		survey_run(&survey);
		r = survey.error;
	}
	rk_rota_sums(survey.rota, &sums);
	s->survey_overdue = sums.overdue > 0;
	if (sums.left || sums.overdue)
		rk_log(RK_LOG_WARN, "sweep", "hosts of some repos do not answer, or are slow",
			RK_LOG_INT("left", sums.left + sums.overdue),
			RK_LOG_INT("asked", sums.asked));
	pthread_cond_destroy(&survey.turn);
	pthread_mutex_destroy(&survey.lock);
	rk_rota_destroy(survey.rota);
	return r;
}
