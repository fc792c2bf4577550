/*
 * What refkey and its program for thumbnails say to each other, over a socket between them. A request
 * comes with the descriptor of a file that holds an image (SCM_RIGHTS); to each there is one answer,
 * and behind it its bytes. Both sides are of one build.
 */
#ifndef RK_IMAGE_WIRE_H
#define RK_IMAGE_WIRE_H

#include <stdint.h>

#define RK_IMAGE_PROGRAM "refkey-thumbnail"

enum {
	RK_IMAGE_REASON_MOST = 128,
	/* Of the processor, for one image; then the program ends itself. A busy machine takes longer. */
	RK_IMAGE_SECONDS_MOST = 20,
};

struct rk_image_request {
	uint32_t side;       /* pixels, at most, of both sides */
	uint32_t bytes_most; /* of the thumbnail */
};

struct rk_image_answer {
	uint32_t kind; /* enum rk_image_kind; RK_IMAGE_OTHER: the bytes say why there is none */
	uint32_t bytes;
};

#endif
