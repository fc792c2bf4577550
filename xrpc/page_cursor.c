/* See page_cursor.h. The digest keeps out accidents, not enemies: any position is harmless to the
 * index, it only starts a page there. */
#include "xrpc/page_cursor.h"

#include "base/encode.h"

/* Grows when the meaning of positions changes. */
enum { VERSION = 1, CHECK = 8, QUERY_MOST = 4096 };
enum { BYTES_MOST = 1 + CHECK + RK_LIST_POSITION_MOST };

static void check_make(uint8_t out[CHECK], struct rk_slice query, struct rk_slice position)
{
	uint8_t room[QUERY_MOST + RK_LIST_POSITION_MOST], digest[RK_SHA256_BYTES];
	size_t len = query.len < QUERY_MOST ? query.len : QUERY_MOST;

	memcpy(room, query.data, len);
	memcpy(room + len, position.data, position.len);
	rk_sha256(digest, rk_slice_make(room, len + position.len));
	memcpy(out, digest, CHECK);
}

void rk_page_cursor_add(struct rk_buf *out, struct rk_slice query, struct rk_slice position)
{
	uint8_t bytes[BYTES_MOST] = {VERSION};
	size_t start = out->len;

	check_make(bytes + 1, query, position);
	memcpy(bytes + 1 + CHECK, position.data, position.len);
	rk_base64_encode(out, rk_slice_make(bytes, 1 + CHECK + position.len));
	if (rk_buf_failed(out))
		return;
	for (size_t i = start; i < out->len; i++) {
		if (out->data[i] == '+')
			out->data[i] = '-';
		else if (out->data[i] == '/')
			out->data[i] = '_';
	}
}

bool rk_page_cursor_read(uint8_t position[RK_LIST_POSITION_MOST], size_t *len,
	struct rk_slice query, struct rk_slice text)
{
	/* The limit lies within the room: the buffer never grows and holds nothing to free. */
	uint8_t room[BYTES_MOST + 1], check[CHECK];
	struct rk_buf bytes = {.data = room, .cap = sizeof(room), .limit = BYTES_MOST};
	struct rk_slice found;

	/* Nothing else than what rk_page_cursor_add writes: no padding, one spelling. */
	if ((text.len && text.data[text.len - 1] == '=') || !rk_base64_decode(&bytes, text, true) ||
		bytes.len <= 1 + CHECK || room[0] != VERSION)
		return false;
	found = rk_slice_make(room + 1 + CHECK, bytes.len - 1 - CHECK);
	check_make(check, query, found);
	if (memcmp(check, room + 1, CHECK) != 0)
		return false;
	memcpy(position, found.data, found.len);
	*len = found.len;
	return true;
}
