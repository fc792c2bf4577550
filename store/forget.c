/*
 * Forgetting a repo: its records and all that follows from them go, piece by piece. What stays keeps it
 * forgotten: the repo's entry with RK_REPO_TOMBSTONE, and of each ref whose it was, so that nobody else
 * can take it up. No text, no code, no handle.
 */
#include <errno.h>

#include "atproto/mst.h"
#include "store/inside.h"

typedef bool entry_is_of(struct rk_slice key, struct rk_slice value, rk_repo_id repo);

/* Drops the entries of a table that are the repo's. */
static int entries_drop(struct rk_write *w, enum rk_table table, entry_is_of *is_of,
	rk_repo_id repo, int (*drop)(struct rk_write *w, struct rk_slice key))
{
	struct rk_key_buf at = {0};

	for (;;) {
		MDB_cursor *cursor;
		MDB_val k = rk_val(rk_key_slice(&at)), v;
		int r = rk_table_cursor(&w->view, table, &cursor);

		if (r)
			return r;
		r = mdb_cursor_get(cursor, &k, &v, at.len ? MDB_SET_RANGE : MDB_FIRST);
		while (r == 0 && !is_of(rk_val_slice(k), rk_val_slice(v), repo))
			r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		at = (struct rk_key_buf){0};
		if (r == 0)
			rk_key_add(&at, rk_val_slice(k));
		mdb_cursor_close(cursor);
		if (r)
			return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
		r = drop(w, rk_key_slice(&at)); /* the next one is found from its place on */
		if (r)
			return r;
	}
}

static bool pending_is_of(struct rk_slice key, struct rk_slice value, rk_repo_id repo)
{
	struct rk_pending pending;

	return rk_value_pending_read(&pending, key, value) && pending.repo == repo;
}

static bool issue_is_of(struct rk_slice key, struct rk_slice value, rk_repo_id repo)
{
	struct rk_issue issue;

	return rk_value_issue_read(&issue, key, value) && issue.repo == repo;
}

static int issue_drop(struct rk_write *w, struct rk_slice key)
{
	uint8_t kind = key.data[0];

	if (kind >= RK_ISSUE_COUNT)
		return -EUCLEAN;
	w->counts.issues[kind]--;
	return rk_table_del(w, RK_TABLE_ISSUE, key, (struct rk_slice){0});
}

/* The handle goes; the key and host stay, with which frames are told from forged ones. */
static int handle_drop(struct rk_write *w, struct rk_slice did)
{
	struct rk_identity identity;
	int r = rk_read_identity(&w->view, &identity, did);

	if (r || identity.handle.len + identity.refused.len == 0)
		return rk_read_ended(r);
	return rk_write_identity(w, did, &identity);
}

static int mark(struct rk_write *w, struct rk_repo *repo, struct rk_slice did)
{
	int r = rk_write_repo_make(w, repo, did);

	if (r || repo->flags & RK_REPO_TOMBSTONE)
		return r;
	repo->flags |= RK_REPO_TOMBSTONE;
	repo->flags &= (uint8_t) ~(RK_REPO_PURGE | RK_REPO_UNCLAIMED);
	repo->sync = RK_SYNC_SYNCHRONIZED;
	repo->failures = 0;
	r = rk_write_repo(w, repo);
	if (r == 0)
		r = rk_write_seen_clear(w, repo->id);
	if (r == 0)
		r = entries_drop(w, RK_TABLE_PENDING, pending_is_of, repo->id, rk_pending_remove);
	if (r == 0)
		r = handle_drop(w, did);
	return r;
}

int rk_write_tombstone(struct rk_write *w, struct rk_slice did)
{
	struct rk_repo repo;

	return mark(w, &repo, did);
}

static int records_drop(struct rk_write *w, rk_repo_id repo, uint8_t collection, size_t *most)
{
	struct rk_change_record one = {.collection = collection};
	const struct rk_change change = {.repo = repo, .records = &one, .count = 1};
	struct rk_record record;
	int r = 0;

	for (; r == 0 && *most > 0; --*most) {
		uint8_t rkey
			[RK_MST_KEY_MOST]; /* see indexer/difference.c: older ones may be no record key */

		r = rk_read_record_after(&w->view, &record, repo, collection, (struct rk_slice){0});
		if (r == 0 && record.rkey.len > sizeof(rkey))
			r = -EUCLEAN;
		if (r)
			break;
		memcpy(rkey, record.rkey.data, record.rkey.len);
		one.rkey = rk_slice_make(rkey, record.rkey.len);
		r = rk_write_change(w, &change);
	}
	return rk_read_ended(r);
}

int rk_write_forget(struct rk_write *w, struct rk_slice did, size_t most, bool *more)
{
	struct rk_repo repo;
	int r = mark(w, &repo, did);

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = records_drop(w, repo.id, (uint8_t)i, &most);
	*more = most == 0;
	/* Records take theirs with them: these are of documents and of the account. */
	if (r == 0 && !*more)
		r = entries_drop(w, RK_TABLE_ISSUE, issue_is_of, repo.id, issue_drop);
	return r;
}
