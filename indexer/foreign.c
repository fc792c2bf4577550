/*
 * See foreign.h. A frame may be taken for foreign although an earlier one, not yet in the index, makes
 * its repo known. That is no loss: the repo is then fetched, after this frame was sent.
 */
#include "indexer/foreign.h"

#include <errno.h>

#include "atproto/peek.h"

static bool collection_is_ours(struct rk_slice nsid)
{
	return rk_collection_find(nsid) >= 0;
}

int rk_foreign(struct rk_decoded *out, struct rk_slice frame, struct rk_snapshot *snapshot)
{
	struct rk_repo repo;
	struct rk_peek peek;
	int r;

	if (!rk_event_peek(&peek, frame, collection_is_ours) || peek.wanted)
		return RK_FOREIGN_NO;
	r = rk_read_repo_by_did(snapshot, &repo, peek.did.text);
	if (r != RK_STORE_ABSENT)
		return r < 0 ? r : RK_FOREIGN_NO; /* also where it is corrupt: rk_apply says so */
	*out = (struct rk_decoded){
		.verdict = RK_VERDICT_OK,
		.foreign = true,
		.event = {.type = peek.type,
			.seq = peek.seq,
			.did = peek.did,
			.time_ms = peek.time_ms},
	};
	return RK_FOREIGN_YES;
}
