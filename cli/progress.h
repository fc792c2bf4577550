/*
 * Progress of long work: on a terminal a bar with count, rate and time left, and what is waited for; elsewhere a
 * line every few seconds. Written to standard error, so that results on standard output stay clean.
 */
#ifndef RK_CLI_PROGRESS_H
#define RK_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rk_progress {
	bool terminal, shown;
	bool alone;                  /* results go elsewhere */
	bool begun;                  /* something was told */
	int64_t started_ms, said_ms; /* monotonic */
	uint64_t done, total;        /* as last told */
	int64_t wait_until_ms;       /* monotonic; of the longest wait */
	char whom[128];              /* "": nobody in particular */
	pthread_mutex_t lock;        /* of all above */
	pthread_cond_t ended;
	pthread_t ticker; /* while somebody waits nothing else may come for an hour */
	bool ticking, over;
};

/* Finish it whatever comes of the work. It does not move in between. On a terminal lines (base/line.h) stand above the
 * bar from now on: there is one progress at a time. */
void rk_progress_init(struct rk_progress *progress);
/* total 0: there is work, and nobody knows yet how much. From then on it is drawn again every second, and elsewhere
 * said every few, also while nothing is told. */
void rk_progress_show(struct rk_progress *progress, uint64_t done, uint64_t total);
/* A limit of the PDS is waited for, for somebody ("@handle"; "": nobody in particular): from now on it is in the
 * bar, counting down, until it is over. */
void rk_progress_wait(struct rk_progress *progress, int64_t ms, const char *whom);
/* Takes the bar away: before what is no line on standard error; before output on standard output, if that is the
 * same terminal. */
void rk_progress_clear(struct rk_progress *progress);
void rk_progress_make_way(struct rk_progress *progress);
void rk_progress_finish(struct rk_progress *progress);

#endif
