/*
 * Mutates inputs that have a CAR in them and then, mostly, makes its CIDs true again: each block is
 * hashed, and its CID is put wherever the old one was, in other blocks and around the CAR too. What
 * points to what stays so, and only what hashes guard is changed.
 */
#include "tests/fuzz/fuzz.h"

#include "atproto/car.h"

enum { ROUNDS_MOST = 12, BLOCKS_MOST = 64 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static void replace(uint8_t *data, size_t size, const struct rk_cid *old, const struct rk_cid *new)
{
	uint8_t *at = data, *end = data + size;

	while ((at = memmem(at, (size_t)(end - at), old->bytes, RK_CID_BYTES))) {
		memcpy(at, new->bytes, RK_CID_BYTES);
		at += RK_CID_BYTES;
	}
}

/* One pass over the blocks; false if all were right. */
static bool repair(uint8_t *data, size_t size)
{
	struct rk_slice car_bytes = fuzz_car(rk_slice_make(data, size));
	struct rk_car_block block;
	struct rk_car car;
	bool changed = false;

	if (car_bytes.len == 0 || !rk_car_open(&car, car_bytes))
		return false;
	for (int i = 0; i < BLOCKS_MOST && rk_car_next(&car, &block); i++) {
		struct rk_cid right;

		rk_cid_compute(&right, block.cid.bytes[1], block.bytes);
		if (rk_cid_equal(&right, &block.cid))
			continue;
		replace(data, size, &block.cid, &right);
		changed = true;
	}
	return changed;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, most);
	if (seed % 8 == 0)
		return size;
	for (int round = 0; round < ROUNDS_MOST && repair(data, size); round++)
		continue;
	return size;
}
