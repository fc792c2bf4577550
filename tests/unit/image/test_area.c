/* Rules of image/area: each pixel is the mean of the area that it covers. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "image/area.h"

static uint8_t *some(size_t len, bool opaque, uint32_t bands)
{
	uint8_t *pixels = malloc(len);

	assert_non_null(pixels);
	for (size_t i = 0; i < len; i++)
		pixels[i] = opaque && i % bands == bands - 1 ? 255 : (uint8_t)rand();
	return pixels;
}

static struct rk_area *fed(const struct rk_area_shape *shape, const uint8_t *pixels)
{
	struct rk_area *area = rk_area_create(shape);

	assert_non_null(area);
	for (uint32_t y = 0; y < shape->height; y++)
		rk_area_row(area, pixels + (size_t)y * shape->width * shape->bands);
	return area;
}

/* How much of pixel i is in what pixel `at` of those that come out covers. */
static double overlap(uint32_t i, uint32_t at, uint32_t side, uint32_t out)
{
	double step = (double)side / out, begin = at * step, end = begin + step;

	if (begin < i)
		begin = i;
	if (end > i + 1.0)
		end = i + 1.0;
	return end > begin ? end - begin : 0;
}

static void mean(double *means, const struct rk_area_shape *shape, const uint8_t *pixels,
	uint32_t out_x, uint32_t out_y)
{
	double colours[RK_AREA_BANDS_MOST] = {0}, covers = 0, all = 0;

	for (uint32_t y = 0; y < shape->height; y++) {
		double high = overlap(y, out_y, shape->height, shape->out_height);

		for (uint32_t x = 0; high > 0 && x < shape->width; x++) {
			const uint8_t *pixel = pixels + (y * shape->width + x) * shape->bands;
			double part = high * overlap(x, out_x, shape->width, shape->out_width);
			double cover = shape->alpha ? pixel[shape->bands - 1] : 255;

			all += part;
			covers += part * cover;
			for (uint32_t band = 0; band < shape->bands; band++)
				colours[band] += part * cover * pixel[band];
		}
	}
	for (uint32_t band = 0; band < shape->bands; band++)
		means[band] = covers > 0 ? colours[band] / covers : 0;
	if (shape->alpha)
		means[shape->bands - 1] = covers / all;
}

static void pixels_are_means(void **state)
{
	static const struct {
		struct rk_area_shape shape;
		bool opaque; /* although it has alpha */
	} cases[] = {
		{{1, 1, 1, 1, 3, false}, false},
		{{1, 1, 1, 1, 4, true}, false},
		{{7, 5, 7, 5, 3, false}, false},
		{{7, 5, 7, 5, 4, true}, false},
		{{7, 5, 7, 5, 2, true}, true},
		{{8, 6, 4, 3, 1, false}, false},
		{{8, 6, 4, 3, 4, false}, false}, /* four colours */
		{{11, 13, 4, 5, 3, false}, false},
		{{11, 13, 4, 5, 4, true}, false},
		{{11, 13, 4, 5, 4, true}, true},
		{{11, 13, 4, 5, 2, true}, false},
		{{13, 3, 12, 3, 4, true}, false},
		{{90, 70, 1, 1, 4, true}, false},
		{{800, 3, 512, 2, 4, true}, true},
		{{1, 900, 1, 512, 3, false}, false},
		{{4000, 2, 512, 1, 2, true}, false},
	};

	srand(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rk_area_shape *shape = &cases[i].shape;
		size_t len = (size_t)shape->width * shape->height * shape->bands;
		uint8_t *pixels = some(len, cases[i].opaque, shape->bands);
		struct rk_area *area = fed(shape, pixels);
		uint32_t bands, x, y;
		const uint8_t *out = rk_area_pixels(area, &bands);

		assert_int_equal(bands, cases[i].opaque ? shape->bands - 1 : shape->bands);
		for (y = 0; y < shape->out_height; y++) {
			for (x = 0; x < shape->out_width; x++) {
				double means[RK_AREA_BANDS_MOST];

				mean(means, shape, pixels, x, y);
				for (uint32_t band = 0; band < bands; band++, out++) {
					/* Of what is hardly seen the colour is not exact. */
					if ((means[band] > *out + 0.51 ||
						    means[band] < *out - 0.51) &&
						!(shape->alpha && means[bands - 1] < 1))
						fail_msg("%zu: %u,%u,%u: %f %u", i, x, y, band,
							means[band], *out);
				}
			}
		}
		rk_area_destroy(area);
		free(pixels);
	}
}

/* One pixel that is not is enough, in whichever row; and rows before and after it are as they were. */
static void alpha_goes_only_if_all_is_opaque(void **state)
{
	const struct rk_area_shape shape = {9, 10, 4, 4, 4, true};
	size_t len = (size_t)shape.width * shape.height * shape.bands;
	uint8_t pixels[9 * 10 * 4];
	struct rk_area *area;
	uint32_t bands;

	for (size_t row = 0; row <= shape.height; row++) {
		const uint8_t *out;

		for (size_t i = 0; i < len; i++)
			pixels[i] = i % 4 == 3 ? 255 : i % 4 == 1 ? 100 : 200;
		if (row < shape.height)
			pixels[row * 36 + 35] = 0;
		area = fed(&shape, pixels);
		out = rk_area_pixels(area, &bands);
		assert_int_equal(bands, row < shape.height ? 4 : 3);
		for (size_t i = 0; i < 16; i++, out += bands) {
			assert_int_equal(out[0], 200);
			assert_int_equal(out[1], 100);
			assert_int_equal(out[2], 200);
			if (i % 4 < 3 && bands == 4)
				assert_int_equal(out[3], 255);
		}
		rk_area_destroy(area);
	}
}

/* The largest sums that there are. */
static void the_longest_white_is_white(void **state)
{
	static const struct rk_area_shape shapes[] = {
		{1, RK_AREA_SIDE_MOST, 1, 1, 3, false},
		{1, RK_AREA_SIDE_MOST, 1, RK_AREA_OUT_MOST, 4, true},
		{RK_AREA_SIDE_MOST, 3, RK_AREA_OUT_MOST, 1, 2, true},
		{RK_AREA_SIDE_MOST, 3, RK_AREA_OUT_MOST, 3, 1, false},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct rk_area_shape *shape = &shapes[i];
		size_t len = (size_t)shape->width * shape->height * shape->bands;
		uint8_t *pixels = malloc(len);
		struct rk_area *area;
		const uint8_t *out;
		uint32_t bands;

		assert_non_null(pixels);
		memset(pixels, 255, len);
		if (shape->alpha) /* see-through, nearly everywhere not */
			pixels[shape->bands - 1] = 0;
		area = fed(shape, pixels);
		out = rk_area_pixels(area, &bands);
		len = (size_t)shape->out_width * shape->out_height * bands;
		for (size_t k = shape->alpha ? bands : 0; k < len; k++)
			assert_int_equal(out[k], 255);
		rk_area_destroy(area);
		free(pixels);
	}
}

static void other_shapes_are_refused(void **state)
{
	static const struct rk_area_shape shapes[] = {
		{0, 1, 0, 1, 3, false},
		{1, 0, 1, 0, 3, false},
		{4, 4, 0, 4, 3, false},
		{4, 4, 4, 5, 3, false},
		{4, 4, 5, 4, 3, false},
		{RK_AREA_SIDE_MOST + 1, 4, 4, 4, 3, false},
		{4, RK_AREA_SIDE_MOST + 1, 4, 4, 3, false},
		{1000, 1000, RK_AREA_OUT_MOST + 1, 4, 3, false},
		{1000, 1000, 4, RK_AREA_OUT_MOST + 1, 3, false},
		{4, 4, 4, 4, 0, false},
		{4, 4, 4, 4, RK_AREA_BANDS_MOST + 1, false},
		{4, 4, 4, 4, 1, true},
		{4, 4, 4, 4, 3, true},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		assert_null(rk_area_create(&shapes[i]));
	rk_area_destroy(NULL);
}

/* A row too many changes nothing. */
static void rows_after_the_last_are_left(void **state)
{
	const struct rk_area_shape shape = {2, 2, 1, 1, 3, false};
	const uint8_t dark[6] = {10, 10, 10, 10, 10, 10}, light[6] = {250, 250, 250, 250, 250, 250};
	struct rk_area *area = rk_area_create(&shape);
	uint32_t bands;

	assert_non_null(area);
	for (int y = 0; y < 5; y++)
		rk_area_row(area, y < 2 ? dark : light);
	assert_int_equal(rk_area_pixels(area, &bands)[0], 10);
	rk_area_destroy(area);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pixels_are_means),
		cmocka_unit_test(alpha_goes_only_if_all_is_opaque),
		cmocka_unit_test(the_longest_white_is_white),
		cmocka_unit_test(other_shapes_are_refused),
		cmocka_unit_test(rows_after_the_last_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
