/*
 * A blocking HTTP client, bounded in size and time. One client per thread; it keeps connections
 * open between requests. Private addresses are refused when connecting, redirects are not followed.
 */
#ifndef RK_NET_HTTP_H
#define RK_NET_HTTP_H

#include <stdatomic.h>

#include "base/buf.h"

enum { RK_HTTP_TRUSTED_MOST = 2 };

struct rk_http_options {
	bool allow_private; /* connect to loopback, link-local and private addresses */
	const char *trusted
		[RK_HTTP_TRUSTED_MOST]; /* origins, scheme://host[:port], that may be private;
						    * NULL: none */
	const atomic_bool *cancel;      /* set by another thread: ends with -ECANCELED soon; NULL */
	long cancel_after_ms;           /* so long a request may still go on then; 0: not at all */
	const char *user_agent;         /* NULL: refkey/VERSION */
};

struct rk_http;

/* Once per process, before threads; SIGPIPE is ignored from then on. 0 or negative. */
int rk_http_global_init(void) __attribute__((warn_unused_result));

/* NULL: no memory, or a trusted origin that is none. Options' pointers must outlive the client. */
struct rk_http *rk_http_create(const struct rk_http_options *options);
void rk_http_destroy(struct rk_http *http);

/* More of a body has come: piece, behind `before` bytes. False ends the request, with -ECONNABORTED. It may not
 * use the client. */
typedef bool rk_http_watch(void *context, struct rk_slice piece, size_t before);

struct rk_http_request {
	const char *method;         /* NULL: GET; not HEAD */
	const char *url;            /* http(s), without user and password */
	const char *const *headers; /* "Name: value", ended by NULL; NULL: none */
	struct rk_slice body;       /* sent if data is not NULL */
	size_t body_most;           /* bytes of the answer; more is -EFBIG */
	int body_fd;                /* >= 0: the body of a 2xx answer is written there, not kept;
	                             * of any other it is kept, up to 64 KiB */
	rk_http_watch *watch;       /* of what is written to body_fd, before it is; NULL */
	void *watch_context;
	long timeout_ms; /* whole request */
	long idle_ms;    /* without a byte; 0: no bound of its own */
	long rate_least; /* bytes a second that must come on the whole, twice idle_ms
	                             * aside; 0: any */
};
/* Start from this; body_fd = -1 means "keep in memory". */
#define RK_HTTP_REQUEST_INIT                                                                       \
	{                                                                                          \
		.body_fd = -1, .body_most = 1 << 20, .timeout_ms = 30000, .idle_ms = 10000         \
	}

enum { RK_HTTP_RETRY_MOST_MS = 24 * 3600 * 1000 }; /* a longer Retry-After counts as this */

struct rk_http_response {
	long status;        /* of the HTTP answer; 0 if none came, also beside a negative result */
	struct rk_buf body; /* owned: finish with rk_http_response_finish */
	int64_t retry_after_ms;      /* of Retry-After (seconds or a date); -1: absent */
	int64_t ratelimit_remaining; /* of RateLimit-Remaining; -1: absent */
	int64_t ratelimit_reset;     /* of RateLimit-Reset, in Unix seconds; -1: absent */
	int64_t ratelimit_window;    /* of RateLimit-Policy, in seconds; -1: absent */
	char content_type[64];       /* lower case, without parameters; "" if absent or longer */
	char error[256];             /* what failed, for the log, when the result is negative */
};

/* 0: an answer came, whatever its status (response->status). Negative: -ECONNREFUSED (no connection
 * for whatever reason but time), -ETIMEDOUT, -EFBIG (body, or header over 64 KiB), -EACCES (address
 * not allowed), -ECANCELED, -EINVAL (URL or header), -ENOMEM, -ENOSPC (body_fd could not be
 * written), -ECONNABORTED (by watch), -EIO for the rest, an answer cut off among them. *out is set in every case; its body is
 * empty after a negative result, what body_fd got is not taken back. */
int rk_http_perform(struct rk_http *http, struct rk_http_response *out,
	const struct rk_http_request *request) __attribute__((warn_unused_result));
void rk_http_response_finish(struct rk_http_response *response);

/* "HTTP://Host:80/path" -> "http://host": scheme, host and a port only if not the scheme's own.
 * False unless it is http(s)/ws(s) with a host, or with user, password or an IPv6 zone. ws maps to
 * http. */
bool rk_http_origin(char *out, size_t size, const char *url);

/* Shared with the WebSocket client: true if the address may be connected to. */
struct sockaddr;
bool rk_http_address_public(const struct sockaddr *address);

#endif
