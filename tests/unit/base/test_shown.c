/* Rules of base/shown: what a terminal obeys, turns around or does not show is written out. */
#include "tests/unit/test.h"

#include "base/shown.h"

static const struct {
	const char *text, *shown; /* NULL: as it is */
} cases[] = {
	{"", NULL},
	{"calm, très bien, 静か 🌱", NULL},
	{"~\xc2\xa0\xc2\xac", NULL}, /* beside what is hidden */
	{"\x1b[31mred\x1b]0;t\x07", "\\u{1b}[31mred\\u{1b}]0;t\\u{7}"},
	{"a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"},
	{"\x7f\xc2\x80\xc2\x9b", "\\u{7f}\\u{80}\\u{9b}"},
	{"\xe2\x80\xae"
	 "abc\xe2\x81\xa6\xd8\x9c",
		"\\u{202e}abc\\u{2066}\\u{61c}"},
	{"ad\xe2\x80\x8bmin\xef\xbb\xbf\xc2\xad", "ad\\u{200b}min\\u{feff}\\u{ad}"},
	{"ad\xe2\x80\x8dmin", "ad\\u{200d}min"},
	{"👩‍👧, ❤️‍🔥", NULL},
	{"\xf3\xa0\x81\xa7", "\\u{e0067}"},
};

static void what_a_terminal_obeys_is_written_out(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_slice text = rk_slice_str(cases[i].text);
		struct rk_buf out = {0};

		rk_shown_add(&out, text);
		assert_string_equal(
			rk_buf_cstr(&out), cases[i].shown ? cases[i].shown : cases[i].text);
		assert_int_equal(rk_shown_is_plain(text), !cases[i].shown);
		/* What was shown once stays as it is. */
		assert_true(rk_shown_is_plain(rk_buf_slice(&out)));
		rk_buf_finish(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_obeys_is_written_out),
	};
	return cmocka_run_group_tests_name("base/shown", tests, NULL, NULL);
}
