/*
 * Text forms of bytes: hex, base32 (RFC 4648, lower case, no padding: multibase 'b'), base58btc
 * (multibase 'z'), base64 and base64url (RFC 4648, with and without padding).
 * Decoders refuse letters outside the alphabet and non-zero trailing bits.
 */
#ifndef RK_BASE_ENCODE_H
#define RK_BASE_ENCODE_H

#include "base/buf.h"

void rk_hex_encode(struct rk_buf *out, struct rk_slice bytes); /* lower case */
/* Both cases. False on odd length, a foreign letter or when out_len != in.len / 2. */
bool rk_hex_decode(uint8_t *out, size_t out_len, struct rk_slice in);

void rk_base32_encode(struct rk_buf *out, struct rk_slice bytes);
/* Appends the bytes; false (and out unchanged) on anything but the canonical form. */
bool rk_base32_decode(struct rk_buf *out, struct rk_slice in) __attribute__((warn_unused_result));

/* Input is bounded to 256 bytes: it is for keys, and its cost is quadratic. */
bool rk_base58_encode(struct rk_buf *out, struct rk_slice bytes)
	__attribute__((warn_unused_result));
bool rk_base58_decode(struct rk_buf *out, struct rk_slice in) __attribute__((warn_unused_result));

/* Standard alphabet without padding, as the data model's $bytes prints it. */
void rk_base64_encode(struct rk_buf *out, struct rk_slice bytes);
/* Either alphabet is not mixed in: standard when url is false. Padding may be absent or right. */
bool rk_base64_decode(struct rk_buf *out, struct rk_slice in, bool url)
	__attribute__((warn_unused_result));

/* All but RFC 3986's unreserved letters as %XX: a component of a query or path. */
void rk_percent_encode(struct rk_buf *out, struct rk_slice text);

/* Well-formed UTF-8 (RFC 3629): no surrogates, no overlong forms, at most U+10FFFF. */
bool rk_utf8_valid(struct rk_slice in);

#endif
