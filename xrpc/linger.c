/*
 * A refused body is not read, and a socket closed with bytes unread is reset: clients that still send
 * would see that instead of the answer. So a second descriptor of the connection stays behind, tells
 * the client that nothing more will come, and throws away what does, for a while.
 */
#include <errno.h>
#include <fcntl.h>

#include "xrpc/loop.h"

enum { BYTES_MOST = 64 << 20, BYTES_AT_ONCE = 1 << 20 };

struct rest {
	struct rk_loop *loop;
	h2o_linklist_t link;
	h2o_timeout_entry_t timeout;
	h2o_socket_t *sock;
	ssize_t left;
};

static void rest_end(struct rest *rest)
{
	h2o_timeout_unlink(&rest->timeout);
	h2o_linklist_unlink(&rest->link);
	h2o_socket_close(rest->sock);
	free(rest);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
	rest_end(H2O_STRUCT_FROM_MEMBER(struct rest, timeout, entry));
}

/* The answer is written by now, and h2o's own descriptor closed. */
static void on_answered(h2o_timeout_entry_t *entry)
{
	struct rest *rest = H2O_STRUCT_FROM_MEMBER(struct rest, timeout, entry);

	shutdown(h2o_socket_get_fd(rest->sock), SHUT_WR);
	rest->timeout.cb = on_timeout;
	h2o_timeout_link(rest->loop->evloop, &rest->loop->linger, &rest->timeout);
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
	struct rest *rest = sock->data;
	ssize_t n;

	/* TCP throws away without copying. */
	n = recv(h2o_socket_get_fd(sock), NULL, BYTES_AT_ONCE, MSG_TRUNC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	rest->left -= n;
	if (err || n <= 0 || rest->left <= 0)
		rest_end(rest);
}

void rk_linger_start(struct rk_loop *loop, h2o_socket_t *sock)
{
	int fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 0);
	struct rest *rest = fd < 0 ? NULL : calloc(1, sizeof(*rest));

	if (!rest) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rest->loop = loop;
	rest->left = BYTES_MOST;
	rest->sock = h2o_evloop_socket_create(loop->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
	rest->sock->data = rest;
	rest->timeout.cb = on_answered;
	h2o_timeout_link(loop->evloop, &loop->context.zero_timeout, &rest->timeout);
	h2o_linklist_insert(&loop->lingers, &rest->link);
	rk_loop_count(loop, rest->sock);
	h2o_socket_read_start(rest->sock, on_readable);
}

void rk_linger_end_all(struct rk_loop *loop)
{
	while (!h2o_linklist_is_empty(&loop->lingers))
		rest_end(H2O_STRUCT_FROM_MEMBER(struct rest, link, loop->lingers.next));
}
