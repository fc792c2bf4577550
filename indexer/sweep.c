/*
 * The sweep: what the source lists against what the index holds. Repos that are new, that differ once
 * the stream has passed the moment of the listing, or that are no longer listed, are marked to be
 * fetched. At every start, every sweep_seconds, and when the stream says that it lost something.
 *
 * A relay lists who has records of our collections, and not everybody's revs, which would be the whole
 * network's: how each known repo stands is asked at its host (survey.c). Being left out of a relay's
 * list says nothing.
 */
#include "indexer/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
	PASS_MOST_MS = 60000, /* a stream that does not catch up in this time is not waited for */
	PASS_STEP_MS = 100,
	RETRY_MS = 1000,
	REFUSED_MS = 30000, /* at most, while the source answers, and not with a list */
	PARTIAL_MS = 10000, /* to the next one, while repos that may wait are still coming in */
	IN_VAIN_MOST = 3,
	OVERDUE_MS = 60000, /* to the next one, where a survey could not ask for all */
	RELAY_BEHIND_MS =
		5000, /* one host's events may reach a relay so much later than another's */
};

/* An event of later time is in the index, or the peer answered and had nothing more, with everything received
 * applied. */
bool rk_stream_passed(struct rk_indexer *indexer, int64_t still_most_ms)
{
	int64_t asked_wall = rk_clock_wall_ms(), asked_mono = rk_clock_mono_ms();
	int64_t behind = indexer->options.relay ? RELAY_BEHIND_MS : 0;
	int64_t seen_ms = 0, moved_mono = asked_mono;

	while (!atomic_load(&indexer->stopping)) {
		int64_t now_mono = rk_clock_mono_ms(),
			event_ms = atomic_load(&indexer->notes.event_ms);
		bool quiet = atomic_load(&indexer->quiet_ms) > asked_mono &&
			rk_ring_is_empty(indexer->ring);

		if (!atomic_load(&indexer->connected))
			return false;
		if (event_ms != seen_ms)
			moved_mono = now_mono;
		seen_ms = event_ms;
		if (quiet || event_ms > asked_wall + behind ||
			now_mono - moved_mono > still_most_ms ||
			now_mono - asked_mono > PASS_MOST_MS)
			return true;
		pthread_mutex_lock(&indexer->lock);
		rk_indexer_wait(indexer, PASS_STEP_MS);
		pthread_mutex_unlock(&indexer->lock);
	}
	return false;
}

static int entry_settle(struct rk_sweep *s, struct rk_write *w, const struct rk_sweep_entry *entry)
{
	const uint8_t doubt = RK_REPO_WENT_BACK | RK_REPO_RESET;
	enum rk_repo_event event;
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, entry->repo);

	if (r)
		return rk_read_found(r);
	if (repo.flags & RK_REPO_TOMBSTONE)
		return 0;
	if (entry->account != RK_ACCOUNT_ACTIVE) {
		if (repo.account == (uint8_t)entry->account)
			return 0;
		repo.account = (uint8_t)entry->account;
		return rk_write_repo(w, &repo);
	}
	/* Whoever is not active any more was asked of since. */
	if (entry->doubted && repo.account != RK_ACCOUNT_ACTIVE)
		return 0;
	if (entry->doubted)
		event = RK_REPO_EVENT_DOUBTED;
	else if (repo.account != RK_ACCOUNT_ACTIVE) /* and nobody said so */
		event = RK_REPO_EVENT_ACTIVATED;
	else if (repo.sync == RK_SYNC_DESYNCHRONIZED)
		return 0;
	else if (repo.rev == entry->rev)
		event = RK_REPO_EVENT_LISTED_SAME;
	else if (repo.rev < entry->rev)
		event = RK_REPO_EVENT_LISTED_AHEAD;
	else if (rk_tid_unix_us(repo.rev) / 1000 < s->started_ms || repo.flags & doubt)
		event = RK_REPO_EVENT_LISTED_BEHIND; /* and it was held before the listing began */
	else
		return 0; /* a commit that came after the listing */
	if (repo.account != RK_ACCOUNT_ACTIVE)
		rk_repo_answer(&repo, RK_ACCOUNT_ACTIVE, repo.said);
	rk_repo_happen(&repo, event, rk_clock_wall_ms(), 0);
	return rk_write_repo(w, &repo);
}

static int entries_run(void *context, struct rk_write *w)
{
	struct rk_sweep *s = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->count; i++) {
		if (s->entries[i].repo)
			r = entry_settle(s, w, &s->entries[i]);
	}
	return r;
}

/* Repos that are not in the index as they should be. */
struct walked {
	struct rk_indexer *indexer;
	rk_repo_id ids[RK_SWEEP_BATCH];
	bool missing[RK_SWEEP_BATCH]; /* it should have been listed, and was not */
	size_t count;
};

static int walked_run(void *context, struct rk_write *w)
{
	const struct walked *walked = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < walked->count; i++) {
		struct rk_repo repo;

		r = rk_identity_home(walked->indexer, w, walked->ids[i]);
		if (r || !walked->missing[i])
			continue;
		r = rk_read_repo(rk_write_view(w), &repo, walked->ids[i]);
		if (r)
			return rk_read_found(r);
		rk_repo_happen(&repo, RK_REPO_EVENT_LISTED_BEHIND, rk_clock_wall_ms(), 0);
		r = rk_write_repo(w, &repo);
	}
	return r;
}

/* In an open snapshot. */
static void repo_look(struct rk_sweep *s, struct walked *walked, struct rk_repo *repo)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	int64_t now_ms = rk_clock_wall_ms();
	struct rk_identity held = {0};
	int r = rk_read_identity(s->fetcher.snapshot, &held, repo->did);
	bool other, missing, stale;

	/* What counts as the source may have changed with the settings. */
	other = r == 0 && rk_identity_judge(indexer, repo, &held, now_ms);
	missing = !indexer->options.relay && !s->refused && repo->account == RK_ACCOUNT_ACTIVE &&
		!(repo->flags & RK_REPO_MOVED) && repo->sync == RK_SYNC_SYNCHRONIZED &&
		!rk_sweep_listed(s, repo->id) && rk_tid_unix_us(repo->rev) / 1000 < s->started_ms;
	/* None held: it is as old as can be. Of who is to be fetched it is read then. */
	stale = (repo->rev || repo->unreadable || repo->flags & RK_REPO_MOVED) && r >= 0 &&
		now_ms - held.fetched_ms >
			(held.failed ? RK_IDENTITY_FAILED_MS : RK_IDENTITY_FRESH_MS);
	if (stale)
		rk_identity_wish(indexer, repo->did, RK_WISH_SWEEP, 0, 0);
	if (!other && !missing)
		return;
	walked->missing[walked->count] = missing;
	walked->ids[walked->count++] = repo->id;
}

/* One pass over all repos: those whose accounts live elsewhere, or here, by the document held, and are not marked
 * so; those that should have been listed and were not; and DID documents to be read again. */
static int repos_walk(struct rk_sweep *s)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	struct walked walked = {.indexer = indexer};
	rk_repo_id at = 0;
	int r = 0;

	while (r == 0 && !atomic_load(&indexer->stopping)) {
		struct rk_repo repo;

		r = rk_snapshot_begin(s->fetcher.snapshot);
		if (r)
			return r;
		r = rk_read_repo_after(s->fetcher.snapshot, &repo, at);
		if (r == 0) {
			at = repo.id;
			repo_look(s, &walked, &repo);
		}
		rk_snapshot_end(s->fetcher.snapshot);
		if (walked.count == RK_SWEEP_BATCH) {
			r = rk_writer_call(indexer->writer, walked_run, &walked);
			walked.count = 0;
		}
	}
	if (r == RK_STORE_ABSENT)
		r = 0;
	if (r == 0 && walked.count)
		r = rk_writer_call(indexer->writer, walked_run, &walked);
	return r;
}

static int strangers_run(void *context, struct rk_write *w)
{
	const struct rk_sweep *s = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->strangers.count; i++)
		r = rk_write_stranger_drop(w, &s->strangers.keys[i], s->before_ms);
	return r;
}

/* Documents read to judge frames of accounts that no repo came of: kept for the next frame until the next
 * sweep, and not for ever. */
static int strangers_drop(struct rk_sweep *s)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	int r = s->before_ms ? 0 : RK_STORE_ABSENT;

	s->strangers.at.len = 0;
	while (r == 0 && !atomic_load(&indexer->stopping)) {
		int done;

		r = rk_snapshot_begin(s->fetcher.snapshot);
		if (r)
			return r;
		r = rk_read_strangers(s->fetcher.snapshot, &s->strangers, s->before_ms);
		rk_snapshot_end(s->fetcher.snapshot);
		done = r < 0 || s->strangers.count == 0
			? 0
			: rk_writer_call(indexer->writer, strangers_run, s);
		if (done)
			return done;
		rk_metric_add(RK_METRIC_IDENTITIES_DROPPED, (int64_t)s->strangers.count);
	}
	return r == RK_STORE_ABSENT ? 0 : r;
}

/* Whether more repos may be taken soon: some of those that wait still come in. */
static bool refused_may_come(struct rk_sweep *s)
{
	s->in_vain = s->refused && s->proven == s->proven_before ? s->in_vain + 1 : 0;
	s->proven_before = s->proven;
	return s->refused && s->in_vain < IN_VAIN_MOST;
}

static void refused_tell(const struct rk_sweep *s)
{
	rk_metric_add(RK_METRIC_REPOS_REFUSED, (int64_t)s->refused);
	if (s->refused)
		rk_log(RK_LOG_WARN, "sweep",
			"the source lists more repos that nobody has seen than may wait",
			RK_LOG_INT("refused", s->refused),
			RK_LOG_INT("waiting", s->unproven[0] + s->unproven[1]));
}

/* 401, 404 and 501 are what a PDS says to a question that only a relay knows. */
static const char *not_listed(const struct rk_sweep *s, int result, long status)
{
	return s->fetcher.indexer->options.relay && result == RK_PDS_WRONG &&
			(status == 401 || status == 404 || status == 501)
		? "the source has no listReposByCollection: if it is a PDS, set "
		  "REFKEY_SOURCE=pds, else follow a relay that has it"
		: "the source's repos could not be listed";
}

/* Said once for each reason, however often it is tried. */
static void not_listed_tell(struct rk_sweep *s, int result, const struct rk_pds_reply *reply)
{
	const char *reason = result < 0 ? strerror(-result) : reply->message;

	if (result != RK_PDS_WRONG)
		rk_backoff_reset(&s->refusals);
	if (atomic_load(&s->fetcher.indexer->stopping))
		return;
	rk_log(strcmp(reason, s->unlisted) == 0 ? RK_LOG_DEBUG : RK_LOG_WARN, "sweep",
		not_listed(s, result, reply->http_status), RK_LOG_STR("reason", reason));
	snprintf(s->unlisted, sizeof(s->unlisted), "%s", reason);
}

/* 0, or the sweep is to be tried again. */
static int sweep(struct rk_sweep *s)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	struct rk_pds_reply reply = {0};
	int r;

	s->started_ms = rk_clock_wall_ms();
	s->repos = s->refused = 0;
	rk_sweep_listed_clear(s);
	r = rk_sweep_count(s);
	if (r)
		return r;
	r = rk_sweep_list(s, &reply);
	refused_tell(s);
	if (r != RK_PDS_OK) {
		not_listed_tell(s, r, &reply);
		return r == RK_PDS_WRONG ? -ENOTSUP : -EAGAIN;
	}
	s->unlisted[0] = '\0';
	rk_backoff_reset(&s->refusals);
	r = rk_sweep_take_new(s);
	if (r == 0 && indexer->options.relay) {
		rk_sweep_listed_clear(s);
		r = rk_survey(s);
	}
	if (r == 0 && s->count) {
		if (!rk_stream_passed(indexer, PASS_MOST_MS))
			return -EAGAIN;
		r = rk_writer_call(indexer->writer, entries_run, s);
	}
	if (r == 0)
		r = repos_walk(s);
	if (r == 0)
		r = strangers_drop(s);
	if (r)
		return r;
	s->before_ms = s->started_ms;
	rk_metric_add(RK_METRIC_SWEEPS, 1);
	rk_log(RK_LOG_INFO, "sweep", "compared with the source", RK_LOG_INT("repos", s->repos),
		RK_LOG_INT("differed", s->count));
	return 0;
}

/* Milliseconds to the next one. */
static int64_t wait_after(struct rk_sweep *s, int result)
{
	struct rk_indexer *indexer = s->fetcher.indexer;
	int64_t wait_ms = (int64_t)indexer->options.sweep_seconds * 1000;

	if (result == -ENOTSUP)
		return rk_backoff_next(&s->refusals, rk_backoff_random());
	if (result)
		return RETRY_MS;
	if (refused_may_come(s))
		return PARTIAL_MS;
	atomic_store(&indexer->swept, true);
	/* A reset found meanwhile is not covered by this listing. */
	if (atomic_load(&indexer->notes.outdated))
		rk_sweep_request(indexer);
	return s->survey_overdue && wait_ms > OVERDUE_MS ? OVERDUE_MS : wait_ms;
}

void *rk_sweep_run(void *context)
{
	struct rk_indexer *indexer = context;
	struct rk_sweep s = {.refusals = {.first_ms = RETRY_MS, .most_ms = REFUSED_MS}};
	int64_t due = 0;

	if (rk_fetcher_init(&s.fetcher, indexer, 0) != 0) {
		rk_log(RK_LOG_ERROR, "sweep", "no memory for the sweep");
		rk_fetcher_finish(&s.fetcher);
		return NULL;
	}
	while (!atomic_load(&indexer->stopping)) {
		bool now;

		pthread_mutex_lock(&indexer->lock);
		now = atomic_load(&indexer->connected) &&
			(indexer->sweep_wanted || rk_clock_mono_ms() >= due ||
				atomic_load(&indexer->notes.outdated));
		if (!now)
			rk_indexer_wait(indexer, RETRY_MS);
		else
			indexer->sweep_wanted = false;
		pthread_mutex_unlock(&indexer->lock);
		if (!now)
			continue;
		atomic_store(&indexer->notes.outdated, false);
		due = rk_clock_mono_ms() + wait_after(&s, sweep(&s));
		rk_sweep_entries_free(&s);
	}
	free(s.listed);
	free(s.entries);
	rk_fetcher_finish(&s.fetcher);
	return NULL;
}
