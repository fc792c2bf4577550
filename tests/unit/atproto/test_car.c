/* Rules of atproto/car: one header form, shortest varints, nothing cut off. */
#include "tests/unit/atproto/make.h"

#include "atproto/car.h"

/* {roots: [CID], version: 1}, with its length of 58 bytes before it */
#define CID_HEX                                                                                    \
	"d82a582500 01711220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"
#define HEADER "3a a2 65726f6f7473 81 " CID_HEX " 6776657273696f6e 01"

struct row {
	const char *what, *hex;
};

static const struct row headers_refused[] = {
	{"nothing", ""},
	{"a length of nothing", "00"},
	{"no roots", "11 a2 65726f6f7473 80 6776657273696f6e 01"},
	{"version 2", "3a a2 65726f6f7473 81 " CID_HEX " 6776657273696f6e 02"},
	{"no version", "31 a1 65726f6f7473 81 " CID_HEX},
	{"version first", "3a a2 6776657273696f6e 01 65726f6f7473 81 " CID_HEX},
	{"a third field", "3e a3 6161 01 65726f6f7473 81 " CID_HEX " 6776657273696f6e 01"},
	{"a root that is no CID", "12 a2 65726f6f7473 81 01 6776657273696f6e 01"},
	{"bytes after the map", "3b a2 65726f6f7473 81 " CID_HEX " 6776657273696f6e 01 00"},
	{"length in two bytes", "ba00 a2 65726f6f7473 81 " CID_HEX " 6776657273696f6e 01"},
	{"length past the end", "3b a2 65726f6f7473 81 " CID_HEX " 6776657273696f6e 01"},
	{"length of 2^63", "808080808080808080 01 a2"},
	{"length without an end", "ffffffffffffffffffffffff"},
};

static const struct row blocks_refused[] = {
	{"shorter than a CID",
		HEADER " 23 01711220 0000000000000000 0000000000000000"
		       "0000000000000000 00000000000000"},
	{"empty section", HEADER " 00"},
	{"cut off",
		HEADER " 25 01711220 0000000000000000 0000000000000000"
		       "0000000000000000 0000000000000000"},
	{"version 0 CID",
		HEADER " 24 12200000 0000000000000000 0000000000000000"
		       "0000000000000000 0000000000000000"},
	{"a CID of another hash",
		HEADER " 24 01711320 0000000000000000 0000000000000000"
		       "0000000000000000 0000000000000000"},
	{"length alone", HEADER " 24"},
	{"half a length", HEADER " a4"},
	{"length of 2^62", HEADER " 808080808080808040 01711220 0000000000000000"},
};

static void headers_of_one_form(void **state)
{
	struct rk_buf in = {0};
	struct rk_car_block block;
	struct rk_car car;

	assert_true(rk_car_open(&car, make_hex(&in, HEADER)));
	assert_int_equal(car.root.bytes[1], RK_CODEC_DAG_CBOR);
	assert_false(rk_car_next(&car, &block));
	assert_false(car.reader.failed);
	for (size_t i = 0; i < sizeof(headers_refused) / sizeof(headers_refused[0]); i++) {
		if (rk_car_open(&car, make_hex(&in, headers_refused[i].hex)) || !car.reader.failed)
			fail_msg("taken: %s", headers_refused[i].what);
	}
	rk_buf_finish(&in);
}

static void first_of_two_roots_counts(void **state)
{
	struct rk_buf in = {0};
	struct rk_car car;

	assert_true(rk_car_open(&car,
		make_hex(&in,
			"63 a2 65726f6f7473 82 " CID_HEX
			"d82a582500 01551220 0000000000000000 0000000000000000"
			"0000000000000000 0000000000000000 6776657273696f6e 01")));
	assert_int_equal(car.root.bytes[1], RK_CODEC_DAG_CBOR);
	rk_buf_finish(&in);
}

static void malformed_blocks_refused(void **state)
{
	struct rk_buf in = {0};
	struct rk_car_block block;
	struct rk_car car;

	for (size_t i = 0; i < sizeof(blocks_refused) / sizeof(blocks_refused[0]); i++) {
		assert_true(rk_car_open(&car, make_hex(&in, blocks_refused[i].hex)));
		if (rk_car_next(&car, &block) || !car.reader.failed)
			fail_msg("taken: %s", blocks_refused[i].what);
	}
	rk_buf_finish(&in);
}

static void blocks_are_borrowed(void **state)
{
	struct rk_slice bytes[] = {rk_slice_str("one"), rk_slice_str(""), rk_slice_str("three")};
	struct rk_cid cid = make_cid(bytes[0]);
	struct rk_buf in = {0};
	struct rk_car_block block;
	struct rk_car car;

	make_car(&in, &cid);
	for (size_t i = 0; i < 3; i++) {
		cid = make_cid(bytes[i]);
		make_block(&in, &cid, bytes[i]);
	}
	assert_true(rk_car_open(&car, rk_buf_slice(&in)));
	for (size_t i = 0; i < 3; i++) {
		cid = make_cid(bytes[i]);
		assert_true(rk_car_next(&car, &block));
		assert_true(rk_cid_equal(&block.cid, &cid));
		assert_true(rk_slice_equal(block.bytes, bytes[i]));
		assert_ptr_equal(block.bytes.data, in.data + block.offset);
		assert_memory_equal(block.bytes.data - RK_CID_BYTES, cid.bytes, RK_CID_BYTES);
	}
	assert_false(rk_car_next(&car, &block));
	assert_false(car.reader.failed);
	rk_buf_finish(&in);
}

static void block_at_its_limit_ok_over_refused(void **state)
{
	for (size_t more = 0; more < 2; more++) {
		struct rk_buf in = {0}, bytes = {0};
		struct rk_car_block block;
		struct rk_car car;
		struct rk_cid cid = make_cid(rk_slice_str("any"));

		assert_non_null(rk_buf_reserve(&bytes, RK_CAR_BLOCK_MOST + more));
		memset(bytes.data, 0, bytes.len);
		make_car(&in, &cid);
		make_block(&in, &cid, rk_buf_slice(&bytes));
		assert_true(rk_car_open(&car, rk_buf_slice(&in)));
		assert_int_equal(rk_car_next(&car, &block), more == 0);
		assert_int_equal(car.reader.failed, more == 1);
		rk_buf_finish(&in);
		rk_buf_finish(&bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_one_form),
		cmocka_unit_test(first_of_two_roots_counts),
		cmocka_unit_test(malformed_blocks_refused),
		cmocka_unit_test(blocks_are_borrowed),
		cmocka_unit_test(block_at_its_limit_ok_over_refused),
	};
	return cmocka_run_group_tests_name("atproto/car", tests, NULL, NULL);
}
