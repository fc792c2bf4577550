/* WebSocket frames from a server: in pieces of any size they mean the same, no message is over the
 * bound, and behind the end there is nothing. The first byte is the size of the pieces. */
#include "tests/fuzz/fuzz.h"

#include "net/ws_frames.h"

enum { MESSAGE_MOST = 300 };

/* One frames' life over all bytes; what came is written down. */
static void feed(struct rk_buf *log, struct rk_slice bytes, size_t piece)
{
	struct rk_ws_frames *f = calloc(1, sizeof(*f));

	fuzz_must(f && rk_ws_frames_init(f, MESSAGE_MOST) == 0);
	while (bytes.len > 0 && !f->closed) {
		size_t n = bytes.len < piece ? bytes.len : piece;
		int rc;

		memcpy(f->in, bytes.data, n);
		f->in_at = 0;
		f->in_len = n;
		bytes = rk_slice_sub(bytes, n, bytes.len - n);
		while ((rc = rk_ws_frames_read(f)) != 0 && rc != RK_WS_CLOSED) {
			uint8_t *data = NULL;
			size_t len = 0;

			fuzz_must(rc == RK_WS_MESSAGE || rc == RK_WS_TEXT || rc == RK_WS_TOO_LARGE);
			fuzz_must(!f->closed);
			if (rc != RK_WS_TOO_LARGE) {
				rk_ws_frames_take(f, &data, &len);
				fuzz_must(data && len <= MESSAGE_MOST);
			}
			rk_buf_printf(log, "%d:", rc);
			rk_buf_add(log, data, len);
			free(data);
		}
		fuzz_must((rc == RK_WS_CLOSED) == f->closed);
		fuzz_must(f->closed || f->in_at == f->in_len);
		fuzz_must(f->cap <= MESSAGE_MOST && f->out_len <= RK_WS_OUT_SIZE);
		f->out_len = 0; /* as if sent */
	}
	fuzz_must(strnlen(f->error, sizeof(f->error)) < sizeof(f->error));
	fuzz_must(f->closed == (f->error[0] != '\0'));
	rk_buf_printf(log, "%s", f->error);
	rk_ws_frames_finish(f);
	free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_buf whole = {0}, pieces = {0};
	struct rk_slice bytes;

	if (size == 0 || size > RK_WS_IN_SIZE)
		return 0;
	bytes = rk_slice_make(data + 1, size - 1);
	feed(&whole, bytes, RK_WS_IN_SIZE);
	feed(&pieces, bytes, data[0] ? data[0] : 1);
	fuzz_must(rk_slice_equal(rk_buf_slice(&whole), rk_buf_slice(&pieces)));
	rk_buf_finish(&whole);
	rk_buf_finish(&pieces);
	return 0;
}
