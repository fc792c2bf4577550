/* Rules of net/ws_frames without a socket: bytes mean the same in pieces of any size, and no bytes
 * do harm. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "net/backoff.h"
#include "net/ws_frames.h"
#include "tests/unit/net/server.h"

enum { MOST = 1000, FIN = 0x80 };

static struct rk_ws_frames *create(void)
{
	struct rk_ws_frames *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(rk_ws_frames_init(f, MOST), 0);
	return f;
}

static void destroy(struct rk_ws_frames *f)
{
	rk_ws_frames_finish(f);
	free(f);
}

/* Feeds all bytes in pieces and writes down what comes: kind, length and last byte of each. */
static void feed(struct rk_buf *log, struct rk_ws_frames *f, struct rk_slice bytes, size_t piece)
{
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

			if (rc == RK_WS_MESSAGE || rc == RK_WS_TEXT)
				rk_ws_frames_take(f, &data, &len);
			rk_buf_printf(log, "%d:%zu:%d ", rc, len, len ? data[len - 1] : -1);
			free(data);
		}
		f->out_len = 0; /* as if sent */
	}
	rk_buf_printf(log, "%s", f->error);
}

static void add(struct rk_buf *out, uint8_t head, size_t len)
{
	static const uint8_t zeros[70000];
	uint8_t *frame = malloc(len + 10);
	size_t n = server_frame(frame, head, zeros, len);

	if (len)
		frame[n - 1] = (uint8_t)(out->len * 31);
	rk_buf_add(out, frame, n);
	free(frame);
}

static void pieces_of_any_size_mean_the_same(void **state)
{
	static const struct {
		uint8_t head;
		size_t len;
	} frames[] = {
		{FIN | 2, 0},
		{FIN | 2, 1},
		{FIN | 2, 125},
		{FIN | 2, 126},
		{FIN | 1, 127},
		{FIN | 9, 125},
		{FIN | 2, MOST},
		{FIN | 2, MOST + 1},
		{2, 300},
		{FIN | 9, 0},
		{0, 0},
		{FIN | 10, 8},
		{0, 300},
		{FIN, 400},
		{1, 999},
		{0, 1},
		{FIN, 0},
		{2, 999},
		{0, 2},
		{0, 5},
		{FIN, 1},
		{FIN | 2, 65535},
		{FIN | 2, 65536},
		{FIN | 1, 3},
		{FIN | 8, 2},
		{FIN | 2, 5},
	};
	static const size_t pieces[] = {1, 2, 3, 7, 64, 1000, 4095, 4096, 4097, RK_WS_IN_SIZE};
	struct rk_buf bytes = {0}, expected = {0}, got = {0};

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		add(&bytes, frames[i].head, frames[i].len);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct rk_ws_frames *f = create();

		rk_buf_clear(&got);
		feed(&got, f, rk_buf_slice(&bytes), pieces[i]);
		assert_true(f->closed);
		destroy(f);
		if (i == 0)
			rk_buf_add_slice(&expected, rk_buf_slice(&got));
		assert_string_equal(rk_buf_cstr(&got), rk_buf_cstr(&expected));
	}
	/* 1 is a message, 2 a text, 3 was too large. */
	assert_non_null(strstr(rk_buf_cstr(&expected), "3:0:-1 1:1000:"));
	assert_non_null(strstr(rk_buf_cstr(&expected), " 2:1000:"));
	assert_non_null(strstr(rk_buf_cstr(&expected), "closed by the peer"));
	rk_buf_finish(&bytes);
	rk_buf_finish(&expected);
	rk_buf_finish(&got);
}

static void random_bytes_do_no_harm(void **state)
{
	struct rk_buf log = {0};

	for (int round = 0; round < 20000; round++) {
		struct rk_ws_frames *f = create();
		uint8_t bytes[300];

		for (size_t i = 0; i < sizeof(bytes); i += 4) {
			uint32_t random = rk_backoff_random();

			memcpy(bytes + i, &random, 4);
		}
		/* Mostly frames that get past the first check. */
		bytes[0] &= 0x8f;
		bytes[1] &= 0x3f;
		rk_buf_clear(&log);
		feed(&log, f, rk_slice_make(bytes, sizeof(bytes)), 1 + bytes[2] % 50);
		destroy(f);
	}
	rk_buf_finish(&log);
}

static void a_long_message_is_not_held(void **state)
{
	static const uint8_t head[] = {FIN | 2, 127, 0, 0, 0, 0, 0x10, 0, 0, 0};
	struct rk_ws_frames *f = create();

	_Static_assert(0x10000000 == RK_WS_SKIP_MOST, "the length in the head");
	memcpy(f->in, head, sizeof(head));
	memset(f->in + sizeof(head), 'x', sizeof(f->in) - sizeof(head));
	f->in_len = sizeof(f->in);
	assert_int_equal(rk_ws_frames_read(f), 0);
	assert_null(f->data);
	assert_false(f->closed);
	assert_true(rk_ws_frames_partial(f));
	destroy(f);
}

static void a_frame_of_an_absurd_length_is_not_waited_for(void **state)
{
	static const uint8_t heads[][10] = {
		{FIN | 2, 127, 0, 0, 0, 0, 0x10, 0, 0, 1},
		{FIN | 2, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{1, 127, 0x40, 0, 0, 0, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct rk_ws_frames *f = create();

		memcpy(f->in, heads[i], sizeof(heads[i]));
		f->in_len = sizeof(heads[i]) + 1; /* wslay tells of a frame with its first byte */
		assert_int_equal(rk_ws_frames_read(f), RK_WS_CLOSED);
		assert_true(f->closed);
		destroy(f);
	}
}

static void small_fragments_do_not_hold_much_more_than_they_are(void **state)
{
	struct rk_ws_frames *f = create();
	struct rk_buf bytes = {0};
	uint8_t *data;
	size_t len;

	add(&bytes, 2, 513);
	add(&bytes, 0, 1);
	memcpy(f->in, bytes.data, bytes.len);
	f->in_len = bytes.len;
	assert_int_equal(rk_ws_frames_read(f), 0);
	assert_true(f->cap <= MOST);
	rk_buf_clear(&bytes);
	add(&bytes, FIN, 0);
	memcpy(f->in, bytes.data, bytes.len);
	f->in_at = 0;
	f->in_len = bytes.len;
	assert_int_equal(rk_ws_frames_read(f), RK_WS_MESSAGE);
	rk_ws_frames_take(f, &data, &len);
	assert_int_equal(len, 514);
	free(data);
	rk_buf_finish(&bytes);
	destroy(f);
}

static void control_frames_stop_at_the_bound(void **state)
{
	static const uint8_t payload[RK_WS_CONTROL_MOST];
	struct rk_ws_frames *f = create();
	int made = 0;

	while (rk_ws_frames_control(f, WSLAY_PONG, payload, sizeof(payload)))
		made++;
	assert_int_equal(f->out_len, made * (RK_WS_CONTROL_MOST + 6));
	assert_true(made > 100 && f->out_len <= RK_WS_OUT_SIZE);
	f->out_len = 0;
	assert_true(rk_ws_frames_control(f, WSLAY_PING, "x", 1));
	assert_int_equal(f->out[0], FIN | 9);
	assert_int_equal(f->out[1], 0x81); /* masked */
	assert_int_equal(f->out[6] ^ f->out[2], 'x');
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_mean_the_same),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(a_long_message_is_not_held),
		cmocka_unit_test(a_frame_of_an_absurd_length_is_not_waited_for),
		cmocka_unit_test(small_fragments_do_not_hold_much_more_than_they_are),
		cmocka_unit_test(control_frames_stop_at_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
