/*
 * The program for thumbnails, from refkey's side: started when the first image comes, ended and started
 * anew when it does not answer as it should. One image at a time; one thread at a time.
 */
#ifndef RK_IMAGE_SCALER_H
#define RK_IMAGE_SCALER_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/buf.h"
#include "image/kind.h"
#include "image/wire.h"

enum { RK_SCALER_REFUSED = 1 };

struct rk_scaler {
	const char *program; /* path */
	pid_t pid;           /* 0: not running */
	int fd;
};

/* Where the program is to be: beside the one that runs. 0 or negative. */
int rk_scaler_find(struct rk_buf *path) __attribute__((warn_unused_result));

/* Starts nothing yet. program must outlive it. */
void rk_scaler_init(struct rk_scaler *scaler, const char *program);
void rk_scaler_finish(struct rk_scaler *scaler); /* of a zeroed one, too */

/* The thumbnail of the image in a file is appended to *out. RK_SCALER_REFUSED: there is none, reason says
 * why. Negative: -ENOENT and the like (the program cannot be started), -ECANCELED, -ENOMEM. */
int rk_scaler_thumbnail(struct rk_scaler *scaler, struct rk_buf *out, enum rk_image_kind *kind,
	char reason[RK_IMAGE_REASON_MOST], int fd, const struct rk_image_request *request,
	const atomic_bool *cancel) __attribute__((warn_unused_result));

#endif
