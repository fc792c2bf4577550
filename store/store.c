/* Opening and closing the index: its lock, its schema, its file. */
#include "store/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/heads.h"

enum { LOCK_LOOK_MS = 20 };

/* What turns an index of schema i + 1 into one of schema i + 2, by place; all run in one transaction. */
typedef int migrate_step(struct rk_write *w);
static migrate_step empty;
static migrate_step *const migrations[RK_SCHEMA] = {empty, empty, empty, NULL};
static const struct rk_slice schema_name = RK_SLICE_LIT("schema");

/* The lock file keeps a second process out; the kernel lets go of it however this one ends. */
static int lock_take(
	struct rk_store *store, const struct rk_store_options *options, char error[256])
{
	int64_t until_ms = rk_clock_mono_ms() + options->wait_ms;
	char path[4096];

	snprintf(path, sizeof(path), "%s/refkey.lock", options->dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0) {
		int r = -errno;
		snprintf(error, 256, "cannot open the lock file in the data folder: %s",
			strerror(-r));
		return r;
	}
	while (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (rk_clock_mono_ms() >= until_ms) {
			snprintf(error, 256, "the index is in use by another process");
			return RK_STORE_LOCKED;
		}
		rk_clock_pause(LOCK_LOOK_MS);
	}
	return 0;
}

static uint64_t schema_number(struct rk_slice value)
{
	struct rk_reader reader = rk_reader_make(value);

	return value.len == 4 ? rk_reader_uint(&reader, 4) : 0;
}

/*
 * Opens the tables; in an environment without any, makes them together with the schema's number. What
 * is not ours, or of a newer schema, is refused before anything is written. *error is an LMDB code.
 */
static int tables_open(struct rk_store *store, MDB_txn *txn, int *error)
{
	MDB_dbi unnamed;
	MDB_stat stat;
	uint64_t schema = RK_SCHEMA;
	uint8_t number[4] = {0, 0, 0, RK_SCHEMA};
	MDB_val k = rk_val(schema_name), v = {.mv_data = number, .mv_size = sizeof(number)};

	*error = mdb_dbi_open(txn, NULL, 0, &unnamed);
	if (*error == 0)
		*error = mdb_stat(txn, unnamed, &stat);
	if (*error)
		return 0;
	if (stat.ms_entries) {
		MDB_val found;
		MDB_dbi meta;

		*error = mdb_dbi_open(txn, rk_tables[RK_TABLE_META].name, 0, &meta);
		if (*error == 0)
			*error = mdb_get(txn, meta, &k, &found);
		if (*error && *error != MDB_NOTFOUND && *error != MDB_INCOMPATIBLE)
			return 0;
		schema = *error ? 0 : schema_number(rk_val_slice(found));
		*error = 0;
		if (schema == 0)
			return RK_STORE_CORRUPT;
		if (schema > RK_SCHEMA)
			return RK_STORE_NEWER;
	}
	for (int i = 0; *error == 0 && i < RK_TABLE_COUNT; i++)
		*error = mdb_dbi_open(
			txn, rk_tables[i].name, rk_tables[i].flags | MDB_CREATE, &store->dbi[i]);
	if (*error == 0 && stat.ms_entries == 0)
		*error = mdb_put(txn, store->dbi[RK_TABLE_META], &k, &v, 0);
	return 0;
}

static int tables_settle(struct rk_store *store, int *error)
{
	MDB_txn *txn;
	int r;

	*error = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (*error)
		return 0;
	r = tables_open(store, txn, error);
	if (r == 0 && *error == 0)
		*error = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return r;
}

/* For layouts that no release had: the index is empty, and is filled from the source as a new one is. */
static int empty(struct rk_write *w)
{
	int r = 0;

	if (rk_table_entries(&w->view, RK_TABLE_META) == 0)
		return 0; /* by a step before */
	rk_log(RK_LOG_WARN, "store",
		"the index is of an older layout: emptied, to be filled from the source again");
	for (int i = 0; r == 0 && i < RK_TABLE_COUNT; i++)
		r = mdb_drop(w->view.txn, w->view.store->dbi[i], 0);
	w->counts = (struct rk_counts){0};
	w->next_repo = 1;
	w->generation = 1;
	w->first = 1;
	return rk_lmdb_error(r);
}

/* Brings an older index to the schema of now. */
static int schema_migrate(struct rk_write *w)
{
	struct rk_key_buf now = {0};
	struct rk_slice value;
	uint64_t schema;
	int r = rk_table_get(&w->view, RK_TABLE_META, schema_name, &value);

	if (r)
		return r < 0 ? r : RK_STORE_CORRUPT;
	schema = schema_number(value);
	if (schema == 0)
		return RK_STORE_CORRUPT;
	for (; r == 0 && schema < RK_SCHEMA; schema++)
		r = migrations[schema - 1](w);
	if (r)
		return r;
	rk_key_uint(&now, RK_SCHEMA, 4);
	return rk_table_put(w, RK_TABLE_META, schema_name, rk_key_slice(&now));
}

static int schema_settle(struct rk_store *store)
{
	struct rk_write w = {0};
	int r = rk_write_begin(&w, store);

	if (r == 0) {
		r = schema_migrate(&w);
		if (r)
			rk_write_abort(&w);
		else
			r = rk_write_commit(&w);
	}
	rk_write_finish(&w);
	return r == -EUCLEAN ? RK_STORE_CORRUPT : r;
}

static int folder_make(const char *dir, char error[256])
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		int r = -errno;
		snprintf(
			error, 256, "cannot make the data folder %.180s: %s", dir, strerror(errno));
		return r;
	}
	return 0;
}

/* Of opening: what LMDB cannot read is no index. */
static int open_error(int code)
{
	switch (code) {
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
	case MDB_NOTFOUND:
		return RK_STORE_CORRUPT;
	default:
		return rk_lmdb_error(code);
	}
}

/* Looks at every entry of every table. */
static int tables_walk(MDB_env *env, const MDB_dbi *dbi)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

	if (code)
		return code;
	for (int i = 0; code == 0 && i < RK_TABLE_COUNT; i++) {
		MDB_cursor *cursor;
		MDB_val k, v;

		code = mdb_cursor_open(txn, dbi[i], &cursor);
		if (code)
			break;
		while ((code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
			;
		mdb_cursor_close(cursor);
		if (code == MDB_NOTFOUND)
			code = 0;
	}
	mdb_txn_abort(txn);
	return code;
}

/*
 * LMDB reads by the map: behind the end of a file that was cut short, that ends the process. Filled up
 * with zeros it is an error that LMDB names. Pages at the end that no transaction needed may be missing
 * from a good file, too, so *cut only says that all is to be looked at. An LMDB code.
 */
static int file_fill(MDB_env *env, bool *cut)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;
	int fd, code = mdb_env_info(env, &info);
	off_t want;

	if (code == 0)
		code = mdb_env_stat(env, &stat);
	if (code == 0)
		code = mdb_env_get_fd(env, &fd);
	if (code)
		return code;
	want = (off_t)(info.me_last_pgno + 1) * stat.ms_psize;
	*cut = fstat(fd, &file) == 0 && file.st_size < want;
	return *cut && ftruncate(fd, want) != 0 ? errno : 0;
}

int rk_store_open(struct rk_store **out, const struct rk_store_options *options, char error[256])
{
	struct rk_store *store = calloc(1, sizeof(*store));
	bool cut = false;
	int r, code, dead;

	if (!store)
		return -ENOMEM;
	error[0] = '\0';
	pthread_mutex_init(&store->turn, NULL);
	pthread_cond_init(&store->opened, NULL);
	store->lock_fd = -1;
	store->dir = strdup(options->dir);
	store->heads = rk_heads_create();
	r = store->dir && store->heads ? folder_make(options->dir, error) : -ENOMEM;
	if (r == 0)
		r = lock_take(store, options, error);
	if (r)
		goto fail;
	r = rk_store_leftover_remove(options->dir);
	if (r)
		goto fail;
	code = rk_env_create(
		&store->env, options->map_bytes ? options->map_bytes : (size_t)64 << 30);
	if (code == 0)
		code = mdb_env_open(store->env, options->dir, RK_ENV_FLAGS, 0600);
	if (code == 0)
		code = mdb_reader_check(store->env, &dead);
	if (code == 0)
		code = file_fill(store->env, &cut);
	if (code == 0)
		r = tables_settle(store, &code);
	if (code == 0 && r == 0 && cut)
		code = tables_walk(store->env, store->dbi);
	if (code) {
		snprintf(error, 256, "cannot open the index: %s", mdb_strerror(code));
		r = open_error(code);
	} else if (r == 0) {
		r = schema_settle(store);
		if (r == RK_STORE_CORRUPT)
			snprintf(error, 256, "the index is damaged");
	}
	if (r)
		goto fail;
	*out = store;
	return 0;
fail:
	if (r == RK_STORE_CORRUPT && !error[0])
		snprintf(error, 256,
			"the data folder holds something that is not an index of refkey");
	else if (r == RK_STORE_NEWER)
		snprintf(error, 256,
			"the index was written by a newer refkey than this one (schema %d)",
			RK_SCHEMA);
	else if (r < 0 && !error[0])
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
	pthread_mutex_destroy(&store->turn);
	pthread_cond_destroy(&store->opened);
	rk_heads_destroy(store->heads);
	free(store->dir);
	free(store);
}

struct rk_heads *rk_store_heads(struct rk_store *store)
{
	return store->heads;
}

void rk_store_space(struct rk_store *store, struct rk_store_space *out)
{
	char path[4096];
	struct stat file;
	MDB_stat pages;
	MDB_txn *txn;

	*out = (struct rk_store_space){0};
	snprintf(path, sizeof(path), "%s/data.mdb", store->dir);
	if (stat(path, &file) == 0)
		out->file_bytes = (uint64_t)file.st_size;
	rk_store_enter(store);
	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) == 0) {
		for (int i = 0; i < RK_TABLE_COUNT; i++) {
			if (mdb_stat(txn, store->dbi[i], &pages) == 0)
				out->used_bytes += (uint64_t)pages.ms_psize *
					(pages.ms_branch_pages + pages.ms_leaf_pages +
						pages.ms_overflow_pages);
		}
		mdb_txn_abort(txn);
	}
	rk_store_leave(store);
}
