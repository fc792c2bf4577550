/*
 * A slice: bytes somebody else owns, with their length. The way everything that came from outside
 * is passed around; never NUL-terminated by promise.
 */
#ifndef RK_BASE_SLICE_H
#define RK_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rk_slice {
	const uint8_t *data; /* borrowed; may be NULL when len is 0 */
	size_t len;          /* bytes */
};

/* For printf("%.*s", RK_SLICE_ARG(s)). */
#define RK_SLICE_ARG(s) ((int)(s).len), ((const char *)(s).data)
/* A slice over a string literal, usable in initialisers. */
#define RK_SLICE_LIT(lit)                                                                          \
	{                                                                                          \
		.data = (const uint8_t *)(lit), .len = sizeof(lit) - 1                             \
	}

static inline struct rk_slice rk_slice_make(const void *data, size_t len)
{
	return (struct rk_slice){.data = data, .len = len};
}

static inline struct rk_slice rk_slice_str(const char *str)
{
	return (struct rk_slice){.data = (const uint8_t *)str, .len = str ? strlen(str) : 0};
}

static inline bool rk_slice_equal(struct rk_slice a, struct rk_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool rk_slice_equal_str(struct rk_slice a, const char *str)
{
	return rk_slice_equal(a, rk_slice_str(str));
}

static inline bool rk_slice_starts(struct rk_slice a, struct rk_slice prefix)
{
	return a.len >= prefix.len &&
		(prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}

/* Bytewise order, a shorter prefix first: the order of MST keys and of LMDB. */
static inline int rk_slice_compare(struct rk_slice a, struct rk_slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.data, b.data, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* [from, from+len) of a; the caller guarantees the range. */
static inline struct rk_slice rk_slice_sub(struct rk_slice a, size_t from, size_t len)
{
	return (struct rk_slice){.data = a.data + from, .len = len};
}

#endif
