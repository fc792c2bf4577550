/* Rules of image/kind: the first bytes tell, all of them. */
#include "tests/unit/test.h"

#include "image/kind.h"

static void the_first_bytes_tell(void **state)
{
	static const struct {
		struct rk_slice bytes;
		enum rk_image_kind kind;
	} cases[] = {
		{RK_SLICE_LIT("\x89PNG\r\n\x1a\n"), RK_IMAGE_PNG},
		{RK_SLICE_LIT("\x89PNG\r\n\x1a\nand more"), RK_IMAGE_PNG},
		{RK_SLICE_LIT("\x89PNG\r\n\x1a"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT("\x89PNG\n\n\x1a\n"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT("\xff\xd8\xff\xe0\0\x10JF"), RK_IMAGE_JPEG},
		{RK_SLICE_LIT("\xff\xd8\xff\xe0\0\x10J"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT("\xff\xd8\x00\xe0\0\x10JF"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT("GIF89a\x01\x00\x01"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT("<!doctype html>"), RK_IMAGE_OTHER},
		{RK_SLICE_LIT(""), RK_IMAGE_OTHER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rk_image_kind(cases[i].bytes), cases[i].kind);
}

static void names_are_those_of_records(void **state)
{
	assert_string_equal(rk_image_mime(RK_IMAGE_PNG), "image/png");
	assert_string_equal(rk_image_mime(RK_IMAGE_JPEG), "image/jpeg");
	assert_null(rk_image_mime(RK_IMAGE_OTHER));
	assert_null(rk_image_mime((enum rk_image_kind)3));
	assert_null(rk_image_mime((enum rk_image_kind) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_bytes_tell),
		cmocka_unit_test(names_are_those_of_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
