/* Rules of store/check: records under keys that none can have. */
#include "tests/unit/store/kit.h"

#include <stdio.h>

static void told(void *context, const char *what)
{
	snprintf(context, 1024, "%s", what);
}

/* As an older version left them: consistent, and yet nothing that can be asked for. */
static void key_that_is_none_is_named(void **state)
{
	static const char *const keys[] = {"a b", ".", "..", "a/b", "\xff\x80", "\x1b[2J"};
	struct kit *k = *state;
	struct rk_check_summary summary;
	char text[1024];

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_commit(k);
	kit_check(k);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct kit_record record = {
			.rkey = rk_slice_str(keys[i]), .ref = "65f0a1b2c3d4e5f601234567"};

		kit_write(k);
		kit_put(k, 1, &record, 1);
		kit_commit(k);
		*text = '\0';
		assert_int_equal(rk_store_check(k->store, &summary, told, text), 1);
		assert_non_null(strstr(text, "no record key"));
		assert_string_equal(strrchr(text, ':') + 2, keys[i]);
		record.gone = true;
		kit_write(k);
		kit_put(k, 1, &record, 2);
		kit_commit(k);
		kit_check(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(key_that_is_none_is_named, kit_setup, kit_teardown),
	};
	return cmocka_run_group_tests_name("store/check_keys", tests, NULL, NULL);
}
