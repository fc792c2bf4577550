/*
 * A slow disk for the program that it is loaded into before all else (LD_PRELOAD): a transaction takes so long
 * that much comes meanwhile, and goes into the next one together.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MS = 60 };

int fdatasync(int fd)
{
	static atomic_uint drawn = 1;
	const unsigned next = atomic_load(&drawn) * 1103515245U + 12345U;
	const struct timespec pause = {.tv_nsec = (long)(next >> 16) % MOST_MS * 1000000};

	atomic_store(&drawn, next);
	nanosleep(&pause, NULL);
	return (int)syscall(SYS_fdatasync, fd);
}
