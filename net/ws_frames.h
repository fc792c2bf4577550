/*
 * WebSocket frames to messages and control frames to bytes, for ws.c: no socket and no clock here.
 * The owner puts bytes from the peer into `in` when all before are used, calls rk_ws_frames_read
 * until it returns 0, and sends what gathers in `out`.
 *
 * wslay's frame layer is used, not its event layer: that one takes in all it can get before it
 * returns, where the caller wants one message at a time and the socket to hold the rest, and it
 * ends the connection over a long message or a text that is not UTF-8, where the stream is to go
 * on.
 */
#ifndef RK_NET_WS_FRAMES_H
#define RK_NET_WS_FRAMES_H

#include <wslay/wslay.h>

#include "net/ws.h"

enum {
	RK_WS_IN_SIZE = 64 << 10,
	RK_WS_OUT_SIZE = 16 << 10, /* control frames not sent yet; over that none are made */
	RK_WS_CONTROL_MOST = 125,
	RK_WS_SKIP_MOST =
		256 << 20, /* a frame that says it is longer is nonsense: not waited for */
};

struct rk_ws_frames {
	wslay_frame_context_ptr wslay;
	size_t message_most;
	bool closed; /* by the peer or for a violation; error says why */
	char error[256];
	uint64_t ponged; /* the number in the latest pong that had one */

	/* the message being put together */
	uint8_t *data;
	size_t len, cap;
	uint8_t opcode; /* 0: none */
	bool skipping;  /* it is over message_most */

	/* the frame being read */
	bool in_frame;
	uint64_t frame_left;
	uint8_t control[RK_WS_CONTROL_MOST];
	size_t control_len;

	/* Sent in order and never moved while bytes are left: OpenSSL wants a write that has to be
	 * repeated to come from the same place. */
	size_t out_at, out_len;
	uint8_t out[RK_WS_OUT_SIZE];

	size_t in_at, in_len;
	uint8_t in[RK_WS_IN_SIZE];
};

/* In zeroed memory. 0 or -ENOMEM. */
int rk_ws_frames_init(struct rk_ws_frames *f, size_t message_most)
	__attribute__((warn_unused_result));
void rk_ws_frames_finish(struct rk_ws_frames *f); /* zeroed memory is fine */

/* What the bytes in `in` hold, up to the end of one message: 0 when more bytes are needed, an enum
 * rk_ws_result, or -ENOMEM, after which it is closed. */
int rk_ws_frames_read(struct rk_ws_frames *f) __attribute__((warn_unused_result));
/* The message that RK_WS_MESSAGE or RK_WS_TEXT announced, the caller's to free. */
void rk_ws_frames_take(struct rk_ws_frames *f, uint8_t **data, size_t *len);
/* True in the middle of a message or frame. */
bool rk_ws_frames_partial(const struct rk_ws_frames *f);

/* Adds a control frame to `out`. False if there is no room, as with a peer that sends pings and
 * reads nothing. */
bool rk_ws_frames_control(struct rk_ws_frames *f, uint8_t opcode, const void *data, size_t len);
/* Closed from now on. Returns RK_WS_CLOSED. The first reason stays. */
int rk_ws_frames_end(struct rk_ws_frames *f, const char *reason);

#endif
