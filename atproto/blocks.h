/*
 * Blocks by CID: an open-addressing table over the blocks of one CAR, borrowed from it. Memory is
 * 16 bytes a block (offset, length and 4 bytes of digest); the CID itself stays in the CAR.
 */
#ifndef RK_ATPROTO_BLOCKS_H
#define RK_ATPROTO_BLOCKS_H

#include "atproto/car.h"
#include "base/arena.h"

struct rk_blocks_slot {
	uint64_t offset; /* of the block's bytes in car; 0: empty */
	uint32_t len, digest;
};

struct rk_blocks {
	struct rk_slice car; /* the whole CAR, borrowed */
	struct rk_cid root;
	struct rk_blocks_slot *slots; /* owned: malloc, or the arena's */
	size_t size, count;           /* size is a power of two */
	bool in_arena;
};

enum rk_blocks_result {
	RK_BLOCKS_OK,
	RK_BLOCKS_MALFORMED, /* not a CAR, trailing bytes, a CID of a foreign kind */
	RK_BLOCKS_BAD_CID,   /* a block's bytes do not hash to its CID */
	RK_BLOCKS_TOO_MANY,  /* more than count_most */
};

/* Reads every block of the CAR, hashes each and refuses the whole on the first that differs. The
 * same block twice is fine. arena may be NULL: then rk_blocks_finish frees. Negative: no memory. */
int rk_blocks_load(struct rk_blocks *out, struct rk_arena *arena, struct rk_slice car,
	size_t count_most) __attribute__((warn_unused_result));
/* Of the table for so many blocks. */
size_t rk_blocks_bytes(size_t count);
void rk_blocks_finish(struct rk_blocks *blocks);
/* The block's bytes (borrowed from the CAR), false if it is not there. */
bool rk_blocks_find(const struct rk_blocks *blocks, const struct rk_cid *cid, struct rk_slice *out);

#endif
