/*
 * Progress of long work: on a terminal a bar with count, rate and time left; elsewhere a line every
 * few seconds. Written to standard error, so that results on standard output stay clean.
 */
#ifndef RK_CLI_PROGRESS_H
#define RK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct rk_progress {
	bool terminal, shown;
	int64_t started_ms, said_ms; /* monotonic */
};

void rk_progress_init(struct rk_progress *progress);
void rk_progress_show(struct rk_progress *progress, uint64_t done, uint64_t total);
/* Takes the bar away before other output. */
void rk_progress_clear(struct rk_progress *progress);

#endif
