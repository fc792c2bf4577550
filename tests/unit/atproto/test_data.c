/* Rules of atproto/data: JSON as the reference prints it, and what the data model forbids. */
#include "tests/unit/atproto/make.h"

#include <stdlib.h>

#include "atproto/data.h"
#include "tests/unit/vectors.h"

static void records_print_as_the_reference_prints_them(void **state)
{
	struct rk_slice file = rk_test_read_source("tests/fixtures/records.txt");
	char *line = (char *)file.data, *rest = NULL;
	struct rk_buf cbor = {0}, json = {0}, back = {0};
	size_t count = 0;

	for (line = strtok_r(line, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *tab = strchr(line, '\t');
		json_t *parsed;

		assert_non_null(tab);
		*tab = '\0';
		make_hex(&cbor, line);
		rk_buf_clear(&json);
		assert_true(rk_data_cbor_to_json(&json, rk_buf_slice(&cbor)));
		assert_string_equal(rk_buf_cstr(&json), tab + 1);

		parsed = json_loadb((const char *)json.data, json.len, 0, NULL);
		assert_non_null(parsed);
		rk_buf_clear(&back);
		assert_true(rk_data_json_to_cbor(&back, parsed));
		assert_true(rk_slice_equal(rk_buf_slice(&back), rk_buf_slice(&cbor)));
		json_decref(parsed);
		count++;
	}
	assert_int_equal(count, 10);
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
	rk_buf_finish(&back);
	free((void *)file.data);
}

static void numbers_print_plain(void **state)
{
	static const struct {
		const char *hex, *json;
	} rows[] = {
		{"00", "0"},
		{"1b7fffffffffffffff", "9223372036854775807"},
		{"3b7fffffffffffffff", "-9223372036854775808"},
		{"20", "-1"},
		{"390fff", "-4096"},
	};
	struct rk_buf cbor = {0}, json = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rk_buf_clear(&json);
		assert_true(rk_data_cbor_to_json(&json, make_hex(&cbor, rows[i].hex)));
		assert_string_equal(rk_buf_cstr(&json), rows[i].json);
	}
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
}

static void refused_cbor_appends_nothing(void **state)
{
	static const char *const rows[] = {
		"",
		"0000",
		"fb3ff0000000000000",
		"a1 6161 fb3ff0000000000000",
		"a2 6162 01 6161 02",
		"a2 6161 01 6231",
		/* behind a key that is an index, in the second pass */
		"a3 6161 01 623130 02 626161 ff",
		"a3 6161 01 623130 02 623130 03",
		"a2 6161 01 623130 ff",
	};
	struct rk_buf cbor = {0}, json = {0};

	rk_buf_add_str(&json, "before");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rk_data_cbor_to_json(&json, make_hex(&cbor, rows[i])))
			fail_msg("taken: %s", rows[i]);
		assert_string_equal(rk_buf_cstr(&json), "before");
	}
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
}

static void depth_2000_ok_2001_refused(void **state)
{
	for (size_t depth = RK_CBOR_DEPTH_MOST; depth <= RK_CBOR_DEPTH_MOST + 1; depth++) {
		struct rk_buf cbor = {0}, json = {0}, back = {0};
		bool fits = depth == RK_CBOR_DEPTH_MOST;
		json_t *value = json_integer(1);

		for (size_t i = 0; i < depth; i++) {
			rk_buf_add_str(&cbor, "\xa1\x61k");
			value = json_pack("{so}", "k", value);
		}
		rk_buf_add_byte(&cbor, 1);
		assert_int_equal(rk_data_cbor_to_json(&json, rk_buf_slice(&cbor)), fits);
		assert_int_equal(rk_data_json_to_cbor(&back, value), fits);
		if (fits)
			assert_true(rk_slice_equal(rk_buf_slice(&cbor), rk_buf_slice(&back)));
		json_decref(value);
		rk_buf_finish(&cbor);
		rk_buf_finish(&json);
		rk_buf_finish(&back);
	}
}

/* A map in a map in a map, each with a late index key: work must not double a level. */
static void late_index_keys_at_every_depth_stay_cheap(void **state)
{
	struct rk_buf cbor = {0}, json = {0};

	for (size_t i = 0; i < RK_CBOR_DEPTH_MOST; i++)
		rk_buf_add_str(&cbor, "\xa2\x61k");
	rk_buf_add_byte(&cbor, 1);
	for (size_t i = 0; i < RK_CBOR_DEPTH_MOST; i++)
		rk_buf_add_str(&cbor,
			"\x62"
			"10"
			"\x01");
	assert_true(rk_data_cbor_to_json(&json, rk_buf_slice(&cbor)));
	assert_memory_equal(json.data, "{\"10\":1,\"k\":{\"10\":1,\"k\":", 24);
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
}

/* … and what lies deepest is not read at every level without end. */
static void late_index_keys_around_a_megabyte_are_refused(void **state)
{
	struct rk_buf cbor = {0}, json = {0};

	for (size_t i = 0; i < RK_CBOR_DEPTH_MOST; i++)
		rk_buf_add_str(&cbor, "\xa2\x61k");
	rk_buf_add_str(&cbor, "\x7a");
	for (int i = 0; i < 4; i++)
		rk_buf_add_byte(&cbor, i == 1 ? 0x10 : 0);
	for (size_t i = 0; i < 1 << 20; i++)
		rk_buf_add_byte(&cbor, 'x');
	for (size_t i = 0; i < RK_CBOR_DEPTH_MOST; i++)
		rk_buf_add_str(&cbor,
			"\x62"
			"10"
			"\x01");
	assert_true(rk_cbor_check(rk_buf_slice(&cbor)));
	assert_false(rk_data_cbor_to_json(&json, rk_buf_slice(&cbor)));
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
}

static void json_of_other_shapes(void **state)
{
	static const struct {
		const char *json;
		bool valid;
	} rows[] = {
		{"{}", true},
		{"[]", false},
		{"{\"a\": 9223372036854775807}", true},
		{"{\"a\": 9007199254740991.0}", true},
		{"{\"a\": 9007199254740993.0}", false},
		{"{\"a\": 1e300}", false},
		{"{\"a\": -0.0}", true},
		{"{\"a\": 0.5}", false},
		{"{\"a\": {\"$bytes\": \"AQ==\"}}", true},
		{"{\"a\": {\"$bytes\": \"AQ\"}}", true},
		{"{\"a\": {\"$bytes\": \"A-\"}}", false},
		{"{\"$link\": \"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq\"}",
			true},
		{"{\"$type\": \"blob\", \"ref\": 1, \"mimeType\": \"a/b\", \"size\": 1}", false},
		{"{\"$type\": \"blob\", \"ref\": {\"$link\": "
		 "\"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq\"}, "
		 "\"mimeType\": \"a/b\", \"size\": -1}",
			false},
	};
	struct rk_buf cbor = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = json_loads(rows[i].json, 0, NULL);

		assert_non_null(json);
		rk_buf_clear(&cbor);
		if (rk_data_json_to_cbor(&cbor, json) != rows[i].valid)
			fail_msg("%s", rows[i].json);
		if (rows[i].valid)
			assert_true(rk_cbor_check(rk_buf_slice(&cbor)));
		json_decref(json);
	}
	rk_buf_finish(&cbor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_print_as_the_reference_prints_them),
		cmocka_unit_test(numbers_print_plain),
		cmocka_unit_test(refused_cbor_appends_nothing),
		cmocka_unit_test(depth_2000_ok_2001_refused),
		cmocka_unit_test(late_index_keys_at_every_depth_stay_cheap),
		cmocka_unit_test(late_index_keys_around_a_megabyte_are_refused),
		cmocka_unit_test(json_of_other_shapes),
	};
	return cmocka_run_group_tests_name("atproto/data", tests, NULL, NULL);
}
