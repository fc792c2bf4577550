/*
 * How long the service, behind a relay, is not ready because of repos that are still to be fetched. Each lies at
 * a host that may be anybody's, and that could keep it waiting: by an answer without end, by a wait that it asks
 * for again and again, by ever new accounts. So what does not come in time counts as what failed. Pure.
 */
#ifndef RK_CLI_PATIENCE_H
#define RK_CLI_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RK_PATIENCE_STILL_MS = 60 * 1000,     /* since there were fewer of them than ever before */
	RK_PATIENCE_MOST_MS = 10 * 60 * 1000, /* in all */
};

/* Zeroed before the first note. */
struct rk_patience {
	bool begun;
	uint64_t least;             /* repos that were still to be fetched */
	int64_t begun_ms, least_ms; /* monotonic */
};

/* So many are to be fetched now. From the first sweep on. */
void rk_patience_note(struct rk_patience *patience, uint64_t count, int64_t now_ms);
/* Whether they are waited for no longer. */
bool rk_patience_is_over(const struct rk_patience *patience, int64_t now_ms);

#endif
