/*
 * The least that h2o can do for the answers of getByRef: one event loop, one handler for every path,
 * the same headers, and the same bodies, read beforehand, one a line of standard input, and given in
 * the order in which random.lua asks. Prints the port it listens on and runs until it is killed.
 */
#define H2O_USE_LIBUV 0
#include <h2o.h>
#include <h2o/http1.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES_MOST = 1 << 17, STEP = 7919 /* of random.lua */ };

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;
static h2o_iovec_t bodies[BODIES_MOST];
static size_t body_count, body_at;

static void bodies_read(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (body_count < BODIES_MOST && (len = getline(&line, &room, stdin)) > 1) {
		bodies[body_count++] = h2o_iovec_init(line, (size_t)len - 1);
		line = NULL;
		room = 0;
	}
	free(line);
}

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
	static h2o_generator_t whole;
	h2o_iovec_t *body = &bodies[body_at];

	body_at = (body_at + STEP) % body_count;
	req->res.status = 200;
	req->res.reason = "OK";
	req->res.content_length = body->len;
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, NULL,
		H2O_STRLIT("*"));
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
		H2O_STRLIT("application/json; charset=utf-8"));
	h2o_start_response(req, &whole);
	h2o_send(req, body, 1, H2O_SEND_STATE_FINAL);
	return 0;
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
	h2o_socket_t *sock;

	while (!error && (sock = h2o_evloop_socket_accept(listener)))
		h2o_accept(&accept_context, sock);
}

static int listen_open(uint16_t *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 4096) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		perror("bench_bare_h2o");
		exit(1);
	}
	*port = ntohs(address.sin_port);
	return fd;
}

int main(void)
{
	h2o_hostconf_t *host;
	h2o_socket_t *listener;
	uint16_t port;
	int fd;

	bodies_read();
	if (body_count == 0) {
		fputs("bench_bare_h2o: no bodies on standard input\n", stderr);
		return 2;
	}
	fd = listen_open(&port);
	h2o_config_init(&config);
	config.server_name = (h2o_iovec_t){NULL, 0};
	host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_req;
	h2o_context_init(&context, h2o_evloop_create(), &config);
	accept_context = (h2o_accept_ctx_t){.ctx = &context, .hosts = config.hosts};
	listener = h2o_evloop_socket_create(context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
	h2o_socket_read_start(listener, on_accept);
	printf("%u\n", port);
	fflush(stdout);
	for (;;)
		h2o_evloop_run(context.loop, INT32_MAX);
}
