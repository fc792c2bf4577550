/* See apply.h. One function an event type. */
#include "indexer/apply.h"

#include <errno.h>

#include "base/log.h"
#include "base/metrics.h"
#include "indexer/state.h"

/* The tree without entries: what a repo's first commit may have. */
static const char empty_tree[] = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm";

struct applying {
	const struct rk_apply *apply;
	struct rk_write *w;
	const struct rk_decoded *decoded;
	const struct rk_event *event;
	struct rk_repo repo;
	int64_t now_us;
	bool again;
};

/* LMDB moves what was read at the next write; what is stored again must not be borrowed from there. */
static int repo_read(struct applying *a)
{
	int r = rk_read_repo_by_did(rk_write_view(a->w), &a->repo, a->event->did.text);

	if (r == 0)
		a->repo.did = a->event->did.text;
	return rk_read_asked(r);
}

static void happen(struct applying *a, enum rk_repo_event event)
{
	rk_repo_happen(&a->repo, event, a->now_us / 1000, 0);
}

static int desynchronize(struct applying *a, enum rk_repo_event event, const char *why)
{
	if (a->repo.sync == RK_SYNC_DESYNCHRONIZED)
		return 0;
	rk_log(RK_LOG_INFO, "indexer", "a repo has a gap and is fetched again",
		RK_LOG_SLICE("did", a->repo.did), RK_LOG_INT("seq", a->event->seq),
		RK_LOG_STR("reason", why));
	happen(a, event);
	return rk_write_repo(a->w, &a->repo);
}

/* Whether it was made while we watch, by the rev that the account signed: an old commit can be told again at
 * any time, and then says nothing of what appeared. What waited is judged by when it came: behind hours of a
 * stream that is caught up with, all of it passes while one DID document is read. The first event behind a
 * restart is not guarded: no time of the stream is known before it. */
static bool commit_is_of_now(const struct applying *a)
{
	int64_t made_ms = rk_tid_unix_us(a->event->rev) / 1000;
	int64_t stream_ms =
		a->again ? a->decoded->stream_ms : atomic_load(&a->apply->notes->event_ms);

	return made_ms >= stream_ms - RK_COMMIT_LATE_MS;
}

/* A commit of a repo that is to be fetched: not applied, but what it did is remembered for judging the
 * fetched copy. */
static int commit_wait(struct applying *a)
{
	int r = commit_is_of_now(a) ? 0 : RK_APPLY_WAIT;

	for (size_t i = 0; r == 0 && i < a->decoded->count; i++) {
		const struct rk_change_record *record = &a->decoded->records[i];

		enum rk_pending_flag seen = RK_PENDING_DELETED;

		if (rk_cid_is_set(&record->cid))
			seen = record->created ? RK_PENDING_APPEARED : RK_PENDING_UPDATED;
		r = rk_write_seen(a->w, a->repo.id, record->collection, record->rkey, seen);
	}
	return r ? r : RK_APPLY_WAIT;
}

/* A commit that is in already. Records that a first fetch brought were created while we watched. */
static int commit_replayed(struct applying *a)
{
	rk_metric_add(RK_METRIC_COMMITS_REPLAYED, 1);
	for (size_t i = 0; commit_is_of_now(a) && i < a->decoded->count; i++) {
		const struct rk_change_record *record = &a->decoded->records[i];
		const struct rk_change change = {
			.repo = a->repo.id,
			.source = RK_CHANGE_LIVE,
			.records = record,
			.count = 1,
			.now_us = a->now_us,
		};
		struct rk_record held;
		int r;

		if (!record->created ||
			rk_read_record(rk_write_view(a->w), &held, a->repo.id, record->collection,
				record->rkey) != 0 ||
			!rk_cid_equal(&held.cid, &record->cid))
			continue;
		r = rk_write_change(a->w, &change);
		if (r)
			return r;
	}
	return 0;
}

static int commit_take(struct applying *a)
{
	const struct rk_repo held = a->repo;
	const struct rk_change change = {
		.repo = a->repo.id,
		.source = RK_CHANGE_LIVE,
		.records = a->decoded->records,
		.count = a->decoded->count,
		.now_us = a->now_us,
		.head = &a->repo,
		.held = &held,
		.commit = &a->event->commit,
	};
	int r;

	a->repo.rev = a->event->rev;
	a->repo.data = a->decoded->verified.commit.data;
	r = rk_write_change(a->w, &change);
	if (r)
		return r;
	for (size_t i = 0; i < change.count; i++)
		rk_metric_add(rk_cid_is_set(&change.records[i].cid) ? RK_METRIC_RECORDS_PUT
								    : RK_METRIC_RECORDS_REMOVED,
			1);
	rk_metric_add(RK_METRIC_COMMITS_APPLIED, 1);
	return 0;
}

/* The DID document is to be read again, also if we stop before that. */
static int identity_stale(struct applying *a)
{
	struct rk_slice did = a->event->did.text;
	struct rk_identity identity;
	int r = repo_read(a);

	if (r < 0)
		return r;
	a->apply->identity(a->apply->context, did, r == 0);
	r = rk_read_identity(rk_write_view(a->w), &identity, did);
	if (r)
		return rk_read_ended(r);
	/* An answer that is on its way was asked for before this. */
	if (identity.fetched_ms)
		a->apply->doubt(a->apply->context, did);
	identity.fetched_ms = 0;
	return rk_write_identity(a->w, did, &identity);
}

/* Of accounts that are not known nothing is asked, but for what is asked of them already. */
static int identity_apply(struct applying *a)
{
	int r = repo_read(a);

	a->apply->doubt(a->apply->context, a->event->did.text);
	return r == RK_STORE_ABSENT ? 0 : r ? r : identity_stale(a);
}

static bool tree_is_empty(const struct rk_cid *data)
{
	struct rk_cid empty;

	return rk_cid_from_text(&empty, rk_slice_str(empty_tree)) && rk_cid_equal(&empty, data);
}

/* Whether a record of ours is shown to be in the repo's tree. */
static bool commit_shows_ours(const struct rk_decoded *decoded)
{
	for (size_t i = 0; i < decoded->count; i++) {
		if (rk_cid_is_set(&decoded->records[i].cid))
			return true;
	}
	return false;
}

/*
 * The first commit seen of a repo that was not known: its creation, if it is shown to have begun with an
 * empty tree, whatever it says of itself. Behind a relay a repo comes in by a record of ours; what only says
 * that one was deleted is anybody's commit under another message.
 */
static int commit_born(struct applying *a)
{
	int r;

	if (a->apply->relay && !commit_shows_ours(a->decoded))
		return 0;
	r = rk_write_repo_make(a->w, &a->repo, a->event->did.text);
	if (r)
		return r;
	if (commit_is_of_now(a) && tree_is_empty(&a->decoded->verified.before)) {
		happen(a, RK_REPO_EVENT_BORN);
		if (a->event->op_count == 0 && tree_is_empty(&a->decoded->verified.commit.data)) {
			happen(a, RK_REPO_EVENT_BORN_WHOLE);
			a->repo.rev = a->event->rev;
			a->repo.data = a->decoded->verified.commit.data;
		}
		r = rk_write_repo(a->w, &a->repo);
	}
	return r == 0 && a->repo.sync == RK_SYNC_DESYNCHRONIZED ? commit_wait(a) : r;
}

static int commit_apply(struct applying *a)
{
	const struct rk_event *event = a->event;
	enum rk_repo_event amiss = RK_REPO_EVENT_GAP;
	const char *gap = NULL; /* not by `since`, which nobody signed: the tree is proof of more */
	int r = repo_read(a);

	if (r < 0)
		return r;
	if (r == RK_STORE_ABSENT)
		return commit_born(a);
	if (a->repo.flags & RK_REPO_TOMBSTONE)
		return 0;
	if (a->repo.account != RK_ACCOUNT_ACTIVE && !a->repo.said) {
		rk_metric_refused_add(RK_VERDICT_REPO_INACTIVE);
		return 0;
	}
	if (a->repo.sync == RK_SYNC_DESYNCHRONIZED)
		return commit_wait(a);
	if (event->rev <= a->repo.rev)
		return commit_replayed(a);
	if (event->too_big)
		gap = "the commit was too big for the stream";
	else if (!rk_cid_equal(&a->decoded->verified.before, &a->repo.data))
		gap = "the commit is not shown to have changed the tree that is held";
	/* What says nothing of the tree before shows no gap, and may be a forged copy of what does. */
	if (!rk_cid_is_set(&event->prev_data))
		amiss = RK_REPO_EVENT_UNPROVEN;
	if (!gap)
		return commit_take(a);
	r = desynchronize(a, amiss, gap);
	return r ? r : commit_wait(a);
}

static int sync_apply(struct applying *a)
{
	const struct rk_commit *commit = &a->decoded->verified.commit;
	int r = repo_read(a);

	if (r < 0)
		return r;
	if (r == RK_STORE_ABSENT)
		return rk_write_repo_make(a->w, &a->repo, a->event->did.text);
	if (a->repo.flags & RK_REPO_TOMBSTONE)
		return 0;
	if ((a->repo.account != RK_ACCOUNT_ACTIVE && !a->repo.said) || commit->rev <= a->repo.rev)
		return 0;
	if (a->repo.sync == RK_SYNC_DESYNCHRONIZED)
		return RK_APPLY_WAIT;
	if (!rk_cid_equal(&commit->data, &a->repo.data))
		return desynchronize(a, RK_REPO_EVENT_GAP, "a #sync names another tree");
	a->repo.rev = commit->rev;
	return rk_write_repo(a->w, &a->repo);
}

/* The account's state is another. One that is not active may have moved: its DID document of after this tells. And if
 * no fetch comes any more for what waits, who reads the document does. */
static int account_write(struct applying *a)
{
	struct rk_slice did = a->event->did.text;
	int r = rk_write_repo(a->w, &a->repo);

	if (r)
		return r;
	if (!a->event->active)
		a->apply->doubt(a->apply->context, did);
	else if (rk_repo_is_queued(&a->repo) || !a->apply->waits(a->apply->context, did))
		return 0;
	return identity_stale(a);
}

/* Nothing is hidden, shown or removed on a relay's word: the account's host is asked, by way of the queue
 * of fetches, and no sooner than was said after the last time. */
static int account_said(struct applying *a, enum rk_account account)
{
	if (account == a->repo.account && !a->repo.said)
		return 0;
	a->repo.said = account != a->repo.account; /* or it takes its word back */
	if (a->repo.said)
		happen(a,
			account == RK_ACCOUNT_DELETED ? RK_REPO_EVENT_SAID_DELETED
						      : RK_REPO_EVENT_DOUBTED);
	return account_write(a);
}

static int account_apply(struct applying *a)
{
	enum rk_account account;
	int r = repo_read(a);

	if (r)
		return r < 0 ? r : 0;
	/* Sent again it may be older than what was fetched since. */
	if (rk_course_is_old(a->apply->course, a->event->seq))
		return 0;
	account = a->event->active ? RK_ACCOUNT_ACTIVE : rk_account_parse(a->event->status);
	if (!a->event->active && account == RK_ACCOUNT_ACTIVE)
		account = RK_ACCOUNT_INACTIVE;
	if (a->apply->relay)
		return account_said(a, account);
	/* Where a fetch was answered so already, the document held may be of before. */
	if (account == a->repo.account)
		return a->event->active ? 0 : account_write(a);
	rk_log(RK_LOG_INFO, "indexer", "an account changed", RK_LOG_SLICE("did", a->repo.did),
		RK_LOG_INT("seq", a->event->seq), RK_LOG_STR("status", rk_account_name(account)));
	a->apply->told(a->apply->context, a->repo.id);
	/* Deleted accounts are looked at before their records are given up. */
	happen(a,
		account == RK_ACCOUNT_ACTIVE            ? RK_REPO_EVENT_ACTIVATED
			: account == RK_ACCOUNT_DELETED ? RK_REPO_EVENT_DELETED
							: RK_REPO_EVENT_DEACTIVATED);
	a->repo.account = (uint8_t)account;
	return account_write(a);
}

static void note_say(const struct applying *a, const char *what)
{
	rk_log(RK_LOG_WARN, "firehose", what, RK_LOG_SLICE("name", a->event->name),
		RK_LOG_SLICE("text", a->event->message));
}

static int event_apply(struct applying *a)
{
	struct rk_stream_notes *notes = a->apply->notes;

	switch (a->event->type) {
	case RK_EVENT_COMMIT:
		return commit_apply(a);
	case RK_EVENT_SYNC:
		return sync_apply(a);
	case RK_EVENT_IDENTITY:
		return identity_apply(a);
	case RK_EVENT_ACCOUNT:
		return account_apply(a);
	case RK_EVENT_INFO:
		note_say(a, "the source says");
		if (rk_slice_equal_str(a->event->name, "OutdatedCursor"))
			atomic_store(&notes->outdated, true);
		return 0;
	case RK_EVENT_ERROR:
		note_say(a, "the source closes with an error");
		if (rk_slice_equal_str(a->event->name, "FutureCursor"))
			atomic_store(&notes->future_cursor, true);
		return 0;
	case RK_EVENT_UNKNOWN:
		rk_metric_add(RK_METRIC_EVENTS_UNKNOWN, 1);
		return 0;
	}
	return 0;
}

void rk_apply_refuse(const struct rk_decoded *decoded)
{
	rk_metric_refused_add(decoded->verdict);
	rk_log(RK_LOG_WARN, "verify", "a frame was refused",
		RK_LOG_STR("reason", rk_verdict_rows[decoded->verdict].name),
		RK_LOG_SLICE("did", decoded->event.did.text),
		RK_LOG_INT("seq", decoded->event.seq));
}

/* How far the refusal of an event can be believed that another DID document could make good: DONE, for good;
 * OUTDATED; DOUBT, not before the document was read again; or negative. */
static int refusal_judge(struct applying *a)
{
	struct rk_identity held = {0};
	struct rk_slice did = a->event->did.text;
	int64_t now_ms = a->now_us / 1000;
	int r = rk_read_identity(rk_write_view(a->w), &held, did);

	if (r < 0 || r == RK_STORE_CORRUPT)
		return rk_read_found(r);
	if (now_ms - held.fetched_ms > RK_KEY_TRUST_MS)
		return RK_APPLY_DOUBT;
	if (held.fetched_ms != a->decoded->key_fetched_ms)
		return RK_APPLY_OUTDATED;
	return a->decoded->verdict == RK_VERDICT_SIGNATURE_WRONG &&
			rk_looks_take(a->apply->looks, did, held.fetched_ms, now_ms)
		? RK_APPLY_DOUBT
		: RK_APPLY_DONE;
}

/* Behind what waits. Where its repo is not to be fetched, nor its DID document to be read, the account's state was
 * changed by somebody who did not replay it: nobody would come. */
static int wait_behind(struct applying *a)
{
	struct rk_identity identity;
	int r = repo_read(a);

	if (r || rk_repo_is_queued(&a->repo))
		return r < 0 ? r : RK_APPLY_WAIT;
	r = rk_read_identity(rk_write_view(a->w), &identity, a->event->did.text);
	if (r || identity.fetched_ms == 0)
		return rk_read_ended(r) ? r : RK_APPLY_WAIT;
	rk_log(RK_LOG_WARN, "indexer", "events of an account wait, and for nothing",
		RK_LOG_SLICE("did", a->event->did.text), RK_LOG_INT("seq", a->event->seq));
	r = identity_stale(a);
	return r ? r : RK_APPLY_WAIT;
}

/* Whether another DID document could make the event good. */
static bool is_curable(enum rk_verdict verdict)
{
	switch (verdict) {
	case RK_VERDICT_KEY_UNKNOWN:
	case RK_VERDICT_KEY_MISSING:
	case RK_VERDICT_SIGNATURE_WRONG:
	case RK_VERDICT_REPO_ELSEWHERE:
		return true;
	default:
		return false;
	}
}

void rk_apply_time(struct rk_stream_notes *notes, int64_t time_ms, int64_t now_us)
{
	if (time_ms > now_us / 1000)
		time_ms = now_us / 1000;
	if (time_ms > atomic_load(&notes->event_ms))
		atomic_store(&notes->event_ms, time_ms);
}

int rk_apply(const struct rk_apply *apply, struct rk_write *w, const struct rk_decoded *decoded,
	int64_t now_us, bool again)
{
	struct applying a = {
		.apply = apply,
		.w = w,
		.decoded = decoded,
		.event = &decoded->event,
		.now_us = now_us,
		.again = again,
	};
	bool ordered = a.event->type == RK_EVENT_COMMIT || a.event->type == RK_EVENT_SYNC;
	int r = RK_APPLY_DONE;

	if (!again && is_curable(decoded->verdict))
		r = refusal_judge(&a);
	if (r == RK_APPLY_DOUBT) {
		r = identity_stale(&a);
		if (r == 0)
			r = decoded->verdict == RK_VERDICT_KEY_UNKNOWN ? RK_APPLY_WAIT
								       : RK_APPLY_DOUBT;
	}
	if (r != RK_APPLY_DONE)
		return r;
	if (decoded->verdict != RK_VERDICT_OK) {
		rk_apply_refuse(decoded);
		return RK_APPLY_DONE;
	}
	if (ordered && !again && apply->waits(apply->context, a.event->did.text))
		return wait_behind(&a);
	r = event_apply(&a);
	if (r >= 0)
		rk_apply_time(apply->notes, a.event->time_ms, now_us);
	return r;
}
