/*
 * The head of an HTTP/1.1 request, judged before h2o sees it. Pure. h2o 2.2 takes heads that two
 * readers may read in two ways (two lengths, folded lines, line ends of a single LF), takes them of any
 * size if they come at once, and answers what it cannot read with a text of its own.
 *
 * Rules, of RFC 9112: lines end with CRLF (2.2); METHOD SP target SP HTTP/1.x (3); names are tokens with
 * the colon right behind them, no folded lines (5); one Host, which HTTP/1.1 must have (3.2); one
 * Content-Length or one Transfer-Encoding, the latter in HTTP/1.1 only (6.1, 6.3). Empty lines in front
 * are skipped (2.2). Whatever is passed here is a head to h2o, too, of the same length.
 */
#ifndef RK_XRPC_HEAD_H
#define RK_XRPC_HEAD_H

#include "xrpc/reply.h"

enum {
	RK_HEAD_MOST = 64 << 10,  /* bytes of a head */
	RK_HEAD_LINES_MOST = 100, /* header lines: as many as h2o reads */
};

enum rk_head_verdict { RK_HEAD_PARTIAL, RK_HEAD_WHOLE, RK_HEAD_REFUSED };

struct rk_head {
	size_t len;                /* WHOLE: bytes, with the empty line */
	enum rk_reply_error error; /* REFUSED */
	const char *why;           /* REFUSED: for people; static */
};

/* Bytes of empty lines in front, to be taken off. */
size_t rk_head_skip(struct rk_slice in);

/* Reads what has come, of which the first `seen` bytes were PARTIAL before. A head that is not whole
 * at `most` bytes is refused, as is one of more than RK_HEAD_MOST. */
enum rk_head_verdict rk_head_read(
	struct rk_head *out, struct rk_slice in, size_t seen, size_t most);

#endif
