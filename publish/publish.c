/* See publish.h. Starting the threads, having keys set and telling, on the caller's thread. */
#include "publish/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "publish/inside.h"

/* Users at once. A login waits a third of a second at the reference PDS whatever it costs there, so there are more
 * than cores; of what it costs, its processor time is most. With images twice as many: while some upload theirs, the
 * next ones are logged in and have their first images ready. */
enum { THREADS_EACH = 4, THREADS_LEAST = 8, THREADS_MOST = 64 };
enum { STOPPED_MOST_MS = 5000, TICK_MS = 1000 };

#define ROW(id, name, text) [RK_PUBLISH_##id] = {name, text},
const struct rk_publish_outcome_row rk_publish_outcome_rows[RK_PUBLISH_OUTCOME_COUNT] = {
	RK_PUBLISH_OUTCOMES(ROW)};
#undef ROW

static void tell(struct rk_publish_run *run, const struct rk_publish_parcel *parcel)
{
	if (parcel->waiting_ms && run->request->waiting)
		run->request->waiting(
			run->request->context, parcel->person->user, parcel->waiting_ms);
	for (size_t i = 0; i < parcel->count; i++)
		run->passed += !rk_publish_took_place(&parcel->items[i]);
	for (size_t i = 0; i < parcel->count; i++) {
		const struct rk_publish_item *item = &parcel->items[i];
		struct rk_publish_line line = {
			.n = ++run->told,
			.total = rk_publish_lines(run),
			.user = parcel->person->user,
			.rkey = item->rkey,
			.words = item->words,
			.outcome = item->outcome,
			.reason = item->reason,
			.of_account = item->write.of_account,
		};
		char ref[RK_OID_LEN + 1];

		rk_oid_format(ref, &item->document.id);
		line.ref = ref;
		run->summary->counts[item->outcome]++;
		if (run->request->line)
			run->request->line(run->request->context, &line);
	}
}

/* The parcels that lie there, or NULL when no thread works any more. */
static struct rk_publish_parcel *take(struct rk_publish_run *run)
{
	const atomic_bool *stop = run->request->stop;
	struct rk_publish_parcel *parcels;
	int64_t stopped_ms = 0;

	pthread_mutex_lock(&run->lock);
	while (!run->first && run->working > 0) {
		const struct timespec until = rk_clock_after(TICK_MS);

		pthread_cond_timedwait(&run->filled, &run->lock, &until);
		/* What is under way may end, unless the PDS says nothing at all. */
		if (!stop || !atomic_load(stop))
			continue;
		if (stopped_ms == 0)
			stopped_ms = rk_clock_mono_ms();
		else if (rk_clock_mono_ms() - stopped_ms > STOPPED_MOST_MS)
			atomic_store(&run->cancel, true);
	}
	parcels = run->first;
	run->first = NULL;
	run->last = &run->first;
	run->queued = 0;
	pthread_cond_broadcast(&run->emptied);
	pthread_mutex_unlock(&run->lock);
	return parcels;
}

static void settle_all(struct rk_publish_run *run, struct rk_mongo *mongo)
{
	struct rk_publish_parcel *parcels;
	int r = 0;

	while ((parcels = take(run))) {
		if (r == 0 && !run->request->dry_run) {
			r = rk_publish_link(run, mongo, parcels);
			if (r && r != -EHOSTUNREACH)
				rk_publish_fail(run, r, strerror(-r));
		}
		while (parcels) {
			struct rk_publish_parcel *next = parcels->next;

			/* Not linked: what the PDS has is found again by the next run. */
			if (r == 0)
				tell(run, parcels);
			rk_publish_parcel_destroy(parcels);
			parcels = next;
		}
	}
}

static int work_all(struct rk_publish_run *run, struct rk_mongo *mongo)
{
	size_t most = (size_t)run->options->threads * THREADS_EACH, started = 0;
	pthread_t threads[THREADS_MOST];
	int r = 0;

	if (most < THREADS_LEAST)
		most = THREADS_LEAST;
	if (run->pictures)
		most *= 2;
	if (most > THREADS_MOST)
		most = THREADS_MOST;
	if (rk_publish_is_one_by_one(run->request))
		most = 1;
	run->logins_most = (most + 1) / 2;
	if (most > run->person_count)
		most = run->person_count;
	run->working = most;
	for (; r == 0 && started < most; started++) {
		r = -pthread_create(&threads[started], NULL, rk_publish_work, run);
		if (r)
			break;
	}
	if (r) {
		rk_publish_fail(run, r, strerror(-r));
		pthread_mutex_lock(&run->lock);
		run->working -= most - started;
		pthread_mutex_unlock(&run->lock);
	}
	settle_all(run, mongo);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return run->failure ? run->failure : run->given_up ? -EHOSTUNREACH : 0;
}

int rk_publish_run(struct rk_store *store, struct rk_publish_summary *out,
	const struct rk_publish_options *options, const struct rk_publish_request *request)
{
	struct rk_publish_run run = {
		.store = store,
		.options = options,
		.request = request,
		.collection = &rk_collections[request->collection],
		.summary = out,
		.left = request->limit ? request->limit : UINT64_MAX,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.emptied = PTHREAD_COND_INITIALIZER,
	};
	struct rk_mongo *mongo = NULL;
	int r;

	rk_clock_cond_init(&run.filled);
	rk_clock_cond_init(&run.logged_in);
	*out = (struct rk_publish_summary){0};
	run.last = &run.first;
	r = rk_mongo_create(&mongo, options->mongo_uri, options->database, run.error);
	if (r == 0)
		r = rk_publish_select(&run, mongo);
	if (r == 0)
		r = rk_publish_thumbnails_begin(&run);
	if (r == 0)
		r = work_all(&run, mongo);
	rk_publish_thumbnails_end(&run);
	out->put_off = run.put_off;
	out->limited = run.limited;
	out->stopped = request->stop && atomic_load(request->stop);
	snprintf(out->error, sizeof(out->error), "%s", run.error);
	rk_mongo_destroy(mongo);
	rk_users_finish(&run.users_read);
	free(run.ids);
	free(run.persons);
	pthread_mutex_destroy(&run.lock);
	pthread_cond_destroy(&run.filled);
	pthread_cond_destroy(&run.logged_in);
	pthread_cond_destroy(&run.emptied);
	return r;
}
