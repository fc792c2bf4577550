/* See server.h. */
#include "tests/unit/net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/ws_upgrade.h"

enum { DEADLINE_MS = 60000 };

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* True when the socket is ready; false at the stop or after ms. */
static bool ready(struct server *server, int fd, short events, int ms)
{
	struct pollfd fds[] = {
		{.fd = fd, .events = events},
		{.fd = server->stop_fd, .events = POLLIN},
	};

	return poll(fds, 2, ms) > 0 && fds[1].revents == 0 && fds[0].revents != 0;
}

static void *run(void *user)
{
	struct server *server = user;

	while (ready(server, server->listen_fd, POLLIN, -1)) {
		struct server_conn *conn = calloc(1, sizeof(*conn));
		int on = 1;

		must(conn != NULL, "calloc");
		conn->server = server;
		conn->fd = accept(server->listen_fd, NULL, NULL);
		if (conn->fd >= 0) {
			setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			conn->number = atomic_fetch_add(&server->connections, 1);
			server->handler(conn, server->user);
			close(conn->fd);
		}
		free(conn);
	}
	return NULL;
}

void server_start(struct server *server, server_handler *handler, const void *user)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->handler = handler;
	server->user = (void *)(uintptr_t)user;
	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listen_fd >= 0, "socket");
	must(bind(server->listen_fd, (struct sockaddr *)&address, len) == 0, "bind");
	must(listen(server->listen_fd, 8) == 0, "listen");
	must(getsockname(server->listen_fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
	server->port = ntohs(address.sin_port);
	snprintf(server->http, sizeof(server->http), "http://127.0.0.1:%d", server->port);
	snprintf(server->ws, sizeof(server->ws), "ws://127.0.0.1:%d", server->port);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	must(server->stop_fd >= 0, "eventfd");
	must(pthread_create(&server->thread, NULL, run, server) == 0, "pthread_create");
}

void server_stop(struct server *server)
{
	uint64_t one = 1;

	must(write(server->stop_fd, &one, sizeof(one)) == sizeof(one), "write");
	pthread_join(server->thread, NULL);
	close(server->listen_fd);
	close(server->stop_fd);
}

/* More bytes behind what is buffered. */
static bool fill(struct server_conn *conn)
{
	ssize_t n;

	if (conn->buffered_len == sizeof(conn->buffered) ||
		!ready(conn->server, conn->fd, POLLIN, DEADLINE_MS))
		return false;
	n = recv(conn->fd, conn->buffered + conn->buffered_len,
		sizeof(conn->buffered) - conn->buffered_len, 0);
	if (n <= 0)
		return false;
	conn->buffered_len += (size_t)n;
	return true;
}

static void drop(struct server_conn *conn, size_t len)
{
	conn->buffered_len -= len;
	memmove(conn->buffered, conn->buffered + len, conn->buffered_len);
}

bool server_read_request(struct server_conn *conn)
{
	uint8_t *end = NULL;
	size_t header, body = 0;
	char *length;

	while (!(end = memmem(conn->buffered, conn->buffered_len, "\r\n\r\n", 4))) {
		if (!fill(conn))
			return false;
	}
	header = (size_t)(end - conn->buffered) + 4;
	if (header >= sizeof(conn->request))
		return false;
	memcpy(conn->request, conn->buffered, header);
	conn->request[header] = '\0';
	drop(conn, header);
	length = strcasestr(conn->request, "\r\ncontent-length:");
	if (length)
		body = (size_t)strtoul(strchr(length + 2, ':') + 1, NULL, 10);
	while (conn->buffered_len < body) {
		if (!fill(conn))
			return false;
	}
	drop(conn, body);
	atomic_fetch_add(&conn->server->requests, 1);
	return true;
}

bool server_send(struct server_conn *conn, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n;

		if (!ready(conn->server, conn->fd, POLLOUT, DEADLINE_MS))
			return false;
		n = send(conn->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool server_send_str(struct server_conn *conn, const char *text)
{
	return server_send(conn, text, strlen(text));
}

bool server_answer(
	struct server_conn *conn, const char *status, const char *extra, const char *body)
{
	struct rk_buf out = {0};
	bool ok;

	rk_buf_printf(&out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
		extra, body);
	ok = server_send(conn, out.data, out.len);
	rk_buf_finish(&out);
	return ok;
}

void server_hold(struct server_conn *conn)
{
	do {
		conn->buffered_len = 0;
	} while (fill(conn));
}

bool server_pause(struct server_conn *conn, int ms)
{
	int64_t until = rk_clock_mono_ms() + ms, left;
	struct pollfd fds[] = {
		{.fd = conn->fd, .events = POLLRDHUP},
		{.fd = conn->server->stop_fd, .events = POLLIN},
	};

	while ((left = until - rk_clock_mono_ms()) > 0) {
		if (poll(fds, 2, (int)left) > 0)
			return false;
	}
	return true;
}

bool server_upgrade(struct server_conn *conn, const void *glued, size_t glued_len)
{
	struct rk_buf out = {0};
	char key[RK_WS_KEY_SIZE] = "";
	const char *at;
	bool ok;

	if (!server_read_request(conn))
		return false;
	at = strstr(conn->request, "Sec-WebSocket-Key: ");
	if (at)
		snprintf(key, sizeof(key), "%s", at + strlen("Sec-WebSocket-Key: "));
	rk_buf_add_str(&out,
		"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
		"connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ");
	rk_ws_upgrade_accept(&out, key);
	rk_buf_add_str(&out, "\r\n\r\n");
	rk_buf_add(&out, glued, glued_len);
	ok = server_send(conn, out.data, out.len);
	rk_buf_finish(&out);
	return ok;
}

size_t server_frame(uint8_t *out, uint8_t head, const void *payload, size_t len)
{
	size_t at = 2;

	out[0] = head;
	if (len < 126) {
		out[1] = (uint8_t)len;
	} else {
		size_t bytes = len < 65536 ? 2 : 8;

		out[1] = bytes == 2 ? 126 : 127;
		for (size_t i = 0; i < bytes; i++)
			out[at++] = (uint8_t)((uint64_t)len >> (8 * (bytes - 1 - i)));
	}
	if (len)
		memcpy(out + at, payload, len);
	return at + len;
}

bool server_send_frame(struct server_conn *conn, uint8_t head, const void *payload, size_t len)
{
	uint8_t *out = malloc(len + 10);
	bool ok;

	must(out != NULL, "malloc");
	ok = server_send(conn, out, server_frame(out, head, payload, len));
	free(out);
	return ok;
}

bool server_read_frame(struct server_conn *conn, uint8_t *opcode, uint8_t *payload, size_t *len)
{
	while (conn->buffered_len < 6 || conn->buffered_len < 6u + (conn->buffered[1] & 0x7f)) {
		if (!fill(conn))
			return false;
	}
	*opcode = conn->buffered[0] & 0x0f;
	*len = conn->buffered[1] & 0x7f;
	if (!(conn->buffered[1] & 0x80) || *len > 125)
		return false;
	for (size_t i = 0; i < *len; i++)
		payload[i] = conn->buffered[6 + i] ^ conn->buffered[2 + i % 4];
	drop(conn, 6 + *len);
	return true;
}
