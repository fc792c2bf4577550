/*
 * refkey recover: every record looked at on request, in the order of the index. The same rounds as the
 * worker's, so the same table decides; a dry run stops short of writing.
 *
 * What makes it fast into an empty MongoDB: one scan tells which documents there are, so that inserts
 * need no reading of their own (a taken _id has them look again), and the index is told of one round
 * while the next is being written. A call survives a lost connection: it keeps its place.
 */
#include "mirror/inside.h"

#include <errno.h>
#include <stdio.h>

#include "atproto/mst.h"
#include "base/clock.h"
#include "base/log.h"
#include "mirror/lost.h"

enum {
	UNREACHABLE_MS = 30000,
	SCAN_FROM = 500, /* records from which on a scan is cheaper than asking */
};

/* Where reading goes on. */
struct place {
	size_t repo; /* in repos[] */
	uint8_t collection;
	uint8_t rkey[RK_MST_KEY_MOST];
	size_t rkey_len;
};

struct rk_recover_call {
	struct rk_recover_call *next; /* under the mirror's lock, as are result and finished */
	const struct rk_recover_request *request;
	struct rk_recover_summary *summary;
	bool finished;
	int result;
	int64_t lost_ms; /* monotonic: since when MongoDB is away; 0: it is not */

	bool prepared, scanned;
	struct rk_arena arena; /* of repos */
	rk_repo_id *repos;
	size_t repo_count;
	uint64_t total, written;
	struct place place;
	size_t take;
	struct rk_seen seen[RK_COLLECTION_COUNT];
};

static bool is_stopped(struct rk_mirror *mirror, const struct rk_recover_call *call)
{
	return (call->request->stop && atomic_load(call->request->stop)) ||
		rk_mirror_stopping(mirror);
}

static void finish(struct rk_mirror *mirror, struct rk_recover_call *call, int result)
{
	struct rk_recover_call **at;

	if (result == 0 && is_stopped(mirror, call))
		call->summary->stopped = true;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		rk_seen_finish(&call->seen[i]);
	rk_arena_finish(&call->arena);
	pthread_mutex_lock(&mirror->lock);
	for (at = &mirror->calls; *at; at = &(*at)->next) {
		if (*at == call) {
			*at = call->next;
			break;
		}
	}
	call->result = result;
	call->finished = true;
	pthread_cond_broadcast(&mirror->done);
	pthread_mutex_unlock(&mirror->lock);
}

void rk_recover_expire(struct rk_mirror *mirror, int result_for_all)
{
	int64_t now_ms = rk_clock_mono_ms();
	struct rk_recover_call *call, *next;

	pthread_mutex_lock(&mirror->lock);
	call = mirror->calls;
	pthread_mutex_unlock(&mirror->lock);
	for (; call; call = next) {
		/* Only this thread takes calls off; new ones go to the end. */
		pthread_mutex_lock(&mirror->lock);
		next = call->next;
		pthread_mutex_unlock(&mirror->lock);
		if (call->lost_ms == 0)
			call->lost_ms = now_ms;
		if (result_for_all) {
			finish(mirror, call, result_for_all);
		} else if (is_stopped(mirror, call)) {
			finish(mirror, call, 0);
		} else if (now_ms - call->lost_ms >= UNREACHABLE_MS) {
			snprintf(call->summary->error, sizeof(call->summary->error),
				"MongoDB was not to be had for %d seconds", UNREACHABLE_MS / 1000);
			finish(mirror, call, -EHOSTUNREACH);
		}
	}
}

/* The repo that a name of the command line means. */
static int resolve(struct rk_mirror *mirror, rk_repo_id *out, struct rk_recover_summary *summary,
	const struct rk_users *users, const char *name)
{
	const struct rk_user *user = rk_users_by_name(users, rk_slice_str(name), summary->error);
	struct rk_slice did = user ? user->did : (struct rk_slice){0};
	struct rk_repo repo;
	int r;

	*out = 0;
	if (strncmp(name, "did:", 4) == 0 && !rk_users_by_did(users, rk_slice_str(name)))
		did = rk_slice_str(name); /* of nobody, but it may have records */
	if (user && did.len == 0)
		snprintf(summary->error, sizeof(summary->error), "%.200s has no ATProto account",
			name);
	if (did.len == 0)
		return -ENOENT;
	summary->error[0] = '\0';
	r = rk_snapshot_begin(mirror->snapshot);
	if (r)
		return r;
	r = rk_read_repo_by_did(mirror->snapshot, &repo, did);
	if (r == 0)
		*out = repo.id;
	rk_snapshot_end(mirror->snapshot);
	if (r == RK_STORE_ABSENT && !user) {
		snprintf(summary->error, sizeof(summary->error), "%s is not known", name);
		return -ENOENT;
	}
	return rk_read_ended(r);
}

static size_t names_count(const char *const *names)
{
	size_t count = 0;

	while (names && names[count])
		count++;
	return count;
}

/* Ids of the names; zeros for accounts without a repo. */
static int resolve_all(struct rk_mirror *mirror, struct rk_recover_call *call, rk_repo_id **out,
	const struct rk_users *users, const char *const *names)
{
	size_t count = names_count(names);
	rk_repo_id *ids = rk_arena_calloc(&call->arena, count + 1, sizeof(*ids));
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = resolve(mirror, &ids[i], call->summary, users, names[i]);
	*out = ids;
	return r;
}

static bool is_among(rk_repo_id id, const rk_repo_id *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* The repos to go through, and how many records they have. */
static int list_repos(struct rk_mirror *mirror, struct rk_recover_call *call,
	const rk_repo_id *only, const rk_repo_id *skip)
{
	size_t only_count = names_count(call->request->users);
	size_t skip_count = names_count(call->request->skip);
	struct rk_counts counts;
	struct rk_repo repo = {0};
	int r = rk_snapshot_begin(mirror->snapshot);

	if (r)
		return r;
	r = rk_read_counts(mirror->snapshot, &counts);
	if (r == 0) {
		call->repos = rk_arena_calloc(&call->arena, counts.repos + 1, sizeof(*call->repos));
		r = call->repos ? 0 : -ENOMEM;
	}
	while (r == 0 && call->repo_count < counts.repos) {
		r = rk_read_repo_after(mirror->snapshot, &repo, repo.id);
		if (r || is_among(repo.id, skip, skip_count) ||
			(call->request->users && !is_among(repo.id, only, only_count)))
			continue;
		call->repos[call->repo_count++] = repo.id;
		for (int i = 0; i < RK_COLLECTION_COUNT; i++)
			call->total += repo.counts[i];
	}
	rk_snapshot_end(mirror->snapshot);
	return rk_read_ended(r);
}

/* Whether MongoDB has a document of any collection. */
static int documents_find(struct rk_mirror *mirror, bool *found)
{
	struct rk_documents documents = {0};
	struct rk_arena arena = {0};
	int r = 0;

	for (int i = 0; r == 0 && documents.count == 0 && i < RK_COLLECTION_COUNT; i++) {
		struct rk_mongo_scan *scan = NULL;
		bool more = true;

		r = rk_mongo_scan_begin(mirror->mongo, &scan, &rk_collections[i]);
		while (r == 0 && more && documents.count == 0)
			r = rk_mongo_scan_next(scan, &documents, &arena, &more);
		rk_mongo_scan_end(scan);
	}
	*found = documents.count > 0;
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return r;
}

static int prepare(struct rk_mirror *mirror, struct rk_recover_call *call)
{
	struct rk_users users = {0};
	rk_repo_id *only, *skip;
	bool found = true;
	int r = rk_claims_refresh(mirror);

	if (r == 0)
		r = rk_mongo_users(mirror->mongo, &users, true);
	if (r == 0 && users.with_did == 0)
		r = documents_find(mirror, &found);
	if (r == 0 && !found)
		r = rk_mongo_lost(mirror->store, mirror->options.database, call->summary->error);
	if (r == 0)
		r = resolve_all(mirror, call, &only, &users, call->request->users);
	if (r == 0)
		r = resolve_all(mirror, call, &skip, &users, call->request->skip);
	if (r == 0)
		r = list_repos(mirror, call, only, skip);
	rk_users_finish(&users);
	call->take = RK_TAKE_MOST;
	call->prepared = r == 0;
	return r;
}

static int scan_collection(
	struct rk_mirror *mirror, struct rk_recover_call *call, uint8_t collection)
{
	struct rk_seen *seen = &call->seen[collection];
	struct rk_documents chunk = {0};
	struct rk_mongo_scan *scan = NULL;
	struct rk_arena arena = {0};
	bool more = true;
	int r = rk_mongo_scan_begin(mirror->mongo, &scan, &rk_collections[collection]);

	while (r == 0 && more && !is_stopped(mirror, call)) {
		chunk.count = 0;
		rk_arena_reset(&arena);
		r = rk_mongo_scan_next(scan, &chunk, &arena, &more);
		for (size_t i = 0; r == 0 && i < chunk.count; i++)
			r = rk_seen_add(seen, &chunk.list[i]);
	}
	rk_mongo_scan_end(scan);
	rk_documents_finish(&chunk);
	rk_arena_finish(&arena);
	rk_seen_seal(seen);
	return r;
}

/* A scan that a lost connection cut short is worth nothing. */
static int scan_all(struct rk_mirror *mirror, struct rk_recover_call *call)
{
	int r = 0;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		rk_seen_finish(&call->seen[i]);
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = scan_collection(mirror, call, (uint8_t)i);
	call->scanned = r == 0;
	return r;
}

/* Records of one repo's collection from the place on, which moves behind them. */
static int fill_from(struct rk_round *round, struct rk_recover_call *call, struct place *place,
	struct rk_slice did, size_t most)
{
	const struct rk_recover_request *request = call->request;
	uint8_t flags = RK_PENDING_RECOVER | (request->restore ? RK_PENDING_RESTORE : 0);
	struct rk_record record;
	int r = 0;

	while (round->count < most && round->bytes < RK_ROUND_BYTES) {
		r = rk_read_record_after(round->mirror->snapshot, &record, call->repos[place->repo],
			place->collection, rk_slice_make(place->rkey, place->rkey_len));
		if (r)
			return r;
		if (record.rkey.len > sizeof(place->rkey))
			return -EUCLEAN;
		r = rk_round_add(round, &record, did, flags);
		if (r)
			return r;
		memcpy(place->rkey, record.rkey.data, record.rkey.len);
		place->rkey_len = record.rkey.len;
	}
	return 0;
}

static int fill(
	struct rk_round *round, struct rk_recover_call *call, struct place *place, size_t most)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	int r = rk_snapshot_begin(s);

	if (r)
		return r;
	rk_round_reset(round);
	round->now_ms = rk_clock_wall_ms();
	while (r == 0 && place->repo < call->repo_count) {
		struct rk_repo repo;

		if (round->count >= most || round->bytes >= RK_ROUND_BYTES)
			break;
		r = rk_read_repo(s, &repo, call->repos[place->repo]);
		if (r == 0)
			r = fill_from(round, call, place, repo.did, most);
		if (r != RK_STORE_ABSENT)
			continue;
		r = 0;
		place->rkey_len = 0;
		if (++place->collection == RK_COLLECTION_COUNT) {
			place->collection = 0;
			place->repo++;
		}
	}
	rk_snapshot_end(s);
	return rk_read_found(r);
}

static void line(const struct rk_recover_request *request, const struct rk_item *item)
{
	struct rk_buf uri = {0}, ref = {0};

	rk_buf_printf(&uri, "at://%.*s/%s/%.*s", RK_SLICE_ARG(item->did),
		rk_collections[item->collection].nsid, RK_SLICE_ARG(item->rkey));
	rk_buf_add_slice(&ref, item->ref);
	request->line(request->context, rk_buf_cstr(&uri), rk_buf_cstr(&ref),
		rk_recover_outcome_rows[item->decision.outcome].name);
	rk_buf_finish(&uri);
	rk_buf_finish(&ref);
}

/* Counts what became of the round. */
static void sum_up(struct rk_recover_call *call, const struct rk_round *round)
{
	struct rk_recover_summary *summary = call->summary;

	for (size_t i = 0; i < round->count; i++) {
		const struct rk_item *item = &round->items[i];
		enum rk_recover_outcome outcome = item->decision.outcome;

		if (item->state == RK_ITEM_OVER)
			summary->limited = true;
		if (item->state == RK_ITEM_OVER || item->state == RK_ITEM_DROPPED)
			continue;
		if (item->state != RK_ITEM_SETTLED)
			outcome = RK_RECOVER_WAITING;
		summary->records++;
		summary->counts[outcome]++;
		if (call->request->line && item->state == RK_ITEM_SETTLED &&
			(outcome == RK_RECOVER_LINKED || outcome == RK_RECOVER_INSERTED ||
				outcome == RK_RECOVER_UPDATED))
			line(call->request, item);
	}
	call->written += round->written;
	if (call->request->progress)
		call->request->progress(call->request->context, summary->records, call->total);
}

struct pausing {
	struct rk_mirror *mirror;
	const struct rk_recover_call *call;
};

static bool is_pause_stopped(void *context)
{
	const struct pausing *pausing = context;

	return is_stopped(pausing->mirror, pausing->call);
}

static void pause_between(struct rk_mirror *mirror, const struct rk_recover_call *call)
{
	struct pausing pausing = {mirror, call};

	rk_clock_pause_unless((int64_t)call->request->delay_ms, is_pause_stopped, &pausing);
}

/* Whole bulks, so that the last one of a round is not a small one. */
static size_t round_size(const struct rk_recover_call *call, unsigned batch)
{
	size_t whole = batch >= RK_TAKE_MOST || call->request->delay_ms
		? batch
		: RK_TAKE_MOST / batch * batch;

	return whole < call->take ? whole : call->take;
}

static int failed(struct rk_recover_call *call, struct rk_round *round, const struct place *place)
{
	char reason[RK_ROUND_REASON_SIZE];
	int r = rk_round_failed(round, &call->take, reason);

	if (r == RK_ROUND_SMALLER)
		rk_round_reset(round);
	if (r)
		return r == RK_ROUND_SMALLER ? 0 : r;
	call->place = *place;
	if (round->items[0].state == RK_ITEM_SETTLED) {
		sum_up(call, round);
	} else {
		call->summary->records++;
		call->summary->counts[RK_RECOVER_FAILED]++;
	}
	rk_round_tell(round);
	return 0;
}

/* One round; *more is false at the end of it all. */
static int recover_round(
	struct rk_mirror *mirror, struct rk_recover_call *call, struct rk_round *round, bool *more)
{
	const struct rk_recover_request *request = call->request;
	unsigned batch =
		request->batch_size ? (unsigned)request->batch_size : mirror->options.batch;
	struct place place = call->place;
	int r;

	round->batch = batch;
	round->dry_run = request->dry_run;
	round->seen = call->scanned ? call->seen : NULL;
	round->write_most = request->limit ? request->limit - call->written : UINT64_MAX;
	r = fill(round, call, &place, round_size(call, batch));
	*more = r == 0 && round->count > 0;
	if (r || !*more)
		return r;
	r = rk_round_run(round);
	if (r == -EIO)
		return failed(call, round, &place);
	if (r)
		return r;
	call->take = call->take < RK_TAKE_MOST / 2 ? call->take * 2 : RK_TAKE_MOST;
	call->place = place;
	sum_up(call, round);
	rk_round_tell(round);
	if (call->summary->limited ||
		(request->limit && call->written >= request->limit &&
			call->summary->records < call->total)) {
		call->summary->limited = true;
		*more = false;
	}
	return 0;
}

static int go_through(struct rk_mirror *mirror, struct rk_recover_call *call)
{
	struct rk_round rounds[2];
	bool more = true;
	int r = 0, r2;

	for (int i = 0; i < 2; i++) {
		rk_round_init(&rounds[i], mirror);
		rounds[i].told = rounds[i].told_ok = true;
	}
	for (int i = 0; r == 0 && more && !is_stopped(mirror, call); i = !i) {
		size_t done;

		r = rk_round_told(&rounds[i]);
		if (r == 0)
			r = recover_round(mirror, call, &rounds[i], &more);
		if (r == 0 && !mirror->options.on_request_only)
			r = rk_mirror_step(mirror, &done);
		if (r == 0 && more && call->request->delay_ms)
			pause_between(mirror, call);
	}
	for (int i = 0; i < 2; i++) {
		r2 = rk_round_told(&rounds[i]);
		r = r ? r : r2;
		rk_round_finish(&rounds[i]);
	}
	return r;
}

int rk_recover_run(struct rk_mirror *mirror, struct rk_recover_call *call)
{
	int r = 0;

	call->lost_ms = 0;
	if (!call->prepared)
		r = prepare(mirror, call);
	if (r == 0 && !call->scanned && call->total >= SCAN_FROM)
		r = scan_all(mirror, call);
	if (r == 0)
		r = go_through(mirror, call);
	if (r == -EIO) {
		/* Goes on from its place once the connection is back. */
		call->scanned = false;
		return r;
	}
	finish(mirror, call, r);
	return 0;
}

int rk_mirror_recover(struct rk_mirror *mirror, struct rk_recover_summary *out,
	const struct rk_recover_request *request)
{
	struct rk_recover_call call = {.request = request, .summary = out}, **at;
	int result;

	*out = (struct rk_recover_summary){0};
	pthread_mutex_lock(&mirror->lock);
	if (mirror->stopping) {
		pthread_mutex_unlock(&mirror->lock);
		return -ECANCELED;
	}
	for (at = &mirror->calls; *at; at = &(*at)->next)
		;
	*at = &call;
	pthread_cond_broadcast(&mirror->work);
	while (!call.finished)
		pthread_cond_wait(&mirror->done, &mirror->lock);
	result = call.result;
	pthread_mutex_unlock(&mirror->lock);
	return result;
}
