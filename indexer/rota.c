/* See rota.h. */
#include "indexer/rota.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct rk_rota_host {
	rk_repo_id *repos;
	size_t count, cap;
	size_t first; /* where it begins, then round */
	size_t asked;
	size_t place; /* among those that have turns */
	unsigned busy;
	bool heard;
	int64_t begun_ms; /* 0: not yet */
	int64_t until_ms; /* no turn before */
	char origin[];
};

struct rk_rota {
	void *by_origin;            /* of tsearch */
	struct rk_rota_host **open; /* that have turns */
	size_t count, cap, at;
	size_t hosts;
	struct rk_rota_sums sums;
};

static int origin_compare(const void *a, const void *b)
{
	const struct rk_rota_host *left = a, *right = b;

	return strcmp(left->origin, right->origin);
}

struct rk_rota *rk_rota_create(void)
{
	return calloc(1, sizeof(struct rk_rota));
}

static void host_free(void *context)
{
	struct rk_rota_host *host = context;

	free(host->repos);
	free(host);
}

void rk_rota_destroy(struct rk_rota *rota)
{
	if (!rota)
		return;
	tdestroy(rota->by_origin, host_free);
	free(rota->open);
	free(rota);
}

static bool open_add(struct rk_rota *rota, struct rk_rota_host *host)
{
	if (rota->count == rota->cap) {
		size_t cap = rota->cap ? rota->cap * 2 : 16;
		struct rk_rota_host **open =
			realloc(rota->open, cap * sizeof(struct rk_rota_host *));

		if (!open)
			return false;
		rota->open = open;
		rota->cap = cap;
	}
	host->place = rota->count;
	rota->open[rota->count++] = host;
	return true;
}

static void open_remove(struct rk_rota *rota, struct rk_rota_host *host)
{
	if (host->place >= rota->count || rota->open[host->place] != host)
		return;
	rota->open[host->place] = rota->open[--rota->count];
	rota->open[host->place]->place = host->place;
	host->place = SIZE_MAX;
}

/* NULL: no memory, or *many: another host is one too many. */
static struct rk_rota_host *host_make(struct rk_rota *rota, const char *origin, bool *many)
{
	size_t size = strlen(origin) + 1;
	struct rk_rota_host *host = calloc(1, sizeof(*host) + size), *const * found;

	*many = false;
	if (!host)
		return NULL;
	memcpy(host->origin, origin, size);
	if (rota->hosts >= RK_ROTA_HOSTS_MOST) {
		found = tfind(host, &rota->by_origin, origin_compare);
		*many = !found;
		free(host);
		return found ? *found : NULL;
	}
	found = tsearch(host, &rota->by_origin, origin_compare);
	if (found && *found != host) {
		free(host);
		return *found;
	}
	if (!found) {
		free(host);
		return NULL;
	}
	if (!open_add(rota, host)) {
		tdelete(host, &rota->by_origin, origin_compare);
		free(host);
		return NULL;
	}
	rota->hosts++;
	return host;
}

int rk_rota_add(struct rk_rota *rota, const char *origin, rk_repo_id repo, uint32_t random)
{
	bool many;
	struct rk_rota_host *host = host_make(rota, origin, &many);

	rota->sums.left += many;
	if (!host)
		return many ? 0 : -ENOMEM;
	if (host->count == host->cap) {
		size_t cap = host->cap ? host->cap * 2 : 4;
		rk_repo_id *repos = realloc(host->repos, cap * sizeof(*repos));

		if (!repos)
			return -ENOMEM;
		host->repos = repos;
		host->cap = cap;
	}
	host->repos[host->count++] = repo;
	host->first = random % host->count;
	return 0;
}

/* What it has left is for another time. */
static void host_leave(struct rk_rota *rota, struct rk_rota_host *host, uint64_t *sum)
{
	*sum += host->count - host->asked;
	host->asked = host->count;
	open_remove(rota, host);
}

/* Whether it may be asked now; it may also turn out that it is left. */
static bool host_enter(struct rk_rota *rota, struct rk_rota_host *host, struct rk_hosts *hosts,
	int64_t now_ms, int64_t *wait_ms)
{
	int64_t wait;

	if (!host->begun_ms)
		host->begun_ms = now_ms;
	if (now_ms - host->begun_ms > RK_ROTA_HOST_MS) {
		host_leave(rota, host, &rota->sums.overdue);
		return false;
	}
	if (host->busy >= (host->heard ? RK_HOST_BUSY_MOST : 1))
		return false;
	wait = host->until_ms > now_ms ? host->until_ms - now_ms
				       : rk_hosts_enter(hosts, host->origin, now_ms);
	if (wait > RK_HOST_BUSY_MS) {
		host_leave(rota, host, &rota->sums.left);
	} else if (wait > 0) {
		host->until_ms = now_ms + wait;
		*wait_ms = wait < *wait_ms ? wait : *wait_ms;
	}
	return wait == 0;
}

enum rk_rota_result rk_rota_next(struct rk_rota *rota, struct rk_rota_turn *out, int64_t *wait_ms,
	struct rk_hosts *hosts, int64_t now_ms)
{
	size_t seen = 0;

	*wait_ms = RK_HOST_BUSY_MS;
	while (rota->count && seen < rota->count) {
		struct rk_rota_host *host = rota->open[rota->at % rota->count];
		size_t before = rota->count;

		if (host_enter(rota, host, hosts, now_ms, wait_ms)) {
			*out = (struct rk_rota_turn){
				.host = host,
				.origin = host->origin,
				.repo = host->repos[(host->first + host->asked) % host->count],
			};
			host->asked++;
			host->busy++;
			rota->sums.asked++;
			if (host->asked == host->count)
				open_remove(rota, host);
			else
				rota->at++;
			return RK_ROTA_TURN;
		}
		/* In the place of one that was left stands another. */
		if (rota->count == before) {
			rota->at++;
			seen++;
		}
	}
	return rota->count ? RK_ROTA_WAIT : RK_ROTA_OVER;
}

void rk_rota_end(struct rk_rota *rota, const struct rk_rota_turn *turn, struct rk_hosts *hosts,
	bool good, int64_t asked_ms, int64_t now_ms)
{
	struct rk_rota_host *host = turn->host;

	rk_hosts_leave(hosts, host->origin, good, asked_ms, now_ms);
	host->busy--;
	host->heard = true;
	if (!good)
		host_leave(rota, host, &rota->sums.left);
}

void rk_rota_sums(const struct rk_rota *rota, struct rk_rota_sums *out)
{
	*out = rota->sums;
}
