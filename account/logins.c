/* See logins.h. */
#include "account/logins.h"

#include <pthread.h>
#include <stdlib.h>

struct kept {
	struct rk_session_login login;
	uint64_t at; /* higher: later */
};

struct rk_logins {
	pthread_mutex_t lock;
	struct kept list[RK_LOGINS_MOST];
	size_t count;
	uint64_t now;
};

struct rk_logins *rk_logins_create(void)
{
	struct rk_logins *logins = calloc(1, sizeof(*logins));

	if (logins)
		pthread_mutex_init(&logins->lock, NULL);
	return logins;
}

void rk_logins_destroy(struct rk_logins *logins)
{
	if (!logins)
		return;
	for (size_t i = 0; i < logins->count; i++)
		rk_session_login_finish(&logins->list[i].login);
	pthread_mutex_destroy(&logins->lock);
	free(logins);
}

static struct kept *find(struct rk_logins *logins, struct rk_slice did)
{
	for (size_t i = 0; i < logins->count; i++) {
		if (rk_slice_equal(rk_buf_slice(&logins->list[i].login.did), did))
			return &logins->list[i];
	}
	return NULL;
}

/* A place for one more. */
static struct kept *make_room(struct rk_logins *logins)
{
	struct kept *oldest = logins->list;

	if (logins->count < RK_LOGINS_MOST)
		return &logins->list[logins->count++];
	for (size_t i = 1; i < logins->count; i++) {
		if (logins->list[i].at < oldest->at)
			oldest = &logins->list[i];
	}
	return oldest;
}

void rk_logins_keep(struct rk_logins *logins, struct rk_session_login *login)
{
	struct kept *place;

	pthread_mutex_lock(&logins->lock);
	place = find(logins, rk_buf_slice(&login->did));
	if (!place)
		place = make_room(logins);
	rk_session_login_finish(&place->login);
	*place = (struct kept){.login = *login, .at = ++logins->now};
	pthread_mutex_unlock(&logins->lock);
	*login = (struct rk_session_login){0};
}

bool rk_logins_take(struct rk_logins *logins, struct rk_session_login *out, struct rk_slice did)
{
	struct kept *place;

	pthread_mutex_lock(&logins->lock);
	place = find(logins, did);
	if (place) {
		*out = place->login;
		*place = logins->list[--logins->count];
		logins->list[logins->count] = (struct kept){0};
	}
	pthread_mutex_unlock(&logins->lock);
	return place != NULL;
}
