/* The sweep's other half: from the index, with the set of documents that were seen. See sweep.c. */
#include "mirror/sweep.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

enum { CHUNK = 1000, REFUSED_MOST = 200 };

int rk_sweep_tell(struct rk_sweep *sweep)
{
	int r = 0;

	if (sweep->round.count > 0) {
		rk_round_tell(&sweep->round);
		r = rk_round_told(&sweep->round);
	}
	rk_round_reset(&sweep->round);
	return r;
}

/* Whether a record has to be looked at, given that its document was or was not seen. */
static int record_judge(struct rk_sweep *sweep, const struct rk_record *record,
	const struct rk_repo *repo, struct rk_slice did, bool *look)
{
	const struct rk_seen *seen = &sweep->seen[record->collection];
	const uint32_t by_document = RK_ISSUE_BIT(DUPLICATE) | RK_ISSUE_BIT(UNLINKED);
	const struct rk_seen_id *found;
	struct rk_item *item;
	struct rk_oid target;
	uint8_t flags = 0;
	bool derived;
	int r;

	*look = false;
	if (record->flags & RK_RECORD_INVALID)
		return 0;
	derived = rk_document_id(&target, record->ref, did, record->collection, record->rkey);
	found = rk_seen_find(seen, &target);
	switch (record->link) {
	case RK_LINK_UNKNOWN:
		*look = rk_repo_is_active(repo) && !(repo->flags & RK_REPO_TOMBSTONE);
		/* To mark what waits for its second look would be to begin with the first again. */
		r = *look ? rk_read_pending_flags(sweep->mirror->snapshot, &flags, record->repo,
				    record->collection, record->rkey)
			  : RK_STORE_ABSENT;
		*look &= r == RK_STORE_ABSENT || !(flags & RK_PENDING_LOOKED);
		return r == RK_STORE_ABSENT ? 0 : r;
	case RK_LINK_LINKED:
		*look = found ? !found->links : !(derived && rk_seen_names(seen, record->rkey));
		return 0;
	case RK_LINK_NONE:
		*look = !found && record->issues & by_document;
		return 0;
	default:
		break;
	}
	/* A conflict without a document: over a ref that is somebody's for ever, or over a code. */
	if (found)
		return 0;
	r = rk_round_add(&sweep->round, record, did, 0);
	if (r)
		return r;
	item = &sweep->round.items[sweep->round.count - 1];
	r = rk_item_decide(&sweep->round, item);
	*look = r == 0 && item->state == RK_ITEM_OPEN &&
		item->decision.action == RK_ACTION_NOTHING &&
		item->decision.link != RK_LINK_CONFLICT;
	sweep->round.count--;
	return r;
}

/* Up to a chunk of records after `from`; *more: there may be others. */
static int records_chunk(
	struct rk_sweep *sweep, rk_repo_id id, uint8_t collection, struct rk_buf *from, bool *more)
{
	struct rk_snapshot *s = sweep->mirror->snapshot;
	struct rk_arena *arena = &sweep->round.arena;
	struct rk_record record;
	struct rk_slice did;
	struct rk_repo repo;
	char *copy;
	int r = rk_snapshot_begin(s);

	if (r)
		return r;
	sweep->round.now_ms = rk_clock_wall_ms();
	r = rk_read_repo(s, &repo, id);
	copy = r == 0 ? rk_arena_copy(arena, repo.did) : NULL;
	if (r == 0 && !copy)
		r = -ENOMEM;
	did = r == 0 ? rk_slice_make(copy, repo.did.len) : (struct rk_slice){0};
	for (int i = 0; r == 0 && i < CHUNK; i++) {
		bool look;

		r = rk_read_record_after(s, &record, id, collection, rk_buf_slice(from));
		if (r)
			break;
		rk_buf_clear(from);
		rk_buf_add_slice(from, record.rkey);
		r = rk_buf_failed(from);
		if (r == 0)
			r = record_judge(sweep, &record, &repo, did, &look);
		if (r == 0 && look) {
			r = rk_round_add(&sweep->round, &record, did, 0);
			if (r == 0)
				sweep->round.items[sweep->round.count - 1].state = RK_ITEM_AGAIN;
			sweep->marked++;
		}
	}
	rk_snapshot_end(s);
	*more = r == 0;
	return rk_read_ended(r);
}

static int repo_records(struct rk_sweep *sweep, rk_repo_id id)
{
	struct rk_buf from = {0};
	int r = 0;

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		bool more = true;

		rk_buf_clear(&from);
		while (r == 0 && more) {
			r = records_chunk(sweep, id, (uint8_t)i, &from, &more);
			if (r == 0)
				r = rk_sweep_tell(sweep);
		}
	}
	rk_buf_finish(&from);
	return r;
}

int rk_sweep_records(struct rk_sweep *sweep)
{
	struct rk_mirror *mirror = sweep->mirror;
	rk_repo_id id = 0;
	int r = 0;

	while (r == 0) {
		struct rk_repo repo;
		bool claimed, records;
		size_t done;

		if (rk_mirror_stopping(mirror))
			return -ECANCELED;
		r = rk_snapshot_begin(mirror->snapshot);
		if (r)
			return r;
		r = rk_read_repo_after(mirror->snapshot, &repo, id);
		claimed = r == 0 && rk_users_by_did(&mirror->users, repo.did);
		rk_snapshot_end(mirror->snapshot);
		if (r)
			break;
		id = repo.id;
		records = false;
		for (int i = 0; i < RK_COLLECTION_COUNT; i++)
			records |= repo.counts[i] > 0;
		if (!records)
			continue;
		if (!claimed && !(repo.flags & (RK_REPO_UNCLAIMED | RK_REPO_TOMBSTONE)) &&
			rk_repo_is_active(&repo))
			r = rk_claims_mark(mirror, id);
		else
			r = repo_records(sweep, id);
		if (r == 0)
			r = rk_mirror_step(mirror, &done);
	}
	return rk_read_ended(r);
}

struct gathering {
	struct rk_sweep *sweep;
	int error;
};

static bool vanished_add(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct gathering *gathering = context;
	struct rk_document document = {0};

	if (issue->collection >= 0 && issue->collection < RK_COLLECTION_COUNT &&
		rk_oid_parse(&document.id, issue->ref))
		gathering->error =
			rk_seen_add(&gathering->sweep->vanished[issue->collection], &document);
	return gathering->error == 0;
}

int rk_sweep_vanished(struct rk_sweep *sweep)
{
	struct gathering gathering = {sweep, 0};
	int r = rk_snapshot_begin(sweep->mirror->snapshot);

	if (r)
		return r;
	r = rk_read_issues(sweep->mirror->snapshot, RK_ISSUE_VANISHED, 0, (struct rk_slice){0},
		vanished_add, &gathering);
	rk_snapshot_end(sweep->mirror->snapshot);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		rk_seen_seal(&sweep->vanished[i]);
	return r ? rk_read_found(r) : gathering.error;
}

/* Issues of documents that are no longer true. */
struct over {
	struct rk_sweep *sweep;
	struct rk_issue list[CHUNK];
	struct rk_oid ids[CHUNK];
	size_t count;
	uint8_t position[512];
	size_t position_len;
};

static bool over_add(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct over *over = context;
	const struct rk_sweep *sweep = over->sweep;
	struct rk_oid id;
	bool stays;

	if (position.len > sizeof(over->position))
		return false;
	memcpy(over->position, position.data, position.len);
	over->position_len = position.len;
	if (issue->collection < 0 || issue->collection >= RK_COLLECTION_COUNT ||
		!rk_oid_parse(&id, issue->ref))
		return true;
	if (issue->kind == RK_ISSUE_DANGLING) {
		stays = rk_seen_find(&sweep->dangling[issue->collection], &id);
	} else {
		const struct rk_seen_id *seen = rk_seen_find(&sweep->seen[issue->collection], &id);
		stays = seen && seen->links;
	}
	if (!stays) {
		over->list[over->count] = *issue;
		over->ids[over->count++] = id;
	}
	return over->count < CHUNK;
}

static int over_write(void *context, struct rk_write *w)
{
	const struct over *over = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < over->count; i++) {
		const struct rk_issue *issue = &over->list[i];
		char hex[RK_OID_LEN + 1];

		rk_oid_format(hex, &over->ids[i]);
		r = rk_write_issue_clear(w, (enum rk_issue_kind)issue->kind, issue->repo,
			issue->collection, rk_slice_str(hex));
	}
	return r;
}

static int issues_over(struct rk_sweep *sweep, enum rk_issue_kind kind)
{
	struct rk_mirror *mirror = sweep->mirror;
	struct over *over = calloc(1, sizeof(*over));
	int r = over ? 0 : -ENOMEM;

	while (r == 0) {
		over->sweep = sweep;
		over->count = 0;
		r = rk_snapshot_begin(mirror->snapshot);
		if (r)
			break;
		r = rk_read_issues(mirror->snapshot, (int)kind, 0,
			rk_slice_make(over->position, over->position_len), over_add, over);
		rk_snapshot_end(mirror->snapshot);
		if (r || over->count == 0)
			break;
		r = rk_writer_call(mirror->writer, over_write, over);
		if (over->count < CHUNK)
			break;
	}
	free(over);
	return rk_read_found(r);
}

/* Records that MongoDB refused: for a value that was taken, or by another rule. */
struct refused {
	struct rk_sweep *sweep;
	struct rk_buf *from; /* of the last one taken */
	int error;
};

static bool refused_add(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct refused *refused = context;
	struct rk_sweep *sweep = refused->sweep;
	struct rk_snapshot *s = sweep->mirror->snapshot;
	bool taken = rk_slice_starts(issue->message, rk_slice_str(RK_CODE_TAKEN)) ||
		rk_slice_starts(issue->message, rk_slice_str(RK_VALUE_TAKEN));
	struct rk_record record;
	struct rk_repo repo;
	int r;

	if ((!taken && issue->kind == RK_ISSUE_CONFLICT) || issue->rkey.len == 0 ||
		issue->collection < 0)
		return true;
	r = rk_read_repo(s, &repo, issue->repo);
	if (r == 0)
		r = rk_read_record(
			s, &record, issue->repo, (uint8_t)issue->collection, issue->rkey);
	if (r == 0)
		r = rk_round_add(&sweep->round, &record, repo.did, 0);
	if (r == 0) {
		struct rk_item *item = &sweep->round.items[sweep->round.count - 1];

		item->refused = taken;
		/* What was refused of a document that has its key was an update; for a code it need not be. */
		if (issue->kind == RK_ISSUE_CONFLICT ? record.flags & RK_RECORD_RENAMED
						     : record.link != RK_LINK_NONE)
			item->flags = RK_PENDING_UPDATED;
		r = rk_round_prepare(&sweep->round, item, &record);
	}
	rk_buf_clear(refused->from);
	rk_buf_add_slice(refused->from, position);
	if (r == 0)
		r = rk_buf_failed(refused->from);
	refused->error = r == RK_STORE_ABSENT ? 0 : r;
	return refused->error == 0 && sweep->round.count < REFUSED_MOST;
}

/* Those whose value is free now, or whose document has changed, are looked at again: some in each sweep, going on
 * where the one before ended. */
static int refused_retry(struct rk_sweep *sweep, enum rk_issue_kind kind, struct rk_buf *from)
{
	struct rk_mirror *mirror = sweep->mirror;
	struct refused refused = {.sweep = sweep, .from = from};
	int r = rk_snapshot_begin(mirror->snapshot);

	if (r)
		return r;
	sweep->round.now_ms = rk_clock_wall_ms();
	r = rk_read_issues(
		mirror->snapshot, (int)kind, 0, rk_buf_slice(from), refused_add, &refused);
	rk_snapshot_end(mirror->snapshot);
	if (r == 0)
		r = refused.error;
	if (sweep->round.count < REFUSED_MOST)
		rk_buf_clear(from);
	for (size_t i = 0; r == 0 && i < sweep->round.count; i++) {
		struct rk_item *item = &sweep->round.items[i];
		struct rk_mongo_taken who = {0};
		bool stands = false, unknown;

		if (item->refused)
			r = rk_mongo_taken(mirror->mongo, &who, &sweep->round.arena,
				&rk_collections[item->collection], &item->target, item->code,
				kind == RK_ISSUE_CONFLICT ? (struct rk_slice){0} : item->slug,
				item->user);
		else
			r = rk_refusal_stands(mirror, item, &stands);
		/* A conflict no longer, if the code is the owner's own by now. */
		if (who.code && kind == RK_ISSUE_CONFLICT)
			who.code = !rk_slice_equal(
				rk_document_did(mirror, &who.code_holder, &unknown), item->did);
		stands |= who.code || who.slug;
		item->state = r == 0 && !stands ? RK_ITEM_AGAIN : RK_ITEM_STALE;
	}
	r = rk_read_found(r);
	return r ? r : rk_sweep_tell(sweep);
}

int rk_sweep_issues(struct rk_sweep *sweep)
{
	int r = issues_over(sweep, RK_ISSUE_DANGLING);

	if (r == 0)
		r = issues_over(sweep, RK_ISSUE_VANISHED);
	if (r == 0)
		r = refused_retry(sweep, RK_ISSUE_REJECTED, &sweep->mirror->rejected_from);
	return r ? r : refused_retry(sweep, RK_ISSUE_CONFLICT, &sweep->mirror->conflict_from);
}
