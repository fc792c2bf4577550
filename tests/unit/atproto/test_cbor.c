/* Rules of atproto/cbor: one spelling for each value, bounded depth and counts. */
#include "tests/unit/atproto/make.h"

#include <stdlib.h>

struct row {
	const char *what, *hex;
};

/* A CID item: tag 42 over 0x00 and 36 bytes. */
#define CID_HEX                                                                                    \
	"d82a582500 01711220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"

static const struct row canonical[] = {
	{"0", "00"},
	{"23", "17"},
	{"24", "1818"},
	{"255", "18ff"},
	{"256", "190100"},
	{"65535", "19ffff"},
	{"65536", "1a00010000"},
	{"2^32 - 1", "1affffffff"},
	{"2^32", "1b0000000100000000"},
	{"2^63 - 1", "1b7fffffffffffffff"},
	{"-1", "20"},
	{"-24", "37"},
	{"-25", "3818"},
	{"-2^63", "3b7fffffffffffffff"},
	{"no bytes", "40"},
	{"bytes", "43010203"},
	{"empty text", "60"},
	{"text", "63616263"},
	{"23 letters", "77 6161616161616161 6161616161616161 61616161616161"},
	{"24 letters", "7818 6161616161616161 6161616161616161 6161616161616161"},
	{"text of three bytes a letter", "63e29898"},
	{"last code point", "64f48fbfbf"},
	{"text of eight and more", "6a 6161616161616161 c3b6"},
	{"empty array", "80"},
	{"array", "83010203"},
	{"empty map", "a0"},
	{"shorter key first", "a2 6162 01 626161 02"},
	{"keys of one length by byte", "a2 6161 01 6162 02"},
	{"the empty key", "a2 60 01 6161 02"},
	{"false", "f4"},
	{"true", "f5"},
	{"null", "f6"},
	{"CID", CID_HEX},
	{"raw CID",
		"d82a582500 01551220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"},
};

static const struct row refused[] = {
	{"nothing", ""},
	{"23 in two bytes", "1817"},
	{"255 in three", "1900ff"},
	{"65535 in five", "1a0000ffff"},
	{"2^32 - 1 in nine", "1b00000000ffffffff"},
	{"2^63", "1b8000000000000000"},
	{"-2^63 - 1", "3b8000000000000000"},
	{"reserved 28", "1c"},
	{"bytes of indefinite length", "5f4101ff"},
	{"text of indefinite length", "7f6161ff"},
	{"array of indefinite length", "9f01ff"},
	{"map of indefinite length", "bf616101ff"},
	{"break", "ff"},
	{"length of text in two bytes", "780161"},
	{"text past the end", "6261"},
	{"bytes of 2^64 - 1", "5bffffffffffffffff"},
	{"text of 2^64 - 1", "7bffffffffffffffff"},
	{"array longer than the input", "8201"},
	{"array of 2^64 - 1", "9bffffffffffffffff01"},
	{"map longer than the input", "a2616101"},
	{"map of 2^63", "bb8000000000000000616101"},
	{"key that is a number", "a10101"},
	{"key of bytes", "a1416101"},
	{"key twice", "a2 6161 01 6161 02"},
	{"longer key first", "a2 626161 01 6162 02"},
	{"keys of one length out of order", "a2 6162 01 6161 02"},
	{"inner keys out of order", "a1 6161 a2 6162 01 6161 02"},
	{"the empty key last", "a2 6161 02 60 01"},
	{"key without a value", "a16161"},
	{"undefined", "f7"},
	{"simple value 19", "f3"},
	{"simple value 255", "f8ff"},
	{"false in two bytes", "f814"},
	{"half float", "f93c00"},
	{"single float", "fa3f800000"},
	{"tag 0", "c0 63616263"},
	{"tag 43", "d82b 40"},
	{"tag 42 in three bytes", "d9002a582500 01711220"},
	{"tag 42 over text", "d82a 6100"},
	{"tag 42 cut off", "d82a"},
	{"CID without its prefix",
		"d82a5824 01711220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"},
	{"CID with prefix 1",
		"d82a582501 01711220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"},
	{"CID of dag-pb",
		"d82a582500 01701220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"},
	{"CID of 35 bytes",
		"d82a582400 01711220 0000000000000000 0000000000000000 0000000000000000 00000000000000"},
	{"overlong UTF-8", "62c080"},
	{"surrogate in UTF-8", "63eda080"},
	{"past the last code point", "64f4908080"},
	{"cut letter", "61c3"},
	{"cut letter after eight", "69 6161616161616161 c3"},
	{"lone continuation", "6180"},
	{"key of bad UTF-8", "a1 61c3 01"},
	{"two values", "0101"},
};

static void one_spelling_for_each_value(void **state)
{
	struct rk_buf in = {0};

	assert_false(rk_cbor_check((struct rk_slice){0}));
	for (size_t i = 0; i < sizeof(canonical) / sizeof(canonical[0]); i++) {
		struct rk_slice bytes = make_hex(&in, canonical[i].hex);
		struct rk_reader reader = rk_reader_make(bytes);

		if (!rk_cbor_check(bytes))
			fail_msg("refused: %s", canonical[i].what);
		if (rk_cbor_skip(&reader).len != bytes.len || reader.failed)
			fail_msg("not skipped: %s", canonical[i].what);
		reader = rk_reader_make(bytes);
		if (rk_cbor_next(&reader).type == RK_CBOR_INVALID)
			fail_msg("not read: %s", canonical[i].what);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (rk_cbor_check(make_hex(&in, refused[i].hex)))
			fail_msg("taken: %s", refused[i].what);
	}
	rk_buf_finish(&in);
}

/* Walks any value by items, as callers do. */
static bool walk(struct rk_reader *reader, unsigned depth)
{
	struct rk_cbor_item item = rk_cbor_next(reader);
	struct rk_cbor_map map = {.left = item.count};

	if (item.type == RK_CBOR_INVALID || depth == 100)
		return false;
	if (item.type == RK_CBOR_ARRAY) {
		for (size_t i = 0; i < item.count; i++) {
			if (!walk(reader, depth + 1))
				return false;
		}
	} else if (item.type == RK_CBOR_MAP) {
		while (rk_cbor_map_next(&map, reader)) {
			if (!walk(reader, depth + 1))
				return false;
		}
	}
	return !reader->failed;
}

static void both_readers_agree(void **state)
{
	static const struct {
		const struct row *rows;
		size_t count;
	} tables[] = {
		{canonical, sizeof(canonical) / sizeof(canonical[0])},
		{refused, sizeof(refused) / sizeof(refused[0])},
	};
	struct rk_buf in = {0};

	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 0; i < tables[t].count; i++) {
			struct rk_slice bytes = make_hex(&in, tables[t].rows[i].hex);
			struct rk_reader reader = rk_reader_make(bytes);
			bool walked = walk(&reader, 0) && rk_reader_left(&reader) == 0;

			if (walked != rk_cbor_check(bytes))
				fail_msg("differ: %s", tables[t].rows[i].what);
		}
	}
	rk_buf_finish(&in);
}

static void floats_are_read_but_no_data(void **state)
{
	struct rk_buf in = {0};
	struct rk_slice bytes = make_hex(&in, "fb 3ff0000000000000");
	struct rk_reader reader = rk_reader_make(bytes);

	assert_int_equal(rk_cbor_next(&reader).type, RK_CBOR_FLOAT);
	reader = rk_reader_make(bytes);
	assert_int_equal(rk_cbor_skip(&reader).len, 9);
	assert_false(rk_cbor_check(bytes));
	assert_false(rk_cbor_check(make_hex(&in, "a1 6161 81 fb 3ff0000000000000")));
	rk_buf_finish(&in);
}

static void items_carry_their_values(void **state)
{
	struct rk_buf in = {0};
	struct rk_reader reader;
	struct rk_cbor_item item;

	make_hex(&in, "1b7fffffffffffffff 3b7fffffffffffffff 20 43010203 f5 a1 60 f6");
	reader = rk_reader_make(rk_buf_slice(&in));
	assert_true(rk_cbor_next(&reader).number == INT64_MAX);
	item = rk_cbor_next(&reader);
	assert_int_equal(item.type, RK_CBOR_NEGINT);
	assert_true(item.number == INT64_MIN);
	assert_int_equal(rk_cbor_next(&reader).number, -1);
	item = rk_cbor_next(&reader);
	assert_int_equal(item.bytes.len, 3);
	assert_int_equal(item.bytes.data[2], 3);
	item = rk_cbor_next(&reader);
	assert_int_equal(item.type, RK_CBOR_BOOL);
	assert_int_equal(item.number, 1);
	item = rk_cbor_next(&reader);
	assert_int_equal(item.type, RK_CBOR_MAP);
	assert_int_equal(item.count, 1);
	rk_buf_finish(&in);
}

/* depth arrays, or maps of one key, around a zero. */
static void nest(struct rk_buf *out, size_t depth, bool maps)
{
	rk_buf_clear(out);
	for (size_t i = 0; i < depth; i++)
		rk_buf_add_str(out, maps ? "\xa1\x61k" : "\x81");
	rk_buf_add_byte(out, 0);
}

static void depth_2000_ok_2001_refused(void **state)
{
	struct rk_buf in = {0};

	for (int maps = 0; maps < 2; maps++) {
		nest(&in, RK_CBOR_DEPTH_MOST, maps);
		assert_true(rk_cbor_check(rk_buf_slice(&in)));
		nest(&in, RK_CBOR_DEPTH_MOST + 1, maps);
		assert_false(rk_cbor_check(rk_buf_slice(&in)));
		nest(&in, 10000, maps);
		assert_false(rk_cbor_check(rk_buf_slice(&in)));
	}
	rk_buf_finish(&in);
}

static void every_truncation_is_refused(void **state)
{
	struct rk_buf in = {0};
	struct rk_slice whole = make_hex(&in,
		"a4 6161 83 01 20 f6 6162 78 18 616161616161616161616161616161616161616161616161"
		"6163 a1 6178 43010203 6164 " CID_HEX);

	assert_true(rk_cbor_check(whole));
	for (size_t len = 0; len < whole.len; len++) {
		/* On the heap, so that a read past the end is seen. */
		uint8_t *cut = malloc(len ? len : 1);
		struct rk_reader reader;

		assert_non_null(cut);
		memcpy(cut, whole.data, len);
		reader = rk_reader_make(rk_slice_make(cut, len));
		assert_false(rk_cbor_check(rk_slice_make(cut, len)));
		assert_false(walk(&reader, 0));
		free(cut);
	}
	rk_buf_finish(&in);
}

static void failure_sticks(void **state)
{
	struct rk_buf in = {0};
	struct rk_reader reader = rk_reader_make(make_hex(&in, "ff 01 a0"));
	struct rk_cbor_map map;

	assert_int_equal(rk_cbor_next(&reader).type, RK_CBOR_INVALID);
	assert_true(reader.failed);
	assert_int_equal(rk_cbor_next(&reader).type, RK_CBOR_INVALID);
	assert_int_equal(rk_cbor_skip(&reader).len, 0);
	assert_false(rk_cbor_map_begin(&map, &reader));
	assert_false(rk_cbor_map_next(&map, &reader));
	reader = rk_reader_make(make_hex(&in, "80"));
	assert_false(rk_cbor_map_begin(&map, &reader));
	assert_true(reader.failed);
	rk_buf_finish(&in);
}

static void what_is_written_is_read_back(void **state)
{
	static const int64_t numbers[] = {0, 1, 23, 24, 255, 256, 65535, 65536, UINT32_MAX,
		(int64_t)UINT32_MAX + 1, INT64_MAX, -1, -24, -25, -256, -257, -65536, -65537,
		-(int64_t)UINT32_MAX - 1, -(int64_t)UINT32_MAX - 2, INT64_MIN};
	size_t count = sizeof(numbers) / sizeof(numbers[0]);
	struct rk_buf out = {0};
	struct rk_reader reader;
	struct rk_cid cid = make_cid(rk_slice_str("x"));

	rk_cbor_put_array(&out, count + 1);
	for (size_t i = 0; i < count; i++)
		rk_cbor_put_int(&out, numbers[i]);
	rk_cbor_put_map(&out, 4);
	rk_cbor_put_text(&out, rk_slice_str("a"));
	rk_cbor_put_bytes(&out, rk_slice_str("\x01\x02"));
	rk_cbor_put_text(&out, rk_slice_str("b"));
	rk_cbor_put_cid(&out, &cid);
	rk_cbor_put_text(&out, rk_slice_str("c"));
	rk_cbor_put_bool(&out, true);
	rk_cbor_put_text(&out, rk_slice_str("d"));
	rk_cbor_put_null(&out);
	assert_true(rk_cbor_check(rk_buf_slice(&out)));
	reader = rk_reader_make(rk_buf_slice(&out));
	assert_int_equal(rk_cbor_next(&reader).count, count + 1);
	for (size_t i = 0; i < count; i++)
		assert_true(rk_cbor_next(&reader).number == numbers[i]);
	rk_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_spelling_for_each_value),
		cmocka_unit_test(both_readers_agree),
		cmocka_unit_test(floats_are_read_but_no_data),
		cmocka_unit_test(items_carry_their_values),
		cmocka_unit_test(depth_2000_ok_2001_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(what_is_written_is_read_back),
	};
	return cmocka_run_group_tests_name("atproto/cbor", tests, NULL, NULL);
}
