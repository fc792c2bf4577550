/*
 * THE record write; see struct rk_change. What a record was is read and copied first, then its
 * entries are taken away and the new ones put, so that every table follows from the record's value.
 */
#include "store/inside.h"

#include <errno.h>

#include "store/heads.h"

struct change {
	struct rk_write *w;
	const struct rk_change *in;
	rk_repo_id repo;
	uint8_t repo_flags; /* enum rk_repo_flag */
	int64_t added[RK_COLLECTION_COUNT];
};

/* The record as it is stored, copied. ABSENT: none. */
static int old_read(struct rk_write *w, struct rk_record *out, rk_repo_id repo, uint8_t collection,
	struct rk_slice rkey)
{
	int r = rk_read_record(&w->view, out, repo, collection, rkey);

	if (r == 0)
		r = rk_write_keep_record(w, out);
	return rk_read_asked(r);
}

static int seen_take(
	struct rk_write *w, uint8_t *flags, rk_repo_id repo, const struct rk_change_record *record)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	*flags = 0;
	rk_key_record(&key, repo, record->collection, record->rkey);
	r = rk_table_get(&w->view, RK_TABLE_SEEN, rk_key_slice(&key), &value);
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	if (value.len == 1)
		*flags = value.data[0];
	return rk_table_del(w, RK_TABLE_SEEN, rk_key_slice(&key), (struct rk_slice){0});
}

/* fresh: the record was not there before. */
static int pending_record(
	struct change *c, const struct rk_record *record, uint8_t flags, bool fresh)
{
	struct rk_key_buf key = {0};
	const uint8_t keep = RK_PENDING_UPDATED | RK_PENDING_RECOVER | RK_PENDING_RESTORE;

	rk_key_pending(
		&key, false, (struct rk_slice){0}, record->repo, record->collection, record->rkey);
	if (record->flags & RK_RECORD_INVALID && !(record->flags & RK_RECORD_CODE_TAKEN))
		return rk_pending_remove(c->w, rk_key_slice(&key));
	if (fresh)
		return rk_pending_make(
			c->w, rk_key_slice(&key), flags, c->in->now_us / 1000, record->rkey);
	return rk_pending_put(
		c->w, rk_key_slice(&key), flags, keep, c->in->now_us / 1000, 0, record->rkey);
}

/* The record no longer stands for its ref: the document is to be looked at. */
static int pending_gone(struct change *c, const struct rk_record *old, bool vanished)
{
	struct rk_key_buf key = {0};
	uint8_t flags = RK_PENDING_GONE | (vanished ? RK_PENDING_VANISHED : 0);

	if (c->repo_flags & RK_REPO_TOMBSTONE || old->flags & RK_RECORD_WITHDRAWN)
		return 0;
	/* An invalid one whose link is not known may have been linked by the site, or while it was valid. */
	if (old->flags & RK_RECORD_INVALID &&
		(old->link == RK_LINK_NONE || old->link == RK_LINK_CONFLICT))
		return 0;
	rk_key_pending(&key, true, old->ref, old->repo, old->collection, old->rkey);
	return rk_pending_put(
		c->w, rk_key_slice(&key), flags, 0, c->in->now_us / 1000, 0, old->rkey);
}

static int record_remove(struct change *c, const struct rk_change_record *change)
{
	struct rk_key_buf pending = {0};
	struct rk_record old;
	uint8_t seen;
	int r = seen_take(c->w, &seen, c->repo, change);

	if (r)
		return r;
	r = old_read(c->w, &old, c->repo, change->collection, change->rkey);
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	rk_key_pending(
		&pending, false, (struct rk_slice){0}, c->repo, change->collection, change->rkey);
	r = rk_lookup_remove(c->w, &old);
	if (r == 0)
		r = rk_issues_set(
			c->w, &old, UINT32_MAX, 0, (struct rk_slice){0}, c->in->now_us / 1000);
	if (r == 0)
		r = rk_pending_remove(c->w, rk_key_slice(&pending));
	if (r == 0)
		r = rk_record_remove(c->w, &old);
	if (r == 0)
		r = pending_gone(c, &old, c->in->vanished && !(seen & RK_PENDING_DELETED));
	if (r == 0)
		c->added[change->collection]--;
	return r;
}

/* What a version of a record takes over from the one before it. */
static int record_succeed(
	struct change *c, struct rk_record *record, const struct rk_record *old, uint8_t *pending)
{
	bool same_ref = rk_slice_equal(old->ref, record->ref);
	bool same_code = rk_slice_equal(old->code, record->code);
	bool renamed = !same_code || !rk_slice_equal(old->slug, record->slug) ||
		old->flags & RK_RECORD_CODE_TAKEN;

	record->issues = old->issues;
	record->flags |= old->flags & (RK_RECORD_FIRST | (same_code ? RK_RECORD_CODE_TAKEN : 0));
	/* Whoever claims a ref or code by an update comes after all who had it before. */
	if ((same_ref || record->ref.len == 0) && (same_code || record->code.len == 0))
		record->first = old->first;
	if (same_ref || record->ref.len == 0) {
		record->link = old->link;
		record->flags |= old->flags & (RK_RECORD_UNREF | RK_RECORD_RENAMED);
		if (renamed)
			record->flags |= RK_RECORD_RENAMED;
		if (same_ref)
			*pending |= RK_PENDING_UPDATED;
		else /* the link stays, and with it the fact that there was a ref */
			record->flags |= RK_RECORD_UNREF;
		return 0;
	}
	if (c->in->source == RK_CHANGE_LIVE)
		record->flags &= (uint8_t)~RK_RECORD_FIRST;
	/* Without a ref it was linked to a document found otherwise; that may be the very one it names
	 * now, which the mirror sees. */
	return old->ref.len || old->link == RK_LINK_LINKED ? pending_gone(c, old, false) : 0;
}

/* The version is in already. Seen live after all, it is no longer only what a first fetch found. */
static int record_witness(struct change *c, struct rk_record *old)
{
	int r;

	if (c->in->source != RK_CHANGE_LIVE || !(old->flags & RK_RECORD_FIRST))
		return 0;
	old->flags &= (uint8_t)~RK_RECORD_FIRST;
	r = rk_record_put(c->w, old);
	return r ? r : pending_record(c, old, 0, false);
}

static int record_put(struct change *c, const struct rk_change_record *change)
{
	const struct rk_facts *facts = &change->read.facts;
	struct rk_record old,
		record = {
			.repo = c->repo,
			.collection = change->collection,
			.rkey = change->rkey,
			.cid = change->cid,
			.ref = facts->ref,
			.code = facts->code,
			.slug = facts->slug,
			.has_when = facts->has_when,
			.when_ms = facts->when_ms,
			.first = c->w->first,
			.indexed_us = c->in->now_us,
			.flags = facts->invalid ? RK_RECORD_INVALID : 0,
			.json = change->read.json,
		};
	const uint32_t all = UINT32_MAX;
	uint8_t seen, pending = 0;
	int found, r = seen_take(c->w, &seen, c->repo, change);

	if (r)
		return r;
	found = old_read(c->w, &old, c->repo, change->collection, change->rkey);
	if (found < 0)
		return found;
	if (found == 0 && rk_cid_equal(&old.cid, &change->cid))
		return record_witness(c, &old);
	if (found == 0) {
		r = rk_lookup_remove(c->w, &old);
		if (r == 0)
			r = record_succeed(c, &record, &old, &pending);
	} else {
		if (c->in->source == RK_CHANGE_FIRST && !(seen & RK_PENDING_APPEARED))
			record.flags |= RK_RECORD_FIRST;
		c->added[change->collection]++;
	}
	if (r == 0)
		r = rk_issues_set(c->w, &record, all, facts->invalid ? 1u << RK_ISSUE_INVALID : 0,
			rk_slice_str(facts->invalid), c->in->now_us / 1000);
	if (r == 0)
		r = rk_lookup_add(c->w, &record);
	if (r == 0)
		r = found == 0 ? rk_record_put(c->w, &record) : rk_record_make(c->w, &record);
	if (record.first == c->w->first)
		c->w->first++;
	/* An update that was seen while the copy was on its way counts, whatever was held before. */
	pending |= seen & RK_PENDING_UPDATED;
	if (r == 0)
		r = pending_record(c, &record, pending, found != 0);
	return r;
}

int rk_write_withdrawn(struct rk_write *w, rk_repo_id repo, uint8_t collection,
	struct rk_slice rkey, bool withdrawn)
{
	struct rk_record record;
	int r;

	rk_arena_reset(&w->arena);
	r = old_read(w, &record, repo, collection, rkey);
	if (r || withdrawn == !!(record.flags & RK_RECORD_WITHDRAWN))
		return r;
	record.flags ^= RK_RECORD_WITHDRAWN;
	return rk_record_put(w, &record);
}

/* The repo as it is now: as it was, or as the change has it, with the counts in step with what was added. */
static int repo_settle(struct change *c, const struct rk_repo *old)
{
	struct rk_repo now = *old, held;
	bool changed = c->in->head != NULL;
	int r;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		changed = changed || c->added[i];
	if (!changed)
		return 0;
	if (c->in->head) {
		now = *c->in->head;
	} else { /* the DID has moved since it was read */
		r = rk_read_repo(&c->w->view, &held, c->repo);
		if (r)
			return rk_read_found(r);
		now.did = held.did;
	}
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		now.counts[i] = old->counts[i] + (uint32_t)c->added[i];
		c->w->counts.records[i] += (uint64_t)c->added[i];
	}
	return rk_write_repo_over(c->w, old, &now);
}

int rk_write_change(struct rk_write *w, const struct rk_change *change)
{
	struct change c = {.w = w, .in = change, .repo = change->repo};
	struct rk_repo repo;
	int r = 0;

	if (change->count == 0 && !change->head)
		return 0;
	if (change->held)
		repo = *change->held;
	else
		r = rk_read_repo(&w->view, &repo, change->repo);
	if (r)
		return rk_read_found(r);
	c.repo_flags = repo.flags;
	for (size_t i = 0; r == 0 && i < change->count; i++) {
		const struct rk_change_record *record = &change->records[i];

		if (repo.flags & RK_REPO_TOMBSTONE && rk_cid_is_set(&record->cid))
			continue;
		rk_arena_reset(&w->arena); /* a change may be a whole repo */
		r = rk_cid_is_set(&record->cid) ? record_put(&c, record)
						: record_remove(&c, record);
	}
	if (r == 0)
		r = repo_settle(&c, &repo);
	/* If the transaction comes to nothing, no repo is read that is at that head. */
	if (r == 0 && change->head && change->commit)
		rk_heads_note(w->view.store->heads, &repo, change->head, change->commit);
	return r;
}

int rk_write_seen(struct rk_write *w, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	enum rk_pending_flag seen)
{
	struct rk_key_buf key = {0};
	uint8_t flags = (uint8_t)seen;
	struct rk_slice held;
	int r;

	/* The last thing seen counts: created and deleted again is deleted; an update adds to it. */
	rk_key_record(&key, repo, collection, rkey);
	if (seen == RK_PENDING_UPDATED) {
		r = rk_table_get(&w->view, RK_TABLE_SEEN, rk_key_slice(&key), &held);
		if (r < 0)
			return r;
		if (r == 0 && held.len == 1)
			flags |= held.data[0];
	}
	return rk_table_put(w, RK_TABLE_SEEN, rk_key_slice(&key), rk_slice_make(&flags, 1));
}

int rk_write_seen_clear(struct rk_write *w, rk_repo_id repo)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = rk_table_cursor(&w->view, RK_TABLE_SEEN, &cursor);

	if (r)
		return r;
	rk_key_uint(&key, repo, 4);
	for (;;) {
		k = rk_val(rk_key_slice(&key));
		r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
		if (r || !rk_slice_starts(rk_val_slice(k), rk_key_slice(&key)))
			break;
		r = mdb_cursor_del(cursor, 0);
		if (r)
			break;
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}
