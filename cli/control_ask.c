/*
 * See control.h: the side of a command. A thread takes what serve sends as it comes, so that who reads the command's
 * output slowly, a pager say, holds up no work: serve waits for nobody for long.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/control.h"
#include "cli/control_line.h"
#include "cli/event.h"

enum {
	HELD_MOST = 1 << 30
}; /* of what came and is not printed: texts of documents are in it, whole */

struct taking {
	int fd;
	const atomic_bool *stop;
	pthread_t thread;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t more;
	struct rk_buf came;
	int over; /* nothing more comes: why; 0: it may */
};

/* Takes what is there, if anything is. 0 or negative: nothing more comes. */
static int take_some(struct taking *t)
{
	uint8_t chunk[16384];
	ssize_t n = recv(t->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	int r = 0;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	pthread_mutex_lock(&t->lock);
	rk_buf_add(&t->came, chunk, (size_t)n);
	if (rk_buf_failed(&t->came))
		r = -EMSGSIZE;
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static void *take(void *context)
{
	struct taking *t = context;
	int r;

	do {
		struct pollfd ready = {.fd = t->fd, .events = POLLIN};

		poll(&ready, 1, RK_CONTROL_POLL_MS);
		if (atomic_load(t->stop))
			shutdown(t->fd, SHUT_WR); /* the summary still comes */
		r = take_some(t);
	} while (r == 0);
	pthread_mutex_lock(&t->lock);
	t->over = r;
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Waits for more, which is added to held. 0 or negative: there is none. */
static int more(struct taking *t, struct rk_buf *held)
{
	int r;

	pthread_mutex_lock(&t->lock);
	while (!t->came.len && !t->over)
		pthread_cond_wait(&t->more, &t->lock);
	r = t->came.len ? 0 : t->over;
	rk_buf_add_slice(held, rk_buf_slice(&t->came));
	rk_buf_clear(&t->came);
	pthread_mutex_unlock(&t->lock);
	return rk_buf_failed(held) ? -EMSGSIZE : r;
}

/* Prints line by line, until the result. 0 or negative. */
static int print_all(struct taking *t, void (*print)(void *context, const json_t *event),
	void *context, int *exit_code)
{
	struct rk_buf held = {.limit = HELD_MOST};
	size_t at = 0;
	bool ended = false;
	int r = 0;

	while (!ended && r == 0) {
		const uint8_t *line, *end = NULL;
		json_t *event;

		if (at < held.len)
			end = memchr(held.data + at, '\n', held.len - at);
		if (!end) {
			if (at)
				memmove(held.data, held.data + at, held.len - at);
			held.len -= at;
			at = 0;
			r = more(t, &held);
			continue;
		}
		line = held.data + at;
		at = (size_t)(end + 1 - held.data);
		event = json_loadb((const char *)line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
		if (event)
			print(context, event);
		ended = strcmp(rk_event_text(event, "event"), "result") == 0;
		if (ended)
			*exit_code = (int)rk_event_number(event, "exit");
		json_decref(event);
	}
	rk_buf_finish(&held);
	return r;
}

int rk_control_ask(const char *data_dir, const json_t *request, const atomic_bool *stop,
	void (*print)(void *context, const json_t *event), void *context, int *exit_code)
{
	struct taking t = {.stop = stop, .came = {.limit = HELD_MOST}};
	struct sockaddr_un address;
	int folder = rk_control_folder_open(&address, data_dir), r = -ENOENT;

	if (folder < 0)
		return -ENOENT;
	t.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t.fd < 0 || connect(t.fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		goto close;
	/* Where it is not taken there may be an answer that says why. */
	rk_control_line_send(t.fd, request, stop);
	pthread_mutex_init(&t.lock, NULL);
	pthread_cond_init(&t.more, NULL);
	r = -pthread_create(&t.thread, NULL, take, &t);
	if (r == 0) {
		r = print_all(&t, print, context, exit_code);
		shutdown(t.fd, SHUT_RDWR);
		pthread_join(t.thread, NULL);
	}
	pthread_cond_destroy(&t.more);
	pthread_mutex_destroy(&t.lock);
	rk_buf_finish(&t.came);
close:
	if (t.fd >= 0)
		close(t.fd);
	close(folder);
	return r;
}
