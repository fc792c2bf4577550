/*
 * Looking: which documents are not as they should be, which of them are ours to set right, and now. The
 * snapshot is open only between questions to MongoDB.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/metrics.h"
#include "mirror/decide.h"
#include "mongo/draft.h"
#include "publish/watch_inside.h"
#include "records/key.h"

enum {
	USERS_LEAST_MS =
		1000, /* while there are owners without an account: they may have one now */
	USERS_MOST_MS = 60 * 1000,
	ORPHANS_MOST = 200, /* looked at in one look */
	PLACES_MOST = 64,   /* keys of a document, taken by others */
};

/* The figures of all watches are one gauge. */
void rk_watch_figures_set(struct rk_watching *w, uint64_t waiting, uint64_t failing)
{
	struct rk_watch_figures *figures = w->request->figures;
	unsigned long long before = atomic_exchange(&figures->waiting, waiting);

	rk_metric_add(RK_METRIC_PUBLISH_WAITING, (int64_t)(waiting - before));
	before = atomic_exchange(&figures->failing, failing);
	rk_metric_add(RK_METRIC_PUBLISH_FAILING, (int64_t)(failing - before));
}

static const struct rk_user *owner_of(
	const struct rk_watching *w, const struct rk_document *document)
{
	switch (document->user.presence) {
	case RK_PRESENCE_STRING:
		return rk_users_by_id(&w->users, document->user.text);
	case RK_PRESENCE_OTHER:
		return NULL;
	default:
		return w->request->guests ? w->guest : NULL;
	}
}

static bool is_among(const struct rk_slice *ids, size_t count, const struct rk_user *user)
{
	for (size_t i = 0; i < count; i++) {
		if (rk_slice_equal(ids[i], user->id))
			return true;
	}
	return false;
}

static int candidate_add(
	void *context, const struct rk_document *document, const char *id, bool foreign)
{
	struct rk_watching *w = context;
	const struct rk_user *user = foreign ? NULL : owner_of(w, document);
	struct rk_watch_candidate *candidate;
	struct rk_rkey rkey;

	if (!user || user->did.len == 0) {
		w->accountless |= !foreign;
		return 0;
	}
	if ((w->only_count && !is_among(w->only, w->only_count, user)) ||
		is_among(w->skip, w->skip_count, user) ||
		(document->gone && !rk_rkey_parse(&rkey, rk_document_rkey(document))))
		return 0;
	if (rk_list_grow(&w->list, &w->room, w->count, sizeof(*w->list)) != 0)
		return -ENOMEM;
	candidate = &w->list[w->count++];
	*candidate = (struct rk_watch_candidate){.id = document->id,
		.user = user,
		.when_ms = document->when_ms,
		.gone = document->gone};
	if (document->gone)
		candidate->rkey = rk_arena_copy(&w->arena, rk_document_rkey(document));
	return document->gone && !candidate->rkey ? -ENOMEM : 0;
}

/* A site may still be writing both. A time that cannot be says nothing. */
static bool is_young(
	const struct rk_watching *w, const struct rk_watch_candidate *candidate, int64_t now_ms)
{
	int64_t age_ms = now_ms - rk_oid_unix_sec(&candidate->id) * 1000;

	return !w->request->at_once && age_ms >= -RK_AHEAD_MS &&
		age_ms < RK_YOUNG_MS + RK_YOUNG_SLACK_MS;
}

/*
 * Orphans of our own making. A document may become gone while its record is being written, by a key that
 * it never gets to name: the predicate does not find it, but the index has the record as an orphan, and
 * its key shows that it was made here, from this document. Other orphans are not ours to touch.
 */
struct orphan {
	struct rk_oid id;
	const struct rk_user *user;
	char *rkey;
};

struct orphans {
	struct rk_watching *w;
	struct orphan list[ORPHANS_MOST];
	size_t count;
	int error;
};

static bool orphan_add(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct orphans *orphans = context;
	struct rk_watching *w = orphans->w;
	struct orphan *orphan = &orphans->list[orphans->count];
	struct rk_record record;
	struct rk_repo repo;
	const struct rk_later_entry *known;
	int r;

	(void)position;
	if (issue->collection != (int)w->request->collection || issue->rkey.len == 0)
		return true;
	r = rk_read_repo(w->snapshot, &repo, issue->repo);
	if (r == 0)
		r = rk_read_record(
			w->snapshot, &record, issue->repo, (uint8_t)issue->collection, issue->rkey);
	orphans->error = r == RK_STORE_ABSENT ? 0 : r;
	if (r)
		return orphans->error == 0;
	orphan->user = rk_users_by_did(&w->users, repo.did);
	if (!orphan->user || !rk_oid_parse(&orphan->id, record.ref))
		return true;
	known = rk_later_find(&w->later, rk_watch_document_key(RK_WATCH_NOT_OURS, &orphan->id));
	if (known && known->due_ms > rk_clock_mono_ms())
		return true;
	orphan->rkey = rk_arena_copy(&w->arena, issue->rkey);
	orphans->error = orphan->rkey ? 0 : -ENOMEM;
	return orphans->error == 0 && ++orphans->count < ORPHANS_MOST;
}

static bool is_made_here(const struct rk_watching *w, const struct orphan *orphan, int64_t when_ms)
{
	struct rk_record_key key;
	uint64_t tid;

	if (!rk_tid_parse(&tid, rk_slice_str(orphan->rkey)))
		return false;
	rk_record_key_init(&key, w->collection, &orphan->id, when_ms);
	for (uint32_t attempt = 0; attempt < PLACES_MOST; attempt++) {
		if (rk_record_key_tid(&key, attempt) == tid)
			return true;
	}
	return false;
}

static int orphan_judge(void *context, const struct rk_document *document, const bson_t *body)
{
	struct orphans *orphans = context;
	struct rk_watching *w = orphans->w;
	const struct rk_user *user = owner_of(w, document);
	struct rk_buf json = {0};
	struct rk_draft draft;
	struct rk_document named = *document;
	bool made = rk_draft_make(&draft, &json, body, w->collection, &document->id);
	int r = 0;

	rk_buf_finish(&json);
	for (size_t i = 0; r == 0 && i < orphans->count; i++) {
		const struct orphan *orphan = &orphans->list[i];

		if (memcmp(&orphan->id, &document->id, sizeof(orphan->id)) != 0)
			continue;
		if (made && document->gone && rk_document_rkey(document).len == 0 &&
			user == orphan->user && is_made_here(w, orphan, draft.when_ms)) {
			named.rkey = (struct rk_document_field){
				RK_PRESENCE_STRING, 0, rk_slice_str(orphan->rkey)};
			r = candidate_add(w, &named, "", false);
		} else {
			rk_later_note(&w->later,
				rk_watch_document_key(RK_WATCH_NOT_OURS, &orphan->id),
				rk_clock_mono_ms(), RK_AGAIN_MOST_MS);
		}
	}
	return r;
}

static int orphans_add(struct rk_watching *w)
{
	struct orphans *orphans = calloc(1, sizeof(*orphans));
	struct rk_oid *ids;
	int r;

	if (!orphans)
		return -ENOMEM;
	orphans->w = w;
	r = rk_snapshot_begin(w->snapshot);
	if (r == 0) {
		r = rk_read_issues(
			w->snapshot, RK_ISSUE_ORPHAN, 0, (struct rk_slice){0}, orphan_add, orphans);
		rk_snapshot_end(w->snapshot);
	}
	if (r == 0)
		r = orphans->error;
	ids = rk_arena_calloc(&w->arena, orphans->count + 1, sizeof(*ids));
	if (r == 0 && !ids)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < orphans->count; i++)
		ids[i] = orphans->list[i].id;
	if (r == 0 && orphans->count)
		r = rk_mongo_bodies(w->mongo, w->collection, &w->arena, ids, orphans->count,
			orphan_judge, orphans);
	free(orphans);
	return rk_read_found(r);
}

/* Whether the index leaves the document to us: *drop, it is nobody's to publish. Negative: cannot be
 * read. */
static int judge(
	struct rk_watching *w, const struct rk_watch_candidate *candidate, bool *ours, bool *drop)
{
	char hex[RK_OID_LEN + 1];
	struct rk_repo repo;
	bool pending = false;
	int r = rk_read_repo_by_did(w->snapshot, &repo, candidate->user->did);

	*drop = r == 0 && repo.flags & RK_REPO_TOMBSTONE;
	*ours = r == RK_STORE_ABSENT;
	if (r || *drop)
		return r == RK_STORE_ABSENT ? 0 : r;
	/* A repo that cannot be fetched must not hold up its user for ever. */
	if (w->request->ready && rk_repo_is_queued(&repo) && repo.failures < RK_FAILURES_READY)
		return 0;
	rk_oid_format(hex, &candidate->id);
	r = rk_read_pending_ref(
		w->snapshot, &pending, repo.id, (uint8_t)w->request->collection, rk_slice_str(hex));
	*ours = !pending;
	return r;
}

/* Leaves in list what is due. */
static int judge_all(struct rk_watching *w)
{
	int64_t now_ms = rk_clock_mono_ms(), wall_ms = rk_clock_wall_ms();
	size_t left = 0;
	int r = rk_snapshot_begin(w->snapshot);

	if (r)
		return r;
	w->waiting = w->failing = 0;
	for (size_t i = 0; r == 0 && i < w->count; i++) {
		const struct rk_watch_candidate *candidate = &w->list[i];
		const struct rk_later_entry *own = rk_later_find(
			&w->later, rk_watch_document_key(RK_WATCH_OF_DOCUMENT, &candidate->id));
		const struct rk_later_entry *theirs =
			rk_later_find(&w->later, rk_watch_user_key(candidate->user));
		const struct rk_later_entry *not_yet = rk_later_find(
			&w->later, rk_watch_document_key(RK_WATCH_NOT_YET, &candidate->id));
		bool due = !(own && own->due_ms > now_ms) && !(theirs && theirs->due_ms > now_ms) &&
			!(not_yet && not_yet->due_ms > now_ms);
		bool ours, drop, failing = own || theirs;

		r = judge(w, candidate, &ours, &drop);
		if (r || drop)
			continue;
		w->waiting++;
		w->failing += failing;
		if (ours && due && !is_young(w, candidate, wall_ms))
			w->list[left++] = *candidate;
	}
	rk_snapshot_end(w->snapshot);
	w->count = left;
	rk_later_sweep(&w->later);
	return rk_read_found(r);
}

/* Names mean whom they meant when it began: a user who goes is no reason to end, and one who takes another
 * handle is the same. */
static int names_take(
	struct rk_watching *w, struct rk_slice **ids, size_t *count, const char *const *names)
{
	const struct rk_user **users;
	int r = rk_users_by_names(&w->users, &users, names, w->summary->error);

	*count = 0;
	while (r == 0 && users && users[*count])
		++*count;
	*ids = rk_arena_calloc(&w->names, *count + 1, sizeof(**ids));
	if (r == 0 && !*ids)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < *count; i++) {
		const char *copy = rk_arena_copy(&w->names, users[i]->id);

		(*ids)[i] = rk_slice_make(copy, users[i]->id.len);
		r = copy ? 0 : -ENOMEM;
	}
	free(users);
	return r;
}

static int users_refresh(struct rk_watching *w)
{
	int64_t now_ms = rk_clock_mono_ms(), least = rk_users_good_ms(w->users_took_ms);
	int64_t age_ms = w->accountless ? USERS_LEAST_MS : USERS_MOST_MS;
	bool first = !w->skip;
	int r;

	if (!first && now_ms - w->users.loaded_ms < (age_ms > least ? age_ms : least))
		return 0;
	r = rk_mongo_users(w->mongo, &w->users, true);
	if (r)
		return r;
	w->users_took_ms = rk_clock_mono_ms() - now_ms;
	w->guest = rk_users_by_id(&w->users, rk_slice_str(w->options->guest_user));
	if (first)
		r = names_take(w, &w->only, &w->only_count, w->request->users);
	return r || !first ? r : names_take(w, &w->skip, &w->skip_count, w->request->skip);
}

int rk_watch_order(const void *a, const void *b)
{
	const struct rk_watch_candidate *left = a, *right = b;

	if (left->gone != right->gone)
		return left->gone ? 1 : -1;
	if (left->gone && left->user != right->user)
		return left->user < right->user ? -1 : 1;
	return memcmp(&left->id, &right->id, sizeof(left->id));
}

int rk_watch_look(struct rk_watching *w)
{
	int64_t from_ms = rk_clock_mono_ms();
	int r = users_refresh(w);

	w->count = 0;
	w->accountless = false;
	rk_arena_reset(&w->arena);
	if (r == 0)
		r = rk_mongo_astray(w->mongo, w->collection, candidate_add, w);
	if (r == 0)
		r = orphans_add(w);
	if (r == 0)
		r = judge_all(w);
	if (r)
		return r;
	if (w->count > 1)
		qsort(w->list, w->count, sizeof(*w->list), rk_watch_order);
	rk_watch_figures_set(w, w->waiting, w->failing);
	w->took_ms = rk_clock_mono_ms() - from_ms;
	return 0;
}
