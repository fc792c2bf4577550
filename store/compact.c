/*
 * Compaction: the index written anew into another file, which takes its place. LMDB overwrites no page that
 * it frees and clears no gap within one, so what was removed stays readable until that is done; and a
 * page's memory is used again for another, gap and all, so that the open environment must go, too.
 *
 * Every entry is put into a fresh environment while reading goes on; then readers are kept out for the
 * moment in which the files are renamed and the old environment is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/inside.h"

enum {
	PIECE = 20000,            /* entries in one transaction */
	BUSY_MOST_MS = 30 * 1000, /* for those who read */
	BUSY_STEP_MS = 2,
};

struct names {
	char data[4096], lock[4096], new_data[4096], new_lock[4096];
};

static int names_make(struct names *out, const char *dir)
{
	bool fits = snprintf(out->data, sizeof(out->data), "%s/data.mdb", dir) <
			(int)sizeof(out->data) &&
		snprintf(out->lock, sizeof(out->lock), "%s/lock.mdb", dir) <
			(int)sizeof(out->lock) &&
		snprintf(out->new_data, sizeof(out->new_data), "%s/compact.mdb", dir) <
			(int)sizeof(out->new_data) &&
		snprintf(out->new_lock, sizeof(out->new_lock), "%s/compact.mdb-lock", dir) <
			(int)sizeof(out->new_lock);

	return fits ? 0 : -ENAMETOOLONG;
}

static int file_remove(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int leftover_remove(const struct names *names)
{
	int r = file_remove(names->new_data);

	return r ? r : file_remove(names->new_lock);
}

int rk_store_leftover_remove(const char *dir)
{
	struct names names;
	int r = names_make(&names, dir);

	return r ? r : leftover_remove(&names);
}

/* Entries from the cursor on, some at a time. An LMDB code. */
static int entries_copy(MDB_env *env, MDB_dbi to, unsigned flags, MDB_cursor *from)
{
	MDB_val k, v;
	int code = mdb_cursor_get(from, &k, &v, MDB_FIRST);

	while (code == 0) {
		MDB_cursor *cursor;
		MDB_txn *txn;

		code = mdb_txn_begin(env, NULL, 0, &txn);
		if (code)
			return code;
		code = mdb_cursor_open(txn, to, &cursor);
		for (int i = 0; code == 0 && i < PIECE; i++) {
			code = mdb_cursor_put(cursor, &k, &v, flags);
			if (code == 0)
				code = mdb_cursor_get(from, &k, &v, MDB_NEXT);
		}
		if (code && code != MDB_NOTFOUND) {
			mdb_txn_abort(txn);
		} else {
			int end = mdb_txn_commit(txn);

			code = end ? end : code;
		}
	}
	return code == MDB_NOTFOUND ? 0 : code;
}

static int tables_copy(const struct rk_store *store, MDB_env *env, MDB_dbi dbi[RK_TABLE_COUNT])
{
	MDB_txn *txn, *from;
	int code = mdb_txn_begin(env, NULL, 0, &txn);

	if (code)
		return code;
	for (int i = 0; code == 0 && i < RK_TABLE_COUNT; i++)
		code = mdb_dbi_open(
			txn, rk_tables[i].name, rk_tables[i].flags | MDB_CREATE, &dbi[i]);
	if (code) {
		mdb_txn_abort(txn);
		return code;
	}
	code = mdb_txn_commit(txn);
	if (code == 0)
		code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &from);
	if (code)
		return code;
	for (int i = 0; code == 0 && i < RK_TABLE_COUNT; i++) {
		MDB_cursor *cursor;

		code = mdb_cursor_open(from, store->dbi[i], &cursor);
		if (code)
			break;
		code = entries_copy(
			env, dbi[i], rk_tables[i].flags & MDB_DUPSORT ? 0 : MDB_APPEND, cursor);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(from);
	return code;
}

/* Empty, which is as good as absent to LMDB. Opened later, the lock on it would go as it is closed. */
static int file_make(const char *path, const char *beside)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	rk_file_give(fd, AT_FDCWD, beside);
	close(fd);
	return 0;
}

static int files_make(const struct names *names)
{
	int r = leftover_remove(names);

	if (r == 0)
		r = file_make(names->new_data, names->data);
	return r ? r : file_make(names->new_lock, names->data);
}

/* A copy that is whole and on disk, and open. */
static int copy_make(struct rk_store *store, const struct names *names, MDB_env **out,
	MDB_dbi dbi[RK_TABLE_COUNT])
{
	MDB_envinfo info;
	int code = mdb_env_info(store->env, &info);

	*out = NULL;
	if (code == 0)
		code = rk_env_create(out, info.me_mapsize);
	if (code == 0)
		code = mdb_env_open(
			*out, names->new_data, RK_ENV_FLAGS | MDB_NOSUBDIR | MDB_NOSYNC, 0600);
	if (code == 0)
		code = tables_copy(store, *out, dbi);
	if (code == 0)
		code = mdb_env_sync(*out, 1);
	if (code == 0)
		code = mdb_env_set_flags(*out, MDB_NOSYNC, 0);
	if (code == 0)
		return 0;
	if (*out)
		mdb_env_close(*out);
	*out = NULL;
	return rk_write_error(store, rk_lmdb_error(code));
}

static int folder_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		r = -errno;
	close(fd);
	return r;
}

/* Keeps everybody else out of the environment; the lock is held if it is 0. */
static int readers_stop(struct rk_store *store)
{
	int64_t until_ms = rk_clock_mono_ms() + BUSY_MOST_MS;

	pthread_mutex_lock(&store->turn);
	atomic_store(&store->closing, true);
	for (;;) {
		bool busy = store->users > 0;

		for (struct rk_snapshot *s = store->snapshots; s && !busy; s = s->next)
			busy = atomic_load(&s->busy);
		if (!busy)
			return 0;
		if (rk_clock_mono_ms() > until_ms)
			break;
		pthread_mutex_unlock(&store->turn);
		rk_clock_pause(BUSY_STEP_MS);
		pthread_mutex_lock(&store->turn);
	}
	atomic_store(&store->closing, false);
	pthread_cond_broadcast(&store->opened);
	pthread_mutex_unlock(&store->turn);
	return -EBUSY;
}

static void readers_go(struct rk_store *store)
{
	atomic_store(&store->closing, false);
	pthread_cond_broadcast(&store->opened);
	pthread_mutex_unlock(&store->turn);
}

int rk_store_compact(struct rk_store *store)
{
	MDB_dbi dbi[RK_TABLE_COUNT];
	struct names names;
	MDB_env *env;
	int r = names_make(&names, store->dir);

	if (r == 0)
		r = files_make(&names);
	if (r == 0)
		r = copy_make(store, &names, &env, dbi);
	if (r) {
		leftover_remove(&names);
		return r;
	}
	r = readers_stop(store);
	if (r == 0 && rename(names.new_data, names.data) != 0) {
		r = -errno;
		readers_go(store);
	}
	if (r) {
		mdb_env_close(env);
		leftover_remove(&names);
		return r;
	}
	/* The lock file goes with its environment; nobody but this process has either open. */
	if (rename(names.new_lock, names.lock) != 0)
		r = -errno;
	for (struct rk_snapshot *s = store->snapshots; s; s = s->next)
		rk_snapshot_let_go(s);
	mdb_env_close(store->env);
	store->env = env;
	memcpy(store->dbi, dbi, sizeof(dbi));
	readers_go(store);
	return r ? r : folder_sync(store->dir);
}

void rk_store_enter(struct rk_store *store)
{
	pthread_mutex_lock(&store->turn);
	while (atomic_load(&store->closing))
		pthread_cond_wait(&store->opened, &store->turn);
	store->users++;
	pthread_mutex_unlock(&store->turn);
}

void rk_store_leave(struct rk_store *store)
{
	pthread_mutex_lock(&store->turn);
	store->users--;
	pthread_mutex_unlock(&store->turn);
}
