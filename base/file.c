/* See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int rk_file_open(const char *path, int64_t size_most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), r = 0;
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0)
		r = -errno;
	else if (!S_ISREG(status.st_mode))
		r = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	else if (status.st_size > size_most)
		r = -EFBIG;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int rk_file_open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

void rk_file_give(int fd, int folder, const char *beside)
{
	struct stat ours, theirs;

	if (fstat(fd, &ours) != 0 || fstatat(folder, beside, &theirs, AT_SYMLINK_NOFOLLOW) != 0 ||
		(ours.st_uid == theirs.st_uid && ours.st_gid == theirs.st_gid))
		return;
	if (fchown(fd, theirs.st_uid, theirs.st_gid) != 0)
		return;
}
