/* See scale.h. */
#include "image/scale.h"

#include <stdio.h>
#include <unistd.h>
#include <vips/vips.h>

enum {
	PNG_EFFORT = 3, /* 4 takes a quarter longer or more, for 3 to 13 % fewer bytes */
	QUALITY = 85,
	WHITE = 255,
	OPAQUE = 255,
	LYING_BYTES_MOST = 6 << 20,   /* of what is laid down: images of up to 4000 x 4000 pixels */
	STRIP_BYTES = 128 << 10,      /* of an image that goes into memory, at once */
	STRIPS_BYTES_MOST = 16 << 20, /* of an image that is scaled by strips */
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
 * two is left to be averaged. */
static int jpeg_shrink(const VipsImage *header, int side)
{
	int factor = longer_side(header) / side;

	return factor >= 16 ? 8 : factor >= 8 ? 4 : factor >= 4 ? 2 : 1;
}

/* An operation that does nothing costs as much as thousands of pixels. */
static int same(VipsImage **out, VipsImage *in)
{
	*out = g_object_ref(in);
	return 0;
}

/* Eight bits a channel: what was grey is grey, all else is sRGB. */
static int plain(VipsImage **out, VipsImage *in, bool grey)
{
	VipsInterpretation space = grey ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;

	if (vips_image_get_format(in) == VIPS_FORMAT_UCHAR &&
		vips_image_get_interpretation(in) == space)
		return same(out, in);
	return vips_colourspace(in, out, space, NULL);
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

/* A row's colours without the channel behind them; whether that says nothing. colours is a constant where this is
 * called. */
static inline bool row_take(
	VipsPel *restrict to, const VipsPel *restrict from, int width, const int colours)
{
	VipsPel all = OPAQUE;

	for (int x = 0; x < width; x++) {
		for (int i = 0; i < colours; i++)
			to[x * colours + i] = from[x * (colours + 1) + i];
		all &= from[x * (colours + 1) + colours];
	}
	return all == OPAQUE;
}

/* The colours of what is decoded, of eight bits a channel, unless something is to be seen through it: that is noted, and
 * ends the work. */
static int rows_take(VipsRegion *out, void *in, void *image, void *transparent, gboolean *stop)
{
	const VipsRect *rows = &out->valid;

	if (vips_region_prepare(in, rows) != 0)
		return -1;
	for (int y = rows->top; y < VIPS_RECT_BOTTOM(rows); y++) {
		VipsPel *to = VIPS_REGION_ADDR(out, rows->left, y);
		const VipsPel *from = VIPS_REGION_ADDR((VipsRegion *)in, rows->left, y);

		if (out->im->Bands == 1 ? row_take(to, from, rows->width, 1)
					: row_take(to, from, rows->width, 3))
			continue;
		*(bool *)transparent = true;
		return -1;
	}
	return 0;
}

/* Without a channel that says nothing; in must outlive it. */
static int opaque(VipsImage **out, VipsImage *in, bool *transparent)
{
	int r;

	*out = vips_image_new();
	r = vips_image_pipelinev(*out, VIPS_DEMAND_STYLE_THINSTRIP, in, NULL);
	(*out)->Bands--;
	return r ||
		vips_image_generate(
			*out, vips_start_one, rows_take, vips_stop_one, in, transparent);
}

/* Into memory, strip by strip on this thread: libvips' own way is threads that wait for each other. NULL: failed. */
static VipsImage *gather(VipsImage *in)
{
	const VipsRect all = {0, 0, vips_image_get_width(in), vips_image_get_height(in)};
	const int rows = (int)(STRIP_BYTES / VIPS_IMAGE_SIZEOF_LINE(in)) + 1;
	VipsImage *out = vips_image_new_memory();
	VipsRegion *from = vips_region_new(in), *to = vips_region_new(out);
	int r = vips_image_pipelinev(out, VIPS_DEMAND_STYLE_ANY, in, NULL) ||
		vips_image_write_prepare(out) || vips_region_image(to, &all);

	for (VipsRect strip = {0, 0, all.width, rows}; r == 0 && strip.top < all.height;
		strip.top += rows) {
		VipsRect part;

		vips_rect_intersectrect(&strip, &all, &part);
		r = vips_region_prepare_to(from, to, &part, 0, part.top);
	}
	g_object_unref(to);
	g_object_unref(from);
	if (r)
		g_clear_object(&out);
	return out;
}

/* A side of an image whose longer one becomes the most that fits. */
static double side_of(int side, int longer, int most)
{
	int64_t fits = ((int64_t)side * most + longer / 2) / longer;

	return (double)(longer <= most ? side : fits > 0 ? fits : 1);
}

/* By means of neighbours: nothing rings about the edges of a drawing, as it does where what is sharp is to stay
 * sharp, and that takes three times as long. */
static int resize(VipsImage **out, VipsImage *in, double across, double down)
{
	return vips_resize(in, out, across, "vscale", down, "kernel", VIPS_KERNEL_LINEAR, NULL);
}

static int turn(VipsImage **out, VipsImage *in, VipsAngle angle)
{
	VipsImage *image = gather(in);
	int r = image ? vips_rot(image, out, angle, NULL) : -1;

	g_clear_object(&image);
	return r;
}

/* The same of a small image, in two thirds of the time: libvips adds up rows by the processor's vectors, but columns
 * number by number. So they are laid down. */
static int resize_small(VipsImage **out, VipsImage *in, double across, double down)
{
	VipsImage *low = NULL, *lying = NULL, *narrow = NULL;
	int r = resize(&low, in, 1.0, down) || turn(&lying, low, VIPS_ANGLE_D90) ||
		resize(&narrow, lying, 1.0, across) || turn(out, narrow, VIPS_ANGLE_D270);

	g_clear_object(&narrow);
	g_clear_object(&lying);
	g_clear_object(&low);
	return r;
}

/* Colours count as much as they cover. */
static int shrink(VipsImage **out, VipsImage *in, int most)
{
	int longer = longer_side(in), width = vips_image_get_width(in),
	    height = vips_image_get_height(in);
	double across = side_of(width, longer, most) / width,
	       down = side_of(height, longer, most) / height;
	VipsImage *covering = NULL, *flat = NULL, *fitting = NULL, *colours = NULL;
	bool alpha = vips_image_hasalpha(in);
	bool small = (double)VIPS_IMAGE_SIZEOF_IMAGE(in) * down <= LYING_BYTES_MOST;
	int r = 0;

	if (longer <= most)
		return same(out, in);
	if (alpha)
		r = vips_premultiply(in, &covering, NULL) ||
			vips_cast(covering, &flat, VIPS_FORMAT_UCHAR, NULL);
	if (r == 0)
		r = (small ? resize_small : resize)(
			alpha ? &fitting : out, alpha ? flat : in, across, down);
	if (alpha)
		r = r || vips_unpremultiply(fitting, &colours, NULL) ||
			vips_cast(colours, out, VIPS_FORMAT_UCHAR, NULL);
	g_clear_object(&colours);
	g_clear_object(&fitting);
	g_clear_object(&flat);
	g_clear_object(&covering);
	return r;
}

/* As it is to be looked at: turned as it says, in the colours of screens. That is left until it is small. */
static int settle(VipsImage **out, VipsImage *in, bool grey)
{
	VipsImage *upright = NULL, *known = NULL;
	int r = vips_image_get_orientation(in) > 1 ? vips_autorot(in, &upright, NULL)
						   : same(&upright, in);

	/* Without a profile of its own, colours are sRGB already. */
	if (r == 0 && vips_image_get_typeof(in, VIPS_META_ICC_NAME) != 0)
		r = vips_icc_transform(upright, &known, "srgb", "embedded", TRUE, NULL);
	if (r == 0)
		r = plain(out, known ? known : upright, grey);
	g_clear_object(&known);
	g_clear_object(&upright);
	return r;
}

/* What is made of an image, into memory. Of a large one libvips' own threads hold less at once than a strip takes. */
static VipsImage *hold(VipsImage *made, VipsImage *of)
{
	return VIPS_IMAGE_SIZEOF_IMAGE(of) <= STRIPS_BYTES_MOST ? gather(made)
								: vips_image_copy_memory(made);
}

/* With *transparent, as something that may be seen through. Without, -1 and *transparent if it is. */
static int scale(struct rk_scaled *out, VipsImage *full, enum rk_image_kind kind,
	const struct rk_image_request *request, bool *transparent)
{
	VipsImage *bytes = NULL, *colours = NULL, *fitting = NULL, *held = NULL, *image = NULL;
	bool grey = vips_image_get_bands(full) < 3;
	int r;

	if (vips_image_get_format(full) == VIPS_FORMAT_UCHAR)
		r = same(&bytes, full);
	else
		r = plain(&bytes, full, grey);
	if (r == 0)
		r = vips_image_hasalpha(bytes) && !*transparent
			? opaque(&colours, bytes, transparent)
			: same(&colours, bytes);
	if (r == 0)
		r = shrink(&fitting, colours, (int)request->side);
	/* What is encoded a second time is not decoded again. */
	if (r == 0)
		held = hold(fitting, bytes);
	r = held ? settle(&image, held, grey) : -1;
	if (r == 0)
		r = encode(out, image, kind);
	if (r == 0 && out->len > request->bytes_most && kind == RK_IMAGE_PNG) {
		drop(out);
		r = encode(out, image, RK_IMAGE_JPEG);
	}
	g_clear_object(&image);
	g_clear_object(&held);
	g_clear_object(&fitting);
	g_clear_object(&colours);
	g_clear_object(&bytes);
	return r;
}

/* False: nothing was made of it yet, since it is *transparent. */
static bool scale_source(struct rk_scaled *out, VipsSource *source, enum rk_image_kind kind,
	const struct rk_image_request *request, bool *transparent)
{
	VipsImage *full = load(out, source, kind, 1);
	const bool was = *transparent;
	int r = full && size_fits(out, full) ? 0 : 1;
	int factor = full && kind == RK_IMAGE_JPEG ? jpeg_shrink(full, (int)request->side) : 1;

	if (r == 0 && factor > 1) {
		g_object_unref(full);
		full = load(out, source, kind, factor);
		r = full ? 0 : 1;
	}
	if (r == 0)
		r = scale(out, full, kind, request, transparent);
	g_clear_object(&full);
	if (*transparent != was)
		return false;
	if (r < 0) {
		drop(out);
		refuse(out, DAMAGED, vips_error_buffer());
	} else if (r == 0 && out->len > request->bytes_most) {
		drop(out);
		refuse(out, "the image's thumbnail is too large", NULL);
	}
	return true;
}

void rk_scale(struct rk_scaled *out, int fd, const struct rk_image_request *request)
{
	uint8_t start[RK_IMAGE_START];
	ssize_t got = pread(fd, start, sizeof(start), 0);
	enum rk_image_kind kind = rk_image_kind(rk_slice_make(start, got > 0 ? (size_t)got : 0));
	bool transparent = false, done = false;

	*out = (struct rk_scaled){0};
	if (kind == RK_IMAGE_OTHER)
		refuse(out, "neither PNG nor JPEG", NULL);
	/* Most have a channel for what is seen through, and nothing in it: to weigh colours by it costs most of
	 * scaling. So that is done of those only where something was found there, from the beginning. */
	while (kind != RK_IMAGE_OTHER && !done) {
		VipsSource *source;

		vips_error_clear();
		source = vips_source_new_from_descriptor(fd);
		done = !source || scale_source(out, source, kind, request, &transparent);
		if (!source)
			refuse(out, "the image cannot be read", vips_error_buffer());
		g_clear_object(&source);
	}
}

void rk_scaled_finish(struct rk_scaled *scaled)
{
	g_free(scaled->bytes);
	*scaled = (struct rk_scaled){0};
}
