/*
 * The mirror's thread: connects, takes due work in rounds, sweeps, and runs what rk_mirror_recover
 * asks for. Whenever MongoDB is lost, what was under way is dropped untold and the thread starts again
 * from connecting; the index still has the work.
 */
#include "mirror/inside.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
	BACKOFF_FIRST_MS = 500,
	BACKOFF_MOST_MS = 30000,
	PING_MS = 5000,
	IDLE_MS = 1000, /* at most, between looks at what is due */
};

static struct rk_recover_call *call_next(struct rk_mirror *mirror)
{
	struct rk_recover_call *call;

	pthread_mutex_lock(&mirror->lock);
	call = mirror->calls;
	pthread_mutex_unlock(&mirror->lock);
	return call;
}

/* Until woken, asked to stop or to recover, or so long. */
static void rest(struct rk_mirror *mirror, int64_t wait_ms, bool for_work)
{
	const struct timespec until = rk_clock_after(wait_ms);
	bool waiting;

	if (wait_ms <= 0)
		return;
	pthread_mutex_lock(&mirror->lock);
	waiting =
		!for_work && mirror->calls; /* a new call interrupts, those already there do not */
	while (!mirror->stopping && !(for_work && mirror->woken) && (waiting || !mirror->calls) &&
		pthread_cond_timedwait(&mirror->work, &mirror->lock, &until) == 0)
		;
	if (for_work)
		mirror->woken = false;
	pthread_mutex_unlock(&mirror->lock);
}

/* what: NULL to say nothing. */
static void disconnected(struct rk_mirror *mirror, const char *what)
{
	if (mirror->mongo && what) {
		rk_log(RK_LOG_WARN, "mirror", what,
			RK_LOG_STR("reason", rk_mongo_error(mirror->mongo)));
	}
	rk_mongo_destroy(mirror->mongo);
	mirror->mongo = NULL;
	atomic_store(&mirror->connected, false);
	rk_metric_set(RK_METRIC_MONGO_CONNECTED, 0);
}

/* A new client each time: an old one waits before it looks for its server again. */
static int connect_once(struct rk_mirror *mirror, bool say)
{
	char error[256];
	int r = rk_mongo_create(
		&mirror->mongo, mirror->options.uri, mirror->options.database, error);

	if (r)
		return r;
	r = rk_mongo_ping(mirror->mongo);
	if (r == 0)
		r = rk_claims_refresh(mirror);
	if (r) {
		disconnected(mirror, say ? "MongoDB is not to be had; trying again" : NULL);
		return r;
	}
	rk_log(mirror->options.on_request_only ? RK_LOG_DEBUG : RK_LOG_INFO, "mirror",
		"connected to MongoDB");
	atomic_store(&mirror->connected, true);
	rk_metric_set(RK_METRIC_MONGO_CONNECTED, 1);
	mirror->sweep_ms = 0;
	mirror->ping_ms = rk_clock_mono_ms() + PING_MS;
	return 0;
}

static int64_t jitter(int64_t wait_ms)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	return wait_ms / 2 + (int64_t)(random % (uint32_t)(wait_ms / 2 + 1));
}

/* When there is something to do next, and the figures that others show. */
static int look_ahead(struct rk_mirror *mirror, int64_t *wait_ms, bool *unclaimed)
{
	struct rk_counts counts;
	int64_t due_ms;
	int r = rk_snapshot_begin(mirror->snapshot);

	if (r)
		return r;
	r = rk_read_counts(mirror->snapshot, &counts);
	if (r == 0)
		r = rk_read_pending_due(mirror->snapshot, &due_ms);
	rk_snapshot_end(mirror->snapshot);
	if (r)
		return rk_read_found(r);
	rk_metric_set(RK_METRIC_MONGO_PENDING, (int64_t)counts.pending);
	*unclaimed = counts.issues[RK_ISSUE_UNCLAIMED] > 0;
	*wait_ms = due_ms == INT64_MAX ? IDLE_MS : due_ms - rk_clock_wall_ms();
	if (*wait_ms > IDLE_MS)
		*wait_ms = IDLE_MS;
	return 0;
}

static void connect_until(struct rk_mirror *mirror)
{
	int64_t wait_ms = BACKOFF_FIRST_MS, due_ms;
	bool unclaimed;

	for (int tries = 0; !rk_mirror_stopping(mirror) && connect_once(mirror, tries == 0);
		tries++) {
		rk_recover_expire(mirror, 0);
		if (look_ahead(mirror, &due_ms, &unclaimed))
			rk_log(RK_LOG_DEBUG, "mirror", "cannot read the index");
		/* Somebody who waits for an answer is not to wait for a long back-off as well. */
		if (call_next(mirror))
			wait_ms = BACKOFF_FIRST_MS;
		rest(mirror, jitter(wait_ms), false);
		if (wait_ms < BACKOFF_MOST_MS)
			wait_ms *= 2;
	}
}

/* Whatever is to be done now. */
static int turn(struct rk_mirror *mirror)
{
	struct rk_recover_call *call = call_next(mirror);
	bool unclaimed;
	int64_t wait_ms;
	size_t done;
	int r = 0;

	if (call)
		return rk_recover_run(mirror, call);
	if (mirror->options.on_request_only) {
		rest(mirror, PING_MS, true);
		return rk_mongo_ping(mirror->mongo);
	}
	if (rk_clock_mono_ms() >= mirror->sweep_ms ||
		(mirror->unsure && atomic_exchange(&mirror->filled, false))) {
		r = rk_sweep(mirror);
		mirror->sweep_ms =
			rk_clock_mono_ms() + (int64_t)mirror->options.sweep_seconds * 1000;
		if (r)
			return r;
	}
	r = rk_mirror_step(mirror, &done);
	if (r || done)
		return r;
	r = look_ahead(mirror, &wait_ms, &unclaimed);
	if (r == 0 && unclaimed && rk_claims_old(mirror, RK_USERS_POLL_MS))
		return rk_claims_refresh(mirror);
	if (r == 0 && rk_clock_mono_ms() >= mirror->ping_ms) {
		r = rk_mongo_ping(mirror->mongo);
		mirror->ping_ms = rk_clock_mono_ms() + PING_MS;
	}
	if (r == 0)
		rest(mirror, wait_ms, true);
	return r;
}

static void turn_mark(struct rk_mirror *mirror, bool turning)
{
	pthread_mutex_lock(&mirror->lock);
	mirror->turning = turning;
	mirror->turns += !turning;
	pthread_cond_broadcast(&mirror->done);
	pthread_mutex_unlock(&mirror->lock);
}

void *rk_worker_main(void *context)
{
	struct rk_mirror *mirror = context;

	while (!rk_mirror_stopping(mirror)) {
		int r = 0;

		connect_until(mirror);
		while (mirror->mongo && r == 0 && !rk_mirror_stopping(mirror)) {
			turn_mark(mirror, true);
			r = turn(mirror);
			turn_mark(mirror, false);
		}
		if (r == -EIO) {
			disconnected(mirror, "MongoDB was lost; trying again");
		} else if (r && r != -ECANCELED) {
			rk_log(RK_LOG_ERROR, "mirror", "cannot go on; trying again",
				RK_LOG_INT("errno", -r));
			rest(mirror, BACKOFF_FIRST_MS, false);
		}
	}
	rk_recover_expire(mirror, -ECANCELED);
	disconnected(mirror, NULL);
	return NULL;
}
