/* Images for tests, made by libvips, and files that hold them. */
#ifndef RK_TESTS_UNIT_IMAGE_MAKE_H
#define RK_TESTS_UNIT_IMAGE_MAKE_H

#include "tests/unit/test.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vips/vips.h>

struct made {
	void *bytes;
	size_t len;
};

/* Stripes of so many bands, half of them see-through where there is an even number of bands. */
static inline VipsImage *stripes(int width, int height, int bands, VipsBandFormat format)
{
	VipsImage *image = vips_image_new_memory(), *plain, *typed, *out;
	VipsInterpretation space = bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
	uint8_t *line = g_malloc((size_t)width * (size_t)bands);

	vips_image_init_fields(
		image, width, height, bands, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE, space, 1.0, 1.0);
	for (int y = 0; y < height; y++) {
		for (int i = 0; i < width * bands; i++)
			line[i] = (uint8_t)((i / bands * (i % bands + 1) + y) & 0xf0);
		assert_int_equal(vips_image_write_line(image, y, line), 0);
	}
	g_free(line);
	assert_int_equal(
		vips_linear1(image, &plain, format == VIPS_FORMAT_USHORT ? 256 : 1, 0, NULL), 0);
	assert_int_equal(vips_cast(plain, &typed, format, NULL), 0);
	if (format == VIPS_FORMAT_USHORT)
		space = bands < 3 ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16;
	assert_int_equal(vips_copy(typed, &out, "interpretation", space, NULL), 0);
	g_object_unref(image);
	g_object_unref(plain);
	g_object_unref(typed);
	return out;
}

static inline struct made png_of(VipsImage *image, bool interlaced)
{
	struct made made = {0};

	assert_int_equal(vips_pngsave_buffer(image, &made.bytes, &made.len, "compression", 1,
				 "interlace", interlaced, NULL),
		0);
	g_object_unref(image);
	return made;
}

static inline struct made jpeg_of(VipsImage *image, bool progressive)
{
	struct made made = {0};

	assert_int_equal(
		vips_jpegsave_buffer(image, &made.bytes, &made.len, "interlace", progressive, NULL),
		0);
	g_object_unref(image);
	return made;
}

static inline int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

#endif
