/* See audit.h. Threads, and telling what they found, on the caller's thread. */
#include "audit/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/inside.h"
#include "base/clock.h"

enum { THREADS = 8, TICK_MS = 200 };

bool rk_audit_stopping(struct rk_audit_run *run)
{
	const atomic_bool *stop = run->request->stop;

	return atomic_load(&run->cancel) || (stop && atomic_load(stop));
}

void rk_audit_fail(struct rk_audit_run *run, int result, const char *error)
{
	pthread_mutex_lock(&run->lock);
	if (!run->failure) {
		run->failure = result;
		snprintf(run->error, sizeof(run->error), "%s", error);
	}
	atomic_store(&run->cancel, true);
	pthread_cond_broadcast(&run->told);
	pthread_cond_signal(&run->finished);
	pthread_mutex_unlock(&run->lock);
}

static void person_destroy(struct rk_audit_person *person)
{
	if (!person)
		return;
	rk_arena_finish(&person->arena);
	free(person);
}

/* Waits for news, and ends requests under way once the run is to end. */
static void tick(struct rk_audit_run *run)
{
	const struct timespec until = rk_clock_after(TICK_MS);

	pthread_cond_timedwait(&run->finished, &run->lock, &until);
	if (rk_audit_stopping(run))
		atomic_store(&run->cancel, true);
}

/* The next subject that is done, in order; NULL: there will be none. Meanwhile says what is to be said. */
static struct rk_audit_subject *subject_await(struct rk_audit_run *run)
{
	const struct rk_audit_request *request = run->request;
	struct rk_audit_subject *subject = NULL;

	pthread_mutex_lock(&run->lock);
	run->told_all = run->tell;
	pthread_cond_broadcast(&run->told);
	while (run->tell < run->subject_count && !run->subjects[run->tell].done &&
		(run->working > 0 || run->waiting_ms)) {
		int64_t waiting = run->waiting_ms;

		run->waiting_ms = 0;
		if (waiting && request->waiting) {
			pthread_mutex_unlock(&run->lock);
			request->waiting(request->context, waiting);
			pthread_mutex_lock(&run->lock);
			continue;
		}
		if (run->working > 0)
			tick(run);
	}
	/* What is behind one that failed is told, too. */
	while (run->tell < run->subject_count && !run->subjects[run->tell].done && !run->working)
		run->tell++;
	if (run->tell < run->subject_count)
		subject = &run->subjects[run->tell++];
	pthread_mutex_unlock(&run->lock);
	return subject;
}

static void tell_all(struct rk_audit_run *run)
{
	const struct rk_audit_request *request = run->request;
	struct rk_audit_subject *subject;
	bool ended = false;

	while ((subject = subject_await(run))) {
		if (subject->person && !ended) {
			int r = request->person(request->context, subject->person);

			run->summary->told++;
			if (r) {
				rk_audit_fail(run, r, "");
				ended = true;
			}
			if (request->progress)
				request->progress(
					request->context, run->summary->told, run->subject_count);
		}
		person_destroy(subject->person);
		subject->person = NULL;
	}
}

static int work_all(struct rk_audit_run *run)
{
	size_t most = run->subject_count < THREADS ? run->subject_count : THREADS, started = 0;
	pthread_t threads[THREADS];
	int r = 0;

	run->working = most;
	for (; started < most; started++) {
		r = -pthread_create(&threads[started], NULL, rk_audit_work, run);
		if (r)
			break;
	}
	if (r) {
		rk_audit_fail(run, r, strerror(-r));
		pthread_mutex_lock(&run->lock);
		run->working -= most - started;
		pthread_mutex_unlock(&run->lock);
	}
	tell_all(run);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return run->failure;
}

int rk_audit_run(struct rk_store *store, struct rk_audit_summary *out,
	const struct rk_audit_options *options, const struct rk_audit_request *request)
{
	struct rk_audit_run run = {
		.store = store,
		.options = options,
		.request = request,
		.summary = out,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.told = PTHREAD_COND_INITIALIZER,
	};
	int r;

	rk_clock_cond_init(&run.finished);
	*out = (struct rk_audit_summary){0};
	r = request->index_only ? rk_audit_select_indexed(&run) : rk_audit_select(&run);
	out->users = run.subject_count;
	if (r == 0)
		r = work_all(&run);
	out->stopped = request->stop && atomic_load(request->stop);
	snprintf(out->error, sizeof(out->error), "%s", run.error);
	rk_users_finish(&run.users);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		rk_arena_finish(&run.arenas[i]);
	free(run.others);
	free(run.entries);
	free(run.subjects);
	pthread_mutex_destroy(&run.lock);
	pthread_cond_destroy(&run.finished);
	pthread_cond_destroy(&run.told);
	return r;
}
