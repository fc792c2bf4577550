/* See progress.h. */
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/line.h"

enum {
	BAR_WIDTH = 30,
	BAR_EVERY_MS = 100,   /* at most, as it is told of work */
	TICK_EVERY_MS = 1000, /* and at least */
	LINE_EVERY_MS = 5000,
};

static uint64_t seconds_left(const struct rk_progress *progress, int64_t now)
{
	return progress->wait_until_ms > now
		? (uint64_t)(progress->wait_until_ms - now + 999) / 1000
		: 0;
}

/* How it goes, in seconds. */
struct pace {
	double rate; /* each */
	uint64_t wait, spent, left;
	bool is_left_known;
};

static struct pace pace_of(const struct rk_progress *progress, int64_t now)
{
	int64_t spent_ms = now - progress->started_ms;
	struct pace pace = {
		.wait = seconds_left(progress, now), .spent = (uint64_t)spent_ms / 1000};

	if (spent_ms > 0)
		pace.rate = (double)progress->done * 1000 / (double)spent_ms;
	pace.is_left_known = pace.rate > 0 && progress->total > progress->done;
	if (pace.is_left_known)
		pace.left = (uint64_t)((double)(progress->total - progress->done) / pace.rate);
	return pace;
}

static void draw_line(const struct rk_progress *progress, const struct pace *pace)
{
	if (progress->total)
		fprintf(stderr, "%llu of %llu, %.0f/s, ", (unsigned long long)progress->done,
			(unsigned long long)progress->total, pace->rate);
	if (pace->wait)
		fprintf(stderr, "waiting %llu s%s%s\n", (unsigned long long)pace->wait,
			*progress->whom ? " for " : "", progress->whom);
	else if (pace->is_left_known)
		fprintf(stderr, "%llu s left\n", (unsigned long long)pace->left);
	else
		fprintf(stderr, "%llu s so far\n", (unsigned long long)pace->spent);
}

static void bar_text(
	char *out, size_t size, const struct rk_progress *progress, const struct pace *pace)
{
	uint64_t seconds = pace->wait ? pace->wait : pace->is_left_known ? pace->left : pace->spent;
	char bar[BAR_WIDTH + 1];
	size_t len = 0;

	for (uint64_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = progress->total && progress->done * BAR_WIDTH / progress->total > i ? '#'
											     : '.';
	bar[BAR_WIDTH] = '\0';
	if (progress->total)
		len = (size_t)snprintf(out, size, "[%s] %llu/%llu  %.0f/s  ", bar,
			(unsigned long long)progress->done, (unsigned long long)progress->total,
			pace->rate);
	len += (size_t)snprintf(out + len, size - len, "%s%llu:%02llu",
		pace->wait ? "waiting " : "", (unsigned long long)seconds / 60,
		(unsigned long long)seconds % 60);
	if (pace->wait)
		snprintf(out + len, size - len, "%s%s", *progress->whom ? " for " : "",
			progress->whom);
	else
		snprintf(out + len, size - len, pace->is_left_known ? " left" : " so far");
}

/* A longer one would begin another line, and stay there. */
static void cut_to_width(char *text)
{
	struct winsize window;
	size_t most;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < 2)
		return;
	most = window.ws_col - 1U;
	if (strlen(text) <= most)
		return;
	while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	text[most] = '\0';
}

static void draw_bar(struct rk_progress *progress, const struct pace *pace)
{
	char text[512] = "";

	if (progress->begun || pace->wait)
		bar_text(text, sizeof(text), progress, pace);
	cut_to_width(text);
	if (*text || progress->shown)
		fprintf(stderr, "\r\033[K%s", text);
	fflush(stderr);
	progress->shown = *text;
}

static void draw(struct rk_progress *progress, int64_t now)
{
	struct pace pace = pace_of(progress, now);

	progress->said_ms = now;
	if (progress->terminal)
		draw_bar(progress, &pace);
	else
		draw_line(progress, &pace);
}

/* Draws while nobody tells of anything. */
static void *tick(void *context)
{
	struct rk_progress *progress = context;
	int64_t every_ms = progress->terminal ? TICK_EVERY_MS : LINE_EVERY_MS;

	pthread_mutex_lock(&progress->lock);
	while (!progress->over) {
		int64_t now = rk_clock_mono_ms(), due = progress->said_ms + every_ms;
		struct timespec until;

		if (now >= due &&
			(progress->terminal || progress->begun || seconds_left(progress, now)))
			draw(progress, now);
		if (now >= due)
			due = now + every_ms;
		until = (struct timespec){due / 1000, (due % 1000) * 1000000};
		pthread_cond_timedwait(&progress->ended, &progress->lock, &until);
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

/* What else is said on the terminal stands above the bar. */
static void line_write(void *context, struct rk_slice line)
{
	struct rk_progress *progress = context;
	bool shown;

	pthread_mutex_lock(&progress->lock);
	shown = progress->shown;
	fprintf(stderr, "%s%.*s", shown ? "\r\033[K" : "", RK_SLICE_ARG(line));
	progress->shown = false;
	if (shown)
		draw(progress, rk_clock_mono_ms());
	pthread_mutex_unlock(&progress->lock);
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

void rk_progress_init(struct rk_progress *progress)
{
	*progress = (struct rk_progress){
		.terminal = isatty(STDERR_FILENO),
		.alone = !isatty(STDOUT_FILENO),
		.started_ms = rk_clock_mono_ms(),
	};
	progress->said_ms = progress->started_ms;
	pthread_mutex_init(&progress->lock, NULL);
	rk_clock_cond_init(&progress->ended);
	if (progress->terminal)
		rk_line_writer_set(line_write, progress);
	tick_begin(progress);
}

void rk_progress_finish(struct rk_progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	progress->over = true;
	pthread_cond_signal(&progress->ended);
	pthread_mutex_unlock(&progress->lock);
	if (progress->ticking)
		pthread_join(progress->ticker, NULL);
	if (progress->terminal)
		rk_line_writer_set(NULL, NULL);
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
	/* What is printed next has its time before the bar is drawn again. */
	if (progress->terminal)
		progress->said_ms = rk_clock_mono_ms();
	pthread_mutex_unlock(&progress->lock);
}

void rk_progress_make_way(struct rk_progress *progress)
{
	if (!progress->alone)
		rk_progress_clear(progress);
}

void rk_progress_show(struct rk_progress *progress, uint64_t done, uint64_t total)
{
	int64_t now = rk_clock_mono_ms();

	pthread_mutex_lock(&progress->lock);
	progress->begun = true;
	progress->done = done;
	progress->total = total;
	if (now - progress->said_ms >= (progress->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
		draw(progress, now);
	pthread_mutex_unlock(&progress->lock);
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
	pthread_mutex_unlock(&progress->lock);
}
