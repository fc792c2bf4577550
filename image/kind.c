/* See kind.h. PNG: its signature (W3C PNG, 5.2). JPEG: start of image, and the next marker's first byte. */
#include "image/kind.h"

static const struct {
	const char *mime;
	struct rk_slice start;
} kinds[] = {
	[RK_IMAGE_OTHER] = {NULL, {NULL, 0}},
	[RK_IMAGE_PNG] = {"image/png", RK_SLICE_LIT("\x89PNG\r\n\x1a\n")},
	[RK_IMAGE_JPEG] = {"image/jpeg", RK_SLICE_LIT("\xff\xd8\xff")},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

enum rk_image_kind rk_image_kind(struct rk_slice start)
{
	for (int i = RK_IMAGE_OTHER + 1; start.len >= RK_IMAGE_START && i < KINDS; i++) {
		if (rk_slice_starts(start, kinds[i].start))
			return (enum rk_image_kind)i;
	}
	return RK_IMAGE_OTHER;
}

const char *rk_image_mime(enum rk_image_kind kind)
{
	return (unsigned)kind < KINDS ? kinds[kind].mime : NULL;
}
