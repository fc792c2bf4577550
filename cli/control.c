/* See control.h. Lines are JSON without line breaks, as jansson's compact form is. */
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/agree.h"
#include "cli/event.h"

enum {
	LINE_MOST = 1 << 20,    /* of a request */
	ANSWER_MOST = 64 << 20, /* of one of its lines: texts of documents are in it, whole */
	CONNECTIONS_MOST = 16,  /* more are refused */
	POLL_MS = 200,          /* between looks at whether to stop */
	REQUEST_MS = 5000,      /* for a peer to send its request */
	SEND_MS = 5000,         /* for a peer to take anything at all */
};

struct rk_control {
	struct rk_service *service;
	int fd;
	atomic_bool stopping;
	pthread_t thread;
	pthread_mutex_t lock; /* of the count */
	pthread_cond_t ended;
	unsigned connections;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct connection {
	int fd;
	atomic_bool stop;  /* the peer wants no more, or we are stopping: the operation is to end */
	atomic_bool ended; /* it has */
	struct rk_control *control;
};

static bool path_make(char *path, size_t size, const char *data_dir)
{
	return (size_t)snprintf(path, size, "%s/control.sock", data_dir) < size;
}

/* False when the peer is gone, or takes nothing for SEND_MS (stopping: for POLL_MS). */
static bool line_send(int fd, const json_t *json, const atomic_bool *stopping)
{
	char *text = json_dumps(json, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;
	int64_t taken_ms = rk_clock_mono_ms();

	if (!text)
		return false;
	text[len++] = '\n'; /* in place of the NUL */
	while (sent < len) {
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			taken_ms = rk_clock_mono_ms();
			continue;
		}
		if (n == 0 || (errno != EINTR && errno != EAGAIN))
			break;
		poll(&ready, 1, POLL_MS);
		if (rk_clock_mono_ms() - taken_ms >=
			(stopping && atomic_load(stopping) ? POLL_MS : SEND_MS))
			break;
	}
	free(text);
	return sent == len;
}

/* Reads until a line is whole in buf; its length with the line break, 0 at the end, or negative:
 * -ETIMEDOUT when nothing came for that long, -EINTR by a signal, -EMSGSIZE when it is too long. */
static ssize_t line_read(int fd, struct rk_buf *buf, int timeout_ms)
{
	for (;;) {
		const uint8_t *end = buf->len ? memchr(buf->data, '\n', buf->len) : NULL;
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		uint8_t chunk[16384];
		ssize_t n;

		if (end)
			return end - buf->data + 1;
		n = poll(&ready, 1, timeout_ms);
		if (n <= 0)
			return n ? -errno : -ETIMEDOUT;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			rk_buf_add(buf, chunk, (size_t)n);
		if (rk_buf_failed(buf))
			return -EMSGSIZE;
		if (n < 1 || !memchr(chunk, '\n', (size_t)n))
			return -EINTR; /* a look at the clock: it may come byte by byte */
	}
}

static bool emit(void *context, json_t *event)
{
	struct connection *c = context;
	bool sent = line_send(c->fd, event, &c->control->stopping);

	json_decref(event);
	if (!sent)
		atomic_store(&c->stop, true);
	return sent;
}

/* While an operation runs: notices that the peer closed its side or that we are to stop. */
static void *watch(void *context)
{
	struct connection *c = context;

	while (!atomic_load(&c->ended) && !atomic_load(&c->stop)) {
		struct pollfd ready = {.fd = c->fd, .events = POLLRDHUP};

		if (atomic_load(&c->control->stopping) || poll(&ready, 1, POLL_MS) > 0)
			atomic_store(&c->stop, true);
	}
	return NULL;
}

static void error_emit(struct connection *c, const char *message)
{
	emit(c, rk_event_error(message));
	emit(c, json_pack("{s:s, s:i}", "event", "result", "exit", RK_EXIT_USAGE));
}

static void answer(struct connection *c, const json_t *request)
{
	const struct rk_operation_row *row =
		rk_operation_find(json_string_value(json_object_get(request, "operation")));
	struct rk_operation_run run = {
		.service = c->control->service,
		.request = request,
		.stop = &c->stop,
		.emit = emit,
		.context = c,
	};
	pthread_t watcher;
	json_t *result;
	int code;

	if (!row) {
		error_emit(c,
			"the running serve does not know this operation; is it of another version?");
		return;
	}
	if (row->mirror && !run.service->mirror) {
		error_emit(
			c, "the running serve has no MongoDB: REFKEY_MONGO_URI is not set for it");
		return;
	}
	if (rk_agree_check(&run, row) != 0) {
		emit(c, json_pack("{s:s, s:i}", "event", "result", "exit", RK_EXIT_USAGE));
		return;
	}
	result = json_object();
	if (!result || pthread_create(&watcher, NULL, watch, c) != 0) {
		json_decref(result);
		error_emit(c, "out of memory");
		return;
	}
	code = row->run(&run, result);
	json_object_set_new(result, "event", json_string("result"));
	json_object_set_new(result, "exit", json_integer(code));
	emit(c, result);
	atomic_store(&c->ended, true);
	pthread_join(watcher, NULL);
}

/* The request, in the time it has: one that comes byte by byte gets no more. Result as line_read. */
static ssize_t request_read(const struct connection *c, struct rk_buf *buf)
{
	int64_t until = rk_clock_mono_ms() + REQUEST_MS;
	ssize_t len;

	do {
		len = line_read(c->fd, buf, POLL_MS);
		if (len != -ETIMEDOUT && len != -EINTR)
			return len;
	} while (!atomic_load(&c->control->stopping) && rk_clock_mono_ms() < until);
	return -ETIMEDOUT;
}

static void *connection_run(void *context)
{
	struct connection *c = context;
	struct rk_control *control = c->control;
	struct rk_buf buf = {.limit = LINE_MOST};
	ssize_t len = request_read(c, &buf);
	json_t *request = len > 0 ? json_loadb((const char *)buf.data, (size_t)len, 0, NULL) : NULL;

	if (request)
		answer(c, request);
	else if (len > 0)
		error_emit(c, "the request is not JSON");
	else if (len == -EMSGSIZE)
		error_emit(c, "the request is too long");
	else if (len == -ETIMEDOUT)
		error_emit(c, "no request came in time");
	json_decref(request);
	rk_buf_finish(&buf);
	close(c->fd);
	free(c);
	pthread_mutex_lock(&control->lock);
	control->connections--;
	pthread_cond_signal(&control->ended);
	pthread_mutex_unlock(&control->lock);
	return NULL;
}

/* Gives the connection a thread of its own, so that long work keeps nobody else waiting. */
static void connection_begin(struct rk_control *control, int fd)
{
	struct connection refused = {.fd = fd, .control = control};
	struct connection *c = NULL;
	pthread_t thread;
	bool room;

	pthread_mutex_lock(&control->lock);
	room = control->connections < CONNECTIONS_MOST;
	control->connections += room;
	pthread_mutex_unlock(&control->lock);
	if (room)
		c = calloc(1, sizeof(*c));
	if (c) {
		c->fd = fd;
		c->control = control;
		if (pthread_create(&thread, NULL, connection_run, c) == 0) {
			pthread_detach(thread);
			return;
		}
	}
	free(c);
	error_emit(&refused, "the running serve has too many commands to carry out already");
	close(fd);
	if (room) {
		pthread_mutex_lock(&control->lock);
		control->connections--;
		pthread_mutex_unlock(&control->lock);
	}
}

static void *run(void *context)
{
	struct rk_control *control = context;

	while (!atomic_load(&control->stopping)) {
		struct pollfd ready = {.fd = control->fd, .events = POLLIN};
		int fd;

		if (poll(&ready, 1, POLL_MS) <= 0)
			continue;
		fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			connection_begin(control, fd);
	}
	return NULL;
}

int rk_control_create(struct rk_control **out, struct rk_service *service)
{
	struct rk_control *control = calloc(1, sizeof(*control));
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	if (!control)
		return -ENOMEM;
	control->service = service;
	pthread_mutex_init(&control->lock, NULL);
	pthread_cond_init(&control->ended, NULL);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->fd < 0 ||
		!path_make(control->path, sizeof(control->path), service->settings->data_dir)) {
		r = control->fd < 0 ? -errno : -ENAMETOOLONG;
		goto fail;
	}
	/* The index's lock is ours, so a socket that is there is a dead one. */
	unlink(control->path);
	memcpy(address.sun_path, control->path, sizeof(control->path));
	fchmod(control->fd, 0600);
	if (bind(control->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		chmod(control->path, 0600) != 0 || listen(control->fd, 16) != 0) {
		r = -errno;
		goto fail;
	}
	r = -pthread_create(&control->thread, NULL, run, control);
	if (r)
		goto fail;
	*out = control;
	return 0;
fail:
	if (control->fd >= 0)
		close(control->fd);
	pthread_cond_destroy(&control->ended);
	pthread_mutex_destroy(&control->lock);
	free(control);
	return r;
}

void rk_control_destroy(struct rk_control *control)
{
	if (!control)
		return;
	atomic_store(&control->stopping, true);
	pthread_join(control->thread, NULL);
	close(control->fd);
	unlink(control->path);
	pthread_mutex_lock(&control->lock);
	while (control->connections)
		pthread_cond_wait(&control->ended, &control->lock);
	pthread_mutex_unlock(&control->lock);
	pthread_cond_destroy(&control->ended);
	pthread_mutex_destroy(&control->lock);
	free(control);
}

int rk_control_ask(const char *data_dir, const json_t *request, const atomic_bool *stop,
	void (*print)(void *context, const json_t *event), void *context, int *exit_code)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rk_buf buf = {.limit = ANSWER_MOST};
	ssize_t len = 0;
	bool ended = false;
	int r, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!path_make(address.sun_path, sizeof(address.sun_path), data_dir) ||
		connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -ENOENT;
	}
	/* Where the request is not taken there may be an answer that says why. */
	r = line_send(fd, request, stop) ? -ECONNRESET : -EIO;
	while (!ended) {
		const char *kind;
		json_t *event;

		len = line_read(fd, &buf, POLL_MS);
		if (len == -ETIMEDOUT || len == -EINTR) {
			if (atomic_load(stop))
				shutdown(fd, SHUT_WR); /* the summary still comes */
			continue;
		}
		if (len <= 0)
			break;
		event = json_loadb((const char *)buf.data, (size_t)len, JSON_ALLOW_NUL, NULL);
		kind = json_string_value(json_object_get(event, "event"));
		if (event)
			print(context, event);
		if (kind && strcmp(kind, "result") == 0) {
			*exit_code = (int)json_integer_value(json_object_get(event, "exit"));
			ended = true;
		}
		json_decref(event);
		memmove(buf.data, buf.data + len, buf.len - (size_t)len);
		buf.len -= (size_t)len;
	}
	if (ended)
		r = 0;
	else if (len < 0)
		r = (int)len;
	rk_buf_finish(&buf);
	close(fd);
	return r;
}
