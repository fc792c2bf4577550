/*
 * What becomes of a repo once it was asked for, which is an event of state.h in every case: it is in, its host
 * has none, the account is not active, it failed or was put off.
 */
#include "indexer/resync.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
	NETWORK_MS = 1000,    /* nobody answered: not the repo's fault */
	STILL_MOST_MS = 5000, /* a stream without a word is waited for so long */
};

/* The repo is in, or was in: what waited is applied behind it. */
static int settle(struct rk_resync *s, struct rk_write *w, struct rk_repo *repo)
{
	bool lost;
	int r;

	if (repo->said)
		rk_repo_happen(repo, RK_REPO_EVENT_DOUBTED, rk_clock_wall_ms(), 0);
	r = rk_write_repo(w, repo);

	/* The stream went on while the repo came in. */
	if (r == 0)
		r = rk_replay(s->fetcher->indexer, w, s->copy.repo.did, &lost);
	if (r == 0)
		r = rk_read_repo(rk_write_view(w), repo, s->copy.repo.id);
	/* Behind the stream still: once more, but not at once for ever. */
	if (r == 0 && (lost || repo->sync == RK_SYNC_DESYNCHRONIZED)) {
		repo->failures = s->copy.repo.failures;
		rk_repo_happen(repo, RK_REPO_EVENT_OVERTAKEN, rk_clock_wall_ms(), 0);
		r = rk_write_repo(w, repo);
	}
	if (r == 0 && repo->sync == RK_SYNC_SYNCHRONIZED)
		r = rk_write_seen_clear(w, repo->id);
	if (r == 0)
		r = rk_write_issue_clear(
			w, RK_ISSUE_DESYNCHRONIZED, s->copy.repo.id, -1, (struct rk_slice){0});
	return r;
}

void rk_resync_tell(void *context, rk_repo_id id)
{
	struct rk_indexer *indexer = context;

	pthread_mutex_lock(&indexer->lock);
	for (size_t i = 0; i < RK_FETCHERS; i++)
		indexer->told[i] |= indexer->claims[i] == id;
	pthread_mutex_unlock(&indexer->lock);
}

/* Whether the source has told of the account's state since the fetch began. */
static bool is_told(const struct rk_resync *s)
{
	struct rk_indexer *indexer = s->fetcher->indexer;
	bool told = false;

	pthread_mutex_lock(&indexer->lock);
	for (size_t i = 0; i < RK_FETCHERS; i++)
		told |= indexer->claims[i] == s->copy.repo.id && indexer->told[i];
	pthread_mutex_unlock(&indexer->lock);
	return told;
}

/* The account's host was asked how it stands. What a relay says after that is another question. */
static void account_settle(struct rk_resync *s, struct rk_repo *repo, enum rk_account account)
{
	s->denied = rk_repo_answer(repo, account, s->copy.repo.said);
}

/* The account's host has its repo, so it is active: unless the source told otherwise after it was asked. That stands,
 * and what is to be asked for it is asked. */
static void active_settle(struct rk_resync *s, struct rk_repo *repo, enum rk_repo_event event)
{
	const uint8_t purge = repo->flags & RK_REPO_PURGE;
	bool told = is_told(s);

	if (!told)
		account_settle(s, repo, RK_ACCOUNT_ACTIVE);
	rk_repo_happen(repo, event, rk_clock_wall_ms(), 0);
	if (!told)
		return;
	repo->flags |= purge;
	rk_repo_happen(repo, RK_REPO_EVENT_DOUBTED, rk_clock_wall_ms(), 0);
}

/* Once it is on disk. */
void rk_resync_denied_tell(const struct rk_resync *s)
{
	if (!s->denied)
		return;
	rk_metric_refused_add(RK_VERDICT_ACCOUNT_DENIED);
	rk_log(RK_LOG_WARN, "resync", rk_verdict_rows[RK_VERDICT_ACCOUNT_DENIED].help,
		RK_LOG_STR("did", s->copy.did));
}

int rk_resync_fetched_run(void *context, struct rk_write *w)
{
	struct rk_resync *s = context;
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, s->copy.repo.id);

	if (r)
		return rk_read_found(r);
	repo.rev = s->verified.commit.rev;
	repo.data = s->verified.commit.data;
	active_settle(s, &repo, RK_REPO_EVENT_FETCHED);
	return settle(s, w, &repo);
}

int rk_resync_unchanged_run(void *context, struct rk_write *w)
{
	struct rk_resync *s = context;
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, s->copy.repo.id);

	if (r)
		return rk_read_found(r);
	active_settle(s, &repo, RK_REPO_EVENT_UNCHANGED);
	return settle(s, w, &repo);
}

/* What came of a fetch that brought no repo. */
struct outcome {
	struct rk_resync *s;
	enum rk_repo_event event;
	enum rk_account account; /* the account's state now */
	int64_t given_ms;        /* of PUT_OFF: Unix ms */
	const char *reason;
};

static bool is_failure(enum rk_repo_event event)
{
	return event == RK_REPO_EVENT_FAILED || event == RK_REPO_EVENT_FAILED_OLDER;
}

static int outcome_run(void *context, struct rk_write *w)
{
	const struct outcome *o = context;
	enum rk_repo_event event = o->event;
	int64_t now_ms = rk_clock_wall_ms();
	struct rk_repo repo;
	bool lost;
	int r = rk_read_repo(rk_write_view(w), &repo, o->s->copy.repo.id);

	if (r)
		return rk_read_found(r);
	if (event == RK_REPO_EVENT_DEACTIVATED || event == RK_REPO_EVENT_GONE) {
		if (is_told(o->s))
			event = RK_REPO_EVENT_OVERTAKEN;
		else
			account_settle(o->s, &repo, o->account);
	}
	rk_repo_happen(&repo, event, now_ms, o->given_ms);
	r = rk_write_repo(w, &repo);
	/* What waited for the answer is refused. */
	if (r == 0 && repo.account != RK_ACCOUNT_ACTIVE && !repo.said)
		r = rk_replay(o->s->fetcher->indexer, w, o->s->copy.repo.did, &lost);
	if (r == 0 && repo.failures >= RK_FAILURES_READY && o->account == RK_ACCOUNT_ACTIVE) {
		const struct rk_issue issue = {
			.kind = RK_ISSUE_DESYNCHRONIZED,
			.repo = repo.id,
			.collection = -1,
			.at_ms = now_ms,
			.message = rk_slice_str(o->reason),
		};

		r = rk_write_issue(w, &issue);
	}
	return r;
}

static void outcome_write(struct outcome *o)
{
	struct rk_indexer *indexer = o->s->fetcher->indexer;
	bool failure = is_failure(o->event);
	enum rk_log_level level = RK_LOG_INFO;

	if (atomic_load(&indexer->stopping))
		return;
	if (failure)
		rk_metric_add(RK_METRIC_RESYNC_FAILURES, 1);
	if (failure)
		level = RK_LOG_WARN;
	else if (o->event == RK_REPO_EVENT_PUT_OFF || o->event == RK_REPO_EVENT_HOST_FAILING)
		level = RK_LOG_DEBUG;
	rk_log(level, "resync", "a repo could not be fetched", RK_LOG_STR("did", o->s->copy.did),
		RK_LOG_STR("reason", o->reason),
		RK_LOG_INT("failures", o->s->copy.repo.failures + failure));
	if (rk_writer_call(indexer->writer, outcome_run, o) != 0)
		rk_log(RK_LOG_WARN, "resync", "stopped before the outcome was written",
			RK_LOG_STR("did", o->s->copy.did));
	else
		rk_resync_denied_tell(o->s);
}

void rk_resync_happened(struct rk_resync *s, enum rk_repo_event event, const char *reason)
{
	struct outcome o = {
		.s = s,
		.event = event,
		.account = s->copy.repo.account,
		.reason = reason,
	};

	outcome_write(&o);
}

void rk_resync_failed(struct rk_resync *s, const char *reason)
{
	rk_resync_happened(s, RK_REPO_EVENT_FAILED, reason);
}

void rk_resync_put_off(
	struct rk_resync *s, enum rk_repo_event event, int64_t wait_ms, const char *reason)
{
	struct outcome o = {
		.s = s,
		.event = event,
		.account = s->copy.repo.account,
		.given_ms = rk_clock_wall_ms() + wait_ms,
		.reason = reason,
	};

	outcome_write(&o);
}

static int elsewhere_run(void *context, struct rk_write *w)
{
	const struct rk_resync *s = context;

	return rk_identity_home(s->fetcher->indexer, w, s->copy.repo.id);
}

/* Its document may have been read before there was a repo that could be marked as moved. */
void rk_resync_elsewhere(struct rk_resync *s)
{
	if (rk_writer_call(s->fetcher->indexer->writer, elsewhere_run, s) != 0)
		rk_log(RK_LOG_DEBUG, "resync", "stopped before it was marked as moved");
}

int rk_resync_signer_read(struct rk_resync *s, struct rk_signer *out)
{
	struct rk_fetcher *fetcher = s->fetcher;
	int r = rk_snapshot_begin(fetcher->snapshot);

	if (r)
		return r;
	r = rk_keys_find(fetcher->keys, out, fetcher->snapshot, s->copy.repo.did);
	rk_snapshot_end(fetcher->snapshot);
	return r;
}

static bool has_records(const struct rk_repo *repo)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		if (repo->counts[i])
			return true;
	}
	return false;
}

/* Why it is gone the stream may be about to say, and that is what becomes of the documents. Where the sweep found it
 * missing, it has waited. False: said why, or not to be known yet; asked again. */
static bool is_final(struct rk_resync *s)
{
	const struct rk_repo *was = &s->copy.repo;
	struct rk_repo_copy now;

	if (was->flags & (RK_REPO_PURGE | RK_REPO_WENT_BACK) || !has_records(was))
		return true;
	if (!rk_stream_passed(s->fetcher->indexer, STILL_MOST_MS)) {
		rk_resync_put_off(s, RK_REPO_EVENT_PUT_OFF, RK_RESYNC_REST_MS,
			"its host has no such repo, and the stream is not there to say why");
		return false;
	}
	if (rk_repo_copy_read(s->fetcher, &now, was->id) == 0 && now.repo.flags & RK_REPO_PURGE) {
		rk_resync_happened(s, RK_REPO_EVENT_OVERTAKEN,
			"its host has no such repo, and the stream said so meanwhile");
		return false;
	}
	return true;
}

/*
 * The host knows no such repo: its records are no longer there. Their documents stay, unless the account
 * was said to be deleted and its DID document still names the host that was asked.
 */
static void gone(struct rk_resync *s)
{
	struct outcome o = {
		.s = s,
		.event = RK_REPO_EVENT_GONE,
		.account = RK_ACCOUNT_DELETED,
		.reason = "its host has no such repo",
	};
	bool purge = s->copy.repo.flags & RK_REPO_PURGE;
	struct rk_signer signer = {0};

	if (!is_final(s))
		return;
	if (purge) {
		if (!rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS) ||
			rk_resync_signer_read(s, &signer) != 0 || signer.elsewhere) {
			rk_resync_failed(s, "where the deleted account lives could not be told");
			return;
		}
	}
	if (rk_difference_remove_all(s, purge && signer.known) != 0)
		rk_resync_happened(s, RK_REPO_EVENT_FAILED_OLDER,
			"the lost repo's records could not be removed");
	else
		outcome_write(&o);
}

static void inactive(struct rk_resync *s, const struct rk_pds_reply *reply)
{
	struct outcome o = {
		.s = s,
		.event = RK_REPO_EVENT_DEACTIVATED,
		.account = rk_account_parse(rk_slice_str(reply->account_status)),
		.reason = reply->message,
	};

	if (o.account == RK_ACCOUNT_ACTIVE)
		o.account = RK_ACCOUNT_INACTIVE;
	/* A host that still knows the account may say so, too. */
	if (o.account == RK_ACCOUNT_DELETED)
		gone(s);
	else
		outcome_write(&o);
}

enum host_now { THE_SAME, ANOTHER, NOT_KNOWN };

/* Behind a relay an account that went to another host leaves one behind that knows it as absent or not
 * active: whether it is still the right one must be known as of now. */
static enum host_now host_now(struct rk_resync *s)
{
	char host[RK_ORIGIN_MOST];

	if (!s->fetcher->indexer->options.relay)
		return THE_SAME;
	if (!rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS))
		return NOT_KNOWN;
	return rk_fetcher_host(s->fetcher, host, s->copy.repo.did) && strcmp(host, s->host) == 0
		? THE_SAME
		: ANOTHER;
}

/* An answer that is not what was asked for. */
void rk_resync_not_fetched(struct rk_resync *s, int result, const struct rk_pds_reply *reply)
{
	bool relay = s->fetcher->indexer->options.relay;
	/* The stream is there: that nobody answers is of this repo alone. */
	bool connected = atomic_load(&s->fetcher->indexer->connected);
	enum host_now now = THE_SAME;

	if (result == RK_PDS_ABSENT || result == RK_PDS_INACTIVE)
		now = host_now(s);
	if (now == NOT_KNOWN) {
		rk_resync_failed(s, "where it lives by now could not be told");
	} else if (now == ANOTHER) {
		rk_resync_put_off(
			s, RK_REPO_EVENT_PUT_OFF, NETWORK_MS, "it lives elsewhere by now");
	} else if ((result == RK_PDS_ABSENT || result == RK_PDS_INACTIVE) && is_told(s)) {
		rk_resync_happened(s, RK_REPO_EVENT_OVERTAKEN,
			"the source told of the account while it was asked");
	} else if (result == RK_PDS_ABSENT) {
		gone(s);
	} else if (result == RK_PDS_INACTIVE) {
		inactive(s, reply);
	} else if (result == RK_PDS_RETRY && reply->http_status == 0 && !relay && !connected) {
		rk_resync_put_off(s, RK_REPO_EVENT_PUT_OFF, NETWORK_MS, reply->message);
	} else if (result == RK_PDS_RETRY && reply->retry_after_ms > 0) {
		/* It may be said for ever, and nobody's readiness hangs on that. */
		rk_resync_put_off(s, RK_REPO_EVENT_HOST_FAILING,
			reply->retry_after_ms < RK_HOST_MOST_MS ? reply->retry_after_ms
								: RK_HOST_MOST_MS,
			reply->message);
	} else if (result > 0) {
		rk_resync_failed(s, reply->message);
	} else if (result != -ECANCELED) {
		rk_resync_failed(s, strerror(-result));
	}
}
