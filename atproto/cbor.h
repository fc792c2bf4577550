/*
 * Canonical DAG-CBOR in both directions.
 *
 * Reading is a pull parser over borrowed bytes: no allocation, no recursion by the input's choice.
 * Strict: definite lengths, shortest integers, map keys are text, sorted by length and then bytes
 * and never twice, tag 42 only (a CID with its 0x00 prefix), no undefined, no half or single floats,
 * valid UTF-8. Floats (64 bit) are read as a type of their own; the data model forbids them and
 * rk_cbor_check refuses them.
 * Source: atproto.com/specs/data-model, ipld.io/specs/codecs/dag-cbor.
 */
#ifndef RK_ATPROTO_CBOR_H
#define RK_ATPROTO_CBOR_H

#include "atproto/cid.h"
#include "base/reader.h"

enum {
	/* Arrays and maps within each other. The reference PDS takes what its stack holds, from 1,500 up to some
	 * thousands; 2,048 levels of JSON is what its readers take. */
	RK_CBOR_DEPTH_MOST = 2000,
};

enum rk_cbor_type {
	RK_CBOR_INVALID, /* malformed, not canonical or past the end */
	RK_CBOR_UINT,    /* number */
	RK_CBOR_NEGINT,  /* number: the value itself, negative */
	RK_CBOR_BYTES,   /* bytes */
	RK_CBOR_TEXT,    /* bytes, valid UTF-8 */
	RK_CBOR_ARRAY,   /* count values follow */
	RK_CBOR_MAP,     /* count pairs of text key and value follow */
	RK_CBOR_CID,     /* cid */
	RK_CBOR_BOOL,    /* number 0 or 1 */
	RK_CBOR_NULL,
	RK_CBOR_FLOAT, /* no value kept */
};

struct rk_cbor_item {
	enum rk_cbor_type type;
	int64_t number;        /* integers beyond int64 are RK_CBOR_INVALID */
	size_t count;          /* bounded by the bytes left, so that it may size an allocation */
	struct rk_slice bytes; /* borrowed from the input */
	struct rk_cid cid;
};

/* The next item's head (for strings, the whole string). Failure sticks in the reader. The caller
 * bounds the depth it follows, by recursing into nothing it does not know or by counting. */
struct rk_cbor_item rk_cbor_next(struct rk_reader *reader);
/* Passes over one whole value and checks it (floats pass, RK_CBOR_DEPTH_MOST counts from here).
 * Returns its bytes; empty and failed on any fault. */
struct rk_slice rk_cbor_skip(struct rk_reader *reader);
/* True if the bytes are exactly one canonical value of the AT Protocol data model (no floats). */
bool rk_cbor_check(struct rk_slice in);

/* Map walking: call begin, then next until it returns false; check reader->failed at the end.
 * begin fails, and sticks, on anything but a map. next reads the key, checks its order and leaves
 * the reader at the value, which the caller must consume. */
struct rk_cbor_map {
	size_t left;
	struct rk_slice key; /* borrowed from the input */
};
bool rk_cbor_map_begin(struct rk_cbor_map *map, struct rk_reader *reader);
bool rk_cbor_map_next(struct rk_cbor_map *map, struct rk_reader *reader);

/* Writing. Errors stick in the buffer. Map keys must be handed over in canonical order by the
 * caller (length, then bytes); rk_cbor_key_compare is that order. */
void rk_cbor_put_int(struct rk_buf *out, int64_t value);
void rk_cbor_put_bytes(struct rk_buf *out, struct rk_slice bytes);
void rk_cbor_put_text(struct rk_buf *out, struct rk_slice utf8);
void rk_cbor_put_array(struct rk_buf *out, size_t count);
void rk_cbor_put_map(struct rk_buf *out, size_t count);
void rk_cbor_put_cid(struct rk_buf *out, const struct rk_cid *cid);
void rk_cbor_put_bool(struct rk_buf *out, bool value);
void rk_cbor_put_null(struct rk_buf *out);
int rk_cbor_key_compare(struct rk_slice a, struct rk_slice b);

#endif
