/*
 * See conn.h. h2o 2.2 has no place for this, so its callbacks of a socket are stood in for:
 *
 *  - reading: h2o sets its own each time it waits for a request; ours takes its place.
 *  - written: with its own, h2o goes on to the next request of a pipeline by itself. Ours hides the
 *    bytes of that from it, lets it end the request, and reads them as what has just come in.
 *
 * While a body is awaited h2o reads for itself: nothing but the head says where a body ends.
 */
#include "xrpc/conn.h"

#include "base/clock.h"

/* What h2o reads in place of a head that is refused; it ends the connection. */
static const char stand_in[] = "GET / HTTP/1.0\r\n\r\n",
		  stand_in_head[] = "HEAD / HTTP/1.0\r\n\r\n";

struct rk_conn *rk_conn_of(const h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static struct rk_slice input(const struct rk_conn *conn)
{
	return rk_slice_make(conn->sock->input->bytes, conn->sock->input->size);
}

static void stand_in_put(struct rk_conn *conn)
{
	bool head = rk_slice_starts(input(conn), rk_slice_str("HEAD "));
	const char *text = head ? stand_in_head : stand_in;
	size_t len = strlen(text);

	h2o_buffer_consume(&conn->sock->input, conn->sock->input->size);
	memcpy(h2o_buffer_reserve(&conn->sock->input, len).base, text, len);
	conn->sock->input->size = len;
	conn->head.len = len;
}

static void head_read(struct rk_conn *conn)
{
	h2o_socket_t *sock = conn->sock;
	enum rk_head_verdict verdict;

	if (conn->seen <= 1)
		h2o_buffer_consume(&sock->input, rk_head_skip(input(conn)));
	verdict = sock->input->size
		? rk_head_read(&conn->head, input(conn), conn->seen, conn->loop->head_most)
		: RK_HEAD_PARTIAL;
	conn->seen = sock->input->size;
	if (verdict == RK_HEAD_PARTIAL) {
		if (conn->begun_ms == 0)
			conn->begun_ms = rk_clock_mono_ms();
		return;
	}
	conn->refused = verdict == RK_HEAD_REFUSED;
	if (conn->refused)
		stand_in_put(conn);
	conn->asked = true;
	conn->seen = 0;
	conn->begun_ms = 0;
	conn->read(sock, NULL);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
	struct rk_conn *conn = sock->on_close.data;

	if (err || conn->asked)
		conn->read(sock, err);
	else
		head_read(conn);
}

/* Ends the request: h2o takes off its bytes and waits for the next one. False: it closed instead. */
static bool request_end(struct rk_conn *conn, const char *err)
{
	bool closed = false;

	conn->asked = false;
	conn->closed = &closed;
	conn->written(conn->sock, err);
	if (closed)
		return false;
	conn->closed = NULL;
	h2o_socket_read_start(conn->sock, on_read);
	return true;
}

static void on_written(h2o_socket_t *sock, const char *err)
{
	struct rk_conn *conn = sock->on_close.data;
	h2o_buffer_t *all = sock->input;
	size_t request = conn->request;

	if (all->size == request) {
		request_end(conn, err);
		return;
	}
	/* h2o gets as many bytes to take off, and no more. */
	h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
	h2o_buffer_reserve(&sock->input, request);
	sock->input->size = request;
	if (!request_end(conn, err)) {
		h2o_buffer_dispose(&all);
		return;
	}
	h2o_buffer_consume(&all, request);
	sock->input = all;
	head_read(conn);
}

void rk_conn_answered(struct rk_conn *conn, const h2o_req_t *req)
{
	h2o_socket_t *sock = conn->sock;

	/* A chunked body lies decoded and whole behind its head. */
	conn->request = conn->head.len + req->entity.len;
	conn->written = sock->_cb.write;
	sock->_cb.write = on_written;
}

static void on_closed(void *context)
{
	struct rk_conn *conn = context;

	if (conn->closed)
		*conn->closed = true;
	rk_loop_uncount(conn->loop);
	free(conn);
}

void rk_conn_open(struct rk_loop *loop, h2o_socket_t *sock)
{
	struct rk_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		h2o_socket_close(sock);
		return;
	}
	conn->loop = loop;
	conn->sock = sock;
	sock->on_close.cb = on_closed;
	sock->on_close.data = conn;
	h2o_accept(&loop->accept, sock);
	conn->read = sock->_cb.read;
	h2o_socket_read_start(sock, on_read);
}

uint64_t rk_conn_client(struct rk_conn *conn, const h2o_req_t *req)
{
	ssize_t at = -1, last = -1;

	if (!conn->peer_known) {
		struct sockaddr_storage address;

		if (req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&address) != 0)
			conn->peer = rk_rate_key((struct sockaddr *)&address);
		conn->peer_known = true;
	}
	if (conn->peer)
		return conn->peer;
	while ((at = h2o_find_header(&req->headers, H2O_TOKEN_X_FORWARDED_FOR, at)) != -1)
		last = at;
	return last < 0 ? 0
			: rk_rate_key_forwarded(rk_slice_make(req->headers.entries[last].value.base,
				  req->headers.entries[last].value.len));
}
