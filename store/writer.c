/*
 * The writer's thread; see writer.h. Its loop: take what is waiting, one transaction, report. While a
 * commit fails the taken jobs stay with it and are run again.
 */
#include "store/writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/inside.h"

enum { QUEUE_MOST = 4096, JOBS_MOST = 1024, OBSERVERS_MOST = 4 };
/* Between tries of what failed; doubled each time. */
enum { RETRY_FIRST_MS = 50, RETRY_MOST_MS = 2000 };

struct compaction {
	bool done;
	int result;
};

struct rk_writer {
	struct rk_store *store;
	struct rk_write write;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, room, stream_free, compacted;
	struct compaction *compaction; /* wanted; NULL: none */
	struct rk_writer_job *first, **last;
	size_t queued;
	size_t waiting; /* submitters, for room */
	bool woken, stopping, giving_up;
	const struct rk_writer_stream *stream;
	bool stream_busy;
	struct {
		void (*committed)(void *context);
		void *context;
	} observers[OBSERVERS_MOST];
	unsigned observer_count;
	pthread_mutex_t observing; /* of the observers */
	atomic_int fault;
};

/* Everything gathered, in one transaction. Returns 0 once it is on disk. */
static int transaction(struct rk_writer *writer, const struct rk_writer_stream *stream,
	struct rk_writer_job *jobs, size_t *drained)
{
	struct rk_write *w = &writer->write;
	int r;

	*drained = 0;
	r = rk_write_begin(w, writer->store);
	if (r)
		return r;
	if (stream)
		r = stream->drain(stream->context, w, drained);
	for (struct rk_writer_job *job = jobs; r == 0 && job; job = job->next)
		r = job->run(job, w);
	if (r == 0 && (*drained || jobs)) {
		r = rk_write_commit(w);
		if (r == 0)
			rk_metric_add(RK_METRIC_WRITER_COMMITS, 1);
	} else {
		rk_write_abort(w);
	}
	if (r > 0) /* a result that a run forgot to handle: never taken for success */
		r = -EUCLEAN;
	if (stream && r == 0)
		stream->committed(stream->context);
	else if (stream)
		stream->aborted(stream->context);
	return r;
}

/* Remembers the failure and waits before the next try; true when the writer should give up. */
static bool fault_wait(struct rk_writer *writer, int error, int wait_ms)
{
	struct timespec until = rk_clock_after(wait_ms);
	bool stopping;

	if (atomic_exchange(&writer->fault, error) != error)
		rk_log(RK_LOG_ERROR, "writer", "cannot write the index; trying again",
			RK_LOG_STR("reason", strerror(-error)));
	rk_metric_add(RK_METRIC_WRITER_FAILURES, 1);
	pthread_mutex_lock(&writer->lock);
	while (!writer->stopping && !writer->giving_up &&
		pthread_cond_timedwait(&writer->work, &writer->lock, &until) == 0)
		;
	stopping = writer->stopping || writer->giving_up;
	pthread_mutex_unlock(&writer->lock);
	return stopping;
}

static struct rk_writer_job *jobs_take(struct rk_writer *writer)
{
	struct rk_writer_job *jobs = writer->first, *end = jobs;

	for (int i = 1; end && end->next && i < JOBS_MOST; i++)
		end = end->next;
	if (!end)
		return NULL;
	writer->first = end->next;
	if (!writer->first)
		writer->last = &writer->first;
	end->next = NULL;
	for (const struct rk_writer_job *job = jobs; job; job = job->next)
		writer->queued--;
	rk_metric_set(RK_METRIC_WRITER_QUEUE, (int64_t)writer->queued);
	pthread_cond_broadcast(&writer->room);
	return jobs;
}

static void jobs_done(struct rk_writer_job *jobs, bool ok)
{
	while (jobs) {
		struct rk_writer_job *next = jobs->next; /* done may free the job */
		jobs->done(jobs, ok);
		jobs = next;
	}
}

static void observers_call(struct rk_writer *writer)
{
	pthread_mutex_lock(&writer->observing);
	for (unsigned i = 0; i < writer->observer_count; i++)
		writer->observers[i].committed(writer->observers[i].context);
	pthread_mutex_unlock(&writer->observing);
}

static void success_tell(struct rk_writer *writer, struct rk_writer_job *jobs)
{
	if (atomic_exchange(&writer->fault, 0))
		rk_log(RK_LOG_INFO, "writer", "the index can be written again");
	/* First: who submitted may act on what the observers made of the commit. */
	observers_call(writer);
	jobs_done(jobs, true);
}

/* Waits until there is something to do; the lock is held. */
static void work_wait(struct rk_writer *writer, bool again)
{
	int64_t ms;

	while (!again && !writer->woken && !writer->first && !writer->stopping &&
		!writer->compaction)
		pthread_cond_wait(&writer->work, &writer->lock);
	while (!again && !writer->first && !writer->stopping && writer->stream &&
		writer->stream->gather &&
		(ms = writer->stream->gather(writer->stream->context)) > 0) {
		struct timespec until = rk_clock_after(ms);

		writer->woken = false; /* so that the next wake counts */
		pthread_cond_timedwait(&writer->work, &writer->lock, &until);
	}
}

/* Between two transactions, if somebody waits for it. */
static void compact(struct rk_writer *writer, bool stopping)
{
	int r;

	pthread_mutex_lock(&writer->lock);
	if (writer->compaction) {
		pthread_mutex_unlock(&writer->lock);
		r = stopping ? -ECANCELED : rk_store_compact(writer->store);
		pthread_mutex_lock(&writer->lock);
		*writer->compaction = (struct compaction){.done = true, .result = r};
		writer->compaction = NULL;
		pthread_cond_broadcast(&writer->compacted);
	}
	pthread_mutex_unlock(&writer->lock);
}

static void *run(void *context)
{
	struct rk_writer *writer = context;
	struct rk_writer_job *jobs = NULL; /* taken, and after a failure still to be done */
	int wait_ms = RETRY_FIRST_MS;
	bool stopping = false;

	while (!stopping) {
		const struct rk_writer_stream *stream;
		size_t drained;
		int r;

		pthread_mutex_lock(&writer->lock);
		work_wait(writer, jobs != NULL);
		stopping = writer->stopping && !writer->first;
		writer->woken = false;
		if (!jobs)
			jobs = jobs_take(writer);
		stream = writer->stream;
		writer->stream_busy = stream != NULL;
		pthread_mutex_unlock(&writer->lock);

		r = transaction(writer, stream, jobs, &drained);
		if (r == 0 && (drained || jobs)) {
			success_tell(writer, jobs);
			jobs = NULL;
		}

		pthread_mutex_lock(&writer->lock);
		writer->stream_busy = false;
		if (drained || r)
			writer->woken = true; /* there may be more, or the same again */
		pthread_cond_broadcast(&writer->stream_free);
		pthread_mutex_unlock(&writer->lock);

		compact(writer, stopping);
		if (r == 0) {
			wait_ms = RETRY_FIRST_MS;
		} else if (fault_wait(writer, r, wait_ms)) {
			jobs_done(jobs, false);
			jobs = NULL;
		} else {
			wait_ms = wait_ms * 2 < RETRY_MOST_MS ? wait_ms * 2 : RETRY_MOST_MS;
		}
	}
	return NULL;
}

int rk_writer_create(struct rk_writer **out, struct rk_store *store)
{
	struct rk_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->store = store;
	writer->last = &writer->first;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_mutex_init(&writer->observing, NULL);
	rk_clock_cond_init(&writer->work);
	pthread_cond_init(&writer->room, NULL);
	pthread_cond_init(&writer->stream_free, NULL);
	pthread_cond_init(&writer->compacted, NULL);
	r = -pthread_create(&writer->thread, NULL, run, writer);
	if (r) {
		free(writer);
		return r;
	}
	*out = writer;
	return 0;
}

void rk_writer_destroy(struct rk_writer *writer)
{
	struct rk_writer_job *left;

	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_broadcast(&writer->work);
	pthread_cond_broadcast(&writer->room);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_mutex_lock(&writer->lock);
	while (writer->waiting)
		pthread_cond_wait(&writer->room, &writer->lock);
	left = writer->first;
	pthread_mutex_unlock(&writer->lock);
	jobs_done(left, false);
	rk_write_finish(&writer->write);
	pthread_cond_destroy(&writer->work);
	pthread_cond_destroy(&writer->room);
	pthread_cond_destroy(&writer->stream_free);
	pthread_cond_destroy(&writer->compacted);
	pthread_mutex_destroy(&writer->lock);
	pthread_mutex_destroy(&writer->observing);
	free(writer);
}

void rk_writer_give_up(struct rk_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->giving_up = true;
	pthread_cond_broadcast(&writer->work);
	pthread_mutex_unlock(&writer->lock);
}

void rk_writer_set_stream(struct rk_writer *writer, const struct rk_writer_stream *stream)
{
	pthread_mutex_lock(&writer->lock);
	writer->stream = stream;
	while (writer->stream_busy && !stream)
		pthread_cond_wait(&writer->stream_free, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
}

void rk_writer_add_observer(
	struct rk_writer *writer, void (*committed)(void *context), void *context)
{
	pthread_mutex_lock(&writer->observing);
	assert(writer->observer_count < OBSERVERS_MOST);
	writer->observers[writer->observer_count].committed = committed;
	writer->observers[writer->observer_count++].context = context;
	pthread_mutex_unlock(&writer->observing);
}

void rk_writer_remove_observer(struct rk_writer *writer, void *context)
{
	unsigned kept = 0;

	pthread_mutex_lock(&writer->observing);
	for (unsigned i = 0; i < writer->observer_count; i++) {
		if (writer->observers[i].context != context)
			writer->observers[kept++] = writer->observers[i];
	}
	writer->observer_count = kept;
	pthread_mutex_unlock(&writer->observing);
}

void rk_writer_wake(struct rk_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	if (!writer->woken) {
		writer->woken = true;
		pthread_cond_signal(&writer->work);
	}
	pthread_mutex_unlock(&writer->lock);
}

void rk_writer_submit(struct rk_writer *writer, struct rk_writer_job *job)
{
	bool refused;

	job->next = NULL;
	pthread_mutex_lock(&writer->lock);
	writer->waiting++;
	while (writer->queued >= QUEUE_MOST && !writer->stopping)
		pthread_cond_wait(&writer->room, &writer->lock);
	writer->waiting--;
	refused = writer->stopping;
	if (refused) {
		pthread_cond_broadcast(&writer->room); /* destroy waits for us */
	} else {
		*writer->last = job;
		writer->last = &job->next;
		writer->queued++;
		rk_metric_set(RK_METRIC_WRITER_QUEUE, (int64_t)writer->queued);
		pthread_cond_signal(&writer->work);
	}
	pthread_mutex_unlock(&writer->lock);
	if (refused)
		job->done(job, false);
}

struct call {
	struct rk_writer_job job;
	int (*run)(void *context, struct rk_write *w);
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t finished;
	int result; /* 1 while it is under way */
};

static int call_run(struct rk_writer_job *job, struct rk_write *w)
{
	struct call *call = (struct call *)job;

	return call->run(call->context, w);
}

static void call_done(struct rk_writer_job *job, bool ok)
{
	struct call *call = (struct call *)job;

	pthread_mutex_lock(&call->lock);
	call->result = ok ? 0 : -ECANCELED;
	pthread_cond_signal(&call->finished);
	pthread_mutex_unlock(&call->lock);
}

int rk_writer_call(
	struct rk_writer *writer, int (*run_)(void *context, struct rk_write *w), void *context)
{
	struct call call = {
		.job = {.run = call_run, .done = call_done},
		.run = run_,
		.context = context,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.finished = PTHREAD_COND_INITIALIZER,
		.result = 1,
	};

	rk_writer_submit(writer, &call.job);
	pthread_mutex_lock(&call.lock);
	while (call.result == 1)
		pthread_cond_wait(&call.finished, &call.lock);
	pthread_mutex_unlock(&call.lock);
	return call.result;
}

int rk_writer_compact(struct rk_writer *writer)
{
	struct compaction wanted = {0};

	pthread_mutex_lock(&writer->lock);
	while (writer->compaction && !writer->stopping)
		pthread_cond_wait(&writer->compacted, &writer->lock);
	if (writer->stopping) {
		pthread_mutex_unlock(&writer->lock);
		return -ECANCELED;
	}
	writer->compaction = &wanted;
	pthread_cond_signal(&writer->work);
	while (!wanted.done)
		pthread_cond_wait(&writer->compacted, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
	return wanted.result;
}

int rk_writer_fault(const struct rk_writer *writer)
{
	return atomic_load(&writer->fault);
}
