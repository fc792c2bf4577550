/*
 * The hosts that repos are fetched from: how many requests are under way at each, and how long one that
 * failed is left alone. Behind a relay there are many, and those that are down, slow or hostile must
 * not keep the fetching threads from the others. In memory only; any thread.
 */
#ifndef RK_INDEXER_HOSTS_H
#define RK_INDEXER_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RK_HOSTS_MOST = 4096,    /* remembered; of more, the healthy ones are forgotten first */
	RK_HOST_BUSY_MOST = 4,   /* requests at once; of a host that failed last time: one */
	RK_HOST_BUSY_MS = 500,   /* after which a busy one is looked at again */
	RK_HOST_FIRST_MS = 1000, /* back-off, doubling */
	RK_HOST_MOST_MS = 10 * 60 * 1000,
};

struct rk_hosts;

struct rk_hosts *rk_hosts_create(void); /* NULL: no memory */
void rk_hosts_destroy(struct rk_hosts *hosts);

/* 0: it may be asked, and rk_hosts_leave must follow. Else: not for so many milliseconds. */
int64_t rk_hosts_enter(struct rk_hosts *hosts, const char *origin, int64_t now_ms);
/* good: it answered, whatever that was. asked_ms: the wait that a failing one asked for, granted up to
 * RK_HOST_MOST_MS; -1: none. Times are monotonic. */
void rk_hosts_leave(
	struct rk_hosts *hosts, const char *origin, bool good, int64_t asked_ms, int64_t now_ms);

#endif
