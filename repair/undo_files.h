/*
 * Undo files: undo/ in the data folder, a JSON object a line, each with the "did", "collection" and "rkey" of
 * a record that was deleted and its "record". What is no such line stands for nothing and goes when a file is
 * written anew.
 */
#ifndef RK_REPAIR_UNDO_FILES_H
#define RK_REPAIR_UNDO_FILES_H

#include <stdbool.h>

#include "records/collections.h"

/* Counts a DID's entries by collection, and if `remove` takes them out of every file; a file that has nothing else
 * goes. A file is replaced as a whole, so that a kill leaves the old one or the new. 0 or negative errno. */
int rk_undo_files_purge(uint64_t counts[RK_COLLECTION_COUNT], const char *data_dir,
	struct rk_slice did, bool remove) __attribute__((warn_unused_result));

#endif
