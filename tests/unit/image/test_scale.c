/* Rules of image/scale: what comes out fits, whatever goes in; what is damaged is refused. */
#include "tests/unit/image/make.h"

#include <stdlib.h>

#include "image/scale.h"

enum { MOST = 1000000, SIDE = 512 };

static const struct rk_image_request usual = {.side = SIDE, .bytes_most = MOST};

static struct rk_scaled scaled_of(
	const void *bytes, size_t len, const struct rk_image_request *request)
{
	struct rk_scaled scaled;
	int fd = file_of(bytes, len);

	rk_scale(&scaled, fd, request);
	close(fd);
	if (scaled.kind == RK_IMAGE_OTHER) {
		assert_null(scaled.bytes);
		assert_true(scaled.reason[0]);
	} else {
		assert_true(scaled.len > 0 && scaled.len <= request->bytes_most);
		assert_int_equal(
			rk_image_kind(rk_slice_make(scaled.bytes, scaled.len)), scaled.kind);
	}
	return scaled;
}

static VipsImage *read_back(const struct rk_scaled *scaled)
{
	VipsImage *image = NULL;
	int r = scaled->kind == RK_IMAGE_PNG
		? vips_pngload_buffer(scaled->bytes, scaled->len, &image, NULL)
		: vips_jpegload_buffer(scaled->bytes, scaled->len, &image, NULL);

	assert_int_equal(r, 0);
	return image;
}

static void takes_what_there_is(void **state)
{
	static const struct {
		int width, height, bands;
		VipsBandFormat format;
		bool jpeg, progressive;
		int out_width, out_height, out_bands;
	} cases[] = {
		{1, 1, 3, VIPS_FORMAT_UCHAR, false, false, 1, 1, 3},
		{512, 512, 4, VIPS_FORMAT_UCHAR, false, false, 512, 512, 4},
		{513, 100, 4, VIPS_FORMAT_UCHAR, false, false, 512, 100, 4},
		{300, 1200, 4, VIPS_FORMAT_UCHAR, false, true, 128, 512, 4},
		{4000, 50, 4, VIPS_FORMAT_UCHAR, false, false, 512, 6, 4},
		{640, 128, 4, VIPS_FORMAT_UCHAR, false, false, 512, 102, 4},
		{4000, 1, 4, VIPS_FORMAT_UCHAR, false, false, 512, 1, 4},
		{1, 4000, 3, VIPS_FORMAT_UCHAR, false, false, 1, 512, 3},
		{600, 600, 1, VIPS_FORMAT_UCHAR, false, false, 512, 512, 1},
		{600, 600, 2, VIPS_FORMAT_UCHAR, false, false, 512, 512, 2},
		{600, 300, 1, VIPS_FORMAT_USHORT, false, false, 512, 256, 1},
		{600, 300, 4, VIPS_FORMAT_USHORT, false, false, 512, 256, 4},
		{3000, 1500, 4, VIPS_FORMAT_USHORT, false, false, 512, 256, 4},
		{600, 300, 3, VIPS_FORMAT_UCHAR, true, false, 512, 256, 3},
		{600, 300, 1, VIPS_FORMAT_UCHAR, true, true, 512, 256, 1},
		{5000, 2500, 3, VIPS_FORMAT_UCHAR, true, false, 512, 256, 3},
		{5000, 2500, 3, VIPS_FORMAT_UCHAR, true, true, 512, 256, 3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		VipsImage *image =
			stripes(cases[i].width, cases[i].height, cases[i].bands, cases[i].format);
		struct made made = cases[i].jpeg ? jpeg_of(image, cases[i].progressive)
						 : png_of(image, cases[i].progressive);
		struct rk_scaled scaled = scaled_of(made.bytes, made.len, &usual);
		VipsImage *back;

		if (scaled.kind == RK_IMAGE_OTHER)
			fail_msg("%zu: %s", i, scaled.reason);
		assert_int_equal(scaled.kind, cases[i].jpeg ? RK_IMAGE_JPEG : RK_IMAGE_PNG);
		back = read_back(&scaled);
		if (back->Xsize != cases[i].out_width || back->Ysize != cases[i].out_height)
			fail_msg("%zu: %d x %d", i, back->Xsize, back->Ysize);
		if (back->Bands != cases[i].out_bands)
			fail_msg("%zu: %d bands", i, back->Bands);
		assert_int_equal(back->BandFmt, VIPS_FORMAT_UCHAR);
		g_object_unref(back);
		rk_scaled_finish(&scaled);
		g_free(made.bytes);
	}
}

/* What nobody sees has no say in the colour of what one does. */
static void colours_count_as_much_as_they_cover(void **state)
{
	enum { WIDE = 4096, HIGH = 16 };
	VipsImage *image = vips_image_new_memory(), *back;
	uint8_t line[WIDE * 4], *pixel;
	struct rk_scaled scaled;
	struct made made;

	vips_image_init_fields(image, WIDE, HIGH, 4, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE,
		VIPS_INTERPRETATION_sRGB, 1.0, 1.0);
	for (int x = 0; x < WIDE; x++) {
		const uint8_t green[] = {0, 255, 0, 255}, hidden[] = {255, 0, 255, 0};

		memcpy(line + 4 * x, x % 2 ? green : hidden, 4);
	}
	for (int y = 0; y < HIGH; y++)
		assert_int_equal(vips_image_write_line(image, y, line), 0);
	made = png_of(image, false);
	scaled = scaled_of(made.bytes, made.len, &usual);
	assert_int_equal(scaled.kind, RK_IMAGE_PNG);
	back = read_back(&scaled);
	pixel = (uint8_t *)vips_image_write_to_memory(back, &(size_t){0});
	assert_non_null(pixel);
	assert_true(pixel[4 * 200] < 32 && pixel[4 * 200 + 1] > 240 && pixel[4 * 200 + 2] < 32);
	assert_in_range(pixel[4 * 200 + 3], 112, 144);
	g_free(pixel);
	g_object_unref(back);
	rk_scaled_finish(&scaled);
	g_free(made.bytes);
}

/* An opaque image in RGBA looks as it does, of one size and of one that is scaled, and so does one with a
 * single pixel that is not: there the channel stays. */
static void an_alpha_that_says_nothing_goes(void **state)
{
	static const struct {
		int side;
		bool opaque;
	} cases[] = {{64, true}, {64, false}, {800, true}, {800, false}, {2200, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int side = cases[i].side;
		VipsImage *image = vips_image_new_memory(), *back;
		uint8_t *line = g_malloc(4 * (size_t)side), *pixel;
		struct rk_scaled scaled;
		struct made made;

		vips_image_init_fields(image, side, side, 4, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE,
			VIPS_INTERPRETATION_sRGB, 1.0, 1.0);
		for (int x = 0; x < side; x++)
			memcpy(line + 4 * x, (const uint8_t[]){200, 100, 50, 255}, 4);
		for (int y = 0; y < side; y++) {
			line[4 * side - 1] = !cases[i].opaque && y + 1 == side ? 254 : 255;
			assert_int_equal(vips_image_write_line(image, y, line), 0);
		}
		g_free(line);
		made = png_of(image, false);
		scaled = scaled_of(made.bytes, made.len, &usual);
		back = read_back(&scaled);
		if (back->Bands != (cases[i].opaque ? 3 : 4))
			fail_msg("%zu: %d bands", i, back->Bands);
		pixel = (uint8_t *)vips_image_write_to_memory(back, &(size_t){0});
		assert_non_null(pixel);
		assert_in_range(pixel[0], 199, 201);
		assert_in_range(pixel[1], 99, 101);
		assert_in_range(pixel[2], 49, 51);
		g_free(pixel);
		g_object_unref(back);
		rk_scaled_finish(&scaled);
		g_free(made.bytes);
	}
}

/* Whatever space its colours are in, and however many bits they have, they look as they did. */
static void colours_are_those_of_screens(void **state)
{
	static const struct {
		const char *profile;
		VipsBandFormat format;
		bool alpha, jpeg;
		int side, off;
	} cases[] = {
		{"p3", VIPS_FORMAT_UCHAR, false, false, 600, 2},
		{"p3", VIPS_FORMAT_UCHAR, true, false, 300, 2},
		{"p3", VIPS_FORMAT_UCHAR, false, true, 5000, 4},
		{"p3", VIPS_FORMAT_USHORT, true, false, 1300, 2},
		{"cmyk", VIPS_FORMAT_UCHAR, false, true, 600, 16},
		{NULL, VIPS_FORMAT_USHORT, true, false, 600, 1},
	};
	static const uint8_t colour[] = {200, 100, 50, 128};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int bands = cases[i].alpha ? 4 : 3, side = cases[i].side;
		uint8_t *line = g_malloc((size_t)(side * bands)), *pixel;
		VipsImage *image = vips_image_new_memory(), *profiled, *deep, *back;
		struct rk_scaled scaled;
		struct made made;

		vips_image_init_fields(image, side, side, bands, VIPS_FORMAT_UCHAR,
			VIPS_CODING_NONE, VIPS_INTERPRETATION_sRGB, 1.0, 1.0);
		for (int x = 0; x < side; x++)
			memcpy(line + bands * x, colour, (size_t)bands);
		for (int y = 0; y < side; y++)
			assert_int_equal(vips_image_write_line(image, y, line), 0);
		g_free(line);
		if (cases[i].profile)
			assert_int_equal(vips_icc_transform(image, &profiled, cases[i].profile,
						 "input_profile", "srgb", NULL),
				0);
		else
			assert_int_equal(vips_copy(image, &profiled, NULL), 0);
		if (cases[i].format == VIPS_FORMAT_USHORT)
			assert_int_equal(
				vips_colourspace(profiled, &deep, VIPS_INTERPRETATION_RGB16, NULL),
				0);
		else
			assert_int_equal(vips_copy(profiled, &deep, NULL), 0);
		g_object_unref(image);
		g_object_unref(profiled);
		made = cases[i].jpeg ? jpeg_of(deep, false) : png_of(deep, false);
		scaled = scaled_of(made.bytes, made.len, &usual);
		if (scaled.kind == RK_IMAGE_OTHER)
			fail_msg("%zu: %s", i, scaled.reason);
		back = read_back(&scaled);
		assert_int_equal(back->Bands, bands);
		assert_int_equal(vips_image_get_typeof(back, VIPS_META_ICC_NAME), 0);
		pixel = (uint8_t *)vips_image_write_to_memory(back, &(size_t){0});
		assert_non_null(pixel);
		for (int band = 0; band < bands; band++) {
			if (abs(pixel[band] - colour[band]) > cases[i].off)
				fail_msg("%zu: %d is %d", i, colour[band], pixel[band]);
		}
		g_free(pixel);
		g_object_unref(back);
		rk_scaled_finish(&scaled);
		g_free(made.bytes);
	}
}

/* The orientation goes into the pixels; nothing else that the image says is kept. */
static void only_pixels_are_left(void **state)
{
	VipsImage *image = stripes(800, 400, 3, VIPS_FORMAT_UCHAR), *back;
	struct rk_scaled scaled;
	struct made made;

	vips_image_set_int(image, "orientation", 6);
	vips_image_set_string(image, "exif-ifd0-Artist", "somebody (somebody, ASCII)");
	made = jpeg_of(image, false);
	assert_non_null(memmem(made.bytes, made.len, "somebody", 8));
	scaled = scaled_of(made.bytes, made.len, &usual);
	assert_int_equal(scaled.kind, RK_IMAGE_JPEG);
	back = read_back(&scaled);
	assert_int_equal(back->Xsize, 256);
	assert_int_equal(back->Ysize, 512);
	assert_null(memmem(scaled.bytes, scaled.len, "somebody", 8));
	assert_null(memmem(scaled.bytes, scaled.len, "Exif", 4));
	g_object_unref(back);
	rk_scaled_finish(&scaled);
	g_free(made.bytes);
}

static void what_is_too_large_becomes_a_jpeg(void **state)
{
	struct made made = png_of(stripes(512, 512, 4, VIPS_FORMAT_UCHAR), false);
	struct rk_scaled png = scaled_of(made.bytes, made.len, &usual), jpeg;
	struct rk_image_request less = usual;

	assert_int_equal(png.kind, RK_IMAGE_PNG);
	less.bytes_most = (uint32_t)png.len;
	jpeg = scaled_of(made.bytes, made.len, &less);
	assert_int_equal(jpeg.kind, RK_IMAGE_PNG);
	rk_scaled_finish(&jpeg);
	less.bytes_most = (uint32_t)png.len - 1;
	if (less.bytes_most > 100000)
		less.bytes_most = 100000;
	rk_scaled_finish(&png);
	jpeg = scaled_of(made.bytes, made.len, &less);
	if (jpeg.kind != RK_IMAGE_OTHER)
		assert_int_equal(jpeg.kind, RK_IMAGE_JPEG);
	rk_scaled_finish(&jpeg);
	less.bytes_most = 100;
	jpeg = scaled_of(made.bytes, made.len, &less);
	assert_int_equal(jpeg.kind, RK_IMAGE_OTHER);
	rk_scaled_finish(&jpeg);
	g_free(made.bytes);
}

static void what_is_cut_off_is_refused(void **state)
{
	const struct made all[] = {
		png_of(stripes(90, 70, 4, VIPS_FORMAT_UCHAR), false),
		png_of(stripes(90, 70, 4, VIPS_FORMAT_UCHAR), true),
		jpeg_of(stripes(90, 70, 3, VIPS_FORMAT_UCHAR), false),
		jpeg_of(stripes(90, 70, 3, VIPS_FORMAT_UCHAR), true),
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		/* The last bytes of a PNG, its checksum and end, are not looked at. */
		size_t whole = all[i].len - (i < 2 ? 24 : 2);

		for (size_t len = 0; len < whole; len += len < 64 ? 1 : 37) {
			struct rk_scaled scaled = scaled_of(all[i].bytes, len, &usual);

			if (scaled.kind != RK_IMAGE_OTHER)
				fail_msg("%zu: %zu of %zu bytes", i, len, all[i].len);
			rk_scaled_finish(&scaled);
		}
		g_free(all[i].bytes);
	}
}

/* Bytes changed at random: an image or a reason, and never a report of the sanitizers. */
static void damage_is_survived(void **state)
{
	const struct made all[] = {
		png_of(stripes(60, 40, 4, VIPS_FORMAT_UCHAR), false),
		png_of(stripes(60, 40, 2, VIPS_FORMAT_USHORT), true),
		jpeg_of(stripes(60, 40, 3, VIPS_FORMAT_UCHAR), false),
		jpeg_of(stripes(60, 40, 1, VIPS_FORMAT_UCHAR), true),
	};

	srand(1);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (int round = 0; round < 300; round++) {
			uint8_t *copy = g_memdup2(all[i].bytes, all[i].len);
			struct rk_scaled scaled;

			for (int k = rand() % 4; k >= 0; k--)
				copy[(size_t)rand() % (rand() % 2 ? all[i].len : 64)] ^=
					(uint8_t)(1 << rand() % 8);
			scaled = scaled_of(copy, all[i].len, &usual);
			rk_scaled_finish(&scaled);
			g_free(copy);
		}
		g_free(all[i].bytes);
	}
}

static int begin(void **state)
{
	return rk_scale_init("test_scale") ? 0 : -1;
}

static int end(void **state)
{
	vips_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_there_is),
		cmocka_unit_test(colours_count_as_much_as_they_cover),
		cmocka_unit_test(an_alpha_that_says_nothing_goes),
		cmocka_unit_test(colours_are_those_of_screens),
		cmocka_unit_test(only_pixels_are_left),
		cmocka_unit_test(what_is_too_large_becomes_a_jpeg),
		cmocka_unit_test(what_is_cut_off_is_refused),
		cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
