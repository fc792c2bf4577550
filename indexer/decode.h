/*
 * What needs no state but the signer's key, done by the workers in parallel: parse a frame, verify it,
 * read the records of our collections.
 */
#ifndef RK_INDEXER_DECODE_H
#define RK_INDEXER_DECODE_H

#include "atproto/verify.h"
#include "indexer/keys.h"
#include "store/write.h"

struct rk_decoded {
	enum rk_verdict verdict;
	bool foreign; /* none of our repos': only the event's type, seq, did and time are set */
	int64_t stream_ms; /* set by who replays it: how far the stream had come before it, Unix ms */
	int64_t key_fetched_ms; /* Unix ms when the DID document was read that it was judged by; 0: none */
	struct rk_event event; /* its operations: until the scratch is reset */
	struct rk_verified
		verified; /* of commits and syncs that are believed; its blocks likewise */
	struct rk_change_record *records; /* of our collections, in the commit's order */
	size_t count;
};

/* What lives as long as *out comes from the arena, all else from the scratch (the same one may serve as
 * both). snapshot is open. Negative: no memory, or the index cannot be read. */
int rk_decode(struct rk_decoded *out, struct rk_arena *arena, struct rk_arena *scratch,
	struct rk_slice frame, int64_t now_ms, struct rk_keys *keys, struct rk_snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
