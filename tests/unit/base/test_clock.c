/* Rules of base/clock: ISO times as gmtime has them, clamped to years of four digits. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void known_instants(void **state)
{
	static const struct {
		int64_t ms;
		const char *iso;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{951782400000, "2000-02-29T00:00:00.000Z"},
		{951868799999, "2000-02-29T23:59:59.999Z"},
		{951868800000, "2000-03-01T00:00:00.000Z"},
		{-2203891200000, "1900-03-01T00:00:00.000Z"},
		{-62167219200000, "0000-01-01T00:00:00.000Z"},
		{-62167219200001, "0000-01-01T00:00:00.000Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
		{253402300800000, "9999-12-31T23:59:59.999Z"},
		{INT64_MIN, "0000-01-01T00:00:00.000Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char iso[RK_CLOCK_ISO_SIZE];

		rk_clock_iso(iso, cases[i].ms);
		assert_string_equal(iso, cases[i].iso);
	}
}

static void every_day_of_a_thousand_years(void **state)
{
	for (int64_t day = -250000; day < 250000; day++) {
		char iso[RK_CLOCK_ISO_SIZE], expected[RK_CLOCK_ISO_SIZE];
		time_t when = (time_t)(day * 86400 + 86399);
		struct tm tm;

		gmtime_r(&when, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
		rk_clock_iso(iso, (int64_t)when * 1000 + 7);
		if (strcmp(iso, expected) != 0)
			fail_msg("%s, not %s", iso, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_instants),
		cmocka_unit_test(every_day_of_a_thousand_years),
	};
	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
