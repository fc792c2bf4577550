/* See berths.h. */
#include "indexer/berths.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct place {
	rk_repo_id repo; /* 0: free */
	int64_t seen_ms; /* of one in the queue: when it last asked */
	char host[RK_ORIGIN_MOST];
};

struct rk_berths {
	pthread_mutex_t lock;
	bool relay;
	struct place held[RK_BERTHS];
	struct place queue[RK_BERTHS_QUEUE]; /* in order */
	size_t waiting;
};

struct rk_berths *rk_berths_create(bool relay)
{
	struct rk_berths *berths = calloc(1, sizeof(*berths));

	if (!berths)
		return NULL;
	berths->relay = relay;
	pthread_mutex_init(&berths->lock, NULL);
	return berths;
}

void rk_berths_destroy(struct rk_berths *berths)
{
	if (!berths)
		return;
	pthread_mutex_destroy(&berths->lock);
	free(berths);
}

static void place_set(struct place *place, rk_repo_id repo, const char *host, int64_t now_ms)
{
	place->repo = repo;
	place->seen_ms = now_ms;
	snprintf(place->host, sizeof(place->host), "%s", host);
}

static void queue_remove(struct rk_berths *berths, size_t at)
{
	memmove(&berths->queue[at], &berths->queue[at + 1],
		(--berths->waiting - at) * sizeof(berths->queue[0]));
}

static void queue_forget(struct rk_berths *berths, int64_t now_ms)
{
	for (size_t i = berths->waiting; i-- > 0;) {
		if (now_ms - berths->queue[i].seen_ms > RK_BERTH_TURN_MS)
			queue_remove(berths, i);
	}
}

/* Its place in the queue, or the one behind the last. */
static size_t queue_find(const struct rk_berths *berths, rk_repo_id repo)
{
	size_t at = 0;

	while (at < berths->waiting && berths->queue[at].repo != repo)
		at++;
	return at;
}

static bool host_may(const struct rk_berths *berths, const char *host)
{
	for (size_t i = 0; berths->relay && i < RK_BERTHS; i++) {
		if (berths->held[i].repo && strcmp(berths->held[i].host, host) == 0)
			return false;
	}
	return true;
}

/* Whether a berth is kept for one in the queue: behind a relay for the first of its host alone. */
static bool is_next(const struct rk_berths *berths, size_t at)
{
	const char *host = berths->queue[at].host;

	for (size_t i = 0; berths->relay && i < at; i++) {
		if (strcmp(berths->queue[i].host, host) == 0)
			return false;
	}
	return host_may(berths, host);
}

/* One that is free, and that nobody before `at` in the queue could have. */
static struct place *place_free(struct rk_berths *berths, size_t at, const char *host)
{
	struct place *place = NULL;
	size_t before = 0;

	if (!host_may(berths, host))
		return NULL;
	for (size_t i = 0; i < at; i++) {
		if (berths->relay && strcmp(berths->queue[i].host, host) == 0)
			return NULL;
		before += is_next(berths, i);
	}
	for (size_t i = 0; i < RK_BERTHS && !place; i++) {
		if (berths->held[i].repo == 0 && before-- == 0)
			place = &berths->held[i];
	}
	return place;
}

static bool queue_may(const struct rk_berths *berths, const char *host)
{
	size_t same = 0;

	for (size_t i = 0; berths->relay && i < berths->waiting; i++)
		same += strcmp(berths->queue[i].host, host) == 0;
	return berths->waiting < RK_BERTHS_QUEUE && same < RK_BERTHS_QUEUE_HOST;
}

/* Takes a berth, or a place in the queue. */
static bool take(struct rk_berths *berths, struct rk_berth *berth, int64_t now_ms)
{
	size_t at = queue_find(berths, berth->repo);
	struct place *place = place_free(berths, at, berth->host);

	if (place) {
		place_set(place, berth->repo, berth->host, now_ms);
		if (at < berths->waiting)
			queue_remove(berths, at);
	} else if (at < berths->waiting || queue_may(berths, berth->host)) {
		place_set(&berths->queue[at], berth->repo, berth->host, now_ms);
		berths->waiting += at == berths->waiting;
	}
	berth->held = place != NULL;
	return berth->held;
}

bool rk_berths_enter(struct rk_berths *berths, struct rk_berth *out, rk_repo_id repo,
	const char *host, int64_t now_ms)
{
	bool may = true;

	*out = (struct rk_berth){.repo = repo, .host = host, .begun_ms = now_ms};
	pthread_mutex_lock(&berths->lock);
	queue_forget(berths, now_ms);
	if (queue_find(berths, repo) < berths->waiting)
		may = take(berths, out, now_ms);
	pthread_mutex_unlock(&berths->lock);
	return may;
}

bool rk_berths_go_on(struct rk_berths *berths, struct rk_berth *berth, size_t bytes, int64_t now_ms)
{
	bool is_long =
		bytes > RK_BERTH_BYTES || (berths->relay && now_ms - berth->begun_ms > RK_BERTH_MS);

	if (berth->held || !is_long)
		return true;
	pthread_mutex_lock(&berths->lock);
	queue_forget(berths, now_ms);
	take(berths, berth, now_ms);
	pthread_mutex_unlock(&berths->lock);
	return berth->held;
}

void rk_berths_leave(struct rk_berths *berths, struct rk_berth *berth)
{
	if (!berth->held)
		return;
	pthread_mutex_lock(&berths->lock);
	for (size_t i = 0; i < RK_BERTHS; i++) {
		if (berths->held[i].repo == berth->repo)
			berths->held[i].repo = 0;
	}
	pthread_mutex_unlock(&berths->lock);
	berth->held = false;
}
