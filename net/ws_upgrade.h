/*
 * The opening handshake of a WebSocket client (RFC 6455, section 4) as text in, text out. No
 * socket: ws.c moves the bytes.
 */
#ifndef RK_NET_WS_UPGRADE_H
#define RK_NET_WS_UPGRADE_H

#include "base/buf.h"

enum {
	RK_WS_KEY_SIZE = 25,       /* base64 of 16 bytes and a NUL */
	RK_WS_HEADER_MOST = 16384, /* of the server's answer */
};

/* A fresh random key. 0 or negative. */
int rk_ws_upgrade_key(char key[RK_WS_KEY_SIZE]) __attribute__((warn_unused_result));
/* Appends the value a server must answer the key with. */
void rk_ws_upgrade_accept(struct rk_buf *out, const char *key);
/* Appends the request for url (http, https, ws or wss). False: not a URL, or with a host that is
 * not ASCII. */
bool rk_ws_upgrade_request(struct rk_buf *out, const char *url, const char *agent, const char *key);
/* The length of the header at the start of in, with its empty line; 0 if it is not whole yet. */
size_t rk_ws_upgrade_header_len(struct rk_slice in);
/* Judges a whole header. 0 or -EPROTO with a text in error (256 bytes). */
int rk_ws_upgrade_check(struct rk_slice header, const char *key, char *error)
	__attribute__((warn_unused_result));

#endif
