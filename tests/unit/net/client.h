/* What the tests of net/ws share: short options, and opening and receiving that must succeed. */
#ifndef RK_TESTS_UNIT_NET_CLIENT_H
#define RK_TESTS_UNIT_NET_CLIENT_H

#include "tests/unit/test.h"

#include <stdlib.h>

#include "net/ws.h"
#include "tests/unit/net/server.h"

enum {
	FIN = 0x80,
	CONTINUE = 0x00,
	TEXT = 0x01,
	BINARY = 0x02,
	CLOSE = 0x08,
	PING = 0x09,
	PONG = 0x0a
};
enum { WAIT_MS = 60000 };

static inline struct rk_ws_options options(void)
{
	return (struct rk_ws_options){
		.http.allow_private = true,
		.message_most = 1 << 20,
		.connect_ms = WAIT_MS,
		.ping_ms = 60000,
		.pong_ms = 60000,
	};
}

static inline struct rk_ws *open_with(const struct server *server, const struct rk_ws_options *how)
{
	char error[256];
	struct rk_ws *ws;
	int rc = rk_ws_open(&ws, server->ws, how, error);

	if (rc != 0)
		fail_msg("%d %s", rc, error);
	return ws;
}

static inline struct rk_ws *open_plain(const struct server *server)
{
	struct rk_ws_options how = options();

	return open_with(server, &how);
}

/* The next event must be this one, with this text if there is one. */
static inline void expect(struct rk_ws *ws, int result, const char *text)
{
	uint8_t *data;
	size_t len;
	int got = rk_ws_receive(ws, &data, &len, WAIT_MS);

	if (got != result)
		fail_msg("%d, not %d: %s", got, result, rk_ws_error(ws));
	if (text) {
		assert_int_equal(len, strlen(text));
		assert_memory_equal(data, text, len);
	}
	assert_int_equal(data != NULL, result == RK_WS_MESSAGE || result == RK_WS_TEXT);
	free(data);
}

#endif
