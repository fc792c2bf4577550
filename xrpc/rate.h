/*
 * How often a client may ask. Windows of a fixed length, each client's beginning with its first request,
 * in a table of a fixed size; shared by all threads.
 *
 * A client is an IPv4 address or an IPv6 network of 64 bits. Addresses of this machine and of private
 * networks are near: the site's own servers and the proxy in front. They are not limited; what a
 * proxy forwards for others is, by the last address in X-Forwarded-For that is not near, which is the
 * one that the nearest proxy saw. Nobody else's X-Forwarded-For is looked at.
 */
#ifndef RK_XRPC_RATE_H
#define RK_XRPC_RATE_H

#include <sys/socket.h>

#include "base/slice.h"

/* 0: near, or no address. */
uint64_t rk_rate_key(const struct sockaddr *address);
uint64_t rk_rate_key_forwarded(struct rk_slice x_forwarded_for);

struct rk_rate;
int rk_rate_create(struct rk_rate **out, unsigned limit, unsigned window_s)
	__attribute__((warn_unused_result));
void rk_rate_destroy(struct rk_rate *rate);

/* For RateLimit-*, as the reference PDS gives them. */
struct rk_rate_state {
	unsigned limit, window_s;
	unsigned remaining;
	int64_t reset_s; /* Unix; when the window ends */
	bool refused;
};

/* Counts a request of a client whose key is not 0. Where the table is full of others, the one that
 * asked least is forgotten. */
void rk_rate_take(struct rk_rate *rate, struct rk_rate_state *out, uint64_t key, int64_t now_ms);
/* What is told to a client that is refused for another reason than its own number of requests. */
void rk_rate_none(const struct rk_rate *rate, struct rk_rate_state *out, int64_t now_ms);

#endif
