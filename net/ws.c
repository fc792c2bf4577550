/*
 * See ws.h. The connection: opening it, reading in pieces of 64 KiB, pings, waiting. What the bytes
 * mean is in ws_frames.c, the opening handshake's text in ws_upgrade.c.
 */
#include "net/ws.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/transfer.h"
#include "net/ws_frames.h"
#include "net/ws_upgrade.h"

enum {
	ERROR_SIZE = 256,
	/* A peer that keeps talking may be late with its pong, behind a backlog, by this many
	 * pong_ms of our waiting for it. */
	PONG_PATIENCE = 8,
	WAIT_MOST_MS = 3600 * 1000,
};

struct rk_ws {
	struct rk_transfer transfer;
	int socket_fd, wake_fd;
	atomic_bool interrupted;
	long ping_ms, pong_ms;

	/* pings, one at a time; times are monotonic */
	int64_t byte_ms; /* last byte from the peer */
	bool ping_asked; /* by rk_ws_ping, at ping_asked_ms */
	int64_t ping_asked_ms;
	bool ping_out; /* sent at ping_sent_ms, not answered */
	int64_t ping_sent_ms;
	int64_t ping_waited; /* spent waiting for that answer */
	int64_t ponged_ms;   /* when the last answered ping was sent; -1: none */
	uint64_t ping_id;

	struct rk_ws_frames frames;
};

static void flush_out(struct rk_ws *ws)
{
	struct rk_ws_frames *f = &ws->frames;

	while (f->out_at < f->out_len) {
		size_t n = 0;

		if (curl_easy_send(ws->transfer.easy, f->out + f->out_at, f->out_len - f->out_at,
			    &n) != CURLE_OK)
			return; /* later; a lost connection shows when reading */
		f->out_at += n;
	}
	f->out_at = f->out_len = 0;
}

/* True if bytes came. */
static bool fill_in(struct rk_ws *ws)
{
	struct rk_ws_frames *f = &ws->frames;
	CURLcode code;

	f->in_at = f->in_len = 0;
	code = curl_easy_recv(ws->transfer.easy, f->in, sizeof(f->in), &f->in_len);
	if (code == CURLE_AGAIN) {
		f->in_len = 0;
		return false;
	}
	if (code != CURLE_OK)
		rk_ws_frames_end(f, curl_easy_strerror(code));
	else if (f->in_len == 0)
		rk_ws_frames_end(f,
			rk_ws_frames_partial(f) ? "closed in the middle of a message"
						: "closed without a close frame");
	else
		ws->byte_ms = rk_clock_mono_ms();
	return !f->closed;
}

static int read_frames(struct rk_ws *ws)
{
	int rc = rk_ws_frames_read(&ws->frames);

	if (ws->ping_out && ws->frames.ponged == ws->ping_id) {
		ws->ping_out = false;
		ws->ponged_ms = ws->ping_sent_ms;
	}
	if (ws->frames.out_len > 0)
		flush_out(ws);
	return rc;
}

static void send_ping(struct rk_ws *ws, int64_t now)
{
	ws->ping_id++;
	ws->ping_asked = false;
	ws->ping_out = true;
	ws->ping_sent_ms = now;
	ws->ping_waited = 0;
	rk_ws_frames_control(&ws->frames, WSLAY_PING, &ws->ping_id, sizeof(ws->ping_id));
	flush_out(ws);
}

/* Sends what is due, with drained: nothing is left to read, so that what did not come is late.
 * Returns when to look again. */
static int64_t keep_alive(struct rk_ws *ws, int64_t now, bool drained)
{
	if (ws->frames.out_len > 0)
		flush_out(ws);
	/* A requested ping goes out in a later millisecond than it was asked for in, so that
	 * comparing times tells which came first. */
	if (!ws->ping_out &&
		((ws->ping_asked && now > ws->ping_asked_ms) ||
			(drained && ws->ping_ms > 0 && now - ws->byte_ms >= ws->ping_ms)))
		send_ping(ws, now);
	if (ws->ping_out) {
		int64_t from = ws->byte_ms > ws->ping_sent_ms ? ws->byte_ms : ws->ping_sent_ms;

		if (drained &&
			(now - from >= ws->pong_ms ||
				ws->ping_waited >= (int64_t)ws->pong_ms * PONG_PATIENCE))
			rk_ws_frames_end(&ws->frames, "a ping was not answered");
		return from + ws->pong_ms;
	}
	if (ws->ping_asked)
		return now + 1;
	return ws->ping_ms > 0 ? ws->byte_ms + ws->ping_ms : INT64_MAX;
}

static void drain_wake(struct rk_ws *ws)
{
	uint64_t count;

	while (read(ws->wake_fd, &count, sizeof(count)) > 0)
		;
}

static void wait_socket(struct rk_ws *ws, int64_t now, int64_t until)
{
	short events = ws->frames.out_len > 0 ? POLLIN | POLLOUT : POLLIN;
	struct pollfd fds[] = {
		{.fd = ws->socket_fd, .events = events},
		{.fd = ws->wake_fd, .events = POLLIN},
	};
	int64_t wait = until - now;

	poll(fds, 2, wait < 0 ? 0 : wait > WAIT_MOST_MS ? WAIT_MOST_MS : (int)wait);
	if (fds[1].revents)
		drain_wake(ws);
	if (ws->ping_out)
		ws->ping_waited += rk_clock_mono_ms() - now;
}

/* The eventfd only ends a wait; the flag, set before it, says that somebody asked. */
static bool take_interrupt(struct rk_ws *ws)
{
	return atomic_load(&ws->interrupted) && atomic_exchange(&ws->interrupted, false);
}

int rk_ws_receive(struct rk_ws *ws, uint8_t **data, size_t *len, long timeout_ms)
{
	int64_t now = timeout_ms < 0 ? 0 : rk_clock_mono_ms();
	int64_t deadline = timeout_ms < 0 ? INT64_MAX : now + timeout_ms, until;
	bool drained;
	int rc;

	*data = NULL;
	*len = 0;
	for (;;) {
		if (take_interrupt(ws))
			return RK_WS_INTERRUPTED;
		if (ws->frames.closed)
			return RK_WS_CLOSED;
		rc = read_frames(ws);
		if (rc == RK_WS_MESSAGE || rc == RK_WS_TEXT)
			rk_ws_frames_take(&ws->frames, data, len);
		if (rc != 0)
			return rc;
		drained = !fill_in(ws);
		if (ws->frames.closed)
			return RK_WS_CLOSED;
		now = rk_clock_mono_ms();
		until = keep_alive(ws, now, drained);
		if (!drained || ws->frames.closed)
			continue;
		if (now >= deadline)
			return RK_WS_IDLE;
		wait_socket(ws, now, until < deadline ? until : deadline);
	}
}

bool rk_ws_ponged_since(const struct rk_ws *ws, int64_t since_mono_ms)
{
	return ws->ponged_ms > since_mono_ms;
}

void rk_ws_ping(struct rk_ws *ws)
{
	ws->ping_asked = true;
	ws->ping_asked_ms = rk_clock_mono_ms();
}

void rk_ws_interrupt(struct rk_ws *ws)
{
	uint64_t one = 1;
	ssize_t n;

	atomic_store(&ws->interrupted, true);
	n = write(ws->wake_fd, &one, sizeof(one));
	(void)n; /* full means that it is set already */
}

const char *rk_ws_error(const struct rk_ws *ws)
{
	return ws->frames.error;
}

/* Opening */

/* Waits a little for the socket. 0, -ETIMEDOUT or -ECANCELED. */
static int wait_opening(struct rk_ws *ws, short events, int64_t deadline, char *error)
{
	struct pollfd fd = {.fd = ws->socket_fd, .events = events};
	int64_t left = deadline - rk_clock_mono_ms();

	if (rk_transfer_cancelled(&ws->transfer)) {
		snprintf(error, ERROR_SIZE, "cancelled");
		return -ECANCELED;
	}
	if (left <= 0) {
		snprintf(error, ERROR_SIZE, "no answer to the upgrade in time");
		return -ETIMEDOUT;
	}
	poll(&fd, 1, left > RK_TRANSFER_TICK_MS ? RK_TRANSFER_TICK_MS : (int)left);
	return 0;
}

static int send_request(struct rk_ws *ws, struct rk_slice request, int64_t deadline, char *error)
{
	int rc = 0;

	while (rc == 0 && request.len > 0) {
		size_t n = 0;
		CURLcode code = curl_easy_send(ws->transfer.easy, request.data, request.len, &n);

		if (code == CURLE_AGAIN) {
			rc = wait_opening(ws, POLLOUT, deadline, error);
		} else if (code != CURLE_OK) {
			snprintf(error, ERROR_SIZE, "sending the upgrade: %s",
				curl_easy_strerror(code));
			rc = -EIO;
		}
		request = rk_slice_sub(request, n, request.len - n);
	}
	return rc;
}

static int header_too_long(char *error)
{
	snprintf(error, ERROR_SIZE, "header of more than %d bytes", RK_WS_HEADER_MOST);
	return -EPROTO;
}

/* The answer's header; what came right behind it stays in `in` for the frames. */
static int read_answer(struct rk_ws *ws, const char *key, int64_t deadline, char *error)
{
	struct rk_ws_frames *f = &ws->frames;
	size_t header;

	while ((header = rk_ws_upgrade_header_len(rk_slice_make(f->in, f->in_len))) == 0) {
		size_t n = 0;
		CURLcode code;
		int rc;

		if (f->in_len >= RK_WS_HEADER_MOST)
			return header_too_long(error);
		code = curl_easy_recv(
			ws->transfer.easy, f->in + f->in_len, sizeof(f->in) - f->in_len, &n);
		if (code == CURLE_AGAIN) {
			rc = wait_opening(ws, POLLIN, deadline, error);
			if (rc < 0)
				return rc;
		} else if (code != CURLE_OK || n == 0) {
			snprintf(error, ERROR_SIZE, "no answer to the upgrade: %s",
				code == CURLE_OK ? "closed" : curl_easy_strerror(code));
			return -EIO;
		} else {
			f->in_len += n;
		}
	}
	if (header > RK_WS_HEADER_MOST)
		return header_too_long(error);
	f->in_at = header;
	return rk_ws_upgrade_check(rk_slice_make(f->in, header), key, error);
}

static int connect_socket(struct rk_ws *ws, const char *url, long timeout_ms, char *error)
{
	char origin[RK_TRANSFER_ORIGIN_MOST];
	curl_socket_t fd = CURL_SOCKET_BAD;
	int rc;

	if (!rk_http_origin(origin, sizeof(origin), url)) {
		snprintf(error, ERROR_SIZE, "not a URL of a WebSocket");
		return -EINVAL;
	}
	rc = rk_transfer_prepare(&ws->transfer, origin, error);
	if (rc < 0)
		return rc;
	curl_easy_setopt(ws->transfer.easy, CURLOPT_CONNECT_ONLY, 1L);
	rc = rk_transfer_run(&ws->transfer, timeout_ms, 0, error);
	if (rc < 0)
		return rc;
	if (curl_easy_getinfo(ws->transfer.easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
		fd == CURL_SOCKET_BAD) {
		snprintf(error, ERROR_SIZE, "no socket after connecting");
		return -EIO;
	}
	ws->socket_fd = fd;
	return 0;
}

static int upgrade(struct rk_ws *ws, const char *url, int64_t deadline, char *error)
{
	struct rk_buf request = {0};
	char key[RK_WS_KEY_SIZE];
	int rc = rk_ws_upgrade_key(key);

	if (rc == 0 &&
		!rk_ws_upgrade_request(&request, url, ws->transfer.options.user_agent, key)) {
		snprintf(error, ERROR_SIZE, "not a URL of a WebSocket");
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = rk_buf_failed(&request);
	if (rc == 0)
		rc = send_request(ws, rk_buf_slice(&request), deadline, error);
	if (rc == 0)
		rc = read_answer(ws, key, deadline, error);
	rk_buf_finish(&request);
	return rc;
}

static void destroy(struct rk_ws *ws)
{
	rk_ws_frames_finish(&ws->frames);
	rk_transfer_finish(&ws->transfer);
	if (ws->wake_fd >= 0)
		close(ws->wake_fd);
	free(ws);
}

int rk_ws_open(
	struct rk_ws **out, const char *url, const struct rk_ws_options *options, char error[256])
{
	int64_t deadline = rk_clock_mono_ms() + options->connect_ms;
	struct rk_ws *ws = calloc(1, sizeof(*ws));
	int rc;

	*out = NULL;
	snprintf(error, ERROR_SIZE, "no memory");
	if (!ws)
		return -ENOMEM;
	ws->ping_ms = options->ping_ms;
	ws->pong_ms = options->pong_ms;
	ws->ponged_ms = -1;
	ws->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ws->wake_fd < 0) {
		rc = -EIO;
		goto fail;
	}
	rc = rk_transfer_init(&ws->transfer, &options->http);
	if (rc < 0)
		goto fail;
	rc = rk_ws_frames_init(&ws->frames, options->message_most);
	if (rc < 0)
		goto fail;
	rc = connect_socket(ws, url, options->connect_ms, error);
	if (rc < 0)
		goto fail;
	rc = upgrade(ws, url, deadline, error);
	if (rc < 0)
		goto fail;
	ws->byte_ms = rk_clock_mono_ms();
	error[0] = '\0';
	*out = ws;
	return 0;

fail:
	destroy(ws);
	return rc;
}

void rk_ws_close(struct rk_ws *ws)
{
	static const uint8_t code[] = {
		WSLAY_CODE_NORMAL_CLOSURE >> 8, WSLAY_CODE_NORMAL_CLOSURE & 0xff};

	if (!ws)
		return;
	if (!ws->frames.closed)
		rk_ws_frames_control(&ws->frames, WSLAY_CONNECTION_CLOSE, code, sizeof(code));
	flush_out(ws);
	destroy(ws);
}
