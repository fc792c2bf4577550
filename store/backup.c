/* A copy of the index while it is in use. */
#include "store/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a folder, just made or there before, holds nothing. */
static int folder_empty(const char *dir)
{
	DIR *folder;
	const struct dirent *entry;
	int r = 0;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	folder = opendir(dir);
	if (!folder)
		return -errno;
	while (r == 0 && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = -ENOTEMPTY;
	}
	closedir(folder);
	return r;
}

int rk_store_backup(struct rk_store *store, const char *dir)
{
	int folder, fd, r = folder_empty(dir);

	if (r)
		return r;
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	/* Whole and on disk before it gets the name that makes it an index. */
	fd = openat(folder, "data.mdb.part", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		close(folder);
		return r;
	}
	rk_store_enter(store);
	r = rk_lmdb_error(mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT));
	rk_store_leave(store);
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	if (close(fd) != 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(folder, "data.mdb.part", folder, "data.mdb") != 0)
		r = -errno;
	if (r)
		unlinkat(folder, "data.mdb.part", 0);
	else if (fsync(folder) != 0)
		r = -errno;
	close(folder);
	return r;
}
