/* The listening socket. */
#ifndef RK_XRPC_LISTEN_H
#define RK_XRPC_LISTEN_H

enum { RK_ADDRESS_SIZE = 72 };

/* Binds host:port or [v6]:port and listens. address gets the numeric form with the port that was
 * picked. 0, -EADDRINUSE, -EINVAL (not an address), or negative; error gets a text. */
int rk_listen_open(int *fd, char address[RK_ADDRESS_SIZE], const char *listen, char error[256])
	__attribute__((warn_unused_result));

#endif
