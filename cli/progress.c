/* See progress.h. */
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 30, BAR_EVERY_MS = 100, WAIT_EVERY_MS = 1000, LINE_EVERY_MS = 5000 };

void rk_progress_init(struct rk_progress *progress)
{
	*progress = (struct rk_progress){
		.terminal = isatty(STDERR_FILENO),
		.started_ms = rk_clock_mono_ms(),
	};
	progress->said_ms = progress->started_ms;
	pthread_mutex_init(&progress->lock, NULL);
	rk_clock_cond_init(&progress->ended);
}

void rk_progress_finish(struct rk_progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	progress->over = true;
	pthread_cond_signal(&progress->ended);
	pthread_mutex_unlock(&progress->lock);
	if (progress->ticking)
		pthread_join(progress->ticker, NULL);
	rk_progress_clear(progress);
	pthread_cond_destroy(&progress->ended);
	pthread_mutex_destroy(&progress->lock);
}

void rk_progress_clear(struct rk_progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	if (progress->terminal && progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
	/* What is printed next has its time before the wait is shown again. */
	if (progress->terminal && progress->wait_until_ms)
		progress->said_ms = rk_clock_mono_ms();
	pthread_mutex_unlock(&progress->lock);
}

static uint64_t seconds_left(const struct rk_progress *progress, int64_t now)
{
	return progress->wait_until_ms > now
		? (uint64_t)(progress->wait_until_ms - now + 999) / 1000
		: 0;
}

static void draw_line(const struct rk_progress *progress, int64_t now, double rate, uint64_t left)
{
	uint64_t wait = seconds_left(progress, now);

	fprintf(stderr, "%llu of %llu, %.0f/s, ", (unsigned long long)progress->done,
		(unsigned long long)progress->total, rate);
	if (wait)
		fprintf(stderr, "waiting %llu s%s%s\n", (unsigned long long)wait,
			*progress->whom ? " for " : "", progress->whom);
	else
		fprintf(stderr, "%llu s left\n", (unsigned long long)left);
}

static void draw_bar(struct rk_progress *progress, int64_t now, double rate, uint64_t left)
{
	uint64_t wait = seconds_left(progress, now), total = progress->total;
	uint64_t seconds = wait ? wait : left;
	char bar[BAR_WIDTH + 1];

	for (uint64_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = total && progress->done * BAR_WIDTH / total > i ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fputs("\r\033[K", stderr);
	if (total)
		fprintf(stderr, "[%s] %llu/%llu  %.0f/s  ", bar, (unsigned long long)progress->done,
			(unsigned long long)total, rate);
	fprintf(stderr, "%s%llu:%02llu%s", wait ? "waiting " : "", (unsigned long long)seconds / 60,
		(unsigned long long)seconds % 60, wait ? "" : " left");
	if (wait && *progress->whom)
		fprintf(stderr, " for %s", progress->whom);
	fflush(stderr);
	progress->shown = true;
}

static void draw(struct rk_progress *progress, int64_t now)
{
	int64_t spent = now - progress->started_ms;
	double rate = spent > 0 ? (double)progress->done * 1000 / (double)spent : 0;
	uint64_t left = rate > 0 && progress->total > progress->done
		? (uint64_t)((double)(progress->total - progress->done) / rate)
		: 0;

	progress->said_ms = now;
	if (progress->terminal)
		draw_bar(progress, now, rate, left);
	else
		draw_line(progress, now, rate, left);
}

void rk_progress_show(struct rk_progress *progress, uint64_t done, uint64_t total)
{
	int64_t now = rk_clock_mono_ms();

	pthread_mutex_lock(&progress->lock);
	progress->done = done;
	progress->total = total;
	if (now - progress->said_ms >= (progress->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
		draw(progress, now);
	pthread_mutex_unlock(&progress->lock);
}

/* Draws while somebody waits and nobody else does. */
static void *tick(void *context)
{
	struct rk_progress *progress = context;
	int64_t every_ms = progress->terminal ? WAIT_EVERY_MS : LINE_EVERY_MS;

	pthread_mutex_lock(&progress->lock);
	while (!progress->over) {
		int64_t now = rk_clock_mono_ms(), due = progress->said_ms + every_ms;
		struct timespec until;

		if (now >= due && seconds_left(progress, now))
			draw(progress, now);
		if (now >= due)
			due = now + every_ms;
		until = (struct timespec){due / 1000, (due % 1000) * 1000000};
		pthread_cond_timedwait(&progress->ended, &progress->lock, &until);
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

/* Signals are for the thread that works. */
static void tick_begin(struct rk_progress *progress)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	progress->ticking = pthread_create(&progress->ticker, NULL, tick, progress) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void rk_progress_wait(struct rk_progress *progress, int64_t ms, const char *whom)
{
	int64_t now = rk_clock_mono_ms();

	pthread_mutex_lock(&progress->lock);
	if (now + ms > progress->wait_until_ms) {
		progress->wait_until_ms = now + ms;
		snprintf(progress->whom, sizeof(progress->whom), "%s", whom);
	}
	if (progress->terminal)
		draw(progress, now);
	else
		fprintf(stderr, "refkey: the PDS's limits: waiting %lld s%s%s\n",
			(long long)(ms + 999) / 1000, *whom ? " for " : "", whom);
	if (!progress->ticking)
		tick_begin(progress);
	pthread_mutex_unlock(&progress->lock);
}
