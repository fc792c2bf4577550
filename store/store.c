/* Opening, closing and copying the index; the table of sub-databases; LMDB by table. */
#include "store/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MOST = 512 };

static const struct {
	const char *name;
	unsigned flags;
} tables[RK_TABLE_COUNT] = {
#define ROW(id, n, f) [RK_TABLE_##id] = {n, f},
	RK_TABLES(ROW)
#undef ROW
};

/* What turns an index of schema i + 1 into one of schema i + 2, by place; all run in one transaction. */
typedef int migrate_step(struct rk_write *w);
static migrate_step *const migrations[RK_SCHEMA] = {NULL};

const char *const rk_issue_names[RK_ISSUE_COUNT] = {
#define ROW(id, name) [RK_ISSUE_##id] = name,
	RK_ISSUES(ROW)
#undef ROW
};

static const char *const account_names[RK_ACCOUNT_COUNT] = {
#define ROW(id, name) [RK_ACCOUNT_##id] = name,
	RK_ACCOUNTS(ROW)
#undef ROW
};

const char *rk_account_name(enum rk_account account)
{
	return account_names[account];
}

enum rk_account rk_account_parse(struct rk_slice status)
{
	for (int i = 0; i < RK_ACCOUNT_COUNT; i++) {
		if (rk_slice_equal_str(status, account_names[i]))
			return (enum rk_account)i;
	}
	return RK_ACCOUNT_INACTIVE;
}

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

/* The lock file keeps a second process out; the kernel lets go of it however this one ends. */
static int lock_take(struct rk_store *store, const char *dir, char error[256])
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/refkey.lock", dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0) {
		snprintf(error, 256, "cannot open the lock file in the data folder: %s", strerror(errno));
		return -errno;
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(error, 256, "the index is in use by another process");
		return errno == EWOULDBLOCK ? RK_STORE_LOCKED : -errno;
	}
	return 0;
}

static int schema_check(struct rk_write *w, char error[256])
{
	struct rk_slice value, name = RK_SLICE_LIT("schema");
	struct rk_key_buf now = {0};
	uint64_t schema = 0;
	int r = rk_table_get(&w->view, RK_TABLE_META, name, &value);

	if (r < 0)
		return r;
	if (r == 0 && value.len == 4) {
		for (size_t i = 0; i < 4; i++)
			schema = schema << 8 | value.data[i];
	} else if (r == RK_STORE_ABSENT && rk_table_entries(&w->view, RK_TABLE_REPO) == 0) {
		schema = RK_SCHEMA; /* a new index */
	}
	if (schema == 0) {
		snprintf(error, 256, "the data folder holds something that is not an index of refkey");
		return RK_STORE_CORRUPT;
	}
	if (schema > RK_SCHEMA) {
		snprintf(error, 256,
			"the index was written by a newer refkey (schema %llu, this one knows %d)",
			(unsigned long long)schema, RK_SCHEMA);
		return RK_STORE_NEWER;
	}
	for (r = 0; r == 0 && schema < RK_SCHEMA; schema++)
		r = migrations[schema - 1](w);
	if (r)
		return r;
	rk_key_uint(&now, RK_SCHEMA, 4);
	return rk_table_put(w, RK_TABLE_META, name, rk_key_slice(&now));
}

static int schema_settle(struct rk_store *store, char error[256])
{
	struct rk_write w = {0};
	int r = rk_write_begin(&w, store);

	if (r == 0) {
		r = schema_check(&w, error);
		if (r)
			rk_write_abort(&w);
		else
			r = rk_write_commit(&w);
	}
	rk_write_finish(&w);
	return r;
}

static int tables_open(struct rk_store *store)
{
	MDB_txn *txn;
	int r = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (r)
		return r;
	for (int i = 0; i < RK_TABLE_COUNT; i++) {
		r = mdb_dbi_open(txn, tables[i].name, tables[i].flags | MDB_CREATE, &store->dbi[i]);
		if (r) {
			mdb_txn_abort(txn);
			return r;
		}
	}
	return mdb_txn_commit(txn);
}

static int folder_make(const char *dir, char error[256])
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		int r = -errno;
		snprintf(error, 256, "cannot make the data folder %.180s: %s", dir, strerror(errno));
		return r;
	}
	return 0;
}

int rk_store_open(struct rk_store **out, const struct rk_store_options *options, char error[256])
{
	struct rk_store *store = calloc(1, sizeof(*store));
	int r, dead;

	if (!store)
		return -ENOMEM;
	error[0] = '\0';
	store->lock_fd = -1;
	store->dir = strdup(options->dir);
	r = store->dir ? folder_make(options->dir, error) : -ENOMEM;
	if (r == 0)
		r = lock_take(store, options->dir, error);
	if (r)
		goto fail;
	r = mdb_env_create(&store->env);
	if (r == 0)
		r = mdb_env_set_mapsize(store->env,
			options->map_bytes ? options->map_bytes : (size_t)64 << 30);
	if (r == 0)
		r = mdb_env_set_maxdbs(store->env, RK_TABLE_COUNT);
	if (r == 0)
		r = mdb_env_set_maxreaders(store->env, READERS_MOST);
	if (r == 0)
		r = mdb_env_open(store->env, options->dir, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (r == 0)
		r = mdb_reader_check(store->env, &dead);
	if (r == 0)
		r = tables_open(store);
	if (r) {
		snprintf(error, 256, "cannot open the index: %s", mdb_strerror(r));
		r = rk_lmdb_error(r);
		if (r == RK_STORE_ABSENT)
			r = RK_STORE_CORRUPT;
		goto fail;
	}
	r = schema_settle(store, error);
	if (r)
		goto fail;
	*out = store;
	return 0;
fail:
	if (r < 0 && !error[0])
		snprintf(error, 256, "cannot open the index: %s", strerror(-r));
	rk_store_close(store);
	return r;
}

void rk_store_close(struct rk_store *store)
{
	if (!store)
		return;
	if (store->env)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store->dir);
	free(store);
}

int rk_store_backup(struct rk_store *store, const char *dir)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	return rk_lmdb_error(mdb_env_copy2(store->env, dir, MDB_CP_COMPACT));
}

void rk_store_space(struct rk_store *store, struct rk_store_space *out)
{
	MDB_envinfo info;
	MDB_stat pages;
	char path[4096];
	struct stat file;

	*out = (struct rk_store_space){0};
	if (mdb_env_info(store->env, &info) == 0 && mdb_env_stat(store->env, &pages) == 0)
		out->used_bytes = (uint64_t)(info.me_last_pgno + 1) * pages.ms_psize;
	snprintf(path, sizeof(path), "%s/data.mdb", store->dir);
	if (stat(path, &file) == 0)
		out->file_bytes = (uint64_t)file.st_size;
}

int rk_table_get(struct rk_snapshot *s, enum rk_table table, struct rk_slice key, struct rk_slice *out)
{
	MDB_val k = rk_val(key), v;
	int r = mdb_get(s->txn, s->store->dbi[table], &k, &v);

	if (r == 0)
		*out = rk_val_slice(v);
	return rk_lmdb_error(r);
}

int rk_table_put(struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value)
{
	MDB_val k = rk_val(key), v = rk_val(value);
	unsigned flags = tables[table].flags & MDB_DUPSORT ? MDB_NODUPDATA : 0;
	int r = mdb_put(w->view.txn, w->view.store->dbi[table], &k, &v, flags);

	return r == MDB_KEYEXIST ? 0 : rk_lmdb_error(r);
}

int rk_table_del(struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value)
{
	MDB_val k = rk_val(key), v = rk_val(value);
	bool dup = tables[table].flags & MDB_DUPSORT;
	int r = mdb_del(w->view.txn, w->view.store->dbi[table], &k, dup ? &v : NULL);

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
