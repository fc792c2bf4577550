/*
 * What a relay carries beside ours: frames of accounts that the index does not know, which make no
 * record of our collections. They are most of the stream, so they are told by a peek and one lookup,
 * and nothing of them is kept but how far the stream has come.
 */
#ifndef RK_INDEXER_FOREIGN_H
#define RK_INDEXER_FOREIGN_H

#include "indexer/decode.h"

/* RK_FOREIGN_YES: out says so, with seq and time. snapshot is open. Negative: the index cannot be read. */
enum rk_foreign_result { RK_FOREIGN_NO, RK_FOREIGN_YES };
int rk_foreign(struct rk_decoded *out, struct rk_slice frame, struct rk_snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
