/* A server on a port of its own, and a client that sends and receives what it likes. */
#ifndef RK_TESTS_UNIT_XRPC_CLIENT_H
#define RK_TESTS_UNIT_XRPC_CLIENT_H

#include "tests/unit/xrpc/kit.h"

#define STATUS "/xrpc/computer.aesthetic.refkey.getStatus"

/* On 127.0.0.1, with two threads. */
struct rk_xrpc *server_start(struct kit *k, struct rk_xrpc_options options);

int client(const struct rk_xrpc *xrpc);
/* What cannot be sent any more is not: the server may have hung up. */
void send_all(int fd, const void *data, size_t len);
void send_text(int fd, const char *text);
/* All there is until the server closes, NUL-terminated. */
void receive_end(int fd, char *out, size_t most);
/* One response with a Content-Length. */
void receive_one(int fd, char *out, size_t most);
/* A connection for one request, whose response ends it. */
void exchange(const struct rk_xrpc *xrpc, const char *request, char *out, size_t most);

#endif
