/*
 * The datetime of Lexicons: YYYY-MM-DDTHH:MM:SS[.fraction](Z|+HH:MM|-HH:MM), what RFC 3339, ISO 8601
 * and the HTML standard have in common. atproto.com/specs/lexicon#datetime
 *
 * So: capital T and Z; seconds and the zone always there; -00:00 refused (not ISO 8601); no leap
 * second and no 24:00 (not HTML); days that exist in the proleptic Gregorian calendar; year 0000
 * accepted unless the offset takes the moment before it.
 */
#include "atproto/syntax.h"

#include "atproto/ascii.h"

enum {
	FRACTION_MOST = 20, /* digits; more than any clock has, and what other readers stop at */
	MINUTE_MS = 60 * 1000,
	DAYS_0000_TO_1970 = 719528,
};

/* `digits` digits at *at, which moves on; -1 if they are not all digits. The bytes must be there. */
static int number_take(const uint8_t **at, unsigned digits)
{
	int value = 0;

	for (; digits; digits--, (*at)++) {
		if (!rk_ascii_is_digit(**at))
			return -1;
		value = value * 10 + **at - '0';
	}
	return value;
}

static bool year_is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
	static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && year_is_leap(year));
}

/* Days from 0000-01-01 to the date, both in the proleptic Gregorian calendar. */
static int64_t days_since_0000(int year, int month, int day)
{
	int before = year - 1; /* year 0 is a leap year itself */
	int64_t days = 365 * (int64_t)year + day - 1;

	if (year > 0)
		days += before / 4 - before / 100 + before / 400 + 1;
	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days;
}

/* "Z" or "+HH:MM": minutes to take off local time. */
static bool zone_parse(int *minutes, struct rk_slice in)
{
	const uint8_t *at = in.data + 1;
	int hour, minute;

	if (in.len == 1) {
		*minutes = 0;
		return in.data[0] == 'Z';
	}
	if (in.len != 6 || (in.data[0] != '+' && in.data[0] != '-') || in.data[3] != ':')
		return false;
	hour = number_take(&at, 2);
	at++;
	minute = number_take(&at, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return false;
	*minutes = hour * 60 + minute;
	if (in.data[0] == '-') {
		if (*minutes == 0)
			return false;
		*minutes = -*minutes;
	}
	return true;
}

bool rk_datetime_parse(int64_t *unix_ms, struct rk_slice in)
{
	static const char shape[] = "0000-00-00T00:00:00";
	static const size_t head = sizeof(shape) - 1;
	const uint8_t *at = in.data, *end;
	int year, month, day, hour, minute, second, ms = 0, zone;
	int64_t value;

	if (in.len <= head || in.len > RK_DATETIME_MOST)
		return false;
	for (size_t i = 0; i < head; i++) {
		if (shape[i] == '0' ? !rk_ascii_is_digit(in.data[i]) : in.data[i] != shape[i])
			return false;
	}
	end = in.data + in.len;
	year = number_take(&at, 4);
	at++;
	month = number_take(&at, 2);
	at++;
	day = number_take(&at, 2);
	at++;
	hour = number_take(&at, 2);
	at++;
	minute = number_take(&at, 2);
	at++;
	second = number_take(&at, 2);
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 ||
		minute > 59 || second > 59)
		return false;
	if (*at == '.') {
		int digits = 0, unit = 100;

		for (at++; at < end && rk_ascii_is_digit(*at); at++, digits++) {
			ms += (*at - '0') * unit;
			unit /= 10;
		}
		if (digits == 0 || digits > FRACTION_MOST || at == end)
			return false;
	}
	if (!zone_parse(&zone, rk_slice_make(at, (size_t)(end - at))))
		return false;
	value = days_since_0000(year, month, day) * 24 * 60 * MINUTE_MS +
		(hour * 60 + minute - zone) * (int64_t)MINUTE_MS + second * 1000 + ms;
	if (value < 0)
		return false;
	*unix_ms = value - (int64_t)DAYS_0000_TO_1970 * 24 * 60 * MINUTE_MS;
	return true;
}
