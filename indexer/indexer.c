/* Threads and their wiring: workers decode, the writer applies, status is read. */
#include "indexer/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "indexer/foreign.h"

enum {
	STOP_MS = 5000,
	CURSOR_US = 1000000, /* between cursors of a stream that has nothing for us */
	SCRATCH_KEPT = 64 << 10,
};

/* A worker's own. */
struct worker {
	bool relay;
	struct rk_snapshot *snapshot;
	struct rk_keys *keys;
	struct rk_arena scratch; /* of the frame at hand */
};

static int slot_try(struct rk_slot *slot, struct worker *worker)
{
	struct rk_slice frame = rk_slice_make(slot->frame, slot->len);
	int r = rk_snapshot_begin(worker->snapshot);

	if (r)
		return r;
	if (worker->relay)
		r = rk_foreign(&slot->decoded, frame, worker->snapshot);
	if (r == RK_FOREIGN_NO)
		r = rk_decode(&slot->decoded, &slot->arena, &worker->scratch, frame,
			rk_clock_wall_ms(), worker->keys, worker->snapshot);
	rk_snapshot_end(worker->snapshot);
	return r;
}

static void slot_decode(struct rk_slot *slot, struct worker *worker)
{
	if (slot->text || slot->too_large) {
		slot->decoded = (struct rk_decoded){
			.verdict = slot->text ? RK_VERDICT_FRAME_TEXT : RK_VERDICT_FRAME_TOO_LARGE,
		};
		return;
	}
	/* Without memory for it, a frame cannot be judged: try until there is some. */
	while (slot_try(slot, worker) < 0) {
		rk_arena_reset(&slot->arena);
		rk_arena_reset(&worker->scratch);
		rk_clock_pause(10);
	}
	rk_arena_reset_within(&worker->scratch, SCRATCH_KEPT);
}

static void *worker_run(void *context)
{
	struct rk_indexer *indexer = context;
	struct worker worker = {
		.relay = indexer->options.relay,
		.keys = rk_keys_create(indexer->origins),
	};
	struct rk_slot *slot;

	if (!worker.keys || rk_snapshot_create(&worker.snapshot, indexer->store) != 0)
		rk_log(RK_LOG_ERROR, "indexer", "no memory for a verifying thread");
	else
		while ((slot = rk_ring_work(indexer->ring))) {
			slot_decode(slot, &worker);
			if (rk_ring_worked(indexer->ring, slot))
				rk_writer_wake(indexer->writer);
		}
	rk_arena_finish(&worker.scratch);
	rk_snapshot_destroy(worker.snapshot);
	rk_keys_destroy(worker.keys);
	return NULL;
}

static int stream_drain(void *context, struct rk_write *w, size_t *count)
{
	struct rk_indexer *indexer = context;
	struct rk_drained *drained = &indexer->drained;
	int64_t now_us = rk_clock_wall_us();
	const struct rk_slot *slot;
	size_t ours = 0;
	int r;

	if (drained->slots == 0) {
		drained->course = indexer->course;
		drained->begun_ms = atomic_load(&indexer->notes.event_ms);
	}
	r = rk_course_read(&drained->course, rk_write_view(w), indexer->apply.source);
	while (r >= 0 && drained->slots < RK_DRAIN_MOST &&
		(slot = rk_ring_ready(indexer->ring, drained->slots))) {
		r = 0;
		rk_ring_fetch(indexer->ring, drained->slots + 1);
		drained->stream_ms[drained->slots] = atomic_load(&indexer->notes.event_ms);
		if (!slot->decoded.foreign) {
			r = rk_apply(&indexer->apply, w, &slot->decoded, rk_clock_wall_us(), false);
			if (r == RK_APPLY_OUTDATED)
				r = rk_replay_outdated(indexer, w, slot);
			ours++;
		} else {
			rk_apply_time(&indexer->notes, slot->decoded.event.time_ms, now_us);
			if (slot->decoded.event.type == RK_EVENT_IDENTITY)
				rk_identity_doubt(indexer, slot->decoded.event.did.text);
		}
		drained->results[drained->slots++] = r > 0 ? (uint8_t)r : RK_APPLY_DONE;
		drained->waits += r == RK_APPLY_WAIT;
		/* What is not believed says nothing of how far the stream has come. */
		if (slot->decoded.verdict == RK_VERDICT_OK && slot->decoded.event.seq > 0)
			rk_course_take(&drained->course, slot->decoded.event.seq);
	}
	*count = 0;
	rk_metric_add(RK_METRIC_FRAMES_FOREIGN, (int64_t)(drained->slots - ours));
	/* For foreign frames alone no transaction is written, but for the cursor now and then. */
	if (ours == 0 && drained->slots && now_us - indexer->cursor_us < CURSOR_US)
		return 0;
	if (r >= 0) {
		r = rk_course_write(&drained->course, w, indexer->apply.source);
		indexer->cursor_us = now_us;
	}
	*count = drained->slots;
	return r < 0 ? r : 0;
}

/* What comes alone is written at once; of what comes faster than it is verified, some at a time. */
static int64_t stream_gather(void *context)
{
	struct rk_indexer *indexer = context;

	if (!rk_ring_gathers(indexer->ring))
		return 0;
	return indexer->written_ms + RK_GATHER_MS - rk_clock_mono_ms();
}

static void stream_committed(void *context)
{
	struct rk_indexer *indexer = context;

	indexer->written_ms = rk_clock_mono_ms();

	rk_replay_committed(indexer);
	/* After foreign frames alone the writer does not know that there was anything. */
	if (rk_ring_ready(indexer->ring, 0))
		rk_writer_wake(indexer->writer);
}

static void stream_aborted(void *context)
{
	rk_replay_aborted(context);
}

static int threads_start(struct rk_indexer *indexer)
{
	int r = 0;

	while (r == 0 && indexer->workers_running < indexer->options.threads) {
		r = -pthread_create(
			&indexer->workers[indexer->workers_running], NULL, worker_run, indexer);
		indexer->workers_running += r == 0;
	}
	while (r == 0 && indexer->fetchers_running < RK_FETCHERS) {
		r = -pthread_create(
			&indexer->fetchers[indexer->fetchers_running], NULL, rk_fetch_run, indexer);
		indexer->fetchers_running += r == 0;
	}
	if (r == 0) {
		r = -pthread_create(&indexer->sweeper, NULL, rk_sweep_run, indexer);
		indexer->sweeper_running = r == 0;
	}
	if (r == 0) {
		r = -pthread_create(&indexer->receiver, NULL, rk_firehose_run, indexer);
		indexer->receiver_running = r == 0;
	}
	return r;
}

int rk_indexer_create(struct rk_indexer **out, struct rk_store *store, struct rk_writer *writer,
	const struct rk_indexer_options *options)
{
	struct rk_indexer *indexer = calloc(1, sizeof(*indexer));
	int r = -ENOMEM;

	if (!indexer)
		return r;
	indexer->options = *options;
	indexer->started_ms = rk_clock_wall_ms();
	if (indexer->options.threads > 256)
		indexer->options.threads = 256;
	indexer->store = store;
	indexer->writer = writer;
	indexer->apply = (struct rk_apply){
		.source = rk_slice_str(options->source),
		.relay = options->relay,
		.notes = &indexer->notes,
		.looks = &indexer->looks,
		.identity = rk_replay_wish,
		.doubt = rk_identity_doubt,
		.told = rk_resync_tell,
		.waits = rk_replay_waits,
		.course = &indexer->drained.course,
		.context = indexer,
	};
	indexer->stream = (struct rk_writer_stream){
		.context = indexer,
		.gather = stream_gather,
		.drain = stream_drain,
		.committed = stream_committed,
		.aborted = stream_aborted,
	};
	rk_clock_cond_init(&indexer->wake);
	pthread_mutex_init(&indexer->lock, NULL);
	/* To a relay every host is as good as another. */
	if (!options->relay) {
		indexer->origins[0] = options->source;
		indexer->origins[1] = options->public_origin;
	}
	indexer->hosts = rk_hosts_create();
	indexer->berths = rk_berths_create(options->relay);
	indexer->memory = rk_share_create(RK_REPOS_MEMORY);
	indexer->ring = rk_ring_create();
	indexer->waiting = rk_waiting_create();
	indexer->keys = rk_keys_create(indexer->origins);
	if (!indexer->hosts || !indexer->berths || !indexer->memory || !indexer->ring ||
		!indexer->waiting || !indexer->keys)
		goto fail;
	rk_writer_set_stream(writer, &indexer->stream);
	r = threads_start(indexer);
	if (r)
		goto fail;
	*out = indexer;
	return 0;
fail:
	rk_indexer_destroy(indexer);
	return r;
}

void rk_indexer_destroy(struct rk_indexer *indexer)
{
	if (!indexer)
		return;
	pthread_mutex_lock(&indexer->lock);
	atomic_store(&indexer->stopping, true);
	if (indexer->ws)
		rk_ws_interrupt(indexer->ws);
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
	/* What was received still reaches the index if that is quick; else the cursor brings it again. */
	if (indexer->ring && indexer->workers_running && rk_writer_fault(indexer->writer) == 0)
		rk_ring_wait_empty(indexer->ring, STOP_MS);
	if (indexer->ring)
		rk_ring_stop(indexer->ring);
	if (indexer->receiver_running)
		pthread_join(indexer->receiver, NULL);
	while (indexer->workers_running)
		pthread_join(indexer->workers[--indexer->workers_running], NULL);
	if (indexer->sweeper_running)
		pthread_join(indexer->sweeper, NULL);
	while (indexer->fetchers_running)
		pthread_join(indexer->fetchers[--indexer->fetchers_running], NULL);
	rk_writer_set_stream(indexer->writer, NULL);
	rk_replay_aborted(indexer);
	rk_ring_destroy(indexer->ring);
	rk_waiting_destroy(indexer->waiting);
	rk_keys_destroy(indexer->keys);
	rk_hosts_destroy(indexer->hosts);
	rk_berths_destroy(indexer->berths);
	rk_share_destroy(indexer->memory);
	rk_wishes_finish(&indexer->wishes);
	rk_looks_finish(&indexer->looks);
	pthread_cond_destroy(&indexer->wake);
	pthread_mutex_destroy(&indexer->lock);
	free(indexer);
}

void rk_indexer_status(const struct rk_indexer *indexer, struct rk_indexer_status *out)
{
	int64_t event_ms = atomic_load(&indexer->notes.event_ms);
	int64_t lag = rk_clock_wall_ms() - (event_ms ? event_ms : indexer->started_ms);

	out->connected = atomic_load(&indexer->connected);
	out->swept = atomic_load(&indexer->swept);
	out->lag_ms = lag > 0 ? lag : 0;
}
