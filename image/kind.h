/* What kind of image some bytes are, told by their first ones, not by what they are called. Pure. */
#ifndef RK_IMAGE_KIND_H
#define RK_IMAGE_KIND_H

#include "base/slice.h"

enum rk_image_kind { RK_IMAGE_OTHER, RK_IMAGE_PNG, RK_IMAGE_JPEG };

enum { RK_IMAGE_START = 8 }; /* bytes that tell */

/* Fewer bytes than RK_IMAGE_START are RK_IMAGE_OTHER. */
enum rk_image_kind rk_image_kind(struct rk_slice start);
/* "image/png"; NULL of RK_IMAGE_OTHER, or of a number that is none. */
const char *rk_image_mime(enum rk_image_kind kind);

#endif
