/* See undo.h. */
#include "mirror/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, NAMES_MOST = 1000 };

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

/* A file of its own in the folder, which is no link that leads elsewhere. */
static int file_open(struct rk_undo *undo, const char *folder, int at)
{
	char when[RK_CLOCK_ISO_SIZE], name[64];

	rk_clock_iso(when, rk_clock_wall_ms());
	undo->fd = -1;
	for (int i = 0; undo->fd < 0 && i < NAMES_MOST; i++) {
		snprintf(name, sizeof(name), "repair-%.10sT%.2s%.2s%.2s-%d.jsonl", when, when + 11,
			when + 14, when + 17, i);
		undo->fd = openat(at, name,
			O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
		if (undo->fd < 0 && errno != EEXIST)
			break;
	}
	if (undo->fd < 0)
		return -errno;
	snprintf(undo->path, sizeof(undo->path), "%s/%s", folder, name);
	return fsync(at) != 0 ? -errno : 0;
}

static int undo_open(struct rk_undo *undo, const char *data_dir)
{
	char folder[sizeof(undo->path) - 64];
	int at, r;

	if (snprintf(folder, sizeof(folder), "%s/undo", data_dir) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	if (mkdir(folder, FOLDER_MODE) != 0 && errno != EEXIST)
		return -errno;
	at = rk_file_open_folder(folder);
	if (at < 0)
		return at;
	r = file_open(undo, folder, at);
	if (r == 0)
		r = data_sync(data_dir);
	close(at);
	if (r) {
		if (undo->fd >= 0) {
			close(undo->fd);
			unlink(undo->path);
		}
		*undo = (struct rk_undo){0};
	}
	return r;
}

int rk_undo_append(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
{
	off_t from;
	size_t done = 0;
	int r = undo->path[0] ? 0 : undo_open(undo, data_dir);

	if (r)
		return r;
	from = lseek(undo->fd, 0, SEEK_END);
	while (r == 0 && done < lines.len) {
		ssize_t n = write(undo->fd, lines.data + done, lines.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = n == 0 ? -EIO : -errno;
	}
	if (r == 0 && fsync(undo->fd) != 0)
		r = -errno;
	if (r && from >= 0 && ftruncate(undo->fd, from) != 0)
		return r; /* what is left of it names records that are still there */
	return r;
}

void rk_undo_close(struct rk_undo *undo)
{
	struct stat stat;

	if (!undo->path[0])
		return;
	if (fstat(undo->fd, &stat) == 0 && stat.st_size == 0)
		unlink(undo->path);
	close(undo->fd);
	*undo = (struct rk_undo){0};
}
