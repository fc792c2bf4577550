/* What the two halves of the sweep share: what the documents tell, and what the index then lacks. */
#ifndef RK_MIRROR_SWEEP_H
#define RK_MIRROR_SWEEP_H

#include "mirror/inside.h"

struct rk_sweep {
	struct rk_mirror *mirror;
	struct rk_round round; /* carries what is told to the index */
	struct rk_seen seen[RK_COLLECTION_COUNT];
	struct rk_seen dangling[RK_COLLECTION_COUNT]; /* found by this sweep */
	struct rk_seen vanished[RK_COLLECTION_COUNT]; /* issues there are */
	uint64_t documents, marked;
	uint64_t unsure; /* documents whose record may only not have arrived yet */
};

/* Tells the index what the round holds, then empties it. */
int rk_sweep_tell(struct rk_sweep *sweep) __attribute__((warn_unused_result));
/* From the index: records whose documents were not seen, issues that are over, refusals to retry. */
int rk_sweep_records(struct rk_sweep *sweep) __attribute__((warn_unused_result));
int rk_sweep_issues(struct rk_sweep *sweep) __attribute__((warn_unused_result));
int rk_sweep_vanished(struct rk_sweep *sweep) __attribute__((warn_unused_result));

#endif
