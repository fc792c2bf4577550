/* What all threads of a run share; see inside.h. */
#include "publish/inside.h"

#include <stdio.h>
#include <stdlib.h>

bool rk_publish_stopping(struct rk_publish_run *run)
{
	const atomic_bool *stop = run->request->stop;

	return atomic_load(&run->cancel) || (stop && atomic_load(stop));
}

void rk_publish_fail(struct rk_publish_run *run, int result, const char *error)
{
	pthread_mutex_lock(&run->lock);
	if (!run->failure) {
		run->failure = result;
		snprintf(run->error, sizeof(run->error), "%s", error);
	}
	atomic_store(&run->cancel, true);
	pthread_cond_broadcast(&run->emptied);
	pthread_mutex_unlock(&run->lock);
}

void rk_publish_parcel_destroy(struct rk_publish_parcel *parcel)
{
	if (!parcel)
		return;
	rk_arena_finish(&parcel->arena);
	free(parcel->items);
	free(parcel);
}

void rk_publish_hand_on(struct rk_publish_run *run, struct rk_publish_parcel *parcel)
{
	pthread_mutex_lock(&run->lock);
	while (run->queued >= RK_PUBLISH_QUEUE_MOST && !run->failure)
		pthread_cond_wait(&run->emptied, &run->lock);
	*run->last = parcel;
	run->last = &parcel->next;
	run->queued += parcel->count;
	pthread_cond_signal(&run->filled);
	pthread_mutex_unlock(&run->lock);
}

size_t rk_publish_allow(struct rk_publish_run *run, size_t count)
{
	pthread_mutex_lock(&run->lock);
	if (run->left == 0)
		run->limited = true;
	if (count > run->left)
		count = run->left;
	run->left -= count;
	pthread_mutex_unlock(&run->lock);
	return count;
}

void rk_publish_give_back(struct rk_publish_run *run, size_t count)
{
	pthread_mutex_lock(&run->lock);
	run->left += count;
	pthread_mutex_unlock(&run->lock);
}

uint64_t rk_publish_lines(const struct rk_publish_run *run)
{
	uint64_t limit = run->request->limit, most = run->id_count;

	if (limit && limit < most && limit + run->passed < most)
		most = limit + run->passed;
	return most + run->hopeless + run->left_out;
}

void rk_publish_settle(
	struct rk_publish_item *item, enum rk_publish_outcome outcome, const char *reason)
{
	item->settled = true;
	item->outcome = outcome;
	snprintf(item->reason, sizeof(item->reason), "%s", reason);
}

bool rk_publish_took_place(const struct rk_publish_item *item)
{
	return item->outcome == RK_PUBLISH_CREATED || item->outcome == RK_PUBLISH_LINKED;
}
