/*
 * What needs no state, done by the workers in parallel: parse a frame, verify it, read the records of
 * our collections. Pure but for the clock it is handed.
 */
#ifndef RK_INDEXER_DECODE_H
#define RK_INDEXER_DECODE_H

#include "atproto/verify.h"
#include "store/write.h"

struct rk_decoded {
	enum rk_verdict verdict;
	struct rk_event event;
	struct rk_verified verified;      /* of commits and syncs that are believed */
	struct rk_change_record *records; /* of our collections, in the commit's order */
	size_t count;
};

/* Negative: no memory. */
int rk_decode(struct rk_decoded *out, struct rk_arena *arena, struct rk_slice frame, int64_t now_ms)
	__attribute__((warn_unused_result));

#endif
