/*
 * A blocking HTTP client, bounded in size and time. One client per thread; it keeps connections
 * open between requests. Private addresses are refused when connecting, redirects are not followed.
 */
#ifndef RK_NET_HTTP_H
#define RK_NET_HTTP_H

#include <stdatomic.h>

#include "base/buf.h"

struct rk_http_options {
	bool allow_private;         /* connect to loopback, link-local and private addresses */
	const char *trusted_origin; /* scheme://host[:port] that may be private all the same; NULL */
	const atomic_bool *cancel;  /* set by another thread: requests end with -ECANCELED soon; NULL */
	const char *user_agent;
};

struct rk_http;

/* Once per process, before threads. 0 or negative. */
int rk_http_global_init(void) __attribute__((warn_unused_result));

/* NULL: no memory. Options' pointers must outlive the client. */
struct rk_http *rk_http_create(const struct rk_http_options *options);
void rk_http_destroy(struct rk_http *http);

struct rk_http_request {
	const char *method; /* NULL: GET */
	const char *url;
	const char *const *headers; /* "Name: value", ended by NULL; NULL: none */
	struct rk_slice body;       /* sent if data is not NULL */
	size_t body_most;           /* bytes of the answer; more is -EFBIG */
	int body_fd;                /* >= 0: the answer's body is written there and not kept */
	long timeout_ms;            /* whole request */
	long idle_ms;               /* without a byte; 0: no bound of its own */
};
/* Zero-initialise, then set: body_fd = -1 means "keep in memory". */
#define RK_HTTP_REQUEST_INIT {.body_fd = -1, .body_most = 1 << 20, .timeout_ms = 30000, .idle_ms = 10000}

struct rk_http_response {
	long status;        /* of the HTTP answer */
	struct rk_buf body; /* owned: finish with rk_http_response_finish */
	int64_t retry_after_ms; /* of Retry-After (seconds or a date); -1: absent */
	int64_t ratelimit_remaining, ratelimit_reset; /* of RateLimit-*; -1: absent; reset is Unix s */
	char content_type[64]; /* lower case, without parameters */
	char error[256];    /* what failed, for the log, when the result is negative */
};

/* 0: an answer came, whatever its status (response->status). Negative: -ECONNREFUSED, -ETIMEDOUT,
 * -EFBIG, -EACCES (address not allowed), -ECANCELED, -EINVAL (URL), -ENOMEM, -ENOSPC (body_fd),
 * -EIO for the rest. */
int rk_http_perform(struct rk_http *http, struct rk_http_response *out,
	const struct rk_http_request *request) __attribute__((warn_unused_result));
void rk_http_response_finish(struct rk_http_response *response);

/* Appends text percent-encoded as a query component. */
void rk_http_escape(struct rk_buf *out, struct rk_slice text);
/* "HTTP://Host:80/path" -> "http://host": scheme, host and a port only if not the scheme's own.
 * False unless it is http(s)/ws(s) with a host. ws maps to http. */
bool rk_http_origin(char *out, size_t size, const char *url);

/* Shared with the WebSocket client: true if the address may be connected to. */
struct sockaddr;
bool rk_http_address_public(const struct sockaddr *address);

#endif
