/* See listen.h. One socket that all loops accept from: with SO_REUSEPORT a second service could take
 * the same port unseen. */
#include "xrpc/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "atproto/origin.h"

/* RECEIVE: what the kernel keeps of a connection, about, and so what h2o can be made to read at once. */
enum { ERROR_SIZE = 256, BACKLOG = 4096, RECEIVE = 64 << 10 };

static int refuse(char error[ERROR_SIZE], const char *address, const char *why, int r)
{
	snprintf(error, ERROR_SIZE, "cannot listen on %.100s: %.100s", address, why);
	return r;
}

static int bind_one(int *out, const struct addrinfo *to)
{
	int one = 1, receive = RECEIVE, r;
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive)) != 0 ||
		bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*out = fd;
	return 0;
}

static int address_show(char out[RK_ADDRESS_SIZE], int fd)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char host[64], port[8];

	if (getsockname(fd, (struct sockaddr *)&name, &len) != 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&name, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	snprintf(
		out, RK_ADDRESS_SIZE, name.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int rk_listen_open(int *fd, char address[RK_ADDRESS_SIZE], const char *listen, char error[256])
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char host[RK_HOST_SIZE], port[12];
	const char *name = host;
	int32_t number;
	size_t len;
	int r;

	if (!rk_host_port_parse(host, &number, rk_slice_str(listen)) || number < 0)
		return refuse(error, listen, "host:port or [v6]:port is needed", -EINVAL);
	snprintf(port, sizeof(port), "%d", number);
	len = strlen(host);
	if (host[0] == '[') {
		host[len - 1] = '\0';
		name = host + 1;
	}
	r = getaddrinfo(name, port, &hints, &found);
	if (r)
		return refuse(error, listen, gai_strerror(r), -EINVAL);
	r = -EINVAL;
	for (const struct addrinfo *to = found; r && to; to = to->ai_next)
		r = bind_one(fd, to);
	freeaddrinfo(found);
	if (r == 0) {
		r = address_show(address, *fd);
		if (r)
			close(*fd);
	}
	return r ? refuse(error, listen, strerror(-r), r) : 0;
}
