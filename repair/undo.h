/*
 * An undo file while it is written: undo/ in the data folder, mode 0600, a JSON object a line, each with the
 * "did", "collection", "rkey" and "cid" of a record that was deleted, the "record" itself, and why ("kind",
 * "ref"). undo_read.h reads it.
 */
#ifndef RK_REPAIR_UNDO_H
#define RK_REPAIR_UNDO_H

#include "base/slice.h"

/* Zeroed: none is open. */
struct rk_undo {
	int fd; /* if path is not empty */
	char path[4096];
};

/* Appends lines (each with its line break) and has them on disk before it returns; the file is made with
 * the first, and has its name once they are on disk: a kill leaves none that is empty. 0 or negative errno: then
 * nothing of it counts. -ENOTDIR: undo/ is no folder, or a link. */
int rk_undo_append(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
	__attribute__((warn_unused_result));
void rk_undo_close(struct rk_undo *undo);

#endif
