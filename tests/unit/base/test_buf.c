/* Rules of base/buf: failures stick, limits hold, JSON strings are escaped. */
#include "tests/unit/test.h"

#include "base/buf.h"

static void failure_sticks_until_cleared(void **state)
{
	struct rk_buf buf = {.limit = 4};

	rk_buf_add_str(&buf, "abcd");
	assert_int_equal(rk_buf_failed(&buf), 0);
	rk_buf_add_str(&buf, "e");
	assert_true(rk_buf_failed(&buf) < 0);
	rk_buf_add_str(&buf, "");
	assert_string_equal(rk_buf_cstr(&buf), "");
	rk_buf_clear(&buf);
	rk_buf_printf(&buf, "%d", 1234);
	assert_string_equal(rk_buf_cstr(&buf), "1234");
	rk_buf_finish(&buf);
}

static void json_strings_escape_controls_and_quotes(void **state)
{
	struct rk_buf buf = {0};

	rk_buf_add_json(&buf, rk_slice_make("a\"\\\n\x01\0\x7f\xc3\xb6", 9));
	assert_string_equal(rk_buf_cstr(&buf), "\"a\\\"\\\\\\n\\u0001\\u0000\x7f\xc3\xb6\"");
	rk_buf_clear(&buf);
	rk_buf_add_json(&buf, (struct rk_slice){0}); /* NULL */
	assert_string_equal(rk_buf_cstr(&buf), "\"\"");
	rk_buf_finish(&buf);
}

static void grows_over_many_appends(void **state)
{
	struct rk_buf buf = {0};

	for (int i = 0; i < 100000; i++)
		rk_buf_add_byte(&buf, (uint8_t)i);
	assert_int_equal(buf.len, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], (uint8_t)i);
	rk_buf_finish(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure_sticks_until_cleared),
		cmocka_unit_test(json_strings_escape_controls_and_quotes),
		cmocka_unit_test(grows_over_many_appends),
	};
	return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
