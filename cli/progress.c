/* See progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 30, BAR_EVERY_MS = 100, LINE_EVERY_MS = 5000 };

void rk_progress_init(struct rk_progress *progress)
{
	*progress = (struct rk_progress){
		.terminal = isatty(STDERR_FILENO),
		.started_ms = rk_clock_mono_ms(),
	};
	progress->said_ms = progress->started_ms;
}

void rk_progress_clear(struct rk_progress *progress)
{
	if (progress->terminal && progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

void rk_progress_show(struct rk_progress *progress, uint64_t done, uint64_t total)
{
	int64_t now = rk_clock_mono_ms(), spent = now - progress->started_ms;
	double rate = spent > 0 ? (double)done * 1000 / (double)spent : 0;
	uint64_t left = rate > 0 && total > done ? (uint64_t)((double)(total - done) / rate) : 0;
	char bar[BAR_WIDTH + 1];

	if (now - progress->said_ms < (progress->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
		return;
	progress->said_ms = now;
	if (!progress->terminal) {
		fprintf(stderr, "%llu of %llu, %.0f/s, %llu s left\n", (unsigned long long)done,
			(unsigned long long)total, rate, (unsigned long long)left);
		return;
	}
	for (uint64_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = total && done * BAR_WIDTH / total > i ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r\033[K[%s] %llu/%llu  %.0f/s  %llu:%02llu left", bar,
		(unsigned long long)done, (unsigned long long)total, rate,
		(unsigned long long)left / 60, (unsigned long long)left % 60);
	fflush(stderr);
	progress->shown = true;
}
