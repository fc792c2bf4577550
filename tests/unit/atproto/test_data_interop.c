/* The interop suite's vectors for the data model: both directions, CIDs, valid and invalid. */
#include "tests/unit/test.h"

#include "atproto/data.h"
#include "base/encode.h"
#include "tests/unit/vectors.h"

static json_t *load(const char *relative)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_t *root;

	rk_vectors_require(path, sizeof(path), relative);
	root = json_load_file(path, 0, NULL);
	assert_true(json_is_array(root) && json_array_size(root) > 0);
	return root;
}

static struct rk_slice text_of(const json_t *object, const char *name)
{
	const json_t *text = json_object_get(object, name);

	assert_true(json_is_string(text));
	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static void fixtures(void **state)
{
	json_t *rows = load("data-model/data-model-fixtures.json"), *row;
	struct rk_buf encoded = {0}, expected = {0}, text = {0};
	size_t i;

	json_array_foreach(rows, i, row)
	{
		struct rk_cid cid;
		json_t *back;

		rk_buf_clear(&encoded);
		rk_buf_clear(&expected);
		assert_true(rk_base64_decode(&expected, text_of(row, "cbor_base64"), false));
		assert_true(rk_data_json_to_cbor(&encoded, json_object_get(row, "json")));
		assert_true(rk_slice_equal(rk_buf_slice(&encoded), rk_buf_slice(&expected)));
		assert_true(rk_cbor_check(rk_buf_slice(&encoded)));

		rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, rk_buf_slice(&encoded));
		rk_buf_clear(&text);
		rk_cid_format(&text, &cid);
		assert_true(rk_slice_equal(rk_buf_slice(&text), text_of(row, "cid")));

		rk_buf_clear(&text);
		assert_true(rk_data_cbor_to_json(&text, rk_buf_slice(&encoded)));
		back = json_loadb((const char *)text.data, text.len, 0, NULL);
		assert_true(json_equal(back, json_object_get(row, "json")));
		json_decref(back);
	}
	json_decref(rows);
	rk_buf_finish(&encoded);
	rk_buf_finish(&expected);
	rk_buf_finish(&text);
}

static void each_is(const char *relative, bool valid)
{
	json_t *rows = load(relative), *row;
	struct rk_buf encoded = {0};
	size_t i;

	json_array_foreach(rows, i, row)
	{
		rk_buf_clear(&encoded);
		if (rk_data_json_to_cbor(&encoded, json_object_get(row, "json")) != valid)
			fail_msg("%s", json_string_value(json_object_get(row, "note")));
		if (valid)
			assert_true(rk_cbor_check(rk_buf_slice(&encoded)));
	}
	json_decref(rows);
	rk_buf_finish(&encoded);
}

static void valid(void **state)
{
	each_is("data-model/data-model-valid.json", true);
}

static void invalid(void **state)
{
	each_is("data-model/data-model-invalid.json", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixtures),
		cmocka_unit_test(valid),
		cmocka_unit_test(invalid),
	};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/data interop", tests, NULL, NULL));
}
