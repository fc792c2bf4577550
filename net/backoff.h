/* Waiting times between tries: doubling with jitter up to a cap, reset after health. Pure. */
#ifndef RK_NET_BACKOFF_H
#define RK_NET_BACKOFF_H

#include <stdint.h>

struct rk_backoff {
	int64_t first_ms, most_ms;
	unsigned tries;
};

/* The wait before the next try: uniform in [d/2, d], d = first_ms * 2^tries capped at most_ms.
 * random is any uniform 32-bit value. */
int64_t rk_backoff_next(struct rk_backoff *backoff, uint32_t random);
/* Call once a connection has been healthy for healthy_ms >= the last wait. */
void rk_backoff_reset(struct rk_backoff *backoff);
/* A 32-bit value from the kernel's generator. */
uint32_t rk_backoff_random(void);

#endif
