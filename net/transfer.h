/*
 * One libcurl transfer under refkey's rules, for http.c and ws.c only: addresses checked when
 * connecting, no proxy, no redirects, HTTP/1.1, own time-outs, cancelled from another thread.
 */
#ifndef RK_NET_TRANSFER_H
#define RK_NET_TRANSFER_H

#include <curl/curl.h>

#include "net/http.h"

enum { RK_TRANSFER_ORIGIN_MOST = 512, RK_TRANSFER_TICK_MS = 100 };

struct rk_transfer {
	CURLM *multi; /* holds the open connections */
	CURL *easy;
	struct rk_http_options options;                              /* user_agent is set */
	char trusted[RK_HTTP_TRUSTED_MOST][RK_TRANSFER_ORIGIN_MOST]; /* of options.trusted; "" */
	/* of the transfer under way */
	bool attached; /* easy is in multi */
	bool allow_private;
	bool address_refused;
	unsigned sockets;     /* opened */
	int64_t begun_ms;     /* monotonic */
	int64_t active_ms;    /* monotonic: the last byte either way */
	int64_t cancelled_ms; /* monotonic: when it was seen that it is to end; 0: it is not */
	int64_t received;     /* bytes */
	long rate_least;      /* as a request's; set behind prepare, which leaves it 0 */
	curl_off_t sent;      /* bytes of the request's body */
	char error[CURL_ERROR_SIZE];
};

/* 0, -ENOMEM, or -EINVAL for a trusted origin that is none. finish takes zeroed memory. */
int rk_transfer_init(struct rk_transfer *t, const struct rk_http_options *options)
	__attribute__((warn_unused_result));
void rk_transfer_finish(struct rk_transfer *t);

/* Makes t->easy anew, by our rules for this URL (http or https); the caller adds method, callbacks
 * and so on. 0, -EINVAL (URL), -ENOMEM. error: a text of 256 bytes, here and below. */
int rk_transfer_prepare(struct rk_transfer *t, const char *url, char *error)
	__attribute__((warn_unused_result));

/* To its end. idle_ms 0: no such bound. Results as rk_http_perform's. The easy handle stays
 * attached after success, as CONNECT_ONLY needs, until release, prepare or finish. */
int rk_transfer_run(struct rk_transfer *t, long timeout_ms, long idle_ms, char *error)
	__attribute__((warn_unused_result));
/* Ends what callbacks may be called for; the connection is kept if it can be used again. */
void rk_transfer_release(struct rk_transfer *t);

/* For callbacks: so many bytes came. */
void rk_transfer_touch(struct rk_transfer *t, size_t bytes);
/* Whether it is to end now. */
bool rk_transfer_cancelled(struct rk_transfer *t);

#endif
