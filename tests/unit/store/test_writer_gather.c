/* Rules of store/writer for a stream that gathers: it waits for more, but nobody waits for it. */
#include "tests/unit/store/kit.h"

#include <stdatomic.h>
#include <stdio.h>

#include "store/writer.h"

struct stream {
	atomic_int ready, applied, commits, gather_ms, asked;
	int given; /* the writer's */
};

static int64_t gather(void *context)
{
	struct stream *stream = context;
	int ms = atomic_load(&stream->gather_ms);

	atomic_fetch_add(&stream->asked, 1);
	return ms;
}

static int drain(void *context, struct rk_write *w, size_t *count)
{
	struct stream *stream = context;
	int left = atomic_load(&stream->ready) - atomic_load(&stream->applied);

	stream->given = left;
	*count = (size_t)left;
	return left ? rk_write_cursor(w, rk_slice_str("stream"), &(struct rk_cursor){.seq = left})
		    : 0;
}

static void committed(void *context)
{
	struct stream *stream = context;

	atomic_fetch_add(&stream->applied, stream->given);
	atomic_fetch_add(&stream->commits, stream->given > 0);
}

static void aborted(void *context)
{
}

static int nothing(void *context, struct rk_write *w)
{
	return 0;
}

/* The stream has one more, and the writer was asked whether that is enough. */
static void add(struct rk_writer *writer, struct stream *stream)
{
	int asked = atomic_load(&stream->asked);

	atomic_fetch_add(&stream->ready, 1);
	rk_writer_wake(writer);
	wait_for(atomic_load(&stream->asked) > asked);
}

static void waits_until_it_is_enough_or_a_job_comes(void **state)
{
	struct kit *k = *state;
	struct stream stream = {.gather_ms = INT32_MAX};
	const struct rk_writer_stream callbacks = {
		.context = &stream,
		.drain = drain,
		.committed = committed,
		.aborted = aborted,
		.gather = gather,
	};
	struct rk_writer *writer;

	assert_int_equal(rk_writer_create(&writer, k->store), 0);
	rk_writer_set_stream(writer, &callbacks);
	add(writer, &stream);
	add(writer, &stream);
	assert_int_equal(stream.commits, 0);
	assert_int_equal(rk_writer_call(writer, nothing, NULL), 0);
	assert_int_equal(stream.commits, 1);
	assert_int_equal(stream.applied, 2);
	add(writer, &stream);
	assert_int_equal(stream.commits, 1);
	atomic_store(&stream.gather_ms, 0);
	add(writer, &stream);
	wait_for(atomic_load(&stream.applied) == 4);
	assert_int_equal(stream.commits, 2);
	atomic_store(&stream.gather_ms, 1); /* and when the time is over */
	add(writer, &stream);
	atomic_store(&stream.gather_ms, 0);
	wait_for(atomic_load(&stream.applied) == 5);
	rk_writer_destroy(writer);
}

/* … nor does who takes it away or stops the writer. */
static void holds_up_nobody_who_stops(void **state)
{
	struct kit *k = *state;
	struct stream stream = {.gather_ms = INT32_MAX};
	const struct rk_writer_stream callbacks = {
		.context = &stream,
		.drain = drain,
		.committed = committed,
		.aborted = aborted,
		.gather = gather,
	};
	struct rk_writer *writer;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rk_writer_create(&writer, k->store), 0);
		rk_writer_set_stream(writer, &callbacks);
		add(writer, &stream);
		if (i)
			rk_writer_set_stream(writer, NULL);
		rk_writer_destroy(writer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(waits_until_it_is_enough_or_a_job_comes),
		TEST(holds_up_nobody_who_stops),
	};
	return cmocka_run_group_tests_name("store/writer_gather", tests, NULL, NULL);
}
