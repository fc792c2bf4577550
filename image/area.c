/*
 * See area.h. Lengths are counted in units of which both sides are whole numbers: a row that goes in is
 * out_height units long, one that comes out height units; columns likewise. Down first, in whole numbers; then
 * across, what is left of it, in floats: of the longest row 65 columns become one where it is to fit 512, and such
 * sums are exact to a hundredth of a level. Where something is seen through, colours are carried as colour
 * times cover.
 */
#include "image/area.h"

#include <stdlib.h>
#include <string.h>

enum { FULL = 255, NEAR_FULL = FULL - 1 };

_Static_assert((uint64_t)FULL *FULL *RK_AREA_SIDE_MOST <= INT32_MAX, "sums fit");

/* The columns that one that comes out covers: the first and the last of them in part. */
struct span {
	uint32_t at, count;
	float first, last; /* units; of a single one it is all the first's */
};

struct rk_area {
	struct rk_area_shape shape;
	uint32_t row;  /* that comes next */
	uint32_t left; /* units that the row that comes out still lacks */
	bool weighed;  /* it has colours times cover */
	bool opaque;   /* all rows, so far */
	int32_t *sums; /* of the columns, for the row that comes out */
	float *means;  /* of the same */
	float *line;   /* the row that comes out */
	uint16_t *cover;
	struct span *spans;
	uint8_t *pixels, *out; /* out: where the next go */
};

static bool is_shape(const struct rk_area_shape *shape)
{
	return shape->out_width > 0 && shape->out_width <= shape->width && shape->out_height > 0 &&
		shape->out_height <= shape->height && shape->width <= RK_AREA_SIDE_MOST &&
		shape->height <= RK_AREA_SIDE_MOST && shape->out_width <= RK_AREA_OUT_MOST &&
		shape->out_height <= RK_AREA_OUT_MOST && shape->bands > 0 &&
		shape->bands <= RK_AREA_BANDS_MOST && !(shape->alpha && shape->bands % 2);
}

static bool is_same_size(const struct rk_area_shape *shape)
{
	return shape->out_width == shape->width && shape->out_height == shape->height;
}

static void measure(struct rk_area *area)
{
	uint32_t width = area->shape.width, out = area->shape.out_width;

	for (uint32_t x = 0; x < out; x++) {
		struct span *span = &area->spans[x];
		uint32_t begin = x * width, end = begin + width, past = (end + out - 1) / out;

		span->at = begin / out;
		span->count = past - span->at;
		span->first = (float)((span->at + 1) * out - begin);
		span->last = (float)(end - (past - 1) * out);
		if (span->count == 1) {
			span->first = (float)width;
			span->last = 0;
		}
	}
}

struct rk_area *rk_area_create(const struct rk_area_shape *shape)
{
	struct rk_area *area = is_shape(shape) ? calloc(1, sizeof(*area)) : NULL;
	size_t line;

	if (!area)
		return NULL;
	line = (size_t)shape->width * shape->bands;
	area->shape = *shape;
	area->left = shape->height;
	area->opaque = true;
	area->sums = calloc(line, sizeof(*area->sums));
	area->means = calloc(line, sizeof(*area->means));
	area->cover = calloc(line, sizeof(*area->cover));
	area->line = calloc((size_t)shape->out_width * shape->bands, sizeof(*area->line));
	area->spans = calloc(shape->out_width, sizeof(*area->spans));
	area->pixels = calloc((size_t)shape->out_width * shape->out_height, shape->bands);
	area->out = area->pixels;
	if (!area->sums || !area->means || !area->cover || !area->line || !area->spans ||
		!area->pixels) {
		rk_area_destroy(area);
		return NULL;
	}
	measure(area);
	return area;
}

void rk_area_destroy(struct rk_area *area)
{
	if (!area)
		return;
	free(area->sums);
	free(area->means);
	free(area->cover);
	free(area->line);
	free(area->spans);
	free(area->pixels);
	free(area);
}

/* Down */

static bool is_opaque(const uint8_t *row, size_t pixels, size_t bands)
{
	uint8_t all = FULL;

	if (bands == RK_AREA_BANDS_MOST) { /* whole words are quicker */
		uint8_t word[RK_AREA_BANDS_MOST];
		uint32_t words = UINT32_MAX, one;

		for (size_t i = 0; i < pixels; i++) {
			memcpy(&one, row + i * sizeof(one), sizeof(one));
			words &= one;
		}
		memcpy(word, &words, sizeof(word));
		return word[RK_AREA_BANDS_MOST - 1] == FULL;
	}
	for (size_t i = 1; i <= pixels; i++)
		all &= row[i * bands - 1];
	return all == FULL;
}

static void weigh(uint16_t *restrict out, const uint8_t *restrict row, size_t pixels, size_t bands)
{
	for (size_t i = 0; i < pixels; i++, out += bands, row += bands) {
		uint16_t cover = row[bands - 1];

		for (size_t band = 0; band + 1 < bands; band++)
			out[band] = (uint16_t)(row[band] * cover);
		out[bands - 1] = (uint16_t)(FULL * cover);
	}
}

static void add(int32_t *restrict sums, const uint8_t *restrict row, size_t len, uint16_t weight)
{
	for (size_t i = 0; i < len; i++)
		sums[i] += (int32_t)((uint32_t)(uint16_t)row[i] * weight);
}

static void add_weighed(
	int32_t *restrict sums, const uint16_t *restrict row, size_t len, uint16_t weight)
{
	for (size_t i = 0; i < len; i++)
		sums[i] += (int32_t)((uint32_t)row[i] * weight);
}

/* Sums begin anew. */
static void divide(float *restrict means, int32_t *restrict sums, size_t len, float divisor)
{
	float by = 1 / divisor;

	for (size_t i = 0; i < len; i++) {
		means[i] = (float)sums[i] * by;
		sums[i] = 0;
	}
}

/* Across */

static inline __attribute__((always_inline)) void across(
	const struct rk_area *area, const uint32_t bands)
{
	float *restrict line = area->line, whole = (float)area->shape.out_width;

	for (uint32_t x = 0; x < area->shape.out_width; x++, line += bands) {
		const struct span *span = &area->spans[x];
		const float *at = area->means + (size_t)span->at * bands;
		float colours[RK_AREA_BANDS_MOST];

		for (uint32_t band = 0; band < bands; band++)
			colours[band] = at[band] * span->first;
		for (uint32_t i = 2; i < span->count; i++) {
			at += bands;
			for (uint32_t band = 0; band < bands; band++)
				colours[band] += at[band] * whole;
		}
		at += span->count > 1 ? bands : 0;
		for (uint32_t band = 0; band < bands; band++)
			colours[band] += at[band] * span->last;
		memcpy(line, colours, bands * sizeof(*line));
	}
}

static uint8_t rounded(float colour)
{
	return (uint8_t)(int)(colour + 0.5F);
}

static void put(uint8_t *restrict out, const float *restrict line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = rounded(line[i]);
}

/* What is seen of colours times cover, which is the last. */
static void put_weighed(uint8_t *out, const float *line, size_t pixels, uint32_t bands)
{
	for (size_t i = 0; i < pixels; i++, line += bands, out += bands) {
		float cover = line[bands - 1];

		out[bands - 1] = rounded(cover);
		for (uint32_t band = 0; band + 1 < bands; band++) {
			float colour = out[bands - 1] ? line[band] * FULL / cover : 0;

			out[band] = colour > NEAR_FULL ? FULL : rounded(colour);
		}
	}
}

static void row_end(struct rk_area *area)
{
	const struct rk_area_shape *shape = &area->shape;
	size_t len = (size_t)shape->out_width * shape->bands;
	float divisor = (float)shape->height * (float)shape->width;

	divide(area->means, area->sums, (size_t)shape->width * shape->bands,
		area->weighed ? FULL * divisor : divisor);
	switch (shape->bands) {
	case 1:
		across(area, 1);
		break;
	case 2:
		across(area, 2);
		break;
	case 3:
		across(area, 3);
		break;
	default:
		across(area, RK_AREA_BANDS_MOST);
	}
	if (area->weighed)
		put_weighed(area->out, area->line, shape->out_width, shape->bands);
	else
		put(area->out, area->line, len);
	area->out += len;
	area->left = shape->height;
	area->weighed = false;
}

static void weighed_begin(struct rk_area *area, size_t len)
{
	for (size_t i = 0; i < len; i++)
		area->sums[i] *= FULL;
	area->weighed = true;
}

void rk_area_row(struct rk_area *area, const uint8_t *row)
{
	uint32_t width = area->shape.width, bands = area->shape.bands;
	bool opaque = !area->shape.alpha || is_opaque(row, width, bands);
	size_t len = (size_t)width * bands;

	if (area->row >= area->shape.height)
		return;
	area->row++;
	area->opaque = area->opaque && opaque;
	if (opaque && is_same_size(&area->shape)) {
		memcpy(area->out, row, len);
		area->out += len;
		return;
	}
	if (!opaque || area->weighed)
		weigh(area->cover, row, width, bands);
	for (uint32_t units = area->shape.out_height; units > 0;) {
		uint32_t some = units < area->left ? units : area->left;

		if (!opaque && !area->weighed)
			weighed_begin(area, len);
		if (area->weighed)
			add_weighed(area->sums, area->cover, len, (uint16_t)some);
		else
			add(area->sums, row, len, (uint16_t)some);
		units -= some;
		area->left -= some;
		if (area->left == 0)
			row_end(area);
	}
}

const uint8_t *rk_area_pixels(struct rk_area *area, uint32_t *bands)
{
	const struct rk_area_shape *shape = &area->shape;
	size_t pixels = (size_t)shape->out_width * shape->out_height;
	size_t less = shape->bands - 1;

	*bands = shape->bands;
	if (!shape->alpha || !area->opaque)
		return area->pixels;
	for (size_t i = 0; i < pixels; i++) {
		for (size_t band = 0; band < less; band++)
			area->pixels[i * less + band] = area->pixels[i * shape->bands + band];
	}
	*bands = (uint32_t)less;
	return area->pixels;
}
