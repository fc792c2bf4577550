/* See client.h. */
#include "tests/unit/xrpc/client.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, THREADS = 2 };

/* h2o keeps recycled buffers for a thread, and its queue, beyond their end. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\nleak:h2o_buffer_reserve\n";
}

struct rk_xrpc *server_start(struct kit *k, struct rk_xrpc_options options)
{
	struct rk_xrpc *xrpc;
	char error[256];

	options.listen = "127.0.0.1:0";
	if (!options.threads)
		options.threads = THREADS;
	options.source = "https://pds.test";
	options.status = k->service.status;
	options.status_context = k;
	if (rk_xrpc_create(&xrpc, k->store, &options, error) != 0)
		fail_msg("%s", error);
	return xrpc;
}

int client(const struct rk_xrpc *xrpc)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(rk_xrpc_address(xrpc), ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

void send_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

/* Appends what comes within the deadline; 0 at the end, else bytes. */
static ssize_t receive_some(int fd, char *out, size_t *len, size_t most)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&poll_fd, 1, DEADLINE_MS) <= 0)
		fail_msg("nothing came within the deadline");
	n = recv(fd, out + *len, most - 1 - *len, 0);
	if (n > 0)
		*len += (size_t)n;
	out[*len] = '\0';
	return n < 0 ? 0 : n;
}

void receive_end(int fd, char *out, size_t most)
{
	size_t len = 0;

	while (len + 1 < most && receive_some(fd, out, &len, most))
		;
}

void receive_one(int fd, char *out, size_t most)
{
	size_t len = 0, body = 0;
	const char *head;

	do {
		if (!receive_some(fd, out, &len, most))
			fail_msg("closed after: %s", out);
		head = strstr(out, "\r\n\r\n");
		if (head && !body) {
			const char *length = strstr(out, "Content-Length: ");

			body = (size_t)(head - out) + 4 + (length ? (size_t)atoi(length + 16) : 0);
		}
	} while (!body || len < body);
}

void exchange(const struct rk_xrpc *xrpc, const char *request, char *out, size_t most)
{
	int fd = client(xrpc);

	send_text(fd, request);
	receive_end(fd, out, most);
	close(fd);
}
