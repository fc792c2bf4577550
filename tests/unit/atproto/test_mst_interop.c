/* The interop suite's vectors for trees: layers, common prefixes, keys by layer. */
#include "tests/unit/atproto/tree.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/vectors.h"

static json_t *load(const char *relative)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_t *root;

	rk_vectors_require(path, sizeof(path), relative);
	root = json_load_file(path, JSON_ALLOW_NUL, NULL);
	assert_true(json_is_array(root) && json_array_size(root) > 0);
	return root;
}

static struct rk_slice text_of(const json_t *object, const char *name)
{
	const json_t *text = json_object_get(object, name);

	assert_true(json_is_string(text));
	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static void key_heights(void **state)
{
	json_t *rows = load("mst/key_heights.json"), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		assert_int_equal(rk_mst_layer(text_of(row, "key")),
			json_integer_value(json_object_get(row, "height")));
	}
	json_decref(rows);
}

static void common_prefix(void **state)
{
	json_t *rows = load("mst/common_prefix.json"), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		assert_int_equal(rk_mst_common_prefix(text_of(row, "left"), text_of(row, "right")),
			json_integer_value(json_object_get(row, "len")));
	}
	json_decref(rows);
}

/* "A0/374913": the digit is the layer. */
static void example_keys(void **state)
{
	enum { MOST = 1000 };
	struct rk_slice keys[MOST], file;
	struct tree_expected expected = {.keys = keys};
	struct rk_cid any = make_cid(rk_slice_str("root")), root;
	char path[RK_VECTORS_PATH_SIZE];
	struct rk_buf car = {0};
	size_t start = 0;

	rk_vectors_require(path, sizeof(path), "mst/example_keys.txt");
	file = rk_test_read(path);
	for (size_t at = 0; at <= file.len; at++) {
		if (at < file.len && file.data[at] != '\n')
			continue;
		if (at > start) {
			assert_true(expected.count < MOST);
			keys[expected.count++] = rk_slice_sub(file, start, at - start);
			assert_int_equal(
				rk_mst_layer(keys[expected.count - 1]), file.data[start + 1] - '0');
		}
		start = at + 1;
	}
	assert_true(expected.count > 0);
	make_car(&car, &any);
	root = tree_of(&car, keys, expected.count);
	assert_int_equal(tree_walk(rk_buf_slice(&car), &root, tree_expect, &expected), RK_MST_OK);
	assert_int_equal(expected.seen, expected.count);
	rk_buf_finish(&car);
	free((void *)file.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_heights),
		cmocka_unit_test(common_prefix),
		cmocka_unit_test(example_keys),
	};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/mst interop", tests, NULL, NULL));
}
