/*
 * The HTTP side, h2o's: a struct rk_server that all loops share and one struct rk_loop a thread. Only
 * http.c, loop.c and server.c see this.
 */
#ifndef RK_XRPC_LOOP_H
#define RK_XRPC_LOOP_H

/* With its own event loop. */
#define H2O_USE_LIBUV 0
#include <h2o.h>
#include <h2o/http1.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "xrpc/call.h"

enum {
	RK_INPUT_MOST = 32 << 20, /* bytes that wait to be read, of all connections of a loop … */
	RK_HEAD_MOST_FULL = 8 << 10, /* … and what one of them may have while it is more */
	RK_BODY_MOST = 1 << 20,      /* bytes of a request's body */
	RK_SWEEP_MS = 250,           /* how often connections are looked at */
	RK_LINGER_MS = 2000,         /* how long the rest of a refused body is taken */
	RK_DRAIN_MS = 5000,          /* how long a stop waits for answers under way */
	RK_REPLY_SMALL = 16 << 10,   /* larger replies are counted while they are sent */
	RK_SENDING_MOST = 256 << 20, /* bytes of large replies being sent; more are refused */
	RK_SEND_RATE = 1 << 20,      /* bytes a second a client must take, with idle_ms to spare */
};

struct rk_server {
	struct rk_service service;
	h2o_globalconf_t config;
	int fd; /* listening; each loop has its own duplicate */
	unsigned connections_most, request_ms, idle_ms;
	atomic_uint connections;
	atomic_size_t sending; /* bytes of large replies */
	struct rk_rate *rate;
};

struct rk_loop {
	struct rk_server *server;
	struct rk_call *call;
	h2o_loop_t *evloop;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
	h2o_socket_t *listener; /* NULL once stopping */
	h2o_timeout_t sweep;
	h2o_timeout_entry_t sweep_entry;
	size_t head_most; /* bytes of a head, for this sweep */
	h2o_timeout_t linger;
	h2o_linklist_t lingers; /* linger.c's */
	h2o_multithread_receiver_t receiver;
	h2o_multithread_message_t stop;
	unsigned connections; /* of this loop */
	bool paused;          /* no file descriptors: accepting again at the next sweep */
	bool stopping;
	int64_t stop_by; /* monotonic ms */
	sem_t started;
	int failed; /* of starting: negative errno */
	pthread_t thread;
};

/* http.c: the handler and filter that make calls of requests; config must be initialised. */
void rk_http_register(h2o_globalconf_t *config);

/* linger.c: the connection is to be closed before all was read that the client sends. */
void rk_linger_start(struct rk_loop *loop, h2o_socket_t *sock);
void rk_linger_end_all(struct rk_loop *loop);

/* Counts a socket as a connection until it is closed; uncount for who stands in for that. */
void rk_loop_count(struct rk_loop *loop, h2o_socket_t *sock);
void rk_loop_uncount(struct rk_loop *loop);

/* Starts a thread. The struct must stay where it is. */
int rk_loop_start(struct rk_loop *loop, struct rk_server *server)
	__attribute__((warn_unused_result));
/* Asks it to stop accepting and to finish; join frees what it has. */
void rk_loop_stop(struct rk_loop *loop);
void rk_loop_join(struct rk_loop *loop);

#endif
