/* Rules of net/ws against a server that misbehaves. Times are short: the bounds are what counts. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/unit/net/client.h"

/* The opening */

static void glue_two_messages(struct server_conn *conn, void *user)
{
	uint8_t glued[64];
	size_t len = server_frame(glued, FIN | BINARY, "one", 3);

	len += server_frame(glued + len, FIN | BINARY, "two", 3);
	len += 1; /* and the start of a third */
	glued[len - 1] = FIN | BINARY;
	if (server_upgrade(conn, glued, len) && server_send(conn, "\x05three", 6))
		server_hold(conn);
}

static void bytes_behind_the_101_are_not_lost(void **state)
{
	struct server server;
	struct rk_ws *ws;

	server_start(&server, glue_two_messages, NULL);
	ws = open_plain(&server);
	expect(ws, RK_WS_MESSAGE, "one");
	expect(ws, RK_WS_MESSAGE, "two");
	expect(ws, RK_WS_MESSAGE, "three");
	rk_ws_close(ws);
	server_stop(&server);
}

static void say_path(struct server_conn *conn, void *user)
{
	char line[256];

	if (!server_upgrade(conn, "", 0))
		return;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(conn->request, "\r"), conn->request);
	server_send_frame(conn, FIN | TEXT, line, strlen(line));
	server_send_frame(
		conn, FIN | TEXT, "no", strstr(conn->request, "Host: 127.0.0.1:") ? 0 : 2);
	server_hold(conn);
}

static void path_and_query_are_asked_for(void **state)
{
	struct rk_ws_options how = options();
	struct server server;
	struct rk_ws *ws;
	char url[256], error[256];

	server_start(&server, say_path, NULL);
	snprintf(url, sizeof(url), "%s/xrpc/com.atproto.sync.subscribeRepos?cursor=12#x",
		server.http);
	assert_int_equal(rk_ws_open(&ws, url, &how, error), 0);
	expect(ws, RK_WS_TEXT, "GET /xrpc/com.atproto.sync.subscribeRepos?cursor=12 HTTP/1.1");
	expect(ws, RK_WS_TEXT, "");
	rk_ws_close(ws);
	server_stop(&server);
}

static void answer_raw(struct server_conn *conn, void *user)
{
	if (server_read_request(conn) && server_send_str(conn, user))
		server_hold(conn);
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" /* of another key */

static void anything_but_an_upgrade_is_refused(void **state)
{
	static const char *const raws[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 426 Upgrade Required\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
		"HTTP/1.1 1011 Almost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT
		"\r\n",
		SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
		SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"garbage\r\n\r\n",
		"\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
		struct rk_ws_options how = options();
		struct server server;
		struct rk_ws *ws;
		char error[256];

		server_start(&server, answer_raw, raws[i]);
		if (rk_ws_open(&ws, server.ws, &how, error) != -EPROTO)
			fail_msg("%s", raws[i]);
		assert_null(ws);
		assert_true(error[0] != '\0');
		server_stop(&server);
	}
}

static void send_header(struct server_conn *conn, void *user)
{
	const size_t *len = user;
	char *header = malloc(*len);

	memset(header, 'x', *len);
	if (server_read_request(conn) && server_send_str(conn, SWITCH "X: ") &&
		server_send(conn, header, *len) && server_send_str(conn, "\r\n\r\n"))
		server_hold(conn);
	free(header);
}

static void headers_are_bounded(void **state)
{
	static const size_t lens[] = {16384, 200000};

	for (size_t i = 0; i < 2; i++) {
		struct rk_ws_options how = options();
		struct server server;
		struct rk_ws *ws;
		char error[256];

		server_start(&server, send_header, &lens[i]);
		assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), -EPROTO);
		assert_non_null(strstr(error, "header of more than"));
		server_stop(&server);
	}
}

static void hang(struct server_conn *conn, void *user)
{
	server_hold(conn);
}

static void close_at_once(struct server_conn *conn, void *user)
{
	server_read_request(conn);
}

static void opening_ends_in_time(void **state)
{
	struct rk_ws_options how = options();
	int64_t start = rk_clock_mono_ms();
	struct server server;
	struct rk_ws *ws;
	char error[256];

	how.connect_ms = 150;
	server_start(&server, hang, NULL);
	assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), -ETIMEDOUT);
	assert_true(rk_clock_mono_ms() - start >= 150);
	server_stop(&server);
	server_start(&server, close_at_once, NULL);
	assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), -EIO);
	server_stop(&server);
}

static void opening_fails_for_the_right_reason(void **state)
{
	atomic_bool cancel = true;
	struct rk_ws_options how = options();
	struct server server;
	struct rk_ws *ws;
	char error[256];

	assert_int_equal(rk_ws_open(&ws, "ws://127.0.0.1:1/", &how, error), -ECONNREFUSED);
	assert_int_equal(rk_ws_open(&ws, "ftp://127.0.0.1/", &how, error), -EINVAL);
	assert_int_equal(rk_ws_open(&ws, "ws://user@127.0.0.1/", &how, error), -EINVAL);
	server_start(&server, hang, NULL);
	how.http.cancel = &cancel;
	assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), -ECANCELED);
	how = options();
	how.http.allow_private = false;
	assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), -EACCES);
	server_stop(&server);
	server_start(&server, glue_two_messages, NULL);
	how.http.trusted[0] = server.http;
	assert_int_equal(rk_ws_open(&ws, server.ws, &how, error), 0);
	rk_ws_close(ws);
	server_stop(&server);
	rk_ws_close(NULL);
}

/* Messages */

static void send_fragments(struct server_conn *conn, void *user)
{
	static const char piece[100];

	if (!server_upgrade(conn, "", 0))
		return;
	server_send_frame(conn, BINARY, "a", 1);
	server_send_frame(conn, FIN | PING, "between", 7);
	server_send_frame(conn, CONTINUE, "", 0);
	server_send_frame(conn, CONTINUE, "bc", 2);
	server_send_frame(conn, FIN | PONG, "unasked", 7);
	server_send_frame(conn, FIN | CONTINUE, "d", 1);
	server_send_frame(conn, FIN | BINARY, "", 0);
	server_send_frame(conn, TEXT, "", 0);
	server_send_frame(conn, FIN | CONTINUE, "\xff not UTF-8", 11);
	server_send_frame(conn, BINARY, piece, sizeof(piece));
	for (int i = 0; i < 998; i++)
		server_send_frame(conn, CONTINUE, piece, sizeof(piece));
	server_send_frame(conn, FIN | CONTINUE, piece, sizeof(piece));
	server_hold(conn);
}

static void fragments_are_put_together(void **state)
{
	struct server server;
	struct rk_ws *ws;
	uint8_t *data;
	size_t len;

	server_start(&server, send_fragments, NULL);
	ws = open_plain(&server);
	expect(ws, RK_WS_MESSAGE, "abcd");
	expect(ws, RK_WS_MESSAGE, "");
	expect(ws, RK_WS_TEXT, "\xff not UTF-8");
	assert_int_equal(rk_ws_receive(ws, &data, &len, WAIT_MS), RK_WS_MESSAGE);
	assert_int_equal(len, 100000);
	free(data);
	rk_ws_close(ws);
	server_stop(&server);
}

enum { BIG = 5 << 20 };

static void send_big(struct server_conn *conn, void *user)
{
	uint8_t *big = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 24);
	if (server_upgrade(conn, "", 0) && server_send_frame(conn, FIN | BINARY, big, BIG))
		server_hold(conn);
	free(big);
}

static void five_megabytes_come_whole(void **state)
{
	struct rk_ws_options how = options();
	struct server server;
	struct rk_ws *ws;
	uint8_t *data;
	size_t len;

	how.message_most = BIG;
	server_start(&server, send_big, NULL);
	ws = open_with(&server, &how);
	assert_int_equal(rk_ws_receive(ws, &data, &len, WAIT_MS), RK_WS_MESSAGE);
	assert_int_equal(len, BIG);
	for (size_t i = 0; i < BIG; i++) {
		if (data[i] != (uint8_t)(i * 2654435761u >> 24))
			fail_msg("byte %zu", i);
	}
	free(data);
	rk_ws_close(ws);
	server_stop(&server);
}

static void send_too_large(struct server_conn *conn, void *user)
{
	char *large = calloc(1, 300000);

	if (server_upgrade(conn, "", 0)) {
		server_send_frame(conn, FIN | BINARY, "123456789", 9); /* one over */
		server_send_frame(conn, FIN | BINARY, "12345678", 8);  /* at the bound */
		server_send_frame(conn, BINARY, "12345", 5);
		server_send_frame(conn, CONTINUE, "678", 3);
		server_send_frame(conn, FIN | PING, "x", 1);
		server_send_frame(conn, CONTINUE, "9", 1);
		server_send_frame(conn, FIN | CONTINUE, large, 300000);
		server_send_frame(conn, FIN | TEXT, "next", 4);
		server_send_frame(conn, FIN | BINARY, large, 300000);
		server_send_frame(conn, FIN | BINARY, "last", 4);
		server_hold(conn);
	}
	free(large);
}

static void messages_over_the_bound_are_skipped_whole(void **state)
{
	struct rk_ws_options how = options();
	struct server server;
	struct rk_ws *ws;

	how.message_most = 8;
	server_start(&server, send_too_large, NULL);
	ws = open_with(&server, &how);
	expect(ws, RK_WS_TOO_LARGE, NULL);
	expect(ws, RK_WS_MESSAGE, "12345678");
	expect(ws, RK_WS_TOO_LARGE, NULL);
	expect(ws, RK_WS_TEXT, "next");
	expect(ws, RK_WS_TOO_LARGE, NULL);
	expect(ws, RK_WS_MESSAGE, "last");
	rk_ws_close(ws);
	server_stop(&server);
}

static void send_many(struct server_conn *conn, void *user)
{
	const int *count = user;
	uint8_t batch[100 * 102];
	size_t len = 0;
	char payload[100] = "";

	for (int i = 0; i < 100; i++)
		len += server_frame(batch + len, FIN | BINARY, payload, sizeof(payload));
	if (!server_upgrade(conn, "", 0))
		return;
	for (int i = 0; i < *count; i += 100)
		server_send(conn, batch, len);
	server_hold(conn);
}

static void many_small_messages_all_come(void **state)
{
	const int count = 200000;
	struct server server;
	struct rk_ws *ws;
	int64_t start;

	server_start(&server, send_many, &count);
	ws = open_plain(&server);
	start = rk_clock_mono_ms();
	for (int i = 0; i < count; i++) {
		uint8_t *data;
		size_t len;

		assert_int_equal(rk_ws_receive(ws, &data, &len, WAIT_MS), RK_WS_MESSAGE);
		assert_int_equal(len, 100);
		free(data);
	}
	print_message("%d messages in %d ms\n", count, (int)(rk_clock_mono_ms() - start));
	rk_ws_close(ws);
	server_stop(&server);
}

/* Frames that end the connection */

static void send_bytes(struct server_conn *conn, void *user)
{
	const struct rk_slice *bytes = user;

	if (server_upgrade(conn, "", 0) && server_send(conn, bytes->data, bytes->len))
		server_hold(conn);
}

static void invalid_frames_close_with_a_reason(void **state)
{
	static const struct {
		struct rk_slice bytes;
		const char *reason;
	} cases[] = {
		{RK_SLICE_LIT("\xc2\x01x"), "reserved bits"},
		{RK_SLICE_LIT("\x92\x01x"), "reserved bits"},
		{RK_SLICE_LIT("\x82\x81\x01\x02\x03\x04x"), "masked"},
		{RK_SLICE_LIT("\x83\x01x"), "reserved opcode"},
		{RK_SLICE_LIT("\x8b\x00"), "reserved opcode"},
		{RK_SLICE_LIT("\x80\x01x"), "continuation"},
		{RK_SLICE_LIT("\x02\x01x\x82\x01y"), "within a message"},
		{RK_SLICE_LIT("\x09\x00"), "malformed"},          /* ping in fragments */
		{RK_SLICE_LIT("\x89\x7e\x00\x80"), "malformed"},  /* ping of 128 bytes */
		{RK_SLICE_LIT("\x82\x7e\x00\x01x"), "malformed"}, /* length not shortest */
		{RK_SLICE_LIT("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "malformed"}, /* 2^63 */
		{RK_SLICE_LIT("\x88\x01x"), "one byte"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server;
		struct rk_ws *ws;

		server_start(&server, send_bytes, &cases[i].bytes);
		ws = open_plain(&server);
		expect(ws, RK_WS_CLOSED, NULL);
		if (!strstr(rk_ws_error(ws), cases[i].reason))
			fail_msg("%s, not %s", rk_ws_error(ws), cases[i].reason);
		expect(ws, RK_WS_CLOSED, NULL);
		rk_ws_close(ws);
		server_stop(&server);
	}
}

static void send_bytes_and_close(struct server_conn *conn, void *user)
{
	const struct rk_slice *bytes = user;

	if (server_upgrade(conn, "", 0))
		server_send(conn, bytes->data, bytes->len);
}

static void lost_connections_say_how(void **state)
{
	static const struct {
		struct rk_slice bytes;
		const char *reason;
	} cases[] = {
		{RK_SLICE_LIT(""), "without a close frame"},
		{RK_SLICE_LIT("\x82\x05xy"), "in the middle"},
		{RK_SLICE_LIT("\x02\x01x"), "in the middle"},
		{RK_SLICE_LIT("\x88\x00"), "by the peer"},
		{RK_SLICE_LIT("\x88\x0a\x03\xe9goodbye!"), "by the peer: 1001 goodbye!"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server;
		struct rk_ws *ws;

		server_start(&server, send_bytes_and_close, &cases[i].bytes);
		ws = open_plain(&server);
		expect(ws, RK_WS_CLOSED, NULL);
		if (!strstr(rk_ws_error(ws), cases[i].reason))
			fail_msg("%s, not %s", rk_ws_error(ws), cases[i].reason);
		rk_ws_close(ws);
		server_stop(&server);
	}
}

static void note_close(struct server_conn *conn, void *user)
{
	uint8_t payload[125] = "", opcode = 0;
	size_t len = 0;
	atomic_int *code = user;

	if (server_upgrade(conn, "", 0) && server_read_frame(conn, &opcode, payload, &len) &&
		opcode == CLOSE && len == 2)
		atomic_store(code, payload[0] << 8 | payload[1]);
}

static void closing_says_goodbye(void **state)
{
	int64_t deadline = rk_clock_mono_ms() + WAIT_MS;
	atomic_int code = 0;
	struct server server;

	server_start(&server, note_close, &code);
	rk_ws_close(open_plain(&server));
	while (atomic_load(&code) == 0 && rk_clock_mono_ms() < deadline)
		sched_yield();
	server_stop(&server);
	assert_int_equal(atomic_load(&code), 1000);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_behind_the_101_are_not_lost),
		cmocka_unit_test(path_and_query_are_asked_for),
		cmocka_unit_test(anything_but_an_upgrade_is_refused),
		cmocka_unit_test(headers_are_bounded),
		cmocka_unit_test(opening_ends_in_time),
		cmocka_unit_test(opening_fails_for_the_right_reason),
		cmocka_unit_test(fragments_are_put_together),
		cmocka_unit_test(five_megabytes_come_whole),
		cmocka_unit_test(messages_over_the_bound_are_skipped_whole),
		cmocka_unit_test(many_small_messages_all_come),
		cmocka_unit_test(invalid_frames_close_with_a_reason),
		cmocka_unit_test(lost_connections_say_how),
		cmocka_unit_test(closing_says_goodbye),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
