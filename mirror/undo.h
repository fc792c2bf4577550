/*
 * An undo file while it is written or read: undo/ in the data folder, mode 0600, a JSON object a line, each
 * with "did", "collection", "rkey" and the "record" that was deleted, and why ("cid", "kind", "ref"). A
 * line without "record" is of a document that was marked.
 */
#ifndef RK_MIRROR_UNDO_H
#define RK_MIRROR_UNDO_H

#include <jansson.h>

#include "base/slice.h"

/* Zeroed: none is open. */
struct rk_undo {
	int fd; /* if path is not empty */
	char path[4096];
};

/* Appends lines (each with its line break) and has them on disk before it returns; the file is made with
 * the first. 0 or negative errno: then nothing of it counts. */
int rk_undo_append(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
	__attribute__((warn_unused_result));
void rk_undo_close(struct rk_undo *undo);

/* Reads a file into a list of the objects that have a "record". A last line that was cut off while it was
 * written stands for nothing. 0, -EINVAL for a line that is none (error says which), -ENOMEM, or errno. */
int rk_undo_read(json_t **out, const char *path, char error[256])
	__attribute__((warn_unused_result));

#endif
