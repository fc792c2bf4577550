/* Rules of rk_datetime_parse: known instants, every field's boundary in pairs. */
#include "tests/unit/test.h"

#include "atproto/syntax.h"
#include "base/clock.h"

static void known_instants(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59.999Z", -1},
		{"1970-01-01T00:00:00.0009Z", 0},
		{"1969-12-31T23:59:59.9999Z", -1},
		{"1985-04-12T23:20:50.123Z", INT64_C(482196050123)},
		{"1985-04-12T23:20:50.1Z", INT64_C(482196050100)},
		{"1985-04-12T23:20:50.12Z", INT64_C(482196050120)},
		{"1985-04-12T23:20:50.12399999999999999999Z", INT64_C(482196050123)},
		{"1985-04-12T16:20:50.123-07:00", INT64_C(482196050123)},
		{"1985-04-13T01:05:50.123+01:45", INT64_C(482196050123)},
		{"1985-04-12T23:20:50.123+00:00", INT64_C(482196050123)},
		{"1999-12-31T23:59:59Z", INT64_C(946684799000)},
		{"2000-01-01T23:58:59+23:59", INT64_C(946684799000)},
		{"1999-12-31T00:00:59-23:59", INT64_C(946684799000)},
		{"2000-02-29T00:00:00Z", INT64_C(951782400000)},
		{"2000-03-01T00:00:00Z", INT64_C(951868800000)},
		{"2024-02-29T12:00:00Z", INT64_C(1709208000000)},
		{"1900-03-01T00:00:00Z", INT64_C(-2203891200000)},
		{"2100-03-01T00:00:00Z", INT64_C(4107542400000)},
		{"1600-02-29T00:00:00Z", INT64_C(-11670998400000)},
		{"0004-02-29T00:00:00Z", INT64_C(-62035891200000)},
		{"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
		{"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
		{"0000-01-01T01:00:00+01:00", INT64_C(-62167219200000)},
		{"0000-03-01T00:00:00Z", INT64_C(-62162035200000)},
		{"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
		{"9999-12-31T23:59:59.999-00:01", INT64_C(253402300859999)},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms;

		if (!rk_datetime_parse(&ms, rk_slice_str(cases[i].text)) || ms != cases[i].ms)
			fail_msg("%s", cases[i].text);
	}
}

static void boundaries_in_pairs(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"2023-01-31T00:00:00Z", true},
		{"2023-01-32T00:00:00Z", false},
		{"2023-02-28T00:00:00Z", true},
		{"2023-02-29T00:00:00Z", false},
		{"2024-02-29T00:00:00Z", true},
		{"2024-02-30T00:00:00Z", false},
		{"1900-02-29T00:00:00Z", false},
		{"2000-02-29T00:00:00Z", true},
		{"0000-02-29T00:00:00Z", true},
		{"0100-02-29T00:00:00Z", false},
		{"2023-04-30T00:00:00Z", true},
		{"2023-04-31T00:00:00Z", false},
		{"2023-12-31T00:00:00Z", true},
		{"2023-13-01T00:00:00Z", false},
		{"2023-00-01T00:00:00Z", false},
		{"2023-01-00T00:00:00Z", false},
		{"2023-01-01T23:00:00Z", true},
		{"2023-01-01T24:00:00Z", false},
		{"2023-01-01T00:59:00Z", true},
		{"2023-01-01T00:60:00Z", false},
		{"2023-01-01T00:00:59Z", true},
		{"2016-12-31T23:59:60Z", false},
		{"2023-01-01T00:00:00+23:59", true},
		{"2023-01-01T00:00:00+24:00", false},
		{"2023-01-01T00:00:00-23:59", true},
		{"2023-01-01T00:00:00+23:60", false},
		{"2023-01-01T00:00:00+00:00", true},
		{"2023-01-01T00:00:00-00:00", false},
		{"2023-01-01T00:00:00.-00:00", false},
		{"2023-01-01T00:00:00.0-00:00", false},
		{"0000-01-01T00:01:00+00:01", true},
		{"0000-01-01T00:00:59+00:01", false},
		{"2023-01-01T00:00:00.12345678901234567890Z", true},
		{"2023-01-01T00:00:00.123456789012345678901Z", false},
		{"2023-01-01T00:00:00", false},
		{"2023-01-01T00:00:00.", false},
		{"2023-01-01T00:00:00.1", false},
		{"2023-01-01T00:00:00,1Z", false},
		{"2023-01-01T00:00:00ZZ", false},
		{"2023-01-01T00:00:00Z ", false},
		{"2023-01-01T00:00:00+0a:00", false},
		{"2023-01-01T00:00:00+00:0", false},
		{"2023-01-01T00:00:00+00-00", false},
		{"2023-01-01T00:00:00 00:00", false},
		{"-023-01-01T00:00:00Z", false},
		{"2023-+1-01T00:00:00Z", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms;

		if (rk_datetime_parse(&ms, rk_slice_str(cases[i].text)) != cases[i].valid)
			fail_msg("%s", cases[i].text);
	}
}

/* Our own clock prints what is parsed here, in every month of 400 years and a bit. */
static void reads_back_what_the_clock_prints(void **state)
{
	for (int64_t ms = INT64_C(-62167219200000); ms < INT64_C(-48000000000000);
		ms += INT64_C(2419199987)) {
		char text[RK_CLOCK_ISO_SIZE];
		int64_t back;

		rk_clock_iso(text, ms);
		assert_true(rk_datetime_parse(&back, rk_slice_str(text)));
		assert_true(back == ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_instants),
		cmocka_unit_test(boundaries_in_pairs),
		cmocka_unit_test(reads_back_what_the_clock_prints),
	};
	return cmocka_run_group_tests_name("atproto/datetime", tests, NULL, NULL);
}
