/* See undo.h. */
#include "repair/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, NAMES_MOST = 1000, NAME_SIZE = 64 };

/* Until the first lines are on disk; left behind by a kill, it is nothing (undo_files.h). */
#define PART "repair.part"

/* What is in the folder is on disk by its name, too. */
static int data_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd) != 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

/* A name that nothing has: what writes to the PDS has its turn, so nobody else makes one meanwhile. */
static int name_find(char name[NAME_SIZE], int at)
{
	char when[RK_CLOCK_ISO_SIZE];
	struct stat there;

	rk_clock_iso(when, rk_clock_wall_ms());
	for (int i = 0; i < NAMES_MOST; i++) {
		snprintf(name, NAME_SIZE, "repair-%.10sT%.2s%.2s%.2s-%d.jsonl", when, when + 11,
			when + 14, when + 17, i);
		if (fstatat(at, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

static int lines_write(int fd, struct rk_slice lines)
{
	size_t done = 0;

	while (done < lines.len) {
		ssize_t n = write(fd, lines.data + done, lines.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return n == 0 ? -EIO : -errno;
	}
	return fsync(fd) != 0 ? -errno : 0;
}

/* A file of its own in the folder, which is no link that leads elsewhere; it gets its name with the lines. */
static int file_make(struct rk_undo *undo, const char *folder, int at, struct rk_slice lines)
{
	char name[NAME_SIZE];
	int r;

	if (unlinkat(at, PART, 0) != 0 && errno != ENOENT)
		return -errno;
	undo->fd = openat(at, PART, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		FILE_MODE);
	if (undo->fd < 0)
		return -errno;
	r = lines_write(undo->fd, lines);
	if (r == 0)
		r = name_find(name, at);
	if (r == 0 && renameat(at, PART, at, name) != 0)
		r = -errno;
	if (r) {
		unlinkat(at, PART, 0);
		return r;
	}
	snprintf(undo->path, sizeof(undo->path), "%s/%s", folder, name);
	return fsync(at) != 0 ? -errno : 0;
}

static int undo_make(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
{
	char folder[sizeof(undo->path) - NAME_SIZE], index[sizeof(undo->path)];
	bool made;
	int at, r;

	if (snprintf(folder, sizeof(folder), "%s/undo", data_dir) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	snprintf(index, sizeof(index), "%s/data.mdb", data_dir);
	made = mkdir(folder, FOLDER_MODE) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	at = rk_file_open_folder(folder);
	if (at < 0)
		return at;
	if (made)
		rk_file_give(at, AT_FDCWD, index);
	*undo = (struct rk_undo){.fd = -1};
	r = file_make(undo, folder, at, lines);
	if (r == 0)
		rk_file_give(undo->fd, AT_FDCWD, index);
	if (r == 0)
		r = data_sync(data_dir);
	close(at);
	if (r) {
		if (undo->fd >= 0)
			close(undo->fd);
		if (undo->path[0])
			unlink(undo->path);
		*undo = (struct rk_undo){0};
	}
	return r;
}

int rk_undo_append(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
{
	off_t from;
	int r;

	if (lines.len == 0)
		return 0;
	if (!undo->path[0])
		return undo_make(undo, data_dir, lines);
	from = lseek(undo->fd, 0, SEEK_END);
	r = lines_write(undo->fd, lines);
	if (r && from >= 0 && ftruncate(undo->fd, from) != 0)
		return r; /* what is left of it names records that are still there */
	return r;
}

void rk_undo_close(struct rk_undo *undo)
{
	if (!undo->path[0])
		return;
	close(undo->fd);
	*undo = (struct rk_undo){0};
}
