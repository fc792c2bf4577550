/* Rules of store/writer: what is reported done is on disk; what fails is tried again as it was. */
#include "tests/unit/store/kit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "store/writer.h"

struct job {
	struct rk_writer_job job; /* first */
	struct rk_slice rkey;
	const char *json;     /* NULL: a short one */
	atomic_int *failures; /* runs that are to fail yet; NULL: none */
	int error;
	atomic_int runs, done, refused;
	bool gone, freed;
};

static int job_run(struct rk_writer_job *job, struct rk_write *w)
{
	struct job *one = (struct job *)job;
	const struct kit_record in = {
		.rkey = one->rkey, .ref = "ab", .when_ms = 1, .gone = one->gone};
	struct rk_change_record record = {.rkey = one->rkey};
	struct rk_change change = {.records = &record, .count = 1, .now_us = 1};
	struct rk_repo repo;
	int r = rk_write_repo_make(w, &repo, rk_slice_str("did:plc:a"));

	atomic_fetch_add(&one->runs, 1);
	if (r)
		return r;
	record = kit_make(&in);
	if (one->json)
		record.read.json = rk_slice_str(one->json);
	change.repo = repo.id;
	r = rk_write_change(w, &change);
	if (r == 0 && one->failures && atomic_fetch_sub(one->failures, 1) > 0)
		r = one->error;
	return r;
}

static void job_done(struct rk_writer_job *job, bool ok)
{
	struct job *one = (struct job *)job;
	bool freed = one->freed;

	atomic_fetch_add(ok ? &one->done : &one->refused, 1);
	if (freed)
		free(one);
}

static void job_init(struct job *job, unsigned number)
{
	*job = (struct job){.job = {.run = job_run, .done = job_done}, .rkey = kit_rkey(number)};
}

static uint64_t records(struct kit *k)
{
	struct rk_counts counts;

	kit_read(k);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	kit_stop(k);
	return counts.records[0];
}

static int call_run(void *context, struct rk_write *w)
{
	return job_run(context, w);
}

static void call_returns_once_it_is_there(void **state)
{
	struct kit *k = *state;
	struct rk_writer *writer;
	struct job job;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (unsigned i = 0; i < 50; i++) {
		job_init(&job, i);
		assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
		assert_int_equal(records(k), i + 1);
	}
	assert_int_equal(rk_writer_fault(writer), 0);
	rk_writer_destroy(writer);
	rk_writer_destroy(NULL);
	kit_check(k);
}

struct submitter {
	pthread_t thread;
	atomic_int tid; /* 0: not running yet */
	struct rk_writer *writer;
	struct job *jobs;
	size_t count;
};

static void *submit_all(void *context)
{
	struct submitter *submitter = context;

	atomic_store(&submitter->tid, gettid());
	for (size_t i = 0; i < submitter->count; i++)
		rk_writer_submit(submitter->writer, &submitter->jobs[i].job);
	return NULL;
}

/* Whether its thread waits for something, as the kernel sees it. */
static bool submitter_waits(struct submitter *submitter)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&submitter->tid));
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	state = strrchr(line, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/* More than the queue holds, from several threads; destroy runs what is queued. */
static void many_jobs_of_many_threads_are_each_done_once(void **state)
{
	enum { THREADS = 4, EACH = 3000 };
	struct kit *k = *state;
	struct submitter submitters[THREADS];
	static struct job jobs[THREADS * EACH];
	static char rkeys[THREADS * EACH][RK_TID_LEN];
	struct rk_writer *writer;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (unsigned i = 0; i < THREADS * EACH; i++) {
		job_init(&jobs[i], i);
		memcpy(rkeys[i], jobs[i].rkey.data, RK_TID_LEN);
		jobs[i].rkey.data = (uint8_t *)rkeys[i];
	}
	for (int i = 0; i < THREADS; i++) {
		submitters[i] = (struct submitter){
			.writer = writer, .jobs = &jobs[i * EACH], .count = EACH};
		assert_int_equal(
			pthread_create(&submitters[i].thread, NULL, submit_all, &submitters[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(submitters[i].thread, NULL);
	rk_writer_destroy(writer);
	for (unsigned i = 0; i < THREADS * EACH; i++)
		assert_true(jobs[i].done == 1 && jobs[i].refused == 0 && jobs[i].runs == 1);
	assert_int_equal(records(k), THREADS * EACH);
	kit_check(k);
}

/* A failing run takes back all of its transaction, and all of it runs again. */
static void failing_run_aborts_and_retries_all(void **state)
{
	struct kit *k = *state;
	struct rk_writer *writer;
	atomic_int failures = 3;
	struct job jobs[5];

	for (int error = 0; error < 2; error++) {
		atomic_store(&failures, 3);
		for (unsigned i = 0; i < 5; i++)
			job_init(&jobs[i], (unsigned)error * 5 + i);
		jobs[2].failures = &failures;
		/* A result that nobody handled is no success. */
		jobs[2].error = error ? RK_STORE_ABSENT : -ENOSPC;
		assert_int_equal(rk_writer_create(&writer, k->store), 0);
		for (unsigned i = 0; i < 5; i++)
			rk_writer_submit(writer, &jobs[i].job);
		wait_for(atomic_load(&failures) <= 1);
		assert_int_equal(rk_writer_fault(writer), error ? -EUCLEAN : -ENOSPC);
		wait_for(atomic_load(&jobs[4].done));
		assert_int_equal(rk_writer_fault(writer), 0);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(jobs[i].done, 1);
		assert_true(jobs[2].runs == 4);
		rk_writer_destroy(writer);
		assert_int_equal(records(k), 5 + (unsigned)error * 5);
		kit_check(k);
	}
}

/* Stopping does not wait for a disk that never gets better. */
static void stopping_in_a_fault_refuses_what_is_left(void **state)
{
	struct kit *k = *state;
	struct rk_writer *writer;
	atomic_int failures = 1000000;
	struct job jobs[3];

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (unsigned i = 0; i < 3; i++) {
		job_init(&jobs[i], i);
		jobs[i].failures = &failures;
		jobs[i].error = -EIO;
		rk_writer_submit(writer, &jobs[i].job);
	}
	wait_for(rk_writer_fault(writer) == -EIO);
	rk_writer_destroy(writer);
	for (unsigned i = 0; i < 3; i++)
		assert_true(jobs[i].refused == 1 && jobs[i].done == 0);
	assert_int_equal(records(k), 0);
	kit_check(k);
}

/* Submitters who wait for room while it stops are told, and nothing is touched behind their backs. */
static void stopping_tells_those_who_wait_for_room(void **state)
{
	enum { MANY = 6000 };
	struct kit *k = *state;
	struct rk_writer *writer;
	atomic_int failures = INT32_MAX;
	static struct job jobs[MANY];
	struct submitter submitter = {.jobs = jobs, .count = MANY};
	unsigned done = 0, refused = 0;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	submitter.writer = writer;
	for (unsigned i = 0; i < MANY; i++) {
		job_init(&jobs[i], 1);
		jobs[i].failures = &failures;
		jobs[i].error = -EIO;
	}
	/* Exactly as many as are taken and queued, and one who waits. */
	rk_writer_submit(writer, &jobs[0].job);
	wait_for(rk_writer_fault(writer) == -EIO);
	for (unsigned i = 1; i < 4097; i++)
		rk_writer_submit(writer, &jobs[i].job);
	submitter.jobs = &jobs[4097];
	submitter.count = 1;
	assert_int_equal(pthread_create(&submitter.thread, NULL, submit_all, &submitter), 0);
	wait_for(submitter_waits(&submitter));
	rk_writer_destroy(writer);
	pthread_join(submitter.thread, NULL);
	for (unsigned i = 0; i < 4098; i++) {
		done += (unsigned)jobs[i].done;
		refused += (unsigned)jobs[i].refused;
	}
	assert_int_equal(done, 0);
	assert_int_equal(refused, 4098);
}

/* The address space is used up: nothing is half there, and what frees space makes room again. */
static void full_index_stays_whole_and_recovers(void **state)
{
	enum { BYTES = 20000, MOST = 200 };
	struct kit *k = *state;
	struct rk_writer *writer;
	char *json = malloc(BYTES + 1);
	struct job job;
	atomic_int never = 0;
	unsigned number = 0;
	uint64_t held;

	assert_non_null(json);
	memset(json, 'a', BYTES);
	json[0] = json[BYTES - 1] = '"';
	json[BYTES] = '\0';
	kit_reopen(k, 1 << 20);
	/* Fill it without the writer, whose job would wait for ever. */
	for (; number < MOST; number++) {
		struct rk_write w = {0};
		int r;

		job_init(&job, number);
		job.json = json;
		job.failures = &never;
		assert_int_equal(rk_write_begin(&w, k->store), 0);
		r = job_run(&job.job, &w);
		if (r == 0)
			r = rk_write_commit(&w);
		else
			rk_write_abort(&w);
		rk_write_finish(&w);
		if (r) {
			assert_int_equal(r, -ENOSPC);
			break;
		}
	}
	assert_in_range(number, 10, MOST - 1);
	held = records(k);
	assert_int_equal(held, number);
	kit_check(k);

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct job remove, put;

		/* Pages that one transaction frees are given out again from the next but one on. */
		for (int again = 0; again < 2; again++) {
			job_init(&remove, i);
			remove.gone = true;
			assert_int_equal(rk_writer_call(writer, call_run, &remove), 0);
		}
		job_init(&put, 1000 + i);
		put.json = json;
		rk_writer_submit(writer, &put.job);
		wait_for(atomic_load(&put.done) == 1);
	}
	assert_int_equal(rk_writer_fault(writer), 0);
	assert_int_equal(records(k), held);
	rk_writer_destroy(writer);
	kit_check(k);
	free(json);
}

/* A file that may not grow, as on a full disk: the work waits, and is done once there is room. */
static void full_disk_is_waited_out(void **state)
{
	enum { JOBS = 300 };
	struct kit *k = *state;
	struct rk_writer *writer;
	struct rlimit before, small;
	struct rk_store_space space;
	static struct job jobs[JOBS];
	static char rkeys[JOBS][RK_TID_LEN];

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	job_init(&jobs[0], 0);
	assert_int_equal(rk_writer_call(writer, call_run, &jobs[0]), 0);
	rk_store_space(k->store, &space);
	small = before;
	small.rlim_cur = space.file_bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 1; i < JOBS; i++) {
		job_init(&jobs[i], i);
		memcpy(rkeys[i], jobs[i].rkey.data, RK_TID_LEN);
		jobs[i].rkey.data = (uint8_t *)rkeys[i];
		rk_writer_submit(writer, &jobs[i].job);
	}
	wait_for(rk_writer_fault(writer) < 0);
	kit_check(k);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	for (unsigned i = 1; i < JOBS; i++)
		wait_for(atomic_load(&jobs[i].done) == 1);
	assert_int_equal(rk_writer_fault(writer), 0);
	rk_writer_destroy(writer);
	assert_int_equal(records(k), JOBS);
	kit_check(k);
}

struct stream {
	atomic_int ready;              /* frames that wait */
	int given, applied, committed; /* the writer's thread only, until it stopped */
	atomic_int commits, aborts, failures;
	int64_t next_us;
};

static int stream_drain(void *context, struct rk_write *w, size_t *count)
{
	struct stream *stream = context;

	stream->given = 0;
	while (stream->applied + stream->given < atomic_load(&stream->ready) && stream->given < 7) {
		int number = stream->applied + stream->given + 1;
		int r = rk_write_cursor(
			w, rk_slice_str("stream"), &(struct rk_cursor){.seq = number});

		if (r)
			return r;
		stream->given++;
	}
	if (stream->given && atomic_load(&stream->failures) > 0) {
		atomic_fetch_sub(&stream->failures, 1);
		return -EIO;
	}
	*count = (size_t)stream->given;
	return 0;
}

static void stream_committed(void *context)
{
	struct stream *stream = context;

	stream->applied += stream->given;
	stream->given = 0;
	atomic_fetch_add(&stream->commits, 1);
}

static void stream_aborted(void *context)
{
	struct stream *stream = context;

	stream->given = 0;
	atomic_fetch_add(&stream->aborts, 1);
}

static int64_t cursor_of(struct kit *k)
{
	struct rk_cursor cursor = {0};
	int r;

	kit_read(k);
	r = rk_read_cursor(k->s, &cursor, rk_slice_str("stream"));
	assert_true(r == 0 || r == RK_STORE_ABSENT);
	kit_stop(k);
	return cursor.seq;
}

static void stream_is_drained_in_order_and_again_after_failures(void **state)
{
	struct kit *k = *state;
	struct stream stream = {.failures = 3};
	const struct rk_writer_stream callbacks = {
		&stream, stream_drain, stream_committed, stream_aborted};
	struct rk_writer *writer;
	struct job job;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	rk_writer_set_stream(writer, &callbacks);
	for (int i = 1; i <= 500; i++) {
		atomic_store(&stream.ready, i);
		rk_writer_wake(writer);
		if (i % 50 == 0) {
			job_init(&job, (unsigned)i);
			assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
		}
	}
	wait_for(cursor_of(k) == 500);
	assert_int_equal(stream.aborts, 3);
	rk_writer_set_stream(writer, NULL);
	assert_int_equal(stream.applied, 500);
	atomic_store(&stream.ready, 501);
	rk_writer_wake(writer);
	job_init(&job, 999);
	assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
	rk_writer_destroy(writer);
	assert_int_equal(cursor_of(k), 500);
	kit_check(k);
}

/* Also while the disk is full: who stops must not hang on it. */
static void stream_can_be_taken_away_in_a_fault(void **state)
{
	struct kit *k = *state;
	struct stream stream = {.failures = INT32_MAX};
	const struct rk_writer_stream callbacks = {
		&stream, stream_drain, stream_committed, stream_aborted};
	struct rk_writer *writer;
	struct job job;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	rk_writer_set_stream(writer, &callbacks);
	atomic_store(&stream.ready, 1);
	rk_writer_wake(writer);
	wait_for(rk_writer_fault(writer) == -EIO);
	rk_writer_set_stream(writer, NULL);
	stream.applied = 77; /* nobody else looks at it any more */
	job_init(&job, 1);
	assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
	assert_int_equal(rk_writer_fault(writer), 0);
	rk_writer_destroy(writer);
	assert_int_equal(stream.applied, 77);
}

static void observer(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void observers_hear_of_commits_only(void **state)
{
	struct kit *k = *state;
	atomic_int heard = 0, other = 0, failures = 2;
	struct rk_writer *writer;
	struct job job;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	rk_writer_add_observer(writer, observer, &heard);
	rk_writer_add_observer(writer, observer, &other);
	rk_writer_wake(writer); /* nothing to do: no commit */
	job_init(&job, 1);
	job.failures = &failures;
	job.error = -EIO;
	assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
	assert_int_equal(other, 1); /* before whoever waits for the job */
	rk_writer_remove_observer(writer, &heard);
	assert_int_equal(heard, 1);
	job_init(&job, 2);
	assert_int_equal(rk_writer_call(writer, call_run, &job), 0);
	assert_int_equal(other, 2);
	rk_writer_destroy(writer);
	assert_int_equal(heard, 1);
}

/* Jobs may be freed by their done; readers go on meanwhile. */
static void readers_see_whole_transactions(void **state)
{
	enum { MANY = 500 };
	struct kit *k = *state;
	static char rkeys[MANY][RK_TID_LEN];
	struct rk_writer *writer;
	uint64_t seen = 0;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	for (unsigned i = 0; i < MANY; i++) {
		struct job *job = calloc(1, sizeof(*job));

		assert_non_null(job);
		job_init(job, i);
		memcpy(rkeys[i], job->rkey.data, RK_TID_LEN);
		job->rkey.data = (uint8_t *)rkeys[i];
		job->freed = true;
		rk_writer_submit(writer, &job->job);
		if (i % 10 == 0) {
			uint64_t now;
			struct rk_repo repo;

			kit_read(k);
			now = rk_table_entries(k->s, RK_TABLE_RECORD);
			if (now)
				assert_int_equal(rk_read_repo(k->s, &repo, 1), 0);
			assert_int_equal(now ? repo.counts[0] : 0, now);
			assert_true(now >= seen);
			seen = now;
			kit_stop(k);
		}
	}
	rk_writer_destroy(writer);
	assert_int_equal(records(k), MANY);
	kit_check(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(call_returns_once_it_is_there),
		TEST(many_jobs_of_many_threads_are_each_done_once),
		TEST(failing_run_aborts_and_retries_all),
		TEST(stopping_in_a_fault_refuses_what_is_left),
		TEST(stopping_tells_those_who_wait_for_room),
		TEST(full_index_stays_whole_and_recovers),
		TEST(full_disk_is_waited_out),
		TEST(stream_is_drained_in_order_and_again_after_failures),
		TEST(stream_can_be_taken_away_in_a_fault),
		TEST(observers_hear_of_commits_only),
		TEST(readers_see_whole_transactions),
	};
	return cmocka_run_group_tests_name("store/writer", tests, NULL, NULL);
}
