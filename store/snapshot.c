/* Read transactions, and the plain reads: cursor, counts, repos, identities. */
#include "store/inside.h"

#include <errno.h>
#include <stdlib.h>

int rk_snapshot_create(struct rk_snapshot **out, struct rk_store *store)
{
	struct rk_snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->store = store;
	rk_store_enter(store);
	r = rk_lmdb_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &s->txn));
	if (r == 0) {
		mdb_txn_reset(s->txn);
		pthread_mutex_lock(&store->turn);
		s->next = store->snapshots;
		s->prev = &store->snapshots;
		if (s->next)
			s->next->prev = &s->next;
		store->snapshots = s;
		pthread_mutex_unlock(&store->turn);
	}
	rk_store_leave(store);
	if (r)
		free(s);
	else
		*out = s;
	return r;
}

void rk_snapshot_let_go(struct rk_snapshot *snapshot)
{
	if (snapshot->answer)
		mdb_cursor_close(snapshot->answer);
	if (snapshot->txn)
		mdb_txn_abort(snapshot->txn);
	snapshot->answer = NULL;
	snapshot->txn = NULL;
}

void rk_snapshot_destroy(struct rk_snapshot *snapshot)
{
	struct rk_store *store;

	if (!snapshot)
		return;
	store = snapshot->store;
	rk_snapshot_end(snapshot);
	pthread_mutex_lock(&store->turn);
	*snapshot->prev = snapshot->next;
	if (snapshot->next)
		snapshot->next->prev = snapshot->prev;
	rk_snapshot_let_go(snapshot);
	pthread_mutex_unlock(&store->turn);
	free(snapshot);
}

/* Busy, and the environment is not about to be closed. */
static void snapshot_enter(struct rk_snapshot *snapshot)
{
	struct rk_store *store = snapshot->store;

	atomic_store(&snapshot->busy, true);
	while (atomic_load(&store->closing)) {
		atomic_store(&snapshot->busy, false);
		pthread_mutex_lock(&store->turn);
		while (atomic_load(&store->closing))
			pthread_cond_wait(&store->opened, &store->turn);
		pthread_mutex_unlock(&store->turn);
		atomic_store(&snapshot->busy, true);
	}
}

int rk_snapshot_begin(struct rk_snapshot *snapshot)
{
	int r;

	snapshot_enter(snapshot);
	if (snapshot->txn)
		r = rk_lmdb_error(mdb_txn_renew(snapshot->txn));
	else
		r = rk_lmdb_error(
			mdb_txn_begin(snapshot->store->env, NULL, MDB_RDONLY, &snapshot->txn));
	snapshot->live = r == 0;
	snapshot->repo.id = 0;
	snapshot->only_rkey = (struct rk_slice){0};
	if (r)
		atomic_store(&snapshot->busy, false);
	return r;
}

void rk_snapshot_end(struct rk_snapshot *snapshot)
{
	if (!snapshot->live)
		return;
	mdb_txn_reset(snapshot->txn);
	snapshot->live = false;
	atomic_store_explicit(&snapshot->busy, false, memory_order_release);
}

static const struct rk_slice cursor_prefix = RK_SLICE_LIT("cursor ");

static bool cursor_value_read(struct rk_cursor *out, struct rk_slice value)
{
	if (value.len != 12)
		return false;
	*out = (struct rk_cursor){0};
	for (int i = 0; i < 8; i++)
		out->seq = (int64_t)((uint64_t)out->seq << 8 | value.data[i]);
	for (int i = 8; i < 12; i++)
		out->epoch = out->epoch << 8 | value.data[i];
	return true;
}

int rk_read_cursor(struct rk_snapshot *s, struct rk_cursor *out, struct rk_slice source)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	rk_key_add(&key, cursor_prefix);
	rk_key_add(&key, source);
	r = rk_table_get(s, RK_TABLE_META, rk_key_slice(&key), &value);
	if (r)
		return r;
	return cursor_value_read(out, value) ? 0 : RK_STORE_CORRUPT;
}

int rk_read_cursors(struct rk_snapshot *s, rk_cursor_visit *visit, void *context)
{
	MDB_val k = rk_val(cursor_prefix), v;
	MDB_cursor *at;
	int code, r = rk_table_cursor(s, RK_TABLE_META, &at);

	if (r)
		return r;
	code = mdb_cursor_get(at, &k, &v, MDB_SET_RANGE);
	while (code == 0 && r == 0 && rk_slice_starts(rk_val_slice(k), cursor_prefix)) {
		struct rk_slice source = rk_val_slice(k);
		struct rk_cursor cursor;

		source = rk_slice_sub(source, cursor_prefix.len, source.len - cursor_prefix.len);
		if (!cursor_value_read(&cursor, rk_val_slice(v)))
			r = RK_STORE_CORRUPT;
		else if (!visit(context, source, &cursor))
			break;
		else
			code = mdb_cursor_get(at, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(at);
	return r || code == 0 || code == MDB_NOTFOUND ? r : rk_lmdb_error(code);
}

int rk_read_counts(struct rk_snapshot *s, struct rk_counts *out)
{
	struct rk_write stored = {0};
	struct rk_slice value;
	int r = rk_table_get(s, RK_TABLE_META, (struct rk_slice)RK_SLICE_LIT("counts"), &value);

	if (r == 0 && !rk_value_counts_read(&stored, value))
		return RK_STORE_CORRUPT;
	if (r < 0)
		return r;
	*out = stored.counts;
	out->pending = rk_table_entries(s, RK_TABLE_PENDING);
	return 0;
}

static int repo_id_get(
	struct rk_snapshot *s, rk_repo_id *out, enum rk_table table, struct rk_slice key)
{
	struct rk_slice value;
	int r = rk_table_get(s, table, key, &value);

	if (r)
		return r;
	if (value.len != 4)
		return RK_STORE_CORRUPT;
	*out = (rk_repo_id)value.data[0] << 24 | (rk_repo_id)value.data[1] << 16 |
		(rk_repo_id)value.data[2] << 8 | value.data[3];
	return 0;
}

int rk_read_repo(struct rk_snapshot *s, struct rk_repo *out, rk_repo_id id)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	if (s->live && id && s->repo.id == id) {
		*out = s->repo;
		return 0;
	}
	rk_key_uint(&key, id, 4);
	r = rk_table_get(s, RK_TABLE_REPO, rk_key_slice(&key), &value);
	if (r)
		return r;
	if (!rk_value_repo_read(out, id, value))
		return RK_STORE_CORRUPT;
	if (s->live)
		s->repo = *out;
	return 0;
}

int rk_read_repo_by_did(struct rk_snapshot *s, struct rk_repo *out, struct rk_slice did)
{
	struct rk_key_buf key = {0};
	rk_repo_id id;
	int r;

	if (did.len == 0)
		return RK_STORE_ABSENT;
	rk_key_did(&key, did);
	r = repo_id_get(s, &id, RK_TABLE_DID, rk_key_slice(&key));
	return r ? r : rk_read_repo(s, out, id);
}

int rk_read_repo_by_handle(struct rk_snapshot *s, struct rk_repo *out, struct rk_slice handle)
{
	uint8_t lower[RK_HANDLE_MOST];
	struct rk_slice did;
	int r;

	if (handle.len == 0 || handle.len > sizeof(lower))
		return RK_STORE_ABSENT;
	for (size_t i = 0; i < handle.len; i++) {
		uint8_t c = handle.data[i];
		lower[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
	r = rk_table_get(s, RK_TABLE_HANDLE, rk_slice_make(lower, handle.len), &did);
	return r ? r : rk_read_repo_by_did(s, out, did);
}

int rk_read_identity(struct rk_snapshot *s, struct rk_identity *out, struct rk_slice did)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	if (did.len == 0)
		return RK_STORE_ABSENT;
	rk_key_did(&key, did);
	r = rk_table_get(s, RK_TABLE_IDENTITY, rk_key_slice(&key), &value);
	if (r)
		return r;
	return rk_value_identity_read(out, value) ? 0 : RK_STORE_CORRUPT;
}

int rk_read_repo_after(struct rk_snapshot *s, struct rk_repo *out, rk_repo_id id)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r;

	if (id == UINT32_MAX)
		return RK_STORE_ABSENT;
	rk_key_uint(&key, (uint64_t)id + 1, 4);
	r = rk_table_cursor(s, RK_TABLE_REPO, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
	if (r == 0) {
		struct rk_reader reader = rk_reader_make(rk_val_slice(k));
		rk_repo_id found = (rk_repo_id)rk_reader_uint(&reader, 4);

		if (!rk_value_repo_read(out, found, rk_val_slice(v)))
			r = RK_STORE_CORRUPT;
	}
	mdb_cursor_close(cursor);
	return r;
}

int rk_read_resync_next(struct rk_snapshot *s, struct rk_repo *out, int64_t *wait_ms,
	int64_t now_ms, const rk_repo_id *skip, size_t skip_count)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = rk_table_cursor(s, RK_TABLE_RESYNC, &cursor);

	*wait_ms = -1;
	if (r)
		return r;
	for (r = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); r == 0;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct rk_reader reader = rk_reader_make(rk_val_slice(k));
		int64_t due = (int64_t)rk_reader_uint(&reader, 8);
		rk_repo_id id = (rk_repo_id)rk_reader_uint(&reader, 4);
		size_t i = 0;

		while (i < skip_count && skip[i] != id)
			i++;
		if (i < skip_count)
			continue;
		*wait_ms = due > now_ms ? due - now_ms : 0;
		r = *wait_ms ? 0 : rk_read_repo(s, out, id);
		mdb_cursor_close(cursor);
		/* A queued repo that is not there must not read as "nothing is queued". */
		return r           ? (r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r)
			: *wait_ms ? RK_STORE_ABSENT
				   : 0;
	}
	mdb_cursor_close(cursor);
	return rk_lmdb_error(r);
}
