/* See control.h: the side of serve. */
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/agree.h"
#include "cli/control_line.h"
#include "cli/event.h"

enum {
	LINE_MOST = 64 << 20,  /* of a request: a plan is in it, whole */
	CONNECTIONS_MOST = 16, /* more are refused */
	REQUEST_MS = 5000,     /* for a peer to send its request */
};

struct rk_control {
	struct rk_service *service;
	int folder, fd;
	atomic_bool stopping;
	pthread_t thread;
	pthread_mutex_t lock; /* of the count */
	pthread_cond_t ended;
	unsigned connections;
};

struct connection {
	int fd;
	atomic_bool stop;  /* the peer wants no more, or we are stopping: the operation is to end */
	atomic_bool ended; /* it has */
	atomic_bool
		gone; /* the peer took no whole line: nothing more is for it, least of all a summary */
	struct rk_control *control;
};

/* Reads on until a line is whole in buf; its length with the line break, 0 at the end, or negative: -ETIMEDOUT when
 * nothing came for that long, -EINTR when it is not whole yet, -EMSGSIZE when it is too long. */
static ssize_t line_read(int fd, struct rk_buf *buf, int timeout_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint8_t chunk[16384];
	const uint8_t *end;
	ssize_t n = poll(&ready, 1, timeout_ms);

	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	n = recv(fd, chunk, sizeof(chunk), 0);
	if (n <= 0)
		return n ? -errno : 0;
	rk_buf_add(buf, chunk, (size_t)n);
	if (rk_buf_failed(buf))
		return -EMSGSIZE;
	end = memchr(chunk, '\n', (size_t)n);
	return end ? (ssize_t)buf->len - (chunk + n - end) + 1 : -EINTR;
}

static bool emit(void *context, json_t *event)
{
	struct connection *c = context;

	if (!atomic_load(&c->gone) && !rk_control_line_send(c->fd, event, &c->control->stopping)) {
		atomic_store(&c->gone, true);
		atomic_store(&c->stop, true);
	}
	json_decref(event);
	return !atomic_load(&c->gone);
}

/* While an operation runs: notices that the peer closed its side or that we are to stop. */
static void *watch(void *context)
{
	struct connection *c = context;

	while (!atomic_load(&c->ended) && !atomic_load(&c->stop)) {
		struct pollfd ready = {.fd = c->fd, .events = POLLRDHUP};

		if (atomic_load(&c->control->stopping) || poll(&ready, 1, RK_CONTROL_POLL_MS) > 0)
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
		len = line_read(c->fd, buf, RK_CONTROL_POLL_MS);
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

		if (poll(&ready, 1, RK_CONTROL_POLL_MS) <= 0)
			continue;
		fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			connection_begin(control, fd);
	}
	return NULL;
}

static void control_free(struct rk_control *control)
{
	if (control->folder >= 0)
		close(control->folder);
	if (control->fd >= 0)
		close(control->fd);
	pthread_cond_destroy(&control->ended);
	pthread_mutex_destroy(&control->lock);
	free(control);
}

int rk_control_create(struct rk_control **out, struct rk_service *service)
{
	struct rk_control *control = calloc(1, sizeof(*control));
	struct sockaddr_un address;
	int r;

	if (!control)
		return -ENOMEM;
	control->service = service;
	pthread_mutex_init(&control->lock, NULL);
	pthread_cond_init(&control->ended, NULL);
	control->folder = rk_control_folder_open(&address, service->settings->data_dir);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->folder < 0 || control->fd < 0) {
		r = control->folder < 0 ? control->folder : -errno;
		goto fail;
	}
	/* The index's lock is ours, so a socket that is there is a dead one. */
	unlinkat(control->folder, RK_CONTROL_NAME, 0);
	fchmod(control->fd, 0600);
	if (bind(control->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		fchmodat(control->folder, RK_CONTROL_NAME, 0600, 0) != 0 ||
		listen(control->fd, 16) != 0) {
		r = -errno;
		goto fail;
	}
	r = -pthread_create(&control->thread, NULL, run, control);
	if (r)
		goto fail;
	*out = control;
	return 0;
fail:
	control_free(control);
	return r;
}

void rk_control_destroy(struct rk_control *control)
{
	if (!control)
		return;
	atomic_store(&control->stopping, true);
	pthread_join(control->thread, NULL);
	close(control->fd);
	control->fd = -1;
	unlinkat(control->folder, RK_CONTROL_NAME, 0);
	pthread_mutex_lock(&control->lock);
	while (control->connections)
		pthread_cond_wait(&control->ended, &control->lock);
	pthread_mutex_unlock(&control->lock);
	control_free(control);
}
