/*
 * CAR v1: a header with root CIDs, then length-prefixed blocks of CID and bytes. Works over memory
 * (a frame's blocks, a mapped file); nothing is copied or allocated.
 * Source: ipld.io/specs/transport/car/carv1, atproto.com/specs/repository ("CAR file
 * serialization").
 */
#ifndef RK_ATPROTO_CAR_H
#define RK_ATPROTO_CAR_H

#include "atproto/cid.h"
#include "base/reader.h"

enum { RK_CAR_BLOCK_MOST = 2 << 20 }; /* bytes of one block */

struct rk_car {
	struct rk_reader reader;
	const uint8_t *start; /* of the input */
	struct rk_cid root;   /* the first root */
};

struct rk_car_block {
	struct rk_cid cid;
	struct rk_slice bytes; /* borrowed from the input */
	size_t offset;         /* of bytes in the input */
};

/* Reads the header. False unless it is version 1 with one root or more, all CIDs of our kind. */
bool rk_car_open(struct rk_car *car, struct rk_slice in);
/* The next block; false at the end and on malformed input (car->reader.failed tells which). The
 * block's CID lies right before its bytes in the input. Does not hash: see rk_blocks_load. */
bool rk_car_next(struct rk_car *car, struct rk_car_block *out);

#endif
