/* Rules of xrpc/page_cursor: what was given comes back, for its own query only. */
#include "tests/unit/test.h"

#include "xrpc/page_cursor.h"

static void made(struct rk_buf *out, const char *query, const char *position)
{
	rk_buf_clear(out);
	rk_page_cursor_add(out, rk_slice_str(query), rk_slice_str(position));
}

static bool reads(struct rk_slice text, const char *query, const char *position)
{
	uint8_t found[RK_LIST_POSITION_MOST];
	size_t len;

	return rk_page_cursor_read(found, &len, rk_slice_str(query), text) &&
		rk_slice_equal_str(rk_slice_make(found, len), position);
}

static void comes_back(void **state)
{
	char position[RK_LIST_POSITION_MOST + 1];
	struct rk_buf text = {0};

	memset(position, '\xfb', sizeof(position));
	position[RK_LIST_POSITION_MOST] = '\0';
	for (size_t len = 1; len <= RK_LIST_POSITION_MOST; len++) {
		const char *tail = position + RK_LIST_POSITION_MOST - len;

		made(&text, "query", tail);
		assert_true(text.len <= RK_PAGE_CURSOR_MOST);
		assert_true(reads(rk_buf_slice(&text), "query", tail));
		/* Fit for a URL as it is. */
		for (size_t i = 0; i < text.len; i++)
			assert_null(memchr("+/=%& ", text.data[i], 6));
	}
	rk_buf_finish(&text);
}

static void only_for_its_query(void **state)
{
	struct rk_buf text = {0};

	made(&text, "query", "position");
	assert_false(reads(rk_buf_slice(&text), "other", "position"));
	assert_false(reads(rk_buf_slice(&text), "", "position"));
	rk_buf_finish(&text);
}

static void every_change_of_a_letter_is_refused(void **state)
{
	struct rk_buf text = {0};

	made(&text, "query", "position");
	for (size_t i = 0; i < text.len; i++) {
		uint8_t kept = text.data[i];

		for (unsigned c = 0; c < 256; c++) {
			uint8_t found[RK_LIST_POSITION_MOST];
			size_t len;

			text.data[i] = (uint8_t)c;
			if (c != kept &&
				rk_page_cursor_read(
					found, &len, rk_slice_str("query"), rk_buf_slice(&text)))
				fail_msg("letter %zu as %u", i, c);
		}
		text.data[i] = kept;
	}
	rk_buf_finish(&text);
}

static void every_cut_is_refused(void **state)
{
	struct rk_buf text = {0};

	made(&text, "query", "position");
	for (size_t len = 0; len < text.len; len++)
		assert_false(reads(rk_slice_make(text.data, len), "query", "position"));
	rk_buf_add_str(&text, "==");
	assert_false(reads(rk_buf_slice(&text), "query", "position"));
	rk_buf_finish(&text);
}

static void too_long_is_refused(void **state)
{
	uint8_t long_text[RK_PAGE_CURSOR_MOST * 2];

	memset(long_text, 'A', sizeof(long_text));
	for (size_t len = RK_PAGE_CURSOR_MOST - 16; len < sizeof(long_text); len++)
		assert_false(reads(rk_slice_make(long_text, len), "query", "position"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(only_for_its_query),
		cmocka_unit_test(every_change_of_a_letter_is_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
