/*
 * Reading an undo file (undo.h). It lies where people can edit it, and a record that is put back is public
 * and signed: so a line counts only if its record, encoded anew, is the one of its own cid.
 */
#ifndef RK_REPAIR_UNDO_READ_H
#define RK_REPAIR_UNDO_READ_H

#include <jansson.h>

#include "atproto/cid.h"
#include "atproto/syntax.h"
#include "base/arena.h"
#include "base/buf.h"

struct rk_undo_entry {
	size_t line; /* from 1 */
	struct rk_slice did;
	uint8_t collection;
	struct rk_slice rkey; /* ended by a NUL, too */
	struct rk_cid cid;
	struct rk_slice record; /* JSON */
	struct rk_oid target;   /* _id of its document */
	struct rk_oid id;       /* … or of the document that named it, where there was one */
	bool has_id;
	const char *kind; /* why it was deleted; "": not said */
};

struct rk_undo_file {
	struct rk_undo_entry *entries;
	size_t count, room;
	size_t torn; /* a last line that was cut off while it was written: nothing of its batch was deleted; 0: none */
	struct rk_arena arena; /* of texts */
};

/* 0; -EINVAL: a line is none (error says which and why), it has none at all, or it is no file that could be one;
 * -ENOMEM; or errno. A last line counts without its line break, too. */
int rk_undo_read(struct rk_undo_file *out, const char *path, char error[256])
	__attribute__((warn_unused_result));
void rk_undo_file_finish(struct rk_undo_file *file);

/* The bytes that a record's JSON stands for; false: they are not those of this CID, or there is no memory. */
bool rk_undo_encode(struct rk_buf *out, const json_t *record, const struct rk_cid *cid);

#endif
