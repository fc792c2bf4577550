/* See scale.h. */
#include "image/scale.h"

#include <stdio.h>
#include <unistd.h>
#include <vips/vips.h>

enum {
	PNG_EFFORT = 4,
	QUALITY = 85,
	WHITE = 255,
	OPAQUE = 255,
	WHOLE_BYTES_MOST = 16 << 20, /* of an image that is taken into memory whole */
};

#define DAMAGED "the image is damaged, or too large to decode"

static void say_nothing(
	const char *domain, GLogLevelFlags level, const char *message, void *context)
{
}

bool rk_scale_init(const char *program)
{
	/* What decoders have to say of strange images is in the reason, or nobody's business. */
	g_log_set_default_handler(say_nothing, NULL);
	if (VIPS_INIT(program) != 0)
		return false;
	/* Nothing is asked twice. */
	vips_cache_set_max(0);
	vips_cache_set_max_mem(0);
	vips_concurrency_set(1);
	vips_operation_block_set("VipsForeignLoad", TRUE);
	vips_operation_block_set("VipsForeignLoadPng", FALSE);
	vips_operation_block_set("VipsForeignLoadJpeg", FALSE);
	vips_block_untrusted_set(TRUE);
	return true;
}

/* The first line of what libvips says, in visible characters. */
static void refuse(struct rk_scaled *out, const char *what, const char *why)
{
	size_t at = (size_t)snprintf(
		out->reason, sizeof(out->reason), "%s%s", what, why && *why ? ": " : "");

	for (; why && *why && *why != '\n' && at + 1 < sizeof(out->reason); why++)
		out->reason[at++] = *why >= ' ' && *why <= '~' ? *why : '?';
	out->reason[at] = '\0';
}

/* Row by row, as far as the file allows, and to the end: what is cut off is no image. (Thumbnailing in one
 * step would take it: libvips 8.14 does not hand fail_on to the loader there.) */
static VipsImage *load(
	struct rk_scaled *out, VipsSource *source, enum rk_image_kind kind, int jpeg_shrink)
{
	VipsImage *image = NULL;
	int r;

	if (kind == RK_IMAGE_PNG)
		r = vips_pngload_source(source, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
			VIPS_FAIL_ON_ERROR, NULL);
	else
		r = vips_jpegload_source(source, &image, "access", VIPS_ACCESS_SEQUENTIAL,
			"fail_on", VIPS_FAIL_ON_ERROR, "shrink", jpeg_shrink, NULL);
	if (r == 0)
		return image;
	refuse(out, DAMAGED, vips_error_buffer());
	return NULL;
}

static bool size_fits(struct rk_scaled *out, const VipsImage *header)
{
	int64_t width = vips_image_get_width(header), height = vips_image_get_height(header);

	if (width <= RK_SCALE_SIDE_MOST && height <= RK_SCALE_SIDE_MOST &&
		width * height <= RK_SCALE_PIXELS_MOST)
		return true;
	snprintf(out->reason, sizeof(out->reason),
		"the image has %d x %d pixels, %d megapixels are taken", (int)width, (int)height,
		RK_SCALE_PIXELS_MOST / 1000000);
	return false;
}

static int longer_side(const VipsImage *image)
{
	int width = vips_image_get_width(image), height = vips_image_get_height(image);

	return width > height ? width : height;
}

/* A JPEG can be decoded at a half, a quarter or an eighth, which is quick and a little rough: a factor of
 * two is left to good scaling. */
static int jpeg_shrink(const VipsImage *header, int side)
{
	int factor = longer_side(header) / side;

	return factor >= 16 ? 8 : factor >= 8 ? 4 : factor >= 4 ? 2 : 1;
}

/* Eight bits a channel: what was grey is grey, all else is sRGB. */
static int plain(VipsImage **out, VipsImage *in, bool grey)
{
	return vips_colourspace(
		in, out, grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL);
}

static int encode(struct rk_scaled *out, VipsImage *image, enum rk_image_kind kind)
{
	VipsArrayDouble *white;
	int r;

	out->kind = kind;
	if (kind == RK_IMAGE_PNG)
		return vips_pngsave_buffer(image, &out->bytes, &out->len, "compression", PNG_EFFORT,
			"strip", TRUE, NULL);
	white = vips_array_double_newv(1, (double)WHITE);
	r = vips_jpegsave_buffer(image, &out->bytes, &out->len, "Q", QUALITY, "optimize_coding",
		TRUE, "strip", TRUE, "background", white, NULL);
	vips_area_unref(VIPS_AREA(white));
	return r;
}

static void drop(struct rk_scaled *out)
{
	g_free(out->bytes);
	out->bytes = NULL;
	out->len = 0;
	out->kind = RK_IMAGE_OTHER;
}

static int less_of(int a, int b)
{
	return a < b ? a : b;
}

/* Of a large image first the average of whole squares, which takes a third of the memory; a factor of two
 * is left to good scaling. Colours count as much as they cover. */
static int shrink(VipsImage **out, VipsImage *in, int side)
{
	int factor = longer_side(in) / (2 * side);
	VipsImage *covering = NULL, *flat = NULL, *small = NULL, *colours = NULL;
	bool alpha = vips_image_hasalpha(in);
	int r = 0;

	if (factor < 2)
		return vips_copy(in, out, NULL);
	if (alpha)
		r = vips_premultiply(in, &covering, NULL) ||
			vips_cast(covering, &flat, vips_image_get_format(in), NULL);
	r = r ||
		vips_shrink(alpha ? flat : in, &small, less_of(factor, vips_image_get_width(in)),
			less_of(factor, vips_image_get_height(in)), NULL);
	if (alpha)
		r = r || vips_unpremultiply(small, &colours, NULL);
	r = r || vips_cast(alpha ? colours : small, out, vips_image_get_format(in), NULL);
	g_clear_object(&colours);
	g_clear_object(&small);
	g_clear_object(&flat);
	g_clear_object(&covering);
	return r;
}

/* Whether an image in memory, of eight bits a channel, covers everything. */
static bool is_opaque(VipsImage *image)
{
	size_t bands = (size_t)vips_image_get_bands(image);
	const VipsPel *end, *at = VIPS_IMAGE_ADDR(image, 0, 0);

	end = at + VIPS_IMAGE_SIZEOF_IMAGE(image);
	for (at += bands - 1; at < end && *at == OPAQUE; at += bands)
		;
	return at >= end;
}

/* Without a channel that says nothing: colours that have to be weighed by what they cover cost most of
 * scaling. To know that, the image is looked at in memory, if it is small enough. */
static int alpha_drop(VipsImage **out, VipsImage *in)
{
	VipsImage *whole;
	int r;

	if (!vips_image_hasalpha(in) || vips_image_get_format(in) != VIPS_FORMAT_UCHAR ||
		VIPS_IMAGE_SIZEOF_IMAGE(in) > WHOLE_BYTES_MOST)
		return vips_copy(in, out, NULL);
	whole = vips_image_copy_memory(in);
	if (!whole)
		return -1;
	if (is_opaque(whole))
		r = vips_extract_band(whole, out, 0, "n", vips_image_get_bands(whole) - 1, NULL);
	else
		r = vips_copy(whole, out, NULL);
	g_object_unref(whole);
	return r;
}

static int scale(struct rk_scaled *out, VipsImage *full, enum rk_image_kind kind,
	const struct rk_image_request *request)
{
	VipsImage *plainer = NULL, *less = NULL, *small = NULL, *image = NULL, *copy = NULL;
	int side = (int)request->side;
	/* Without a profile of its own, colours are sRGB already, and to transform them is half of the work. */
	const char *to = vips_image_get_typeof(full, VIPS_META_ICC_NAME) ? "srgb" : NULL;
	int r = alpha_drop(&plainer, full);

	if (r == 0)
		r = shrink(&less, plainer, side);
	if (r == 0)
		r = vips_thumbnail_image(less, &small, side, "height", side, "size", VIPS_SIZE_DOWN,
			to ? "export_profile" : NULL, to, NULL);
	if (r == 0)
		r = plain(&image, small, vips_image_get_bands(full) < 3);
	/* What is encoded a second time is not decoded again. */
	if (r == 0 && !(copy = vips_image_copy_memory(image)))
		r = -1;
	if (r == 0)
		r = encode(out, copy, kind);
	if (r == 0 && out->len > request->bytes_most && kind == RK_IMAGE_PNG) {
		drop(out);
		r = encode(out, copy, RK_IMAGE_JPEG);
	}
	g_clear_object(&copy);
	g_clear_object(&image);
	g_clear_object(&small);
	g_clear_object(&less);
	g_clear_object(&plainer);
	return r;
}

static void scale_source(struct rk_scaled *out, VipsSource *source, enum rk_image_kind kind,
	const struct rk_image_request *request)
{
	VipsImage *header = load(out, source, kind, 1), *full = NULL;

	if (header && size_fits(out, header))
		full = load(out, source, kind, jpeg_shrink(header, (int)request->side));
	if (full && scale(out, full, kind, request) != 0) {
		drop(out);
		refuse(out, DAMAGED, vips_error_buffer());
	} else if (full && out->len > request->bytes_most) {
		drop(out);
		refuse(out, "the image's thumbnail is too large", NULL);
	}
	g_clear_object(&full);
	g_clear_object(&header);
}

void rk_scale(struct rk_scaled *out, int fd, const struct rk_image_request *request)
{
	uint8_t start[RK_IMAGE_START];
	ssize_t got = pread(fd, start, sizeof(start), 0);
	enum rk_image_kind kind = rk_image_kind(rk_slice_make(start, got > 0 ? (size_t)got : 0));
	VipsSource *source;

	*out = (struct rk_scaled){0};
	if (kind == RK_IMAGE_OTHER) {
		refuse(out, "neither PNG nor JPEG", NULL);
		return;
	}
	vips_error_clear();
	source = vips_source_new_from_descriptor(fd);
	if (source)
		scale_source(out, source, kind, request);
	else
		refuse(out, "the image cannot be read", vips_error_buffer());
	g_clear_object(&source);
}

void rk_scaled_finish(struct rk_scaled *scaled)
{
	g_free(scaled->bytes);
	*scaled = (struct rk_scaled){0};
}
