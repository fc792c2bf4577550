/*
 * A blocking WebSocket client: TLS and TCP by libcurl, upgrade by hand, framing by wslay.
 * Used by one thread; only rk_ws_interrupt may be called from others.
 *
 * Silence is healthy: a ping is sent after ping_ms without a byte, and only a missed pong or a
 * closed socket ends the connection. A pong is missed when nothing at all came for pong_ms since
 * the ping, or when other bytes come but no pong in eight times that; time spent outside
 * rk_ws_receive is the caller's and never counts against the peer.
 */
#ifndef RK_NET_WS_H
#define RK_NET_WS_H

#include "net/http.h"

struct rk_ws_options {
	struct rk_http_options http;
	size_t message_most; /* bytes; a longer message is skipped whole: RK_WS_TOO_LARGE */
	long connect_ms;     /* bound on TCP, TLS and upgrade together */
	long ping_ms;        /* 0: no pings but those asked for */
	long pong_ms;        /* > 0 */
};

struct rk_ws;

enum rk_ws_result {
	RK_WS_MESSAGE = 1, /* a whole binary message */
	RK_WS_TEXT,        /* a whole text message (contents given too) */
	RK_WS_TOO_LARGE,   /* one message over message_most was read and dropped */
	RK_WS_CLOSED,      /* closed by the peer or lost; rk_ws_error says how */
	RK_WS_INTERRUPTED, /* rk_ws_interrupt was called */
	RK_WS_IDLE,        /* only from a receive with a timeout: nothing came in that time */
};

/* Connects and upgrades. url is http(s):// or ws(s)://. 0; -EACCES, -ECONNREFUSED, -ETIMEDOUT,
 * -EPROTO (no upgrade: error has the HTTP status or what was wrong), -EINVAL (URL), -ENOMEM, -EIO,
 * -ECANCELED. error gets a text for the log, with its NUL. */
int rk_ws_open(struct rk_ws **out, const char *url, const struct rk_ws_options *options,
	char error[256]) __attribute__((warn_unused_result));
void rk_ws_close(struct rk_ws *ws); /* NULL is fine; sends a close frame if it can at once */

/* Waits for the next message, at most timeout_ms (-1: for ever; pings go on meanwhile). The bytes
 * are owned by the caller (free), who so needs no copy; *data is NULL without a message. A text is
 * not checked for UTF-8. Negative: -ENOMEM, and the connection is closed. After RK_WS_CLOSED every
 * further call returns it. With a timeout of 0 what has come is still taken. */
int rk_ws_receive(struct rk_ws *ws, uint8_t **data, size_t *len, long timeout_ms)
	__attribute__((warn_unused_result));
/* True when a ping sent after `since_mono_ms` was answered: what the peer sent before that ping
 * came is received. */
bool rk_ws_ponged_since(const struct rk_ws *ws, int64_t since_mono_ms);
/* Asks for a ping at the next receive. */
void rk_ws_ping(struct rk_ws *ws);
void rk_ws_interrupt(struct rk_ws *ws);          /* any thread */
const char *rk_ws_error(const struct rk_ws *ws); /* borrowed until rk_ws_close */

#endif
