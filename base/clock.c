/* See clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t rk_clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t rk_clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t rk_clock_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

void rk_clock_iso(char out[RK_CLOCK_ISO_SIZE], int64_t unix_ms)
{
	const int64_t least = -62167219200000, most = 253402300799999; /* years 0 and 9999 */
	int64_t ms = unix_ms < least ? least : unix_ms > most ? most : unix_ms;
	int64_t sec = ms / 1000, milli = ms % 1000;
	struct tm tm;
	time_t when;

	if (milli < 0) {
		milli += 1000;
		sec--;
	}
	when = (time_t)sec;
	gmtime_r(&when, &tm);
	snprintf(out, RK_CLOCK_ISO_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		(unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		(unsigned)tm.tm_sec % 100, (unsigned)milli % 1000);
}
