/* SHA-256 of bytes, of bytes in parts, and of several things at once. */
#ifndef RK_ATPROTO_SHA256_H
#define RK_ATPROTO_SHA256_H

#include "base/slice.h"

enum { RK_SHA256_BYTES = 32 };

void rk_sha256(uint8_t out[RK_SHA256_BYTES], struct rk_slice in);
/* Of the parts one behind the other. */
void rk_sha256_parts(uint8_t out[RK_SHA256_BYTES], const struct rk_slice *parts, size_t count);
/* Of each, which is quicker than one after the other where the processor can do two side by side. */
void rk_sha256_each(uint8_t (*out)[RK_SHA256_BYTES], const struct rk_slice *in, size_t count);

#endif
