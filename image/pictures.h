/*
 * Thumbnails of images by their URLs: fetching, bounded in size and time, and scaling, several at once on
 * threads of its own. An image is in memory nowhere in refkey: it goes from the network to a file
 * without a name, and from there to the program for thumbnails.
 */
#ifndef RK_IMAGE_PICTURES_H
#define RK_IMAGE_PICTURES_H

#include "base/buf.h"
#include "image/kind.h"

enum { RK_PICTURE_BYTES_MOST = 32 << 20, RK_PICTURE_REASON_MOST = 192 };

struct rk_pictures_options {
	const char *program; /* for thumbnails: its path */
	const char *dir;     /* for the files */
	const char *trusted; /* origin that may be private; NULL: none */
	uint32_t side;       /* of a thumbnail: pixels at most */
	uint32_t bytes_most; /* of a thumbnail */
	long timeout_ms;     /* of a fetch; 0: a minute */
	long idle_ms;        /* without a byte; 0: 15 s */
};

enum rk_picture_result {
	RK_PICTURE_READY,
	RK_PICTURE_REFUSED, /* there is none: reason */
	/* Nor is there of many before it: the images' server cannot be reached. */
	RK_PICTURE_AWAY,
};

struct rk_picture {
	const char *url; /* must live until the end */
	enum rk_image_kind kind;
	struct rk_buf bytes; /* of the thumbnail */
	char reason[RK_PICTURE_REASON_MOST];
	int result;
	bool asked, done;
	struct rk_picture *next;
};

struct rk_pictures;

/* Options' pointers must outlive it. Starts the threads. NULL: no memory, or no threads. */
struct rk_pictures *rk_pictures_create(const struct rk_pictures_options *options);
/* Ends what is under way, and all that is asked for from now on, with -ECANCELED. */
void rk_pictures_cancel(struct rk_pictures *pictures);
/* All pictures must have been waited for, or dropped. NULL is fine. */
void rk_pictures_destroy(struct rk_pictures *pictures);

/* Asks for a picture of which only the url is set. */
void rk_pictures_ask(struct rk_pictures *pictures, struct rk_picture *picture);
/* Its result: enum rk_picture_result; or negative: -ENOENT and the like (thumbnails cannot be made at
 * all), -ENOMEM, -ENOSPC, -ECANCELED: also when stopped() is true before it is there. */
int rk_pictures_wait(struct rk_pictures *pictures, struct rk_picture *picture,
	bool (*stopped)(void *context), void *context) __attribute__((warn_unused_result));
/* Frees what a picture has, asked for or not; waits until nobody works on it. */
void rk_pictures_drop(struct rk_pictures *pictures, struct rk_picture *picture);

#endif
