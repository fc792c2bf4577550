/* The table of sub-databases, and LMDB by table. */
#include "store/inside.h"

#include <errno.h>

enum { READERS_MOST = 512 };

const struct rk_table_row rk_tables[RK_TABLE_COUNT] = {
#define ROW(id, n, f) [RK_TABLE_##id] = {n, f},
	RK_TABLES(ROW)
#undef ROW
};

int rk_lmdb_error(int code)
{
	switch (code) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return RK_STORE_ABSENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_BAD_VALSIZE:
		return -EUCLEAN;
	case MDB_READERS_FULL:
		return -EAGAIN;
	default:
		return code > 0 ? -code : -EIO;
	}
}

int rk_env_create(MDB_env **out, size_t map_bytes)
{
	int code = mdb_env_create(out);

	if (code == 0)
		code = mdb_env_set_mapsize(*out, map_bytes);
	if (code == 0)
		code = mdb_env_set_maxdbs(*out, RK_TABLE_COUNT);
	return code ? code : mdb_env_set_maxreaders(*out, READERS_MOST);
}

int rk_table_get(
	struct rk_snapshot *s, enum rk_table table, struct rk_slice key, struct rk_slice *out)
{
	MDB_val k = rk_val(key), v;
	int r;

	if (key.len == 0)
		return RK_STORE_ABSENT;
	r = mdb_get(s->txn, s->store->dbi[table], &k, &v);
	if (r == 0)
		*out = rk_val_slice(v);
	return rk_lmdb_error(r);
}

int rk_table_put(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value)
{
	MDB_val k = rk_val(key), v = rk_val(value);
	unsigned flags = rk_tables[table].flags & MDB_DUPSORT ? MDB_NODUPDATA : 0;
	int r;

	if (key.len == 0)
		return -EINVAL;
	r = mdb_put(w->view.txn, w->view.store->dbi[table], &k, &v, flags);
	return r == MDB_KEYEXIST ? 0 : rk_lmdb_error(r);
}

int rk_table_del(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value)
{
	MDB_val k = rk_val(key), v = rk_val(value);
	bool dup = rk_tables[table].flags & MDB_DUPSORT;
	int r;

	if (key.len == 0)
		return 0;
	r = mdb_del(w->view.txn, w->view.store->dbi[table], &k, dup ? &v : NULL);
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}

int rk_table_cursor(struct rk_snapshot *s, enum rk_table table, MDB_cursor **out)
{
	return rk_lmdb_error(mdb_cursor_open(s->txn, s->store->dbi[table], out));
}

uint64_t rk_table_entries(struct rk_snapshot *s, enum rk_table table)
{
	MDB_stat stat;

	return mdb_stat(s->txn, s->store->dbi[table], &stat) == 0 ? stat.ms_entries : 0;
}
