/*
 * One connection, between its socket and h2o: what comes in is judged by head.h while it is a head, and
 * only heads that are whole and well-formed are handed on. In place of any other, h2o is given a request
 * that http.c answers with the error. Belongs to its loop's thread; lives as long as h2o's socket.
 */
#ifndef RK_XRPC_CONN_H
#define RK_XRPC_CONN_H

#include "xrpc/head.h"
#include "xrpc/loop.h"
#include "xrpc/rate.h"

struct rk_conn {
	struct rk_loop *loop;
	h2o_socket_t *sock;
	h2o_socket_cb read, written; /* h2o's own */
	bool asked;                  /* h2o has a whole head and has not answered it */
	bool refused;                /* … in place of one that is answered with head.error */
	struct rk_head head;
	size_t seen;      /* bytes of a head that is not whole */
	int64_t begun_ms; /* monotonic; when it began, 0: nothing of one is there */
	size_t request;   /* bytes in front of the next request, once answered */
	bool peer_known;  /* … and what it is: */
	uint64_t peer;    /* rate.h's key; 0: near */
	bool *closed;     /* set when it ends; NULL: nobody asks */
};

/* Takes over a socket that is counted, and gives it to h2o. Without memory it is closed. */
void rk_conn_open(struct rk_loop *loop, h2o_socket_t *sock);
struct rk_conn *rk_conn_of(const h2o_req_t *req);
/* The answer to the request was given to h2o, to be sent in one go. */
void rk_conn_answered(struct rk_conn *conn, const h2o_req_t *req);
/* Which client the request counts for: rate.h's key, 0 for none. */
uint64_t rk_conn_client(struct rk_conn *conn, const h2o_req_t *req);

#endif
