/* See backoff.h. */
#include "net/backoff.h"

#include <sys/random.h>

#include "base/clock.h"

int64_t rk_backoff_next(struct rk_backoff *backoff, uint32_t random)
{
	int64_t most = backoff->most_ms > 0 ? backoff->most_ms : 0;
	int64_t wait = backoff->first_ms > 0 ? backoff->first_ms : 1;
	int64_t half;

	for (unsigned i = 0; i < backoff->tries && wait < most; i++)
		wait = wait > most / 2 ? most : wait * 2;
	if (wait > most)
		wait = most;
	if (wait < most)
		backoff->tries++;
	half = wait / 2;
	return half + (int64_t)(random % ((uint64_t)(wait - half) + 1));
}

void rk_backoff_reset(struct rk_backoff *backoff)
{
	backoff->tries = 0;
}

uint32_t rk_backoff_random(void)
{
	uint32_t value;

	if (getrandom(&value, sizeof(value), 0) == sizeof(value))
		return value;
	/* Jitter only needs to differ between processes, so the clock will do. */
	return (uint32_t)((uint64_t)rk_clock_wall_us() * 2654435761u);
}
