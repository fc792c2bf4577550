/* Rounds of due work, and what becomes of one that MongoDB fails as a whole. */
#include "mirror/inside.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"

bool rk_mirror_stopping(struct rk_mirror *mirror)
{
	bool stopping;

	pthread_mutex_lock(&mirror->lock);
	stopping = mirror->stopping;
	pthread_mutex_unlock(&mirror->lock);
	return stopping;
}

int rk_round_failed(struct rk_round *round, size_t *take, char reason[RK_ROUND_REASON_SIZE])
{
	struct rk_mirror *mirror = round->mirror;

	if (rk_mongo_is_away(mirror->mongo))
		return -EIO;
	snprintf(reason, RK_ROUND_REASON_SIZE, "%s", rk_mongo_error(mirror->mongo));
	if (rk_mirror_stopping(mirror) || rk_mongo_ping(mirror->mongo))
		return -EIO;
	if (round->count == 1)
		return rk_round_refuse(round, reason);
	*take = (round->count + 1) / 2;
	return RK_ROUND_SMALLER;
}

static int round_failed(struct rk_mirror *mirror, struct rk_round *round)
{
	const struct rk_item *item = round->items;
	char reason[RK_ROUND_REASON_SIZE];
	int r = rk_round_failed(round, &mirror->take, reason);

	if (r)
		return r == RK_ROUND_SMALLER ? 0 : r;
	rk_log(RK_LOG_WARN, "mirror", "MongoDB fails over a record", RK_LOG_SLICE("did", item->did),
		RK_LOG_SLICE("rkey", item->rkey), RK_LOG_STR("reason", reason));
	rk_round_tell(round);
	return rk_round_told(round);
}

int rk_mirror_step(struct rk_mirror *mirror, size_t *done)
{
	struct rk_round round;
	int r;

	*done = 0;
	rk_round_init(&round, mirror);
	r = rk_round_take(&round, mirror->take);
	if (r == 0 && round.count > 0) {
		r = rk_round_run(&round);
		if (r == 0) {
			*done = round.count;
			rk_round_tell(&round);
			r = rk_round_told(&round);
			mirror->take =
				mirror->take < RK_TAKE_MOST / 2 ? mirror->take * 2 : RK_TAKE_MOST;
		} else if (r == -EIO) {
			r = round_failed(mirror, &round);
			*done = r == 0; /* there is more to do */
		}
	}
	rk_round_finish(&round);
	return r;
}
