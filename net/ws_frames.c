/* See ws_frames.h. */
#include "net/ws_frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FRAME_MOST = RK_WS_CONTROL_MOST + 14 }; /* of a control frame with its header */

/* Out */

static ssize_t put_out(const uint8_t *data, size_t len, int flags, void *user)
{
	struct rk_ws_frames *f = user;

	if (len > RK_WS_OUT_SIZE - f->out_len)
		return -1;
	memcpy(f->out + f->out_len, data, len);
	f->out_len += len;
	return (ssize_t)len;
}

static int make_mask(uint8_t *mask, size_t len, void *user)
{
	return getrandom(mask, len, 0) == (ssize_t)len ? 0 : -1;
}

bool rk_ws_frames_control(struct rk_ws_frames *f, uint8_t opcode, const void *data, size_t len)
{
	struct wslay_frame_iocb frame = {
		.fin = 1,
		.opcode = opcode,
		.mask = 1,
		.payload_length = len,
		.data = data,
		.data_length = len,
	};

	return RK_WS_OUT_SIZE - f->out_len >= FRAME_MOST &&
		wslay_frame_send(f->wslay, &frame) == (ssize_t)len;
}

static void lose_message(struct rk_ws_frames *f)
{
	free(f->data);
	f->data = NULL;
	f->len = f->cap = 0;
}

int rk_ws_frames_end(struct rk_ws_frames *f, const char *reason)
{
	if (!f->closed)
		snprintf(f->error, sizeof(f->error), "%s", reason);
	f->closed = true;
	lose_message(f);
	return RK_WS_CLOSED;
}

static int violation(struct rk_ws_frames *f, const char *what)
{
	static const uint8_t code[] = {
		WSLAY_CODE_PROTOCOL_ERROR >> 8, WSLAY_CODE_PROTOCOL_ERROR & 0xff};

	rk_ws_frames_control(f, WSLAY_CONNECTION_CLOSE, code, sizeof(code));
	return rk_ws_frames_end(f, what);
}

/* Frames: each of these returns 0 to go on, or what rk_ws_frames_read is to return */

static ssize_t take_in(uint8_t *buf, size_t len, int flags, void *user)
{
	struct rk_ws_frames *f = user;
	size_t n = f->in_len - f->in_at;

	if (n == 0)
		return -1;
	if (n > len)
		n = len;
	memcpy(buf, f->in + f->in_at, n);
	f->in_at += n;
	return (ssize_t)n;
}

/* Room for a message of need bytes, which is within message_most. The first frame's own length is
 * taken as the message's; later ones double it. */
static bool make_room(struct rk_ws_frames *f, size_t need)
{
	size_t cap = f->cap;
	uint8_t *data;

	if (f->data && need <= cap)
		return true;
	if (cap > 0)
		cap = cap > f->message_most / 2 ? f->message_most : cap * 2;
	if (cap < need)
		cap = need;
	data = realloc(f->data, cap ? cap : 1);
	if (!data)
		return false;
	f->data = data;
	f->cap = cap;
	return true;
}

static int data_frame_starts(struct rk_ws_frames *f, const struct wslay_frame_iocb *frame)
{
	if (frame->opcode == WSLAY_CONTINUATION_FRAME) {
		if (f->opcode == 0)
			return violation(f, "continuation of no message");
	} else {
		if (f->opcode != 0)
			return violation(f, "new message within a message");
		f->opcode = frame->opcode;
		f->skipping = false;
	}
	if (f->skipping)
		return 0;
	if (frame->payload_length > f->message_most - f->len) {
		lose_message(f);
		f->skipping = true;
	} else if (!make_room(f, f->len + (size_t)frame->payload_length)) {
		rk_ws_frames_end(f, "no memory for a message");
		return -ENOMEM;
	}
	return 0;
}

static int frame_starts(struct rk_ws_frames *f, const struct wslay_frame_iocb *frame)
{
	f->in_frame = true;
	f->frame_left = frame->payload_length;
	f->control_len = 0;
	if (frame->rsv != 0)
		return violation(f, "frame with reserved bits");
	if (frame->mask)
		return violation(f, "masked frame from the server");
	if (frame->payload_length > RK_WS_SKIP_MOST)
		return violation(f, "frame of an absurd length");
	switch (frame->opcode) {
	case WSLAY_CONTINUATION_FRAME:
	case WSLAY_TEXT_FRAME:
	case WSLAY_BINARY_FRAME:
		return data_frame_starts(f, frame);
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG:
		return 0;
	default:
		return violation(f, "frame with a reserved opcode");
	}
}

static int closed_by_peer(struct rk_ws_frames *f)
{
	char text[sizeof(f->error)];

	if (f->control_len == 1)
		return violation(f, "close frame of one byte");
	rk_ws_frames_control(f, WSLAY_CONNECTION_CLOSE, f->control, f->control_len ? 2 : 0);
	if (f->control_len == 0)
		return rk_ws_frames_end(f, "closed by the peer");
	snprintf(text, sizeof(text), "closed by the peer: %u %.*s",
		(unsigned)f->control[0] << 8 | f->control[1], (int)f->control_len - 2,
		(const char *)f->control + 2);
	return rk_ws_frames_end(f, text);
}

static void take_pong(struct rk_ws_frames *f)
{
	if (f->control_len == sizeof(f->ponged))
		memcpy(&f->ponged, f->control, sizeof(f->ponged));
}

static int frame_ends(struct rk_ws_frames *f, const struct wslay_frame_iocb *frame)
{
	bool text;

	f->in_frame = false;
	switch (frame->opcode) {
	case WSLAY_CONNECTION_CLOSE:
		return closed_by_peer(f);
	case WSLAY_PING:
		rk_ws_frames_control(f, WSLAY_PONG, f->control, f->control_len);
		return 0;
	case WSLAY_PONG:
		take_pong(f);
		return 0;
	}
	if (!frame->fin)
		return 0;
	text = f->opcode == WSLAY_TEXT_FRAME;
	f->opcode = 0;
	return f->skipping ? RK_WS_TOO_LARGE : text ? RK_WS_TEXT : RK_WS_MESSAGE;
}

int rk_ws_frames_read(struct rk_ws_frames *f)
{
	int rc = 0;

	while (rc == 0) {
		struct wslay_frame_iocb frame = {0};
		ssize_t n = wslay_frame_recv(f->wslay, &frame);

		if (n == WSLAY_ERR_WANT_READ)
			break;
		if (n < 0)
			return violation(f, "malformed frame");
		if (!f->in_frame)
			rc = frame_starts(f, &frame);
		if (rc != 0)
			break;
		if (wslay_is_ctrl_frame(frame.opcode)) {
			memcpy(f->control + f->control_len, frame.data, (size_t)n);
			f->control_len += (size_t)n;
		} else if (!f->skipping && n > 0) {
			memcpy(f->data + f->len, frame.data, (size_t)n);
			f->len += (size_t)n;
		}
		f->frame_left -= (uint64_t)n;
		if (f->frame_left == 0)
			rc = frame_ends(f, &frame);
	}
	return rc;
}

void rk_ws_frames_take(struct rk_ws_frames *f, uint8_t **data, size_t *len)
{
	/* A message of many fragments may have left much room behind it. */
	if (f->cap - f->len > f->len / 4 + 64) {
		uint8_t *fitting = realloc(f->data, f->len ? f->len : 1);

		f->data = fitting ? fitting : f->data;
	}
	*data = f->data;
	*len = f->len;
	f->data = NULL;
	f->len = f->cap = 0;
}

bool rk_ws_frames_partial(const struct rk_ws_frames *f)
{
	return f->in_frame || f->opcode != 0;
}

int rk_ws_frames_init(struct rk_ws_frames *f, size_t message_most)
{
	static const struct wslay_frame_callbacks callbacks = {
		.send_callback = put_out,
		.recv_callback = take_in,
		.genmask_callback = make_mask,
	};

	f->message_most = message_most;
	return wslay_frame_context_init(&f->wslay, &callbacks, f) == 0 ? 0 : -ENOMEM;
}

void rk_ws_frames_finish(struct rk_ws_frames *f)
{
	lose_message(f);
	wslay_frame_context_free(f->wslay);
	f->wslay = NULL;
}
