/*
 * The XRPC server: h2o loops that answer from snapshots of the index. HTTP/1.1 only.
 */
#ifndef RK_XRPC_XRPC_H
#define RK_XRPC_XRPC_H

#include "store/store.h"

enum { RK_NOT_READY_MOST = 256 };

/* What the rest of the service says of itself; filled anew for each request that shows it. */
struct rk_service_status {
	bool ready;     /* stream connected, first sweep done, repos in */
	bool was_ready; /* once since the start, but for the stream: until then a miss is NotReady */
	char reasons[RK_NOT_READY_MOST]; /* why not ready, for people; "" when ready */
	bool stream_connected;
	int64_t lag_ms; /* age of the newest event indexed since the start; of the start before one */
	bool mongo_configured, mongo_connected;
	bool publishing;                           /* the dual write is on */
	uint64_t publish_waiting, publish_failing; /* documents */
};

struct rk_xrpc_options {
	const char *listen;   /* host:port, [v6]:port; port 0 picks one */
	unsigned threads;     /* event loops */
	const char *source;   /* origin of the PDS or relay, for getStatus and the cursor's name */
	const char *hostname; /* NULL: no did.json */
	const char *admin_password; /* NULL: admin methods answer 401 */
	void (*status)(void *context, struct rk_service_status *out); /* any thread, never blocks */
	void *status_context;
	unsigned
		connections_most; /* 0: 10,000; then those that ask nothing make room, the oldest first;
				    * where all ask, new ones are closed at once */
	unsigned request_ms;      /* a request's head must be in by then; 0: 10 s */
	unsigned idle_ms;         /* keep-alive connections without a request; 0: 60 s */
	/* Requests of one client (rate.h says who is one) in so many seconds; 0: 30,000 in 300 s. */
	unsigned rate_limit, rate_window_s;
};

struct rk_xrpc;

/* Binds, starts the loops. 0, -EADDRINUSE, -EINVAL (address), or negative; error gets a text. */
int rk_xrpc_create(struct rk_xrpc **out, struct rk_store *store,
	const struct rk_xrpc_options *options, char error[256]) __attribute__((warn_unused_result));
/* Stops accepting, finishes what is being answered (at most 5 s), frees. */
void rk_xrpc_destroy(struct rk_xrpc *xrpc);
/* "127.0.0.1:3900": the address it listens on, with the port that was picked. */
const char *rk_xrpc_address(const struct rk_xrpc *xrpc);

/* The method table, for the README's reference and the checks. */
struct rk_xrpc_method_row {
	const char *nsid;
	const char *summary;
	bool post, admin;
};
size_t rk_xrpc_method_count(void);
const struct rk_xrpc_method_row *rk_xrpc_method_row(size_t at);

#endif
