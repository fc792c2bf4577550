/* Record views: com.atproto.repo.getRecord's shape and more, as the contract has it. */
#ifndef RK_XRPC_VIEW_H
#define RK_XRPC_VIEW_H

#include "store/store.h"

enum { RK_VIEW_DUPLICATES_MOST = 10 };

/* Renders a view of a record of the repo. `others` are the first `given` of `count` other live records of its owner with its
 * ref. Failures stick in out. */
void rk_view_add(struct rk_buf *out, const struct rk_record *record, const struct rk_repo *repo,
	const struct rk_record *others, size_t given, uint64_t count);

#endif
