/* See spool.h. */
#include "net/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"

/* Not every file system has O_TMPFILE. */
int rk_spool_open(const char *dir)
{
	struct rk_buf path = {0};
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	rk_buf_printf(&path, "%s/spool-XXXXXX", dir);
	if (rk_buf_failed(&path))
		return -ENOMEM;
	rk_buf_add_byte(&path, '\0');
	fd = mkostemp((char *)path.data, O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	if (fd >= 0)
		unlink((const char *)path.data);
	rk_buf_finish(&path);
	return fd;
}
