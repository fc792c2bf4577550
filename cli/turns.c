/* See turns.h. */
#include "cli/turns.h"

#include <errno.h>

#include "base/clock.h"

enum { COMMAND = -1, ASK_MS = 20 };

int rk_turn_command(struct rk_turns *turns, const atomic_bool *stop)
{
	int r = 0, now = 0;

	atomic_fetch_add(&turns->asking, 1);
	while (r == 0 && !atomic_compare_exchange_strong(&turns->now, &now, COMMAND)) {
		if (now == COMMAND)
			r = -EBUSY;
		else if (atomic_load(stop))
			r = -ECANCELED;
		else
			rk_clock_pause(ASK_MS);
		now = 0;
	}
	atomic_fetch_sub(&turns->asking, 1);
	return r;
}

void rk_turn_command_end(struct rk_turns *turns)
{
	atomic_store(&turns->now, 0);
}

bool rk_turn_watch(struct rk_turns *turns)
{
	int now = atomic_load(&turns->now);

	if (atomic_load(&turns->asking))
		return false;
	while (now != COMMAND && !atomic_compare_exchange_weak(&turns->now, &now, now + 1))
		;
	return now != COMMAND;
}

void rk_turn_watch_end(struct rk_turns *turns)
{
	atomic_fetch_sub(&turns->now, 1);
}

bool rk_turns_watch(struct rk_turns *turns, enum rk_collection_id collection)
{
	return !atomic_exchange(&turns->watched[collection], true);
}

void rk_turns_unwatch(struct rk_turns *turns, enum rk_collection_id collection)
{
	atomic_store(&turns->watched[collection], false);
}
