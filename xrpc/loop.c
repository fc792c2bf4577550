/*
 * One event loop on its thread: accepts, answers (http.c), and sweeps its connections: h2o 2.2 has one
 * timer for everything a connection waits for, so that slow heads, what takes too much memory together,
 * replies that nobody takes, and a stop are seen to here. A connection is ended by shutting its socket down, which
 * h2o sees as the client's going away.
 */
#include "xrpc/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum { ACCEPTS_AT_ONCE = 4, SHED_AT_ONCE = 16 };

void rk_loop_uncount(struct rk_loop *loop)
{
	loop->connections--;
	atomic_fetch_sub_explicit(&loop->server->connections, 1, memory_order_relaxed);
	rk_metric_add(RK_METRIC_CONNECTIONS, -1);
}

static void on_closed(void *loop)
{
	rk_loop_uncount(loop);
}

void rk_loop_count(struct rk_loop *loop, h2o_socket_t *sock)
{
	loop->connections++;
	atomic_fetch_add_explicit(&loop->server->connections, 1, memory_order_relaxed);
	rk_metric_add(RK_METRIC_CONNECTIONS, 1);
	sock->on_close.cb = on_closed;
	sock->on_close.data = loop;
}

static void sweep_plan(struct rk_loop *loop)
{
	if (!h2o_timeout_is_linked(&loop->sweep_entry))
		h2o_timeout_link(loop->evloop, &loop->sweep, &loop->sweep_entry);
}

/* h2o goes through connections about in the order in which they came. */
static int connection_shed(h2o_req_t *req, void *context)
{
	bool replying = req->timestamps.response_start_at.tv_sec != 0;
	unsigned *shed = context;

	if (req->version == 0 && !replying) {
		shutdown(h2o_socket_get_fd(req->conn->callbacks->get_socket(req->conn)), SHUT_RDWR);
		++*shed;
	}
	return *shed == SHED_AT_ONCE;
}

/* At the limit: connections on which nothing whole is asked make room for new ones, so that those who
 * only hold connections keep nobody out. False: there are none. */
static bool room_make(struct rk_loop *loop)
{
	unsigned shed = 0;

	loop->server->config.http1.callbacks.foreach_request(
		&loop->context, connection_shed, &shed);
	rk_metric_add(RK_METRIC_CONNECTIONS_REFUSED, shed);
	return shed > 0;
}

static void on_accept(h2o_socket_t *listener, const char *err)
{
	struct rk_loop *loop = listener->data;
	struct rk_server *server = loop->server;

	if (err)
		return;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		h2o_socket_t *sock = h2o_evloop_socket_accept(listener);

		if (!sock) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				errno == ENOMEM) {
				/* The listener stays readable: without a pause this would spin. */
				h2o_socket_read_stop(listener);
				loop->paused = true;
				sweep_plan(loop);
			}
			return;
		}
		rk_loop_count(loop, sock);
		if (atomic_load_explicit(&server->connections, memory_order_relaxed) >
				server->connections_most &&
			!room_make(loop)) {
			rk_metric_add(RK_METRIC_CONNECTIONS_REFUSED, 1);
			h2o_socket_close(sock);
			continue;
		}
		rk_conn_open(loop, sock);
		sweep_plan(loop);
	}
}

static int64_t timeval_ms(const struct timeval *at)
{
	return (int64_t)at->tv_sec * 1000 + at->tv_usec / 1000;
}

struct sweep {
	struct rk_loop *loop;
	int64_t now_ms;  /* Unix time, as h2o's timestamps */
	int64_t mono_ms; /* as struct rk_conn's */
	bool force;
	size_t input; /* bytes that wait to be read */
};

enum sweep_verdict { KEEP, CLOSE, REFUSE };

static enum sweep_verdict judge(
	const struct sweep *sweep, const h2o_req_t *req, const h2o_socket_t *sock)
{
	const struct rk_loop *loop = sweep->loop;
	const struct rk_conn *conn = rk_conn_of(req);
	bool replying = req->timestamps.response_start_at.tv_sec != 0;

	if (sweep->force)
		return CLOSE;
	if (loop->head_most == RK_HEAD_MOST_FULL && sock->input->size > RK_HEAD_MOST_FULL)
		return REFUSE;
	if (!conn->asked && conn->begun_ms == 0)
		return loop->stopping ? CLOSE : KEEP;
	if (replying) {
		int64_t most =
			loop->server->idle_ms + (int64_t)req->bytes_sent * 1000 / RK_SEND_RATE;

		return sweep->now_ms - timeval_ms(&req->timestamps.response_start_at) > most
			? REFUSE
			: KEEP;
	}
	/* What follows a head is a body, bounded by h2o in size and time. */
	return !conn->asked && sweep->mono_ms - conn->begun_ms > loop->server->request_ms ? REFUSE
											  : KEEP;
}

static int connection_sweep(h2o_req_t *req, void *context)
{
	struct sweep *sweep = context;
	h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
	enum sweep_verdict verdict = judge(sweep, req, sock);

	sweep->input += sock->input->size;
	if (verdict != KEEP) {
		if (verdict == REFUSE)
			rk_metric_add(RK_METRIC_CONNECTIONS_REFUSED, 1);
		shutdown(h2o_socket_get_fd(sock), SHUT_RDWR);
	} else if (sock->input->size == 0 && sock->input->bytes && !rk_conn_of(req)->asked) {
		/* Idle between requests: the memory of the last one is given back. */
		h2o_buffer_dispose(&sock->input);
		h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
	}
	return 0;
}

static void connections_sweep(struct rk_loop *loop, bool force)
{
	struct sweep sweep = {.loop = loop,
		.now_ms = rk_clock_wall_ms(),
		.mono_ms = rk_clock_mono_ms(),
		.force = force};

	loop->server->config.http1.callbacks.foreach_request(
		&loop->context, connection_sweep, &sweep);
	loop->head_most = sweep.input > RK_INPUT_MOST ? RK_HEAD_MOST_FULL : RK_HEAD_MOST;
	if (force)
		rk_linger_end_all(loop);
}

static void on_sweep(h2o_timeout_entry_t *entry)
{
	struct rk_loop *loop = H2O_STRUCT_FROM_MEMBER(struct rk_loop, sweep_entry, entry);

	connections_sweep(loop, false);
	if (loop->paused && loop->listener) {
		loop->paused = false;
		h2o_socket_read_start(loop->listener, on_accept);
	}
	/* Without connections nothing is to be swept: an idle service sleeps. */
	if (loop->connections)
		sweep_plan(loop);
}

static void on_stop(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	struct rk_loop *loop = H2O_STRUCT_FROM_MEMBER(struct rk_loop, receiver, receiver);

	while (!h2o_linklist_is_empty(messages))
		h2o_linklist_unlink(messages->next);
	loop->stopping = true;
	loop->stop_by = rk_clock_mono_ms() + RK_DRAIN_MS;
	h2o_socket_close(loop->listener);
	loop->listener = NULL;
	h2o_context_request_shutdown(&loop->context);
	connections_sweep(loop, false);
}

static int loop_open(struct rk_loop *loop)
{
	struct rk_server *server = loop->server;
	int fd = fcntl(server->fd, F_DUPFD_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	r = rk_call_create(&loop->call, &server->service);
	if (r) {
		close(fd);
		return r;
	}
	/* On this thread: h2o's sockets borrow buffers of the thread that makes them. */
	loop->evloop = h2o_evloop_create();
	h2o_context_init(&loop->context, loop->evloop, &server->config);
	h2o_multithread_register_receiver(loop->context.queue, &loop->receiver, on_stop);
	h2o_timeout_init(loop->evloop, &loop->sweep, RK_SWEEP_MS);
	loop->sweep_entry.cb = on_sweep;
	loop->head_most = RK_HEAD_MOST;
	h2o_timeout_init(loop->evloop, &loop->linger, RK_LINGER_MS);
	h2o_linklist_init_anchor(&loop->lingers);
	loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = server->config.hosts};
	loop->listener = h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
	loop->listener->data = loop;
	h2o_socket_read_start(loop->listener, on_accept);
	return 0;
}

/* h2o 2.2 keeps the descriptor of an event loop's epoll and its queue for ever: a few bytes a thread,
 * once in the life of a service. */
static void loop_close(struct rk_loop *loop)
{
	h2o_timeout_unlink(&loop->sweep_entry);
	h2o_timeout_dispose(loop->evloop, &loop->sweep);
	h2o_timeout_dispose(loop->evloop, &loop->linger);
	h2o_multithread_unregister_receiver(loop->context.queue, &loop->receiver);
	h2o_context_dispose(&loop->context);
	h2o_evloop_destroy(loop->evloop);
	rk_call_destroy(loop->call);
}

static void *loop_main(void *context)
{
	struct rk_loop *loop = context;
	sigset_t all;
	int64_t left = RK_DRAIN_MS;

	/* Signals are the program's; a client that went away is an error of its write. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	loop->failed = loop_open(loop);
	sem_post(&loop->started);
	if (loop->failed)
		return NULL;
	while (!loop->stopping)
		h2o_evloop_run(loop->evloop, INT32_MAX);
	while (loop->connections && left > 0) {
		h2o_evloop_run(loop->evloop, left < RK_SWEEP_MS ? (int32_t)left : RK_SWEEP_MS);
		left = loop->stop_by - rk_clock_mono_ms();
	}
	if (loop->connections) {
		rk_log(RK_LOG_WARN, "xrpc", "connections cut off by the stop",
			RK_LOG_INT("connections", loop->connections));
		connections_sweep(loop, true);
		/* What was shut down shows at once. */
		for (int i = 0; loop->connections && i < 100; i++)
			h2o_evloop_run(loop->evloop, 10);
	}
	/* Never seen; what a connection still holds would be freed under it. */
	if (loop->connections == 0)
		loop_close(loop);
	return NULL;
}

int rk_loop_start(struct rk_loop *loop, struct rk_server *server)
{
	int r;

	*loop = (struct rk_loop){.server = server};
	sem_init(&loop->started, 0, 0);
	r = -pthread_create(&loop->thread, NULL, loop_main, loop);
	if (r == 0) {
		while (sem_wait(&loop->started) != 0)
			;
		r = loop->failed;
		if (r)
			pthread_join(loop->thread, NULL);
	}
	sem_destroy(&loop->started);
	return r;
}

void rk_loop_stop(struct rk_loop *loop)
{
	h2o_multithread_send_message(&loop->receiver, &loop->stop);
}

void rk_loop_join(struct rk_loop *loop)
{
	pthread_join(loop->thread, NULL);
}
