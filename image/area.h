/*
 * An image made smaller: each pixel of what comes out is the mean of the area that it covers, to fractions
 * of pixels. Nothing rings about the edges of drawings, and no colour comes up that was not between others. Rows go
 * in one by one, so that of a large image no more than a row is in memory. Pure.
 */
#ifndef RK_IMAGE_AREA_H
#define RK_IMAGE_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RK_AREA_SIDE_MOST = 32768, RK_AREA_OUT_MOST = 512, RK_AREA_BANDS_MOST = 4 };

struct rk_area_shape {
	uint32_t width, height;         /* 1 to RK_AREA_SIDE_MOST pixels */
	uint32_t out_width, out_height; /* 1 to RK_AREA_OUT_MOST, and no more than what goes in */
	uint32_t bands;                 /* 1 to RK_AREA_BANDS_MOST, of eight bits each */
	bool alpha; /* the last of 2 or 4: colours count as much as they cover */
};

struct rk_area;

/* NULL: no memory, or no such shape. */
struct rk_area *rk_area_create(const struct rk_area_shape *shape);
void rk_area_destroy(struct rk_area *area); /* NULL is fine */

/* The next row, width * bands bytes; those after the last are not looked at. */
void rk_area_row(struct rk_area *area, const uint8_t *row);
/* After the last row, once: out_width * out_height pixels, borrowed until area is destroyed, of *bands
 * bands: without the alpha of an image that covers everything. */
const uint8_t *rk_area_pixels(struct rk_area *area, uint32_t *bands);

#endif
