/*
 * See watch.h. A look finds what is to be done and when; a turn does what is due, between begin
 * and end. In memory are only the users, as last read, logins, and when what failed is tried again.
 */
#include "publish/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "mirror/decide.h"
#include "net/backoff.h"
#include "publish/watch_inside.h"
#include "publish/watch_withdraw.h"

enum {
	PROMPT_MS = 500, /* between looks, with at_once */
	POLL_MS = 5000,  /* … and without */
	POLL_MOST_MS = 30 * 1000,
	SHARE = 4,        /* so many times a look's own time lies between two */
	UNREADY_MS = 200, /* between questions whether the index is as the PDS is */
	AWAY_FIRST_MS = 500,
	AWAY_MOST_MS = 30 * 1000,
	LATER_MOST_MS = 10 * 1000,
	ACCOUNT_MOST_MS = 60 * 1000, /* between tries of a user over whom the PDS fails */
	FAILURES_MOST = 3,           /* in a row, and the PDS is taken for unreachable */
	WITHDRAW_MOST = 200,         /* of one user at a time */
	WITHDRAW_USERS_MOST = 20,    /* in one turn, for new documents wait meanwhile */
};

static bool is_stopping(void *context)
{
	const struct rk_watching *w = context;

	return atomic_load(w->request->stop);
}

static void failed(struct rk_watching *w, const struct rk_watch_candidate *candidate,
	bool of_account, const char *reason, bool said)
{
	uint64_t key = of_account ? rk_watch_user_key(candidate->user)
				  : rk_watch_document_key(RK_WATCH_OF_DOCUMENT, &candidate->id);
	const struct rk_later_entry *entry = rk_later_find(&w->later, key);
	int64_t now_ms = rk_clock_mono_ms();
	char hex[RK_OID_LEN + 1];

	w->summary->counts[RK_PUBLISH_FAILED]++;
	rk_metric_add(RK_METRIC_PUBLISH_FAILURES, 1);
	/* For all of a user's documents it counts once. */
	if (entry && entry->due_ms > now_ms)
		return;
	entry = rk_later_note(
		&w->later, key, now_ms, of_account ? ACCOUNT_MOST_MS : RK_AGAIN_MOST_MS);
	if (said || (entry && entry->attempts > 1))
		return;
	rk_oid_format(hex, &candidate->id);
	rk_log(RK_LOG_WARN, "publish", "not done; trying again",
		RK_LOG_SLICE("did", candidate->user->did),
		RK_LOG_STR("collection", w->collection->nsid), RK_LOG_STR("ref", hex),
		RK_LOG_STR("reason", reason));
}

static void settled(struct rk_watching *w, const struct rk_watch_candidate *candidate)
{
	rk_later_drop(&w->later, rk_watch_document_key(RK_WATCH_OF_DOCUMENT, &candidate->id));
	rk_later_drop(&w->later, rk_watch_user_key(candidate->user));
	w->done++;
}

static struct rk_watch_candidate *candidate_by_hex(
	const struct rk_watching *w, size_t count, const char *hex)
{
	struct rk_watch_candidate key = {.gone = false};

	if (!rk_oid_parse(&key.id, rk_slice_str(hex)))
		return NULL;
	return bsearch(&key, w->list, count, sizeof(key), rk_watch_order);
}

struct publishing {
	struct rk_watching *watch;
	size_t count;
};

static void published(void *context, const struct rk_publish_line *line)
{
	struct publishing *p = context;
	struct rk_watching *w = p->watch;
	const struct rk_watch_candidate *candidate = candidate_by_hex(w, p->count, line->ref);

	if (!candidate)
		return;
	w->told[candidate - w->list] = true;
	if (line->outcome != RK_PUBLISH_FAILED) {
		settled(w, candidate);
		w->summary->counts[line->outcome]++;
		if (line->outcome == RK_PUBLISH_CREATED)
			rk_metric_add(RK_METRIC_PUBLISH_CREATED, 1);
	} else {
		failed(w, candidate, line->of_account, line->reason, w->request->lines_say);
	}
	if (w->request->line)
		w->request->line(w->request->context, line, false);
}

/* 0, -EHOSTUNREACH, … of rk_publish_run. */
static int publish(struct rk_watching *w, size_t count)
{
	struct publishing p = {.watch = w, .count = count};
	struct rk_publish_candidate *list = rk_arena_calloc(&w->arena, count, sizeof(*list));
	const struct rk_publish_some some = {
		.list = list, .count = count, .users = &w->users, .logins = w->logins};
	const struct rk_publish_request request = {
		.collection = w->request->collection,
		.batch_size = w->request->batch_size,
		.delay_ms = w->request->delay_ms,
		.guests = w->request->guests,
		.skip_blobs = w->request->skip_blobs,
		.some = &some,
		.line = published,
		.context = &p,
		.stop = w->request->stop,
	};
	struct rk_publish_summary summary;
	int r;

	w->told = rk_arena_calloc(&w->arena, count, sizeof(*w->told));
	if (!list || !w->told)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct rk_publish_candidate){.user = w->list[i].user,
			.when_ms = w->list[i].when_ms,
			.id = w->list[i].id};
	r = rk_publish_run(w->store, &summary, w->options, &request);
	for (size_t i = 0; i < count && r == 0 && summary.put_off; i++) {
		if (!w->told[i])
			failed(w, &w->list[i], true, "a limit of the PDS", false);
	}
	if (r == -EHOSTUNREACH)
		snprintf(w->summary->error, sizeof(w->summary->error), "%s", summary.error);
	return r;
}

static void withdrawn(struct rk_watching *w, const struct rk_watch_candidate *candidate,
	const struct rk_withdrawal *item)
{
	struct rk_publish_line line = {
		.user = candidate->user,
		.rkey = item->rkey,
		.words = "",
		.outcome = RK_PUBLISH_CREATED,
		.reason = item->reason,
		.of_account = item->of_account,
	};
	char hex[RK_OID_LEN + 1];

	rk_oid_format(hex, &item->id);
	line.ref = hex;
	switch (item->state) {
	case RK_WITHDRAWAL_DONE:
		settled(w, candidate);
		w->summary->deleted++;
		rk_metric_add(RK_METRIC_PUBLISH_DELETED, 1);
		break;
	case RK_WITHDRAWAL_FAILED:
		line.outcome = RK_PUBLISH_FAILED;
		failed(w, candidate, item->of_account, item->reason, w->request->lines_say);
		break;
	case RK_WITHDRAWAL_OPEN:
		rk_later_note(&w->later, rk_watch_document_key(RK_WATCH_NOT_YET, &item->id),
			rk_clock_mono_ms(), LATER_MOST_MS);
		/* fall through */
	case RK_WITHDRAWAL_VOID:
		return;
	}
	if (w->request->line)
		w->request->line(w->request->context, &line, true);
}

static int repo_of(struct rk_watching *w, const struct rk_user *user, rk_repo_id *out)
{
	struct rk_repo repo;
	int r = rk_snapshot_begin(w->snapshot);

	if (r)
		return r;
	r = rk_read_repo_by_did(w->snapshot, &repo, user->did);
	*out = r == 0 ? repo.id : 0;
	rk_snapshot_end(w->snapshot);
	return rk_read_ended(r);
}

/* Some documents of one user. 0, -EHOSTUNREACH, -EIO, … */
static int withdraw_of(struct rk_watching *w, struct rk_account_client *account,
	const struct rk_watch_candidate *list, size_t count)
{
	struct rk_withdrawal *items = calloc(count, sizeof(*items));
	struct rk_withdrawing with = {
		.account = account,
		.mongo = w->mongo,
		.writer = w->writer,
		.collection = w->collection,
		.indexed = w->request->ready != NULL,
	};
	int r = items ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		items[i].id = list[i].id;
		items[i].user = list[i].user;
		snprintf(items[i].rkey, sizeof(items[i].rkey), "%s", list[i].rkey);
	}
	if (r == 0)
		r = repo_of(w, list->user, &with.repo);
	if (r == 0)
		r = rk_withdraw(&with, items, count);
	for (size_t i = 0; items && i < count; i++)
		withdrawn(w, &list[i], &items[i]);
	free(items);
	if (r > 0) {
		failed(w, list, true, rk_account_error(account), false);
		r = 0;
	} else if (r == -EHOSTUNREACH) {
		snprintf(w->summary->error, sizeof(w->summary->error), "%s",
			rk_account_error(account));
	}
	return r;
}

static int withdraw(struct rk_watching *w, const struct rk_watch_candidate *list, size_t count)
{
	size_t most =
		w->options->mongo_batch < WITHDRAW_MOST ? w->options->mongo_batch : WITHDRAW_MOST;
	const struct rk_account_options options = {
		.pds = w->options->pds,
		.bypass_key = w->options->bypass_key,
		.cancel = w->request->stop,
		.failures_most = FAILURES_MOST,
		.logins = w->logins,
	};
	struct rk_account_client *account = rk_account_create(w->mongo, &options);
	int r = account ? 0 : -ENOMEM;

	for (size_t from = 0, to, users = 0;
		r == 0 && from < count && users < WITHDRAW_USERS_MOST && !is_stopping(w);
		from = to, users++) {
		for (to = from; to < count && to - from < most && list[to].user == list[from].user;)
			to++;
		r = withdraw_of(w, account, list + from, to - from);
	}
	rk_account_destroy(account);
	return r;
}

static int turn(struct rk_watching *w)
{
	size_t living = 0;
	int r = 0;

	while (living < w->count && !w->list[living].gone)
		living++;
	w->done = 0;
	if (w->request->begin && !w->request->begin(w->request->context))
		return 0;
	if (living > 0)
		r = publish(w, living);
	if (r == 0 && living < w->count)
		r = withdraw(w, w->list + living, w->count - living);
	if (w->request->end)
		w->request->end(w->request->context);
	return r;
}

static int look_and_do(struct rk_watching *w)
{
	char error[256];
	int r = 0;

	if (!w->mongo)
		r = rk_mongo_create(&w->mongo, w->options->mongo_uri, w->options->database, error);
	if (r == 0)
		r = rk_watch_look(w);
	if (r == 0 && w->count > 0)
		r = turn(w);
	if (r == -EIO)
		snprintf(w->summary->error, sizeof(w->summary->error), "MongoDB: %.200s",
			rk_mongo_error(w->mongo));
	return r;
}

static void disconnect(struct rk_watching *w)
{
	rk_mongo_changes_end(w->changes);
	w->changes = NULL;
	w->changes_asked = false;
	rk_mongo_destroy(w->mongo);
	w->mongo = NULL;
}

/* Until the next look. A change only makes it come sooner. */
static void rest(struct rk_watching *w)
{
	int64_t share = w->took_ms * SHARE < POLL_MOST_MS ? w->took_ms * SHARE : POLL_MOST_MS;
	int64_t from_ms = rk_clock_mono_ms(), usual = w->request->at_once ? PROMPT_MS : POLL_MS;
	int64_t until_ms = from_ms + (usual > share ? usual : share);
	bool changed = false;

	if (w->done)
		return; /* there may be more */
	if (!w->changes_asked && rk_mongo_changes_begin(w->mongo, &w->changes, w->collection) != 0)
		rk_log(RK_LOG_DEBUG, "publish", "MongoDB tells of no changes",
			RK_LOG_STR("reason", rk_mongo_error(w->mongo)));
	w->changes_asked = true;
	while (w->changes && !changed && rk_clock_mono_ms() < until_ms && !is_stopping(w)) {
		if (rk_mongo_changes_wait(w->changes, &changed) != 0) {
			rk_mongo_changes_end(w->changes);
			w->changes = NULL;
		}
	}
	if (changed)
		until_ms = from_ms + share;
	rk_clock_pause_unless(until_ms - rk_clock_mono_ms(), is_stopping, w);
}

/* -ENOENT, or 0 when it is stopped. */
static int go_on(struct rk_watching *w)
{
	struct rk_backoff backoff = {AWAY_FIRST_MS, AWAY_MOST_MS, 0};
	int r = 0;

	while (!is_stopping(w)) {
		if (w->request->ready && !w->request->ready(w->request->context)) {
			rk_clock_pause_unless(UNREADY_MS, is_stopping, w);
			continue;
		}
		w->done = 0;
		r = look_and_do(w);
		if (r == -ENOENT)
			return r;
		if (is_stopping(w))
			break;
		if (r == 0) {
			if (backoff.tries)
				rk_log(RK_LOG_INFO, "publish", "goes on",
					RK_LOG_STR("collection", w->collection->nsid));
			backoff.tries = 0;
			w->summary->error[0] = '\0';
			rest(w);
		} else {
			if (backoff.tries == 0)
				rk_log(RK_LOG_WARN, "publish", "held up; trying again",
					RK_LOG_STR("collection", w->collection->nsid),
					RK_LOG_STR("reason",
						w->summary->error[0] ? w->summary->error
								     : strerror(-r)));
			if (r == -EHOSTUNREACH)
				rk_watch_figures_set(w, w->waiting, w->waiting);
			/* A client that failed waits before it looks for its server again. */
			disconnect(w);
			rk_clock_pause_unless(
				rk_backoff_next(&backoff, rk_backoff_random()), is_stopping, w);
		}
	}
	return 0;
}

int rk_publish_watch(struct rk_store *store, struct rk_writer *writer, struct rk_watch_summary *out,
	const struct rk_publish_options *options, const struct rk_watch_request *request)
{
	struct rk_watching w = {
		.store = store,
		.writer = writer,
		.options = options,
		.request = request,
		.collection = &rk_collections[request->collection],
		.summary = out,
	};
	int r;

	*out = (struct rk_watch_summary){0};
	r = rk_snapshot_create(&w.snapshot, store);
	if (r)
		return r;
	w.logins = rk_logins_create();
	if (!w.logins) {
		rk_snapshot_destroy(w.snapshot);
		return -ENOMEM;
	}
	rk_log(RK_LOG_INFO, "publish", "documents are asked for again and again",
		RK_LOG_STR("collection", w.collection->nsid),
		RK_LOG_INT("ms", request->at_once ? PROMPT_MS : POLL_MS));
	r = go_on(&w);
	out->failing = atomic_load(&request->figures->failing);
	rk_watch_figures_set(&w, 0, 0);
	rk_later_finish(&w.later);
	rk_logins_destroy(w.logins);
	rk_users_finish(&w.users);
	rk_arena_finish(&w.arena);
	rk_arena_finish(&w.names);
	free(w.list);
	disconnect(&w);
	rk_snapshot_destroy(w.snapshot);
	return r;
}
