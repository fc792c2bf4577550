/* Work for MongoDB: entries by record, in order of when they are due; and what comes back of it. */
#include "store/inside.h"

#include <errno.h>

#include "base/clock.h"

static void due_key(struct rk_key_buf *key, const struct rk_pending *pending)
{
	rk_key_uint(key, rk_key_time(pending->due_ms), 8);
	rk_key_uint(key, pending->generation, 8);
}

/* The entry at a key, or ABSENT. Its slices move at the next write. */
static int entry_get(struct rk_write *w, struct rk_pending *out, struct rk_slice key)
{
	struct rk_slice value;
	int r = rk_table_get(&w->view, RK_TABLE_PENDING, key, &value);

	if (r)
		return r;
	return rk_value_pending_read(out, key, value) ? 0 : -EUCLEAN;
}

int rk_pending_remove(struct rk_write *w, struct rk_slice key)
{
	struct rk_key_buf due = {0};
	struct rk_pending old;
	int r = entry_get(w, &old, key);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	due_key(&due, &old);
	r = rk_table_del(w, RK_TABLE_DUE, rk_key_slice(&due), (struct rk_slice){0});
	return r ? r : rk_table_del(w, RK_TABLE_PENDING, key, (struct rk_slice){0});
}

static int entry_write(struct rk_write *w, struct rk_slice key, struct rk_pending *now)
{
	const bool gone = key.len && key.data[0] == 'G';
	struct rk_key_buf due = {0};
	int r;

	/* Whether the record is gone is the key's to say. */
	now->flags = (uint8_t)((now->flags & ~RK_PENDING_GONE) | (gone ? RK_PENDING_GONE : 0));
	due_key(&due, now);
	r = rk_table_put(w, RK_TABLE_DUE, rk_key_slice(&due), key);
	if (r)
		return r;
	rk_buf_clear(&w->value);
	rk_value_pending(&w->value, now);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	return rk_table_put(w, RK_TABLE_PENDING, key, rk_buf_slice(&w->value));
}

int rk_pending_make(struct rk_write *w, struct rk_slice key, uint8_t flags, int64_t due_ms,
	struct rk_slice rkey)
{
	struct rk_pending now = {
		.flags = flags,
		.generation = w->generation++,
		.due_ms = due_ms,
		.rkey = rkey,
	};

	return entry_write(w, key, &now);
}

int rk_pending_put(struct rk_write *w, struct rk_slice key, uint8_t flags, uint8_t keep,
	int64_t due_ms, uint32_t attempts, struct rk_slice rkey)
{
	struct rk_key_buf due = {0};
	struct rk_pending old,
		now = {
			.flags = flags,
			.generation = w->generation++,
			.due_ms = due_ms,
			.attempts = attempts,
			.rkey = rkey,
		};
	int r = entry_get(w, &old, key);

	if (r < 0)
		return r;
	if (r == 0) {
		now.flags |= old.flags & keep;
		due_key(&due, &old);
		r = rk_table_del(w, RK_TABLE_DUE, rk_key_slice(&due), (struct rk_slice){0});
		if (r)
			return r;
	}
	return entry_write(w, key, &now);
}

int rk_write_pending(struct rk_write *w, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	uint8_t flags, int64_t due_ms)
{
	struct rk_key_buf key = {0};
	struct rk_record record;
	struct rk_repo owner;
	int r = rk_read_record(&w->view, &record, repo, collection, rkey);

	if (r == 0)
		r = rk_read_repo(&w->view, &owner, repo);
	if (r)
		return rk_read_asked(r);
	/* Of an invalid one MongoDB is asked for its code alone. */
	if ((record.flags & RK_RECORD_INVALID && record.code.len == 0) ||
		owner.flags & RK_REPO_TOMBSTONE)
		return 0;
	rk_key_pending(&key, false, (struct rk_slice){0}, repo, collection, rkey);
	return rk_pending_put(
		w, rk_key_slice(&key), flags, UINT8_MAX & ~RK_PENDING_LOOKED, due_ms, 0, rkey);
}

int rk_read_pending(struct rk_snapshot *s, int64_t now_ms, rk_pending_visit *visit, void *context)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int bad = 0, r = rk_table_cursor(s, RK_TABLE_DUE, &cursor);

	if (r)
		return r;
	for (r = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); r == 0;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct rk_reader reader = rk_reader_make(rk_val_slice(k));
		int64_t due = (int64_t)(rk_reader_uint(&reader, 8) ^ (UINT64_C(1) << 63));
		struct rk_pending pending;
		struct rk_slice value;

		if (due > now_ms)
			break;
		bad = rk_table_get(s, RK_TABLE_PENDING, rk_val_slice(v), &value);
		if (bad == 0 && !rk_value_pending_read(&pending, rk_val_slice(v), value))
			bad = RK_STORE_CORRUPT;
		if (bad || !visit(context, &pending))
			break;
	}
	mdb_cursor_close(cursor);
	if (bad)
		return bad < 0 ? bad : RK_STORE_CORRUPT;
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}

int rk_read_pending_due(struct rk_snapshot *s, int64_t *due_ms)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = rk_table_cursor(s, RK_TABLE_DUE, &cursor);

	*due_ms = INT64_MAX;
	if (r)
		return r;
	r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_FIRST));
	if (r == 0) {
		struct rk_reader reader = rk_reader_make(rk_val_slice(k));
		*due_ms = (int64_t)(rk_reader_uint(&reader, 8) ^ (UINT64_C(1) << 63));
	}
	mdb_cursor_close(cursor);
	return r == RK_STORE_ABSENT ? 0 : r;
}

int rk_read_pending_flags(struct rk_snapshot *s, uint8_t *flags, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	struct rk_key_buf key = {0};
	struct rk_pending entry;
	struct rk_slice value;
	int r;

	rk_key_pending(&key, false, (struct rk_slice){0}, repo, collection, rkey);
	r = rk_table_get(s, RK_TABLE_PENDING, rk_key_slice(&key), &value);
	if (r)
		return r;
	if (!rk_value_pending_read(&entry, rk_key_slice(&key), value))
		return RK_STORE_CORRUPT;
	*flags = entry.flags;
	return 0;
}

struct of_ref {
	struct rk_snapshot *s;
	rk_repo_id repo;
	bool found;
	int error;
};

static bool record_has_work(void *context, const struct rk_record *record)
{
	struct of_ref *of = context;
	uint8_t flags;
	int r;

	if (record->repo != of->repo)
		return true;
	r = rk_read_pending_flags(of->s, &flags, record->repo, record->collection, record->rkey);
	of->found = r == 0;
	of->error = r == RK_STORE_ABSENT ? 0 : r;
	return r == RK_STORE_ABSENT;
}

int rk_read_pending_ref(
	struct rk_snapshot *s, bool *out, rk_repo_id repo, uint8_t collection, struct rk_slice ref)
{
	struct of_ref of = {.s = s, .repo = repo};
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = rk_read_ref_all(s, collection, ref, record_has_work, &of);

	*out = of.found;
	if (r || of.error || of.found)
		return r ? r : of.error;
	/* All of the key but the rkey. */
	rk_key_pending(&key, true, ref, repo, collection, (struct rk_slice){0});
	r = rk_table_cursor(s, RK_TABLE_PENDING, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
	*out = r == 0 && rk_slice_starts(rk_val_slice(k), rk_key_slice(&key));
	mdb_cursor_close(cursor);
	return r == RK_STORE_ABSENT ? 0 : r;
}

static int entry_settle(struct rk_write *w, const struct rk_link_result *result)
{
	struct rk_pending entry;
	struct rk_slice rkey;
	uint32_t attempts;
	int r = entry_get(w, &entry, result->pending_key);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	if (entry.generation != result->generation)
		return 0; /* changed meanwhile: to be looked at again */
	if (!result->again)
		return rk_pending_remove(w, result->pending_key);
	rkey = entry.rkey;
	attempts = entry.attempts + 1;
	r = rk_write_keep(w, &rkey);
	return r ? r
		 : rk_pending_put(w, result->pending_key, result->flags, 0, result->due_ms,
			   attempts, rkey);
}

static int record_settle(struct rk_write *w, const struct rk_link_result *result)
{
	const uint32_t refusals =
		UINT32_C(1) << RK_ISSUE_REJECTED | UINT32_C(1) << RK_ISSUE_CONFLICT;
	struct rk_record record;
	uint8_t flags;
	int r = rk_read_record(&w->view, &record, result->repo, result->collection, result->rkey);

	if (r)
		return rk_read_ended(r);
	if (rk_cid_is_set(&result->cid) && !rk_cid_equal(&result->cid, &record.cid))
		return 0;
	flags = (uint8_t)(record.flags & ~RK_RECORD_CODE_TAKEN);
	if (result->code_taken)
		flags |= RK_RECORD_CODE_TAKEN;
	if (!(((record.issues & ~result->judged) | (result->issues & result->judged)) & refusals))
		flags &= (uint8_t)~RK_RECORD_RENAMED;
	if (result->link == RK_LINK_LINKED)
		flags &= (uint8_t)~RK_RECORD_WITHDRAWN;
	if (record.link == (uint8_t)result->link && record.flags == flags &&
		!(result->judged & (record.issues | result->issues)))
		return 0;
	r = rk_write_keep_record(w, &record);
	if (r == 0)
		r = rk_lookup_remove(w, &record);
	record.link = (uint8_t)result->link;
	record.flags = flags;
	if (r == 0)
		r = rk_lookup_add(w, &record);
	if (r == 0)
		r = rk_issues_set(w, &record, result->judged, result->issues, result->message,
			rk_clock_wall_ms());
	return r ? r : rk_record_put(w, &record);
}

/* Whose the document of a ref is. */
static int owner_settle(struct rk_write *w, const struct rk_link_result *result)
{
	struct rk_key_buf key = {0}, now = {0};
	struct rk_owner_view view;
	int r;

	if (result->owner_ref.len == 0 || result->owner_ref.len > RK_REF_MOST)
		return 0;
	r = rk_read_owner(&w->view, &view, result->collection, result->owner_ref);
	if (r && r != RK_STORE_ABSENT)
		return rk_read_found(r);
	if (view.known && view.owner.repo == result->owner.repo)
		return 0;
	rk_key_ref(&key, result->collection, result->owner_ref);
	rk_key_uint(&now, result->owner.repo, 4);
	return rk_table_put(w, RK_TABLE_ANSWER, rk_key_slice(&key), rk_key_slice(&now));
}

int rk_write_link(struct rk_write *w, const struct rk_link_result *result)
{
	int r = 0;

	rk_arena_reset(&w->arena);
	if (result->pending_key.len)
		r = entry_settle(w, result);
	if (r == 0 && result->set_owner)
		r = owner_settle(w, result);
	if (r == 0 && result->set_link)
		r = record_settle(w, result);
	return r;
}
