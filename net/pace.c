/* See pace.h. */
#include "net/pace.h"

enum {
	LONG_WINDOW_SEC = 3600,
	SECOND_MS = 1000,
	RESET_UNKNOWN_MS = 60 * 1000, /* a limit that is reached, and no word on when it ends */
	REFUSED_MOST_MS = 60 * 1000,  /* of the back-off where no time is named */
	REFUSALS_MOST = 6,
	WAIT_MOST_SEC = 24 * 3600, /* a reset later than this counts as this */
};

/* A limit on blobs that lasts long keeps nobody from writing records. */
static bool is_of_blobs(const struct rk_pace_said *said)
{
	return said->counts == RK_PACE_BLOBS && said->remaining >= 0 &&
		said->window_sec >= LONG_WINDOW_SEC;
}

static void refused(struct rk_pace *pace, const struct rk_pace_said *said, int64_t now_ms)
{
	int64_t wait = (int64_t)SECOND_MS << pace->refusals;

	/* Also where "now" is asked for and then refused again. */
	if (pace->refusals < REFUSALS_MOST)
		pace->refusals++;
	if (wait > REFUSED_MOST_MS)
		wait = REFUSED_MOST_MS;
	if (said->retry_ms > 0)
		wait = said->retry_ms;
	if (pace->not_before_ms < now_ms + wait)
		pace->not_before_ms = now_ms + wait;
}

void rk_pace_said(struct rk_pace *pace, const struct rk_pace_said *said, int64_t now_ms)
{
	if (!said->refused)
		pace->refusals = 0;
	else if (!is_of_blobs(said))
		refused(pace, said, now_ms);
	if (said->remaining >= 0) {
		bool is_long = said->window_sec < 0 || said->window_sec >= LONG_WINDOW_SEC;
		enum rk_pace_kind kind = is_long ? said->counts : RK_PACE_REQUESTS;
		int64_t until = now_ms + RESET_UNKNOWN_MS;

		if (said->reset_sec >= 0) {
			int64_t left = said->reset_sec - now_ms / SECOND_MS;

			/* Resets are cut to seconds: the limit may hold for almost one more. */
			left = left < 0 ? 0 : left > WAIT_MOST_SEC ? WAIT_MOST_SEC : left;
			until = (now_ms / SECOND_MS + left + 1) * SECOND_MS;
		}
		pace->windows[kind].remaining =
			said->refused && is_of_blobs(said) ? 0 : said->remaining;
		pace->windows[kind].until_ms = until;
	}
}

void rk_pace_change_account(struct rk_pace *pace)
{
	pace->windows[RK_PACE_POINTS].until_ms = 0;
	pace->not_before_ms = 0;
	pace->refusals = 0;
}

static bool is_known(const struct rk_pace *pace, enum rk_pace_kind kind, int64_t now_ms)
{
	return pace->windows[kind].until_ms > now_ms;
}

static void take(struct rk_pace *pace, enum rk_pace_kind kind, int64_t count, int64_t now_ms)
{
	if (!is_known(pace, kind, now_ms))
		return;
	pace->windows[kind].remaining -= count;
	if (pace->windows[kind].remaining < 0)
		pace->windows[kind].remaining = 0;
}

void rk_pace_spend(struct rk_pace *pace, enum rk_pace_kind counts, unsigned count, int64_t now_ms)
{
	take(pace, RK_PACE_REQUESTS, 1, now_ms);
	if (counts != RK_PACE_REQUESTS)
		take(pace, counts, count, now_ms);
}

int64_t rk_pace_wait_ms(const struct rk_pace *pace, int64_t now_ms)
{
	int64_t until = pace->not_before_ms;

	if (is_known(pace, RK_PACE_REQUESTS, now_ms) &&
		pace->windows[RK_PACE_REQUESTS].remaining == 0 &&
		pace->windows[RK_PACE_REQUESTS].until_ms > until)
		until = pace->windows[RK_PACE_REQUESTS].until_ms;
	return until > now_ms ? until - now_ms : 0;
}

static size_t fit(const struct rk_pace *pace, int64_t *wait_ms, enum rk_pace_kind kind,
	size_t count, unsigned each, int64_t now_ms)
{
	int64_t most;

	*wait_ms = rk_pace_wait_ms(pace, now_ms);
	if (*wait_ms > 0)
		return 0;
	if (!is_known(pace, kind, now_ms))
		return count;
	most = pace->windows[kind].remaining / each;
	if (most == 0)
		*wait_ms = pace->windows[kind].until_ms - now_ms;
	return (uint64_t)most < count ? (size_t)most : count;
}

size_t rk_pace_writes(
	const struct rk_pace *pace, int64_t *wait_ms, size_t count, unsigned points, int64_t now_ms)
{
	return fit(pace, wait_ms, RK_PACE_POINTS, count, points, now_ms);
}

int64_t rk_pace_upload_wait_ms(const struct rk_pace *pace, int64_t now_ms)
{
	int64_t wait_ms;

	fit(pace, &wait_ms, RK_PACE_BLOBS, 1, 1, now_ms);
	return wait_ms;
}
