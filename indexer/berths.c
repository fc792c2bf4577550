/* See berths.h. */
#include "indexer/berths.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct place {
	rk_repo_id repo; /* 0: free */
	int64_t seen_ms; /* of one in the queue: when it last asked; of a held one: since when */
	int64_t debt_ms; /* of one in the queue: its host's */
	char host[RK_ORIGIN_MOST];
};

/* A host that has had a berth lately: for as long as it held it, it goes behind those that owe less. */
struct debt {
	int64_t until_ms; /* when it is paid off; 0: free */
	char host[RK_ORIGIN_MOST];
};

struct rk_berths {
	pthread_mutex_t lock;
	bool relay;
	struct place held[RK_BERTHS];
	struct place queue[RK_BERTHS_QUEUE]; /* in order */
	size_t waiting;
	struct debt debts[RK_BERTHS_DEBTS];
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

static int64_t debt_of(const struct rk_berths *berths, const char *host, int64_t now_ms)
{
	for (size_t i = 0; berths->relay && i < RK_BERTHS_DEBTS; i++) {
		const struct debt *debt = &berths->debts[i];

		if (debt->until_ms > now_ms && strcmp(debt->host, host) == 0)
			return debt->until_ms - now_ms;
	}
	return 0;
}

/* Where its debt is, or else the smallest. */
static struct debt *debt_place(struct rk_berths *berths, const char *host)
{
	struct debt *least = &berths->debts[0];

	for (size_t i = 0; i < RK_BERTHS_DEBTS; i++) {
		struct debt *debt = &berths->debts[i];

		if (debt->until_ms && strcmp(debt->host, host) == 0)
			return debt;
		if (debt->until_ms < least->until_ms)
			least = debt;
	}
	return least;
}

static void debt_add(struct rk_berths *berths, const char *host, int64_t held_ms, int64_t now_ms)
{
	int64_t until_ms = now_ms + debt_of(berths, host, now_ms) + held_ms;
	struct debt *debt = debt_place(berths, host);

	if (until_ms <= debt->until_ms)
		return;
	debt->until_ms = until_ms;
	snprintf(debt->host, sizeof(debt->host), "%s", host);
}

static void place_set(
	struct place *place, rk_repo_id repo, const char *host, int64_t debt_ms, int64_t now_ms)
{
	place->repo = repo;
	place->seen_ms = now_ms;
	place->debt_ms = debt_ms;
	snprintf(place->host, sizeof(place->host), "%s", host);
}

static void queue_remove(struct rk_berths *berths, size_t at)
{
	memmove(&berths->queue[at], &berths->queue[at + 1],
		(--berths->waiting - at) * sizeof(berths->queue[0]));
}

/* Before anything is decided: who is still there, and what it owes by now. */
static void queue_review(struct rk_berths *berths, int64_t now_ms)
{
	for (size_t i = berths->waiting; i-- > 0;) {
		struct place *place = &berths->queue[i];

		place->debt_ms = debt_of(berths, place->host, now_ms);
		if (now_ms - place->seen_ms > RK_BERTH_TURN_MS)
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

/* One that is free, and that nobody who comes before `at` in the queue could have. */
static struct place *place_free(
	struct rk_berths *berths, size_t at, const char *host, int64_t debt_ms)
{
	struct place *place = NULL;
	size_t before = 0;

	if (!host_may(berths, host))
		return NULL;
	for (size_t i = 0; i < berths->waiting; i++) {
		const struct place *other = &berths->queue[i];

		if (i == at || other->debt_ms > debt_ms || (other->debt_ms == debt_ms && i > at))
			continue;
		if (berths->relay && strcmp(other->host, host) == 0)
			return NULL;
		before += is_next(berths, i);
	}
	for (size_t i = 0; i < RK_BERTHS && !place; i++) {
		if (berths->held[i].repo == 0 && before-- == 0)
			place = &berths->held[i];
	}
	return place;
}

/* Makes room behind the last, if need be by sending away who owes most. */
static bool queue_make_room(struct rk_berths *berths, const char *host, int64_t debt_ms)
{
	size_t same = 0, most = 0;

	for (size_t i = 0; berths->relay && i < berths->waiting; i++) {
		same += strcmp(berths->queue[i].host, host) == 0;
		if (berths->queue[i].debt_ms >= berths->queue[most].debt_ms)
			most = i;
	}
	if (berths->relay && same >= RK_BERTHS_QUEUE_HOST)
		return false;
	if (berths->waiting == RK_BERTHS_QUEUE && berths->queue[most].debt_ms > debt_ms)
		queue_remove(berths, most);
	return berths->waiting < RK_BERTHS_QUEUE;
}

/* Takes a berth, or a place in the queue. */
static bool take(struct rk_berths *berths, struct rk_berth *berth, int64_t now_ms)
{
	int64_t debt_ms = debt_of(berths, berth->host, now_ms);
	size_t at = queue_find(berths, berth->repo);
	struct place *place = place_free(berths, at, berth->host, debt_ms);

	if (place) {
		place_set(place, berth->repo, berth->host, 0, now_ms);
		if (at < berths->waiting)
			queue_remove(berths, at);
	} else if (at < berths->waiting) {
		place_set(&berths->queue[at], berth->repo, berth->host, debt_ms, now_ms);
	} else if (queue_make_room(berths, berth->host, debt_ms)) {
		place_set(&berths->queue[berths->waiting++], berth->repo, berth->host, debt_ms,
			now_ms);
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
	queue_review(berths, now_ms);
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
	queue_review(berths, now_ms);
	take(berths, berth, now_ms);
	pthread_mutex_unlock(&berths->lock);
	return berth->held;
}

void rk_berths_leave(struct rk_berths *berths, struct rk_berth *berth, int64_t now_ms)
{
	if (!berth->held)
		return;
	pthread_mutex_lock(&berths->lock);
	for (size_t i = 0; i < RK_BERTHS; i++) {
		struct place *place = &berths->held[i];

		if (place->repo != berth->repo)
			continue;
		debt_add(berths, place->host, now_ms - place->seen_ms, now_ms);
		place->repo = 0;
	}
	pthread_mutex_unlock(&berths->lock);
	berth->held = false;
}
