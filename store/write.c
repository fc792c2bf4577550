/* Write transactions, and the plain writes: cursor, repos, identities. */
#include "store/inside.h"

#include <errno.h>
#include <sys/statvfs.h>

enum { FULL_BYTES = 1 << 20 }; /* with less than that left, a write may not fit */

static const struct rk_slice counts_name = RK_SLICE_LIT("counts");

int rk_write_begin(struct rk_write *w, struct rk_store *store)
{
	struct rk_slice value;
	int r;

	w->view = (struct rk_snapshot){.store = store};
	w->counts = (struct rk_counts){0};
	w->next_repo = 1;
	w->generation = 1;
	w->first = 1;
	rk_arena_reset(&w->arena);
	r = rk_lmdb_error(mdb_txn_begin(store->env, NULL, 0, &w->view.txn));
	if (r)
		return r;
	r = rk_table_get(&w->view, RK_TABLE_META, counts_name, &value);
	if (r == 0 && !rk_value_counts_read(w, value))
		r = RK_STORE_CORRUPT;
	if (r && r != RK_STORE_ABSENT) {
		mdb_txn_abort(w->view.txn);
		return rk_read_found(r);
	}
	return 0;
}

static void view_end(struct rk_write *w)
{
	/* LMDB frees a write transaction's cursors with it, but not this pointer to one. */
	w->view = (struct rk_snapshot){.store = w->view.store};
}

int rk_write_error(const struct rk_store *store, int r)
{
	struct statvfs fs;

	if (r == -EIO && statvfs(store->dir, &fs) == 0 &&
		(uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES)
		return -ENOSPC;
	return r;
}

int rk_write_commit(struct rk_write *w)
{
	int r;

	rk_buf_clear(&w->value);
	rk_value_counts(&w->value, w);
	r = rk_buf_failed(&w->value);
	if (r == 0)
		r = rk_table_put(w, RK_TABLE_META, counts_name, rk_buf_slice(&w->value));
	if (r) {
		rk_write_abort(w);
		return r;
	}
	r = rk_lmdb_error(mdb_txn_commit(w->view.txn));
	view_end(w);
	return rk_write_error(w->view.store, r);
}

void rk_write_abort(struct rk_write *w)
{
	mdb_txn_abort(w->view.txn);
	view_end(w);
}

void rk_write_finish(struct rk_write *w)
{
	rk_arena_finish(&w->arena);
	rk_buf_finish(&w->value);
}

int rk_write_keep(struct rk_write *w, struct rk_slice *bytes)
{
	char *copy;

	if (bytes->len == 0)
		return 0;
	copy = rk_arena_copy(&w->arena, *bytes);
	if (!copy)
		return -ENOMEM;
	bytes->data = (const uint8_t *)copy;
	return 0;
}

int rk_write_keep_record(struct rk_write *w, struct rk_record *record)
{
	struct rk_slice *parts[] = {
		&record->rkey, &record->ref, &record->code, &record->slug, &record->json};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = rk_write_keep(w, parts[i]);
	return r;
}

struct rk_snapshot *rk_write_view(struct rk_write *w)
{
	return &w->view;
}

int rk_write_cursor(struct rk_write *w, struct rk_slice source, const struct rk_cursor *cursor)
{
	struct rk_key_buf key = {0}, value = {0};

	rk_key_add(&key, (struct rk_slice)RK_SLICE_LIT("cursor "));
	rk_key_add(&key, source);
	rk_key_uint(&value, (uint64_t)cursor->seq, 8);
	rk_key_uint(&value, cursor->epoch, 4);
	return rk_table_put(w, RK_TABLE_META, rk_key_slice(&key), rk_key_slice(&value));
}

static void queue_key(struct rk_key_buf *key, const struct rk_repo *repo)
{
	rk_key_uint(key, (uint64_t)repo->retry_ms, 8);
	rk_key_uint(key, repo->id, 4);
}

static int repo_put(struct rk_write *w, const struct rk_repo *repo)
{
	struct rk_key_buf key = {0};

	rk_key_uint(&key, repo->id, 4);
	rk_buf_clear(&w->value);
	rk_value_repo(&w->value, repo);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	return rk_table_put(w, RK_TABLE_REPO, rk_key_slice(&key), rk_buf_slice(&w->value));
}

static void counts_move(struct rk_write *w, const struct rk_repo *repo, int by)
{
	if (!rk_repo_is_queued(repo))
		return;
	w->counts.desynchronized += (uint64_t)(int64_t)by;
	if (repo->failures < RK_FAILURES_READY)
		w->counts.unready += (uint64_t)(int64_t)by;
}

int rk_write_repo_over(struct rk_write *w, const struct rk_repo *old, const struct rk_repo *now)
{
	struct rk_key_buf key = {0}, before = {0}, after = {0};
	const bool was = rk_repo_is_queued(old), is = rk_repo_is_queued(now);
	int r = 0;

	/* Encoded before anything is written: the DID may be borrowed from LMDB. */
	rk_buf_clear(&w->value);
	rk_value_repo(&w->value, now);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	counts_move(w, old, -1);
	counts_move(w, now, 1);
	if (was) {
		queue_key(&before, old);
		r = rk_table_del(w, RK_TABLE_RESYNC, rk_key_slice(&before), (struct rk_slice){0});
	}
	if (r == 0 && is) {
		queue_key(&after, now);
		r = rk_table_put(w, RK_TABLE_RESYNC, rk_key_slice(&after), (struct rk_slice){0});
	}
	rk_key_uint(&key, now->id, 4);
	return r ? r : rk_table_put(w, RK_TABLE_REPO, rk_key_slice(&key), rk_buf_slice(&w->value));
}

int rk_write_repo(struct rk_write *w, const struct rk_repo *repo)
{
	struct rk_repo old, now = *repo;
	int r = rk_read_repo(&w->view, &old, repo->id);

	if (r)
		return rk_read_found(r);
	now.did = old.did;
	memcpy(now.counts, old.counts, sizeof(now.counts));
	return rk_write_repo_over(w, &old, &now);
}

int rk_write_repo_make(struct rk_write *w, struct rk_repo *out, struct rk_slice did)
{
	struct rk_key_buf key = {0}, id = {0}, queue = {0};
	int r = rk_read_repo_by_did(&w->view, out, did);

	if (r != RK_STORE_ABSENT)
		return rk_read_found(r);
	*out = (struct rk_repo){.id = w->next_repo, .did = did};
	rk_key_did(&key, did);
	rk_key_uint(&id, out->id, 4);
	queue_key(&queue, out);
	r = rk_table_put(w, RK_TABLE_DID, rk_key_slice(&key), rk_key_slice(&id));
	if (r == 0)
		r = rk_table_put(w, RK_TABLE_RESYNC, rk_key_slice(&queue), (struct rk_slice){0});
	if (r == 0)
		r = repo_put(w, out);
	if (r)
		return r;
	w->next_repo++;
	w->counts.repos++;
	counts_move(w, out, 1);
	return 0;
}

int rk_write_identity(struct rk_write *w, struct rk_slice did, const struct rk_identity *identity)
{
	struct rk_slice handle = identity->handle, holder;
	struct rk_key_buf key = {0};
	struct rk_identity old = {0}, now = *identity;
	struct rk_repo repo;
	int r = rk_read_identity(&w->view, &old, did);

	if (r < 0)
		return r;
	r = rk_read_repo_by_did(&w->view, &repo, did);
	if (r < 0)
		return r;
	if (r == 0 && repo.flags & RK_REPO_TOMBSTONE)
		now.handle = now.refused = handle = (struct rk_slice){0};
	rk_arena_reset(&w->arena);
	r = rk_write_keep(w, &old.handle);
	if (r == 0)
		r = rk_write_keep(w, &handle);
	if (r == 0)
		r = rk_write_keep(w, &did);
	if (r)
		return r;
	rk_key_did(&key, did);
	rk_buf_clear(&w->value);
	rk_value_identity(&w->value, &now);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	r = rk_table_put(w, RK_TABLE_IDENTITY, rk_key_slice(&key), rk_buf_slice(&w->value));
	/* The old handle is let go of only where it is still this account's. */
	if (r == 0 && old.handle.len && !rk_slice_equal(old.handle, handle)) {
		r = rk_table_get(&w->view, RK_TABLE_HANDLE, old.handle, &holder);
		if (r == 0 && rk_slice_equal(holder, did))
			r = rk_table_del(w, RK_TABLE_HANDLE, old.handle, (struct rk_slice){0});
		if (r == RK_STORE_ABSENT)
			r = 0;
	}
	if (r == 0 && handle.len)
		r = rk_table_put(w, RK_TABLE_HANDLE, handle, did);
	return r;
}
