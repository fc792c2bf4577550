/*
 * A small server for the tests of net that does whatever a test's handler does: it misbehaves on
 * request. One thread, one connection at a time, a port of the kernel's choice on 127.0.0.1. Waits
 * end when the peer closes, at server_stop, or after ten seconds.
 */
#ifndef RK_TESTS_UNIT_NET_SERVER_H
#define RK_TESTS_UNIT_NET_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

struct server_conn {
	struct server *server;
	int fd;
	int number;          /* of the connection, from 0 */
	char request[16384]; /* header of the latest request, NUL-terminated */
	uint8_t buffered[16384];
	size_t buffered_len;
};

/* Called for each connection, on the server's thread; the connection is closed behind it. */
typedef void server_handler(struct server_conn *conn, void *user);

struct server {
	server_handler *handler;
	void *user;
	int listen_fd, stop_fd;
	pthread_t thread;
	char http[64], ws[64]; /* http://127.0.0.1:PORT, ws://127.0.0.1:PORT */
	int port;
	atomic_int connections, requests;
};

/* user is handed to the handler as it is; whether it may be written to is between the two. */
void server_start(struct server *server, server_handler *handler, const void *user);
void server_stop(struct server *server);

/* The next request's header and body; false when the peer closed or the server stops. */
bool server_read_request(struct server_conn *conn);
bool server_send(struct server_conn *conn, const void *data, size_t len);
bool server_send_str(struct server_conn *conn, const char *text);
/* A whole answer with Content-Length. extra: more header lines, each with CRLF, or "". */
bool server_answer(
	struct server_conn *conn, const char *status, const char *extra, const char *body);
/* Waits until the peer closes; what it sends is dropped. */
void server_hold(struct server_conn *conn);
/* Waits ms, or less if the peer closes (false) or the server stops (false). For slow answers. */
bool server_pause(struct server_conn *conn, int ms);

/* Reads an upgrade request and answers 101 with what is glued to it. */
bool server_upgrade(struct server_conn *conn, const void *glued, size_t glued_len);
/* Builds a frame with an unmasked payload; out needs len + 10 bytes. head: FIN, RSV and opcode. */
size_t server_frame(uint8_t *out, uint8_t head, const void *payload, size_t len);
bool server_send_frame(struct server_conn *conn, uint8_t head, const void *payload, size_t len);
/* The next frame from the client, unmasked; payload holds 125 bytes. False: closed or not masked.
 */
bool server_read_frame(struct server_conn *conn, uint8_t *opcode, uint8_t *payload, size_t *len);

#endif
