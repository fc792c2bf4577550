/* See hosts.h. The list is short or its entries idle: a search through it costs nothing beside a request. */
#include "indexer/hosts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "net/backoff.h"

struct host {
	struct host *next;
	struct rk_backoff backoff; /* tries: failures since it was good */
	int64_t until_ms;          /* not to be asked before */
	unsigned busy;
	char origin[];
};

struct rk_hosts {
	pthread_mutex_t lock;
	struct host *first;
	size_t count;
};

struct rk_hosts *rk_hosts_create(void)
{
	struct rk_hosts *hosts = calloc(1, sizeof(*hosts));

	if (hosts)
		pthread_mutex_init(&hosts->lock, NULL);
	return hosts;
}

void rk_hosts_destroy(struct rk_hosts *hosts)
{
	if (!hosts)
		return;
	while (hosts->first) {
		struct host *next = hosts->first->next;

		free(hosts->first);
		hosts->first = next;
	}
	pthread_mutex_destroy(&hosts->lock);
	free(hosts);
}

static struct host *host_find(const struct rk_hosts *hosts, const char *origin)
{
	struct host *host = hosts->first;

	while (host && strcmp(host->origin, origin) != 0)
		host = host->next;
	return host;
}

static void host_forget(struct rk_hosts *hosts, struct host **at)
{
	struct host *host = *at;

	*at = host->next;
	free(host);
	hosts->count--;
}

/* Forgets what says nothing: hosts that are well, or that may be asked again anyway. If there are none, the one
 * that may be asked soonest: anybody can have thousands that fail, and they must not keep others out. */
static void hosts_forget(struct rk_hosts *hosts, int64_t now_ms)
{
	struct host **at = &hosts->first, **soonest = NULL;

	while (*at) {
		if (!(*at)->busy && (*at)->until_ms <= now_ms) {
			host_forget(hosts, at);
			continue;
		}
		if (!(*at)->busy && (!soonest || (*at)->until_ms < (*soonest)->until_ms))
			soonest = at;
		at = &(*at)->next;
	}
	if (hosts->count >= RK_HOSTS_MOST && soonest)
		host_forget(hosts, soonest);
}

/* NULL: no memory, or all places are taken by hosts that are being asked. */
static struct host *host_make(struct rk_hosts *hosts, const char *origin, int64_t now_ms)
{
	size_t size = strlen(origin) + 1;
	struct host *host;

	if (hosts->count >= RK_HOSTS_MOST)
		hosts_forget(hosts, now_ms);
	host = hosts->count < RK_HOSTS_MOST ? calloc(1, sizeof(*host) + size) : NULL;
	if (!host)
		return NULL;
	memcpy(host->origin, origin, size);
	host->backoff.first_ms = RK_HOST_FIRST_MS;
	host->backoff.most_ms = RK_HOST_MOST_MS;
	host->next = hosts->first;
	hosts->first = host;
	hosts->count++;
	return host;
}

int64_t rk_hosts_enter(struct rk_hosts *hosts, const char *origin, int64_t now_ms)
{
	struct host *host;
	int64_t wait = 0;

	pthread_mutex_lock(&hosts->lock);
	host = host_find(hosts, origin);
	if (!host)
		host = host_make(hosts, origin, now_ms);
	if (!host)
		wait = RK_HOST_BUSY_MS;
	else if (host->until_ms > now_ms)
		wait = host->until_ms - now_ms;
	else if (host->busy >= (host->backoff.tries ? 1 : RK_HOST_BUSY_MOST))
		wait = RK_HOST_BUSY_MS;
	else
		host->busy++;
	pthread_mutex_unlock(&hosts->lock);
	return wait;
}

void rk_hosts_leave(
	struct rk_hosts *hosts, const char *origin, bool good, int64_t asked_ms, int64_t now_ms)
{
	struct host *host;

	pthread_mutex_lock(&hosts->lock);
	host = host_find(hosts, origin); /* it is there: it was busy */
	host->busy--;
	if (good) {
		rk_backoff_reset(&host->backoff);
	} else {
		int64_t wait = rk_backoff_next(&host->backoff, rk_backoff_random());

		if (asked_ms > wait)
			wait = asked_ms < RK_HOST_MOST_MS ? asked_ms : RK_HOST_MOST_MS;
		if (now_ms + wait > host->until_ms)
			host->until_ms = now_ms + wait;
	}
	pthread_mutex_unlock(&hosts->lock);
}
