/*
 * Between h2o and struct rk_call: one handler for every path, and a filter that turns the errors h2o
 * makes by itself (a body that is too large, a broken one) into ours.
 */
#include <stdio.h>

#include "base/clock.h"
#include "xrpc/conn.h"

/* Bodies are sent whole: nothing to go on with, nothing to stop. */
static h2o_generator_t whole;

/* Bytes of a header that is made of numbers. */
enum { HEADER_MOST = 48 };

struct large {
	struct rk_server *server;
	char *data;
	size_t len;
};

static void large_dispose(void *context)
{
	struct large *large = context;

	atomic_fetch_sub_explicit(&large->server->sending, large->len, memory_order_relaxed);
	free(large->data);
}

/* The body where it lives as long as the request; an empty one if there is no room for it. */
static h2o_iovec_t body_keep(struct rk_server *server, h2o_req_t *req, const struct rk_buf *body)
{
	struct large *large;
	size_t before;
	char *copy;

	if (body->len <= RK_REPLY_SMALL)
		return h2o_strdup(&req->pool, (const char *)body->data, body->len);
	before = atomic_fetch_add_explicit(&server->sending, body->len, memory_order_relaxed);
	copy = before + body->len <= RK_SENDING_MOST ? malloc(body->len) : NULL;
	if (!copy) {
		atomic_fetch_sub_explicit(&server->sending, body->len, memory_order_relaxed);
		return (h2o_iovec_t){NULL, 0};
	}
	memcpy(copy, body->data, body->len);
	large = h2o_mem_alloc_shared(&req->pool, sizeof(*large), large_dispose);
	*large = (struct large){.server = server, .data = copy, .len = body->len};
	return h2o_iovec_init(copy, body->len);
}

static bool is_head(const h2o_req_t *req)
{
	return h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
}

static void header_add(h2o_req_t *req, const char *name, size_t name_len, const char *value)
{
	h2o_add_header_by_str(
		&req->pool, &req->res.headers, name, name_len, 0, NULL, value, strlen(value));
}

static void headers_add(h2o_req_t *req, const struct rk_reply *reply)
{
	h2o_headers_t *headers = &req->res.headers;

	h2o_add_header(
		&req->pool, headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, NULL, H2O_STRLIT("*"));
	if (reply->preflight) {
		header_add(req, H2O_STRLIT("access-control-allow-methods"),
			"GET, HEAD, POST, OPTIONS");
		/* The star does not stand for the first one, nor in older browsers for any. */
		header_add(req, H2O_STRLIT("access-control-allow-headers"),
			"authorization, content-type, atproto-accept-labelers, atproto-proxy, *");
		header_add(req, H2O_STRLIT("access-control-max-age"), "86400");
		return;
	}
	h2o_add_header(&req->pool, headers, H2O_TOKEN_CONTENT_TYPE, NULL, reply->content_type,
		strlen(reply->content_type));
	if (reply->allow)
		h2o_add_header(&req->pool, headers, H2O_TOKEN_ALLOW, NULL, reply->allow,
			strlen(reply->allow));
	if (reply->status == 401)
		h2o_add_header(&req->pool, headers, H2O_TOKEN_WWW_AUTHENTICATE, NULL,
			H2O_STRLIT("Basic realm=\"refkey\""));
}

__attribute__((format(printf, 4, 5))) static void header_print(
	h2o_req_t *req, const char *name, size_t name_len, const char *format, ...)
{
	char *value = h2o_mem_alloc_pool(&req->pool, HEADER_MOST);
	va_list args;

	va_start(args, format);
	vsnprintf(value, HEADER_MOST, format, args);
	va_end(args);
	header_add(req, name, name_len, value);
}

static void rate_headers_add(h2o_req_t *req, const struct rk_rate_state *rate, int64_t now_ms)
{
	header_print(req, H2O_STRLIT("ratelimit-limit"), "%u", rate->limit);
	header_print(req, H2O_STRLIT("ratelimit-remaining"), "%u", rate->remaining);
	header_print(req, H2O_STRLIT("ratelimit-reset"), "%lld", (long long)rate->reset_s);
	header_print(req, H2O_STRLIT("ratelimit-policy"), "%u;w=%u", rate->limit, rate->window_s);
	if (rate->refused)
		header_print(req, H2O_STRLIT("retry-after"), "%lld",
			(long long)(rate->reset_s - now_ms / 1000));
	header_add(req, H2O_STRLIT("access-control-expose-headers"),
		"ratelimit-limit, ratelimit-remaining, ratelimit-reset, ratelimit-policy, "
		"retry-after");
}

/* rate: NULL where the client is not limited. */
static void reply_send(struct rk_loop *loop, h2o_req_t *req, const struct rk_rate_state *rate)
{
	struct rk_rate_state busy;
	struct rk_reply *reply = &loop->call->reply;
	h2o_iovec_t body = body_keep(loop->server, req, &reply->body);

	if (body.len != reply->body.len) {
		rk_reply_fail(reply, RK_REPLY_ERROR_RATE_LIMIT,
			"too many large answers are on their way: try again");
		rk_rate_none(loop->server->rate, &busy, rk_clock_wall_ms());
		rate = &busy;
		body = body_keep(loop->server, req, &reply->body);
	}
	req->res.status = reply->status;
	req->res.reason = rk_reply_reason(reply->status);
	headers_add(req, reply);
	if (rate)
		rate_headers_add(req, rate, rk_clock_wall_ms());
	if (reply->preflight) {
		h2o_start_response(req, &whole);
		h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
		return;
	}
	req->res.content_length = body.len;
	h2o_start_response(req, &whole);
	h2o_send(req, &body, is_head(req) ? 0 : 1, H2O_SEND_STATE_FINAL);
}

static int on_req(h2o_handler_t *handler, h2o_req_t *req)
{
	struct rk_conn *conn = rk_conn_of(req);
	struct rk_loop *loop = conn->loop;
	uint64_t client = rk_conn_client(conn, req);
	struct rk_rate_state rate = {0};
	struct rk_http http = {
		.method = rk_slice_make(req->input.method.base, req->input.method.len),
		.target = rk_slice_make(req->input.path.base, req->input.path.len),
		.authorization = h2o_find_header(&req->headers, H2O_TOKEN_AUTHORIZATION, -1) != -1,
	};

	if (client)
		rk_rate_take(loop->server->rate, &rate, client, rk_clock_wall_ms());
	if (conn->refused)
		rk_call_refuse(loop->call, conn->head.error, conn->head.why);
	else if (rate.refused)
		rk_call_refuse(loop->call, RK_REPLY_ERROR_RATE_LIMIT,
			"too many requests from this address: RateLimit-Reset says when to go on");
	else
		rk_call_run(loop->call, &http);
	reply_send(loop, req, client ? &rate : NULL);
	rk_conn_answered(conn, req);
	if (conn->refused)
		rk_linger_start(loop, conn->sock);
	return 0;
}

struct error_stream {
	h2o_ostream_t super;
	h2o_iovec_t body;
};

static void error_send(h2o_ostream_t *stream, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
	h2o_send_state_t state)
{
	struct error_stream *self = (struct error_stream *)stream;

	h2o_ostream_send_next(stream, req, &self->body, is_head(req) ? 0 : 1, state);
}

/* In place of the text that h2o would send. Such a reply is always sent in one go. */
static void error_replace(struct rk_loop *loop, h2o_req_t *req, h2o_ostream_t **slot)
{
	struct error_stream *stream = (void *)h2o_add_ostream(req, sizeof(*stream), slot);
	struct rk_reply *reply = &loop->call->reply;
	enum rk_reply_error error = rk_reply_error_of(req->res.status);

	rk_call_refuse(loop->call, error,
		error == RK_REPLY_ERROR_BODY_TOO_LARGE ? "the body is larger than 1 MiB"
						       : "the request is malformed");
	stream->super.do_send = error_send;
	stream->body = body_keep(loop->server, req, &reply->body);
	req->res.headers.size = 0;
	req->res.content_length = stream->body.len;
	headers_add(req, reply);
	rk_linger_start(loop, req->conn->callbacks->get_socket(req->conn));
}

static void on_setup_ostream(h2o_filter_t *filter, h2o_req_t *req, h2o_ostream_t **slot)
{
	if (req->_generator != &whole) {
		struct rk_loop *loop =
			H2O_STRUCT_FROM_MEMBER(struct rk_loop, context, req->conn->ctx);

		error_replace(loop, req, slot);
		slot = &(*slot)->next;
	}
	h2o_setup_next_ostream(req, slot);
}

void rk_http_register(h2o_globalconf_t *config)
{
	h2o_hostconf_t *host =
		h2o_config_register_host(config, h2o_iovec_init(H2O_STRLIT("default")), 65535);

	/* Everything is the fallback: one handler routes all paths. */
	h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_req;
	h2o_create_filter(&host->fallback_path, sizeof(h2o_filter_t))->on_setup_ostream =
		on_setup_ostream;
}
