/* The interop suite's vectors for lexicons: what is one and what is not, and records against them. */
#include "tests/unit/test.h"

#include "records/lexicon.h"
#include "tests/unit/vectors.h"

static json_t *load(const char *relative)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_error_t error;
	json_t *root;

	rk_vectors_require(path, sizeof(path), relative);
	root = json_load_file(path, 0, &error);
	if (!root)
		fail_msg("%s: %s", path, error.text);
	return root;
}

static void say(void *context, const char *path, const char *text)
{
	print_message("%s: %s %s\n", (const char *)context, path, text);
}

static void catalog_load(struct rk_lexicons *set)
{
	static const char *const files[] = {
		"permission-set", "procedure", "query", "record", "subscription"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char relative[64];
		json_t *lexicon;

		snprintf(relative, sizeof(relative), "lexicon/catalog/%s.json", files[i]);
		lexicon = load(relative);
		assert_true(rk_lexicons_add(set, lexicon));
		json_decref(lexicon);
	}
}

static void the_catalog_is_of_lexicons(void **state)
{
	struct rk_lexicons set = {0};
	const json_t *lexicon;
	const char *id;

	catalog_load(&set);
	json_object_foreach(set.by_id, id, lexicon)
	{
		assert_int_equal(rk_lexicon_check(&set, lexicon, say, (void *)id), 0);
	}
	rk_lexicons_finish(&set);
}

static void lexicons_pass_or_do_not(const char *file, bool valid)
{
	json_t *rows = load(file);
	struct rk_lexicons set = {0};
	const json_t *row;
	size_t i;

	assert_true(json_array_size(rows) > 0);
	json_array_foreach(rows, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		size_t wrong =
			rk_lexicon_check(&set, json_object_get(row, "lexicon"), say, (void *)name);

		if ((wrong == 0) != valid)
			fail_msg("%s: %s has %zu findings", file, name, wrong);
	}
	json_decref(rows);
}

static void valid_lexicons_pass(void **state)
{
	lexicons_pass_or_do_not("lexicon/lexicon-valid.json", true);
}

static void invalid_lexicons_do_not(void **state)
{
	lexicons_pass_or_do_not("lexicon/lexicon-invalid.json", false);
}

static void records_pass_or_do_not(const char *file, bool valid)
{
	json_t *rows = load(file);
	struct rk_lexicons set = {0};
	const json_t *row;
	size_t i;

	catalog_load(&set);
	assert_true(json_array_size(rows) > 0);
	json_array_foreach(rows, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *rkey = json_string_value(json_object_get(row, "rkey"));
		size_t wrong = rk_lexicon_check_record(&set, "example.lexicon.record",
			rk_slice_str(rkey), json_object_get(row, "data"), say, (void *)name);

		if ((wrong == 0) != valid)
			fail_msg("%s: %s has %zu findings", file, name, wrong);
	}
	json_decref(rows);
	rk_lexicons_finish(&set);
}

static void valid_records_pass(void **state)
{
	records_pass_or_do_not("lexicon/record-data-valid.json", true);
}

static void invalid_records_do_not(void **state)
{
	records_pass_or_do_not("lexicon/record-data-invalid.json", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_catalog_is_of_lexicons),
		cmocka_unit_test(valid_lexicons_pass),
		cmocka_unit_test(invalid_lexicons_do_not),
		cmocka_unit_test(valid_records_pass),
		cmocka_unit_test(invalid_records_do_not),
	};

	return rk_vectors_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
