/*
 * The opaque cursor of a list: where its page ended, bound to the query it belongs to. Base64url of a
 * version, a digest over all of it, and the position.
 */
#ifndef RK_XRPC_PAGE_CURSOR_H
#define RK_XRPC_PAGE_CURSOR_H

#include "store/store.h"

enum { RK_PAGE_CURSOR_MOST = 704 }; /* bytes of its text */

/* query: bytes that differ when the query does, other than in its bounds. */
void rk_page_cursor_add(struct rk_buf *out, struct rk_slice query, struct rk_slice position);
/* False if it is damaged or another query's; *len gets the position's length. */
bool rk_page_cursor_read(uint8_t position[RK_LIST_POSITION_MOST], size_t *len,
	struct rk_slice query, struct rk_slice text);

#endif
