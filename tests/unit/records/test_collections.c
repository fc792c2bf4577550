/* Rules of the table of collections: what the code that loops over it may take for granted. */
#include "tests/unit/test.h"

#include "records/record.h"

static void finds_its_rows_and_nothing_else(void **state)
{
	assert_int_equal(
		rk_collection_find(rk_slice_str("computer.aesthetic.mood")), RK_COLLECTION_MOOD);
	assert_int_equal(rk_collection_find(rk_slice_str("computer.aesthetic.painting")),
		RK_COLLECTION_PAINTING);
	assert_int_equal(rk_collection_find(rk_slice_str("computer.aesthetic.moo")), -1);
	assert_int_equal(rk_collection_find(rk_slice_str("computer.aesthetic.moods")), -1);
	assert_int_equal(rk_collection_find(rk_slice_str("Computer.aesthetic.mood")), -1);
	assert_int_equal(rk_collection_find((struct rk_slice){0}), -1);
}

/* Stored indexes name collections by their place. */
static void places_never_change(void **state)
{
	assert_int_equal(RK_COLLECTION_MOOD, 0);
	assert_int_equal(RK_COLLECTION_PAINTING, 1);
}

static void every_row_is_whole(void **state)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const struct rk_collection *row = &rk_collections[i];
		int roles[RK_ROLE_COUNT] = {0};
		size_t fields = 0;

		assert_non_null(row->nsid);
		assert_non_null(row->documents);
		assert_non_null(row->gone);
		assert_non_null(row->noun);
		assert_true(!row->bucket == !row->bucket_guest);
		for (; fields < RK_FIELDS_MOST && row->fields[fields].name; fields++) {
			const struct rk_field *field = &row->fields[fields];

			roles[field->role]++;
			if (field->role == RK_ROLE_WHEN)
				assert_int_equal(field->kind, RK_FIELD_DATETIME);
			if (field->role == RK_ROLE_CODE)
				assert_true(field->most && field->most <= RK_CODE_MOST);
			if (field->role == RK_ROLE_SLUG)
				assert_true(field->most && field->most <= RK_SLUG_MOST);
			if (field->kind == RK_FIELD_BLOB)
				assert_null(field->document);
		}
		assert_int_equal(roles[RK_ROLE_REF], 1);
		assert_int_equal(roles[RK_ROLE_WHEN], 1);
		assert_in_range(roles[RK_ROLE_CODE], 0, 1);
		assert_in_range(roles[RK_ROLE_SLUG], 0, 1);
		assert_int_equal(rk_collection_find(rk_slice_str(row->nsid)), i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_its_rows_and_nothing_else),
		cmocka_unit_test(places_never_change),
		cmocka_unit_test(every_row_is_whole),
	};
	return cmocka_run_group_tests_name("records/collections", tests, NULL, NULL);
}
