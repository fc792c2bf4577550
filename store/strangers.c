/*
 * Identities of strangers: accounts without a repo here, whose DID document was read to judge a frame.
 * Their keys in `identity` are what they would be in `did`.
 */
#include <errno.h>

#include "store/inside.h"

static struct rk_slice key_of(const struct rk_identity_key *at)
{
	return rk_slice_make(at->bytes, at->len);
}

/* Whether the entry is a stranger's, last read before that time. 0 or negative. */
static int is_old_stranger(struct rk_snapshot *s, bool *is, struct rk_slice key,
	struct rk_slice value, int64_t before_ms)
{
	struct rk_identity identity;
	struct rk_slice id;
	int r;

	*is = false;
	if (!rk_value_identity_read(&identity, value))
		return -EUCLEAN;
	if (identity.fetched_ms >= before_ms)
		return 0;
	r = rk_table_get(s, RK_TABLE_DID, key, &id);
	*is = r == RK_STORE_ABSENT;
	return r < 0 ? r : 0;
}

int rk_read_strangers(struct rk_snapshot *s, struct rk_strangers *out, int64_t before_ms)
{
	MDB_cursor *cursor;
	MDB_val k = rk_val(key_of(&out->at)), v;
	size_t looks = 0;
	int r = rk_table_cursor(s, RK_TABLE_IDENTITY, &cursor);

	if (r)
		return r;
	out->count = 0;
	r = mdb_cursor_get(cursor, &k, &v, out->at.len ? MDB_SET_RANGE : MDB_FIRST);
	if (r == 0 && out->at.len && rk_slice_equal(rk_val_slice(k), key_of(&out->at)))
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	for (r = rk_lmdb_error(r); r == 0 && looks < RK_STRANGERS_MOST; looks++) {
		bool is;

		if (k.mv_size > sizeof(out->at.bytes)) {
			r = -EUCLEAN;
			break;
		}
		memcpy(out->at.bytes, k.mv_data, k.mv_size);
		out->at.len = k.mv_size;
		r = is_old_stranger(s, &is, rk_val_slice(k), rk_val_slice(v), before_ms);
		if (r)
			break;
		if (is)
			out->keys[out->count++] = out->at;
		r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
	}
	mdb_cursor_close(cursor);
	return r;
}

/* The handle goes with it, where it is still this account's. */
static int handle_drop(struct rk_write *w, struct rk_slice handle, struct rk_slice key)
{
	struct rk_key_buf holder_key = {0};
	struct rk_slice holder;
	int r;

	if (handle.len == 0)
		return 0;
	r = rk_table_get(&w->view, RK_TABLE_HANDLE, handle, &holder);
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	rk_key_did(&holder_key, holder);
	if (!rk_slice_equal(rk_key_slice(&holder_key), key))
		return 0;
	return rk_table_del(w, RK_TABLE_HANDLE, handle, (struct rk_slice){0});
}

int rk_write_stranger_drop(struct rk_write *w, const struct rk_identity_key *at, int64_t before_ms)
{
	struct rk_identity identity;
	struct rk_slice value;
	bool is;
	int r = rk_table_get(&w->view, RK_TABLE_IDENTITY, key_of(at), &value);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	r = is_old_stranger(&w->view, &is, key_of(at), value, before_ms);
	if (r || !is)
		return r;
	rk_value_identity_read(&identity, value);
	rk_arena_reset(&w->arena);
	r = rk_write_keep(w, &identity.handle);
	if (r == 0)
		r = handle_drop(w, identity.handle, key_of(at));
	if (r == 0)
		r = rk_table_del(w, RK_TABLE_IDENTITY, key_of(at), (struct rk_slice){0});
	return r;
}
