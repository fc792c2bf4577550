/*
 * Scaling by libvips, which is included here alone: in the program for thumbnails, never in refkey
 * itself. Whatever the image does to a decoder's code or memory, it does to that program.
 */
#ifndef RK_IMAGE_SCALE_H
#define RK_IMAGE_SCALE_H

#include <stdbool.h>
#include <stddef.h>

#include "image/kind.h"
#include "image/wire.h"

/* No image with more is decoded. */
enum { RK_SCALE_SIDE_MOST = 32768, RK_SCALE_PIXELS_MOST = 100 * 1000 * 1000 };

struct rk_scaled {
	enum rk_image_kind kind; /* RK_IMAGE_OTHER: reason says why there is none */
	void *bytes;             /* free with rk_scaled_finish */
	size_t len;
	char reason[RK_IMAGE_REASON_MOST];
};

/* Once; false: libvips cannot be used. */
bool rk_scale_init(const char *program);
/* The image in a file, made to fit and without what it says besides its pixels: a PNG of a PNG, a JPEG
 * of a JPEG, and of a PNG that would be more than bytes_most. */
void rk_scale(struct rk_scaled *out, int fd, const struct rk_image_request *request);
void rk_scaled_finish(struct rk_scaled *scaled);

#endif
