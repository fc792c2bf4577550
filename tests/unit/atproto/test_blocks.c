/* Rules of atproto/blocks: every block is hashed and found, memory is flat, doubles are fine. */
#include "tests/unit/atproto/make.h"

#include <stdio.h>
#include <stdlib.h>

#include "atproto/blocks.h"

enum { COUNT = 1000 };

static struct rk_slice text_of(char *buf, size_t size, int i)
{
	return rk_slice_make(buf, (size_t)snprintf(buf, size, "block %d", i));
}

/* A CAR of count small blocks, the first its root. */
static void make_blocks(struct rk_buf *out, int count)
{
	char text[32];
	struct rk_cid cid = make_cid(text_of(text, sizeof(text), 0));

	rk_buf_clear(out);
	make_car(out, &cid);
	for (int i = 0; i < count; i++) {
		cid = make_cid(text_of(text, sizeof(text), i));
		make_block(out, &cid, rk_slice_str(text));
	}
}

static void every_block_is_found(void **state)
{
	struct rk_arena arena = {0};
	struct rk_buf car = {0};

	for (int in_arena = 0; in_arena < 2; in_arena++) {
		for (int count = 0; count <= COUNT; count = count * 3 + 1) {
			struct rk_blocks blocks;
			struct rk_slice found;
			struct rk_cid cid;
			char text[32];

			make_blocks(&car, count);
			assert_int_equal(rk_blocks_load(&blocks, in_arena ? &arena : NULL,
						 rk_buf_slice(&car), (size_t)count),
				RK_BLOCKS_OK);
			assert_int_equal(blocks.count, count);
			assert_true(blocks.size <= 8 || blocks.size < blocks.count * 3);
			for (int i = 0; i < count; i++) {
				struct rk_slice bytes = text_of(text, sizeof(text), i);
				cid = make_cid(bytes);
				assert_true(rk_blocks_find(&blocks, &cid, &found));
				assert_true(rk_slice_equal(found, bytes));
				assert_true(i > 0 || rk_cid_equal(&cid, &blocks.root));
				cid.bytes[1] = RK_CODEC_RAW;
				assert_false(rk_blocks_find(&blocks, &cid, &found));
			}
			cid = make_cid(text_of(text, sizeof(text), count));
			assert_false(rk_blocks_find(&blocks, &cid, &found));
			rk_blocks_finish(&blocks);
			rk_blocks_finish(&blocks);
			assert_false(rk_blocks_find(&blocks, &cid, &found));
		}
	}
	rk_blocks_finish(NULL);
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

static void count_at_its_limit_ok_over_refused(void **state)
{
	struct rk_blocks blocks;
	struct rk_buf car = {0};

	make_blocks(&car, 10);
	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), 10), RK_BLOCKS_OK);
	rk_blocks_finish(&blocks);
	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), 9), RK_BLOCKS_TOO_MANY);
	rk_blocks_finish(&blocks);
	rk_buf_finish(&car);
}

static void same_block_twice_is_fine_with_other_bytes_not(void **state)
{
	struct rk_slice bytes = rk_slice_str("twice"), found;
	struct rk_cid cid = make_cid(bytes);
	struct rk_blocks blocks;
	struct rk_buf car = {0};

	make_car(&car, &cid);
	make_block(&car, &cid, bytes);
	make_block(&car, &cid, bytes);
	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), 10), RK_BLOCKS_OK);
	assert_int_equal(blocks.count, 1);
	assert_true(rk_blocks_find(&blocks, &cid, &found));
	rk_blocks_finish(&blocks);
	make_block(&car, &cid, rk_slice_str("thrice"));
	assert_int_equal(rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), 10), RK_BLOCKS_BAD_CID);
	rk_blocks_finish(&blocks);
	rk_buf_finish(&car);
}

static void no_memory_is_said(void **state)
{
	struct rk_arena arena;
	struct rk_blocks blocks;
	struct rk_slice found;
	struct rk_buf car = {0};
	struct rk_cid cid = make_cid(rk_slice_str("block 0"));

	make_blocks(&car, COUNT);
	rk_arena_init(&arena, 4096);
	assert_true(rk_blocks_load(&blocks, &arena, rk_buf_slice(&car), COUNT) < 0);
	assert_false(rk_blocks_find(&blocks, &cid, &found));
	rk_blocks_finish(&blocks);
	rk_arena_finish(&arena);
	rk_buf_finish(&car);
}

/* In a copy that ends where the bytes end, so that reading past is seen. */
static int load_copy(struct rk_slice in)
{
	uint8_t *copy = malloc(in.len ? in.len : 1);
	struct rk_blocks blocks;
	int result;

	assert_non_null(copy);
	memcpy(copy, in.data, in.len);
	result = rk_blocks_load(&blocks, NULL, rk_slice_make(copy, in.len), 100);
	rk_blocks_finish(&blocks);
	free(copy);
	return result;
}

static void every_truncation_is_refused_or_whole_blocks_fewer(void **state)
{
	struct rk_buf car = {0};
	size_t whole = 0;

	make_blocks(&car, 5);
	for (size_t len = 0; len <= car.len; len++) {
		int result = load_copy(rk_slice_make(car.data, len));

		assert_true(result == RK_BLOCKS_OK || result == RK_BLOCKS_MALFORMED);
		whole += result == RK_BLOCKS_OK;
	}
	assert_int_equal(whole, 6); /* behind the header and behind each block */
	rk_buf_finish(&car);
}

static void every_flipped_bit_is_refused(void **state)
{
	struct rk_buf car = {0};

	make_blocks(&car, 5);
	for (size_t at = 0; at < car.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct rk_blocks blocks;
			struct rk_cid root;

			car.data[at] ^= (uint8_t)(1u << bit);
			/* A root may be any CID, and a CID's codec is in no hash. */
			if (load_copy(rk_buf_slice(&car)) == RK_BLOCKS_OK) {
				assert_int_equal(
					rk_blocks_load(&blocks, NULL, rk_buf_slice(&car), 100),
					RK_BLOCKS_OK);
				root = make_cid(rk_slice_str("block 0"));
				assert_true(at < 59 && !rk_cid_equal(&root, &blocks.root));
				rk_blocks_finish(&blocks);
			}
			car.data[at] ^= (uint8_t)(1u << bit);
		}
	}
	rk_buf_finish(&car);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_block_is_found),
		cmocka_unit_test(count_at_its_limit_ok_over_refused),
		cmocka_unit_test(same_block_twice_is_fine_with_other_bytes_not),
		cmocka_unit_test(no_memory_is_said),
		cmocka_unit_test(every_truncation_is_refused_or_whole_blocks_fewer),
		cmocka_unit_test(every_flipped_bit_is_refused),
	};
	return cmocka_run_group_tests_name("atproto/blocks", tests, NULL, NULL);
}
