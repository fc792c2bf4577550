/* CARs and the table of their blocks: every block that was read is found, with its bytes. */
#include "tests/fuzz/fuzz.h"

#include "atproto/blocks.h"

struct rk_slice fuzz_car(struct rk_slice input)
{
	return input;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice_make(data, size), found;
	struct rk_arena arena = {0};
	struct rk_blocks blocks;
	struct rk_car_block block;
	struct rk_car car;
	size_t count = 0;
	int result = rk_blocks_load(&blocks, &arena, in, SIZE_MAX);

	fuzz_must(result >= 0);
	if (!rk_car_open(&car, in)) {
		fuzz_must(result == RK_BLOCKS_MALFORMED);
		goto done;
	}
	while (rk_car_next(&car, &block)) {
		count++;
		fuzz_must(block.bytes.data >= data && block.bytes.len <= size);
		if (result == RK_BLOCKS_OK)
			fuzz_must(rk_blocks_find(&blocks, &block.cid, &found) &&
				rk_slice_equal(found, block.bytes));
	}
	fuzz_must((result == RK_BLOCKS_MALFORMED) == car.reader.failed);
	if (result == RK_BLOCKS_OK) {
		fuzz_must(blocks.count <= count && rk_cid_equal(&blocks.root, &car.root));
		rk_blocks_finish(&blocks);
	}
	if (count > 1) {
		fuzz_must(rk_blocks_load(&blocks, NULL, in, count - 1) != RK_BLOCKS_OK);
		rk_blocks_finish(&blocks);
	}
done:
	rk_arena_finish(&arena);
	return 0;
}
