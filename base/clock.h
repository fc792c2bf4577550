/* Time: wall clock for what is stored and shown, monotonic for deadlines. */
#ifndef RK_BASE_CLOCK_H
#define RK_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t rk_clock_wall_ms(void); /* Unix time, milliseconds */
int64_t rk_clock_wall_us(void); /* Unix time, microseconds */
int64_t rk_clock_mono_ms(void); /* monotonic, milliseconds */

/* A condition whose timed waits are on the monotonic clock, so that no change of the wall clock
 * makes them longer; and the time for one, so long from now. */
void rk_clock_cond_init(pthread_cond_t *cond);
struct timespec rk_clock_after(int64_t ms);

void rk_clock_pause(int64_t ms);
/* Ends within 50 ms of stopped() being true, which is asked at the end, too. False: it is. For waits that nothing
 * else wakes. */
bool rk_clock_pause_unless(int64_t ms, bool (*stopped)(void *context), void *context);

enum { RK_CLOCK_ISO_SIZE = 28 };
/* "2026-01-02T03:04:05.678Z" for years 0 to 9999; clamped to those outside. */
void rk_clock_iso(char out[RK_CLOCK_ISO_SIZE], int64_t unix_ms);

#endif
