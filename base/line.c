/* See line.h. */
#include "base/line.h"

#include <pthread.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	rk_line_writer *writer;
	void *context;
} lines = {.lock = PTHREAD_MUTEX_INITIALIZER};

void rk_line_writer_set(rk_line_writer *writer, void *context)
{
	pthread_mutex_lock(&lines.lock);
	lines.writer = writer;
	lines.context = context;
	pthread_mutex_unlock(&lines.lock);
}

void rk_line_write(struct rk_slice line)
{
	pthread_mutex_lock(&lines.lock);
	if (lines.writer) {
		lines.writer(lines.context, line);
	} else {
		ssize_t written = write(STDERR_FILENO, line.data, line.len);

		(void)written;
	}
	pthread_mutex_unlock(&lines.lock);
}
