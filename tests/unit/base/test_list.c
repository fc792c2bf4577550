/* Rules of base/list: doubles when it is full, keeps what is there, and refuses what cannot be. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"

static void room_doubles_and_elements_stay(void **state)
{
	uint32_t *list = NULL;
	size_t room = 0, grown = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		size_t before = room;

		assert_int_equal(rk_list_grow(&list, &room, i, sizeof(*list)), 0);
		assert_true(room > i);
		if (room != before)
			assert_true(before == 0 || room == before * 2);
		grown += room != before;
		list[i] = i;
	}
	assert_int_equal(grown, 5); /* 64 to 1024 */
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(list[i], i);
	free(list);
}

static void what_cannot_be_had_changes_nothing(void **state)
{
	char *list = malloc(1), *before = list;
	size_t room = 1;

	assert_int_equal(rk_list_grow(&list, &room, 1, SIZE_MAX), -ENOMEM);
	assert_ptr_equal(list, before);
	assert_int_equal(room, 1);
	room = SIZE_MAX / 2 + 1; /* twice that is nothing */
	assert_int_equal(rk_list_grow(&list, &room, room, 1), -ENOMEM);
	assert_ptr_equal(list, before);
	assert_int_equal(room, SIZE_MAX / 2 + 1);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_doubles_and_elements_stay),
		cmocka_unit_test(what_cannot_be_had_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
