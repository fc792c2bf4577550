/*
 * A growing byte buffer for what we build: JSON, CBOR, URLs, log lines. Errors stick: after the
 * first failed append every later one does nothing and rk_buf_failed says so, so that callers
 * check once at the end. A zeroed struct is an empty buffer without limit.
 */
#ifndef RK_BASE_BUF_H
#define RK_BASE_BUF_H

#include "base/slice.h"

struct rk_buf {
	uint8_t *data; /* owned */
	size_t len;    /* bytes in use */
	size_t cap;
	size_t limit; /* most bytes in use; 0: none */
	bool failed;  /* out of memory or over the limit: contents are not whole */
};

void rk_buf_init(struct rk_buf *buf, size_t limit);
void rk_buf_finish(struct rk_buf *buf); /* NULL and zeroed are fine */
/* The same of one that held a secret. */
void rk_buf_wipe(struct rk_buf *buf);
/* Empties the buffer, clears the failure, keeps the memory. */
void rk_buf_clear(struct rk_buf *buf);

static inline void rk_buf_add(struct rk_buf *buf, const void *data, size_t len);
static inline void rk_buf_add_slice(struct rk_buf *buf, struct rk_slice slice);
void rk_buf_add_str(struct rk_buf *buf, const char *str);
static inline void rk_buf_add_byte(struct rk_buf *buf, uint8_t byte);
void rk_buf_printf(struct rk_buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The bytes as a JSON string with its quotes. The input must be UTF-8. */
void rk_buf_add_json(struct rk_buf *buf, struct rk_slice utf8);
/* Room for len more bytes at the end, to be filled by the caller; NULL on failure. */
static inline uint8_t *rk_buf_reserve(struct rk_buf *buf, size_t len);

static inline struct rk_slice rk_buf_slice(const struct rk_buf *buf)
{
	return rk_slice_make(buf->data, buf->len);
}
/* A NUL-terminated view, borrowed until the next append; "" when empty or failed. */
const char *rk_buf_cstr(struct rk_buf *buf);
/* 0 or -ENOMEM. */
int rk_buf_failed(const struct rk_buf *buf);

/* Room for len more bytes and a NUL behind them; false on failure. For the functions below, which are
 * called for every few bytes and nearly always find the room there. */
bool rk_buf_grow(struct rk_buf *buf, size_t len);

static inline uint8_t *rk_buf_reserve(struct rk_buf *buf, size_t len)
{
	uint8_t *at;

	if ((buf->failed || buf->limit || len >= buf->cap - buf->len) && !rk_buf_grow(buf, len))
		return NULL;
	at = buf->data + buf->len;
	buf->len += len;
	return at;
}

static inline void rk_buf_add(struct rk_buf *buf, const void *data, size_t len)
{
	uint8_t *at = rk_buf_reserve(buf, len);

	if (at && len)
		memcpy(at, data, len);
}

static inline void rk_buf_add_slice(struct rk_buf *buf, struct rk_slice slice)
{
	rk_buf_add(buf, slice.data, slice.len);
}

static inline void rk_buf_add_byte(struct rk_buf *buf, uint8_t byte)
{
	rk_buf_add(buf, &byte, 1);
}

#endif
