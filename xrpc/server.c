/* See xrpc.h: puts the parts together and takes them apart. */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"
#include "xrpc/listen.h"
#include "xrpc/loop.h"
#include "xrpc/rate.h"

enum {
	CONNECTIONS_MOST = 10000,
	REQUEST_MS = 10000,
	IDLE_MS = 60000,
	RATE_LIMIT = 30000,
	RATE_WINDOW_S = 300,
	FILES_KEPT = 256, /* descriptors for everything but connections */
};

struct rk_xrpc {
	struct rk_server server;
	char address[RK_ADDRESS_SIZE];
	char *source, *hostname; /* owned */
	unsigned count;
	struct rk_loop loops[];
};

/* As many descriptors as we may have; connections beyond them would be refused by the kernel. */
static unsigned connections_fit(unsigned most)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return most;
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) != 0)
			return most;
	}
	if (files.rlim_cur == RLIM_INFINITY || files.rlim_cur >= (rlim_t)most + FILES_KEPT)
		return most;
	rk_log(RK_LOG_WARN, "xrpc", "fewer connections than wanted: the limit of open files is low",
		RK_LOG_INT("files", files.rlim_cur), RK_LOG_INT("wanted", most));
	return files.rlim_cur > 2 * FILES_KEPT ? (unsigned)files.rlim_cur - FILES_KEPT : FILES_KEPT;
}

static void config_init(h2o_globalconf_t *config, const struct rk_server *server)
{
	h2o_config_init(config);
	config->server_name = (h2o_iovec_t){NULL, 0};
	config->max_request_entity_size = RK_BODY_MOST;
	/* Also the time a connection may wait for a request, and a body may take. */
	config->http1.req_timeout = server->idle_ms;
	/* Both doors to HTTP/2: the upgrade header and the preface. */
	config->http1.upgrade_to_http2 = 0;
	/* Would leave a timer behind at the stop. */
	config->http2.callbacks.request_shutdown = NULL;
	rk_http_register(config);
}

static void loops_end(struct rk_xrpc *xrpc)
{
	for (unsigned i = 0; i < xrpc->count; i++)
		rk_loop_stop(&xrpc->loops[i]);
	for (unsigned i = 0; i < xrpc->count; i++)
		rk_loop_join(&xrpc->loops[i]);
}

static void xrpc_free(struct rk_xrpc *xrpc)
{
	if (!xrpc)
		return;
	rk_rate_destroy(xrpc->server.rate);
	free(xrpc->source);
	free(xrpc->hostname);
	free(xrpc);
}

int rk_xrpc_create(struct rk_xrpc **out, struct rk_store *store,
	const struct rk_xrpc_options *options, char error[256])
{
	unsigned threads = options->threads ? options->threads : 1;
	struct rk_xrpc *xrpc = calloc(1, sizeof(*xrpc) + threads * sizeof(xrpc->loops[0]));
	struct rk_server *server;
	int r;

	if (xrpc) {
		xrpc->source = strdup(options->source);
		xrpc->hostname = options->hostname ? strdup(options->hostname) : NULL;
	}
	if (!xrpc || !xrpc->source || (options->hostname && !xrpc->hostname)) {
		snprintf(error, 256, "out of memory");
		r = -ENOMEM;
		goto fail_memory;
	}
	server = &xrpc->server;
	server->service = (struct rk_service){
		.store = store,
		.source = rk_slice_str(xrpc->source),
		.hostname = rk_slice_str(xrpc->hostname),
		.status = options->status,
		.status_context = options->status_context,
	};
	server->request_ms = options->request_ms ? options->request_ms : REQUEST_MS;
	server->idle_ms = options->idle_ms ? options->idle_ms : IDLE_MS;
	server->connections_most = connections_fit(
		options->connections_most ? options->connections_most : CONNECTIONS_MOST);
	r = rk_rate_create(&server->rate, options->rate_limit ? options->rate_limit : RATE_LIMIT,
		options->rate_window_s ? options->rate_window_s : RATE_WINDOW_S);
	if (r) {
		snprintf(error, 256, "%s", strerror(-r));
		goto fail_memory;
	}
	r = rk_listen_open(&server->fd, xrpc->address, options->listen, error);
	if (r)
		goto fail_memory;
	config_init(&server->config, server);
	for (; xrpc->count < threads; xrpc->count++) {
		r = rk_loop_start(&xrpc->loops[xrpc->count], server);
		if (r) {
			snprintf(error, 256, "cannot start a server thread: %s", strerror(-r));
			goto fail_loops;
		}
	}
	*out = xrpc;
	return 0;

fail_loops:
	loops_end(xrpc);
	h2o_config_dispose(&server->config);
	close(server->fd);
fail_memory:
	xrpc_free(xrpc);
	return r;
}

void rk_xrpc_destroy(struct rk_xrpc *xrpc)
{
	if (!xrpc)
		return;
	loops_end(xrpc);
	h2o_config_dispose(&xrpc->server.config);
	close(xrpc->server.fd);
	xrpc_free(xrpc);
}

const char *rk_xrpc_address(const struct rk_xrpc *xrpc)
{
	return xrpc->address;
}
