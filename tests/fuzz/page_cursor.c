/* Cursors of lists: what is believed has one spelling, and what is given out comes back, for its
 * query alone. The first byte divides the rest into a query and a text, or a position. */
#include "tests/fuzz/fuzz.h"

#include "xrpc/page_cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t found[RK_LIST_POSITION_MOST];
	struct rk_slice query, text;
	struct rk_buf again = {0};
	size_t len = 0, split;

	if (size == 0)
		return 0;
	split = data[0] < size - 1 ? data[0] : size - 1;
	query = rk_slice_make(data + 1, split);
	text = rk_slice_make(data + 1 + split, size - 1 - split);
	if (rk_page_cursor_read(found, &len, query, text)) {
		fuzz_must(len > 0 && len <= sizeof(found));
		rk_page_cursor_add(&again, query, rk_slice_make(found, len));
		fuzz_must(rk_slice_equal(rk_buf_slice(&again), text));
	}
	rk_buf_clear(&again);
	if (text.len > 0 && text.len <= RK_LIST_POSITION_MOST) {
		rk_page_cursor_add(&again, query, text);
		fuzz_must(again.len <= RK_PAGE_CURSOR_MOST);
		fuzz_must(rk_page_cursor_read(found, &len, query, rk_buf_slice(&again)));
		fuzz_must(rk_slice_equal(rk_slice_make(found, len), text));
		if (query.len > 0) {
			query.len--;
			fuzz_must(!rk_page_cursor_read(found, &len, query, rk_buf_slice(&again)));
		}
	}
	rk_buf_finish(&again);
	return 0;
}
