/* See clock.h. */
#include "base/clock.h"

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

void rk_clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct timespec rk_clock_after(int64_t ms)
{
	int64_t us = read_us(CLOCK_MONOTONIC) + ms * 1000;

	return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

void rk_clock_pause(int64_t ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

bool rk_clock_pause_unless(int64_t ms, bool (*stopped)(void *context), void *context)
{
	const int64_t tick_ms = 50;
	int64_t until = rk_clock_mono_ms() + ms, left;

	while (!stopped(context)) {
		left = until - rk_clock_mono_ms();
		if (left <= 0)
			return true;
		rk_clock_pause(left < tick_ms ? left : tick_ms);
	}
	return false;
}

/* Two decimal digits at a time; no locale, no lock, no format to be parsed. */
static char *digits_put(char *at, unsigned value, unsigned count)
{
	for (unsigned i = count; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + count;
}

void rk_clock_iso(char out[RK_CLOCK_ISO_SIZE], int64_t unix_ms)
{
	const int64_t least = -62167219200000, most = 253402300799999; /* years 0 and 9999 */
	int64_t ms = (unix_ms < least ? least : unix_ms > most ? most : unix_ms) - least;
	unsigned day_ms = (unsigned)(ms % 86400000), sec = day_ms / 1000;
	/* Days since 0000-03-01, in eras of 400 years, so that the leap day ends a year. */
	int64_t days = ms / 86400000 - 60;
	int64_t era = (days < 0 ? days - 146096 : days) / 146097;
	unsigned of_era = (unsigned)(days - era * 146097);
	unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
	unsigned month = (5 * of_year + 2) / 153;
	unsigned day = of_year - (153 * month + 2) / 5 + 1;
	unsigned year;

	month = month < 10 ? month + 3 : month - 9;
	year = (unsigned)(era * 400 + years + (month <= 2));
	out = digits_put(out, year, 4);
	*out++ = '-';
	out = digits_put(out, month, 2);
	*out++ = '-';
	out = digits_put(out, day, 2);
	*out++ = 'T';
	out = digits_put(out, sec / 3600, 2);
	*out++ = ':';
	out = digits_put(out, sec / 60 % 60, 2);
	*out++ = ':';
	out = digits_put(out, sec % 60, 2);
	*out++ = '.';
	out = digits_put(out, day_ms % 1000, 3);
	*out++ = 'Z';
	*out = '\0';
}
