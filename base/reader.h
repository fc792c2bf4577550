/*
 * A bounded reader over bytes from outside. Reads past the end fail and stick: `failed` is set, and
 * everything read from then on is zero, so that a parser may check once per step that matters.
 */
#ifndef RK_BASE_READER_H
#define RK_BASE_READER_H

#include "base/slice.h"

struct rk_reader {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct rk_reader rk_reader_make(struct rk_slice in)
{
	/* An empty slice may be NULL, to which C adds nothing, not even 0. */
	return (struct rk_reader){.at = in.data, .end = in.len ? in.data + in.len : in.data};
}

static inline size_t rk_reader_left(const struct rk_reader *r)
{
	return (size_t)(r->end - r->at);
}

/* len bytes, borrowed from the input; an empty slice and `failed` when there are fewer. */
static inline struct rk_slice rk_reader_take(struct rk_reader *r, size_t len)
{
	struct rk_slice out;

	if (r->failed || rk_reader_left(r) < len) {
		r->failed = true;
		return (struct rk_slice){0};
	}
	out = rk_slice_make(r->at, len);
	r->at += len;
	return out;
}

/* A big-endian unsigned number of `bytes` bytes (1 to 8). */
static inline uint64_t rk_reader_uint(struct rk_reader *r, unsigned bytes)
{
	struct rk_slice s = rk_reader_take(r, bytes);
	uint64_t value = 0;

	for (size_t i = 0; i < s.len; i++)
		value = value << 8 | s.data[i];
	return value;
}

/* An unsigned LEB128 number of at most 9 bytes, shortest form only (multiformats varint). */
static inline uint64_t rk_reader_varint(struct rk_reader *r)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 9; i++) {
		uint8_t byte = (uint8_t)rk_reader_uint(r, 1);
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			if (byte == 0 && i > 0)
				break;
			return value;
		}
	}
	r->failed = true;
	return 0;
}

#endif
