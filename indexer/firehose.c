/*
 * The receiving thread: connects at the durable cursor, moves frames into the ring, connects again
 * with back-off. Silence is healthy; only the WebSocket client's pings decide that a connection is
 * dead. What a frame says is none of its business, but for two notes the writer takes of the stream.
 */
#include "indexer/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "indexer/source.h"
#include "indexer/state.h"
#include "net/backoff.h"

enum {
	BACKOFF_FIRST_MS = 200,
	BACKOFF_MOST_MS = 5000,
	HEALTHY_MS = 1000, /* and as long as the wait before it: a connection counts as good */
	CONNECT_MS = 15000,
	PING_MS = 20000,
	PONG_MS = 20000,
	EMPTY_MS = 500,
	QUIET_MS = 1200, /* a PDS may hold a frame back for a second when idle */
};

struct firehose {
	struct rk_indexer *indexer;
	struct rk_fetcher fetcher;
	struct rk_backoff backoff;
	int64_t waited_ms; /* before the connection of now */
};

static bool stopping(const struct rk_indexer *indexer)
{
	return atomic_load(&indexer->stopping);
}

static void pause_ms(struct rk_indexer *indexer, int64_t ms)
{
	int64_t until = rk_clock_mono_ms() + ms, now;

	pthread_mutex_lock(&indexer->lock);
	while (!stopping(indexer) && (now = rk_clock_mono_ms()) < until)
		rk_indexer_wait(indexer, until - now);
	pthread_mutex_unlock(&indexer->lock);
}

static void ws_publish(struct rk_indexer *indexer, struct rk_ws *ws)
{
	pthread_mutex_lock(&indexer->lock);
	indexer->ws = ws;
	atomic_store(&indexer->connected, ws != NULL);
	atomic_store(&indexer->quiet_ms, 0);
	rk_metric_set(RK_METRIC_CONNECTED, ws != NULL);
	if (ws && stopping(indexer))
		rk_ws_interrupt(ws);
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
}

static int cursor_read(struct firehose *f, struct rk_cursor *out)
{
	int r = rk_snapshot_begin(f->fetcher.snapshot);

	*out = (struct rk_cursor){0};
	if (r)
		return r;
	r = rk_read_cursor(f->fetcher.snapshot, out, f->indexer->apply.source);
	rk_snapshot_end(f->fetcher.snapshot);
	return r < 0 ? r : 0;
}

/* Every repo is judged by what the source has now, also where that is older. */
struct reset {
	struct rk_indexer *indexer;
	rk_repo_id after;
	bool more;
};
enum { RESET_REPOS = 1000 };

static int reset_write(void *context, struct rk_write *w)
{
	struct reset *reset = context;
	rk_repo_id at = reset->after;
	int r = 0;

	for (int i = 0; r == 0 && i < RESET_REPOS; i++) {
		struct rk_repo repo;

		r = rk_read_repo_after(rk_write_view(w), &repo, at);
		if (r)
			break;
		at = repo.id;
		rk_repo_happen(&repo, RK_REPO_EVENT_SEQUENCE_RESET, rk_clock_wall_ms(), 0);
		r = rk_write_repo(w, &repo);
	}
	reset->more = r == 0;
	if (r == RK_STORE_ABSENT) {
		struct rk_cursor cursor = {0};

		r = rk_read_cursor(rk_write_view(w), &cursor, reset->indexer->apply.source);
		if (r < 0)
			return r;
		cursor.seq = 0;
		cursor.epoch++;
		r = rk_write_cursor(w, reset->indexer->apply.source, &cursor);
	}
	if (r == 0 && reset->more)
		reset->after = at; /* safe to repeat: what is flagged stays flagged */
	return r;
}

/* The source's numbering was started anew: it may have been restored from an older copy. */
static void sequence_reset(struct rk_indexer *indexer)
{
	struct reset reset = {.indexer = indexer, .more = true};
	int r = 0;

	rk_log(RK_LOG_WARN, "firehose", "the source is behind our cursor: its sequence was reset");
	while (r == 0 && reset.more)
		r = rk_writer_call(indexer->writer, reset_write, &reset);
	if (r == 0)
		atomic_store(&indexer->notes.future_cursor, false);
	rk_sweep_request(indexer);
}

/* Moves frames until the connection ends. */
static void receive(struct firehose *f, struct rk_ws *ws)
{
	struct rk_indexer *indexer = f->indexer;
	int64_t opened = rk_clock_mono_ms(), pinged = 0;

	while (!stopping(indexer)) {
		uint8_t *frame = NULL;
		size_t len = 0;
		bool pushed;
		int r = rk_ws_receive(ws, &frame, &len, QUIET_MS);

		switch (r) {
		case RK_WS_MESSAGE:
		case RK_WS_TEXT:
		case RK_WS_TOO_LARGE:
			rk_metric_add(RK_METRIC_FRAMES, 1);
			rk_metric_add(RK_METRIC_FRAME_BYTES, (int64_t)len);
			pinged = 0;
			pushed = rk_ring_push(indexer->ring, rk_slice_make(frame, len),
				r == RK_WS_TEXT, r == RK_WS_TOO_LARGE);
			free(frame);
			if (!pushed)
				return;
			break;
		case RK_WS_IDLE:
			/* Silence counts once the peer has shown that it is there. */
			if (pinged && rk_ws_ponged_since(ws, pinged)) {
				atomic_store(&indexer->quiet_ms, rk_clock_mono_ms());
			} else if (!pinged) {
				pinged = rk_clock_mono_ms();
				rk_ws_ping(ws);
			}
			break;
		default:
			/* Interrupted by us, it has no reason. */
			if (!stopping(indexer))
				rk_log(RK_LOG_WARN, "firehose", "the connection ended",
					RK_LOG_STR(
						"reason", r < 0 ? strerror(-r) : rk_ws_error(ws)));
			return;
		}
		if (rk_clock_mono_ms() - opened > HEALTHY_MS &&
			rk_clock_mono_ms() - opened > f->waited_ms)
			rk_backoff_reset(&f->backoff);
	}
}

static bool public_origin_find(struct firehose *f)
{
	struct rk_indexer *indexer = f->indexer;
	struct rk_pds_reply reply;
	int r;

	if (indexer->options.relay || indexer->origins[1])
		return true;
	r = rk_source_public_origin(
		f->fetcher.pds, &reply, indexer->public_origin, indexer->options.source);
	if (indexer->public_origin[0])
		indexer->origins[1] = indexer->public_origin;
	if (r == RK_PDS_OK || r == RK_PDS_WRONG || r == RK_PDS_ABSENT)
		return true;
	if (r != -ECANCELED)
		rk_log(RK_LOG_WARN, "firehose", "the source cannot be asked who it is",
			RK_LOG_STR("reason", r < 0 ? strerror(-r) : reply.message));
	return false;
}

static void connection(struct firehose *f)
{
	struct rk_indexer *indexer = f->indexer;
	const struct rk_ws_options options = {
		.http =
			{
				.allow_private = indexer->options.allow_private,
				.trusted = {indexer->options.source},
				.cancel = &indexer->stopping,
				.user_agent = indexer->options.user_agent,
			},
		.message_most = RK_FRAME_MOST,
		.connect_ms = CONNECT_MS,
		.ping_ms = PING_MS,
		.pong_ms = PONG_MS,
	};
	char url[1024], error[256] = "";
	struct rk_cursor cursor;
	struct rk_ws *ws = NULL;
	int len, r;

	if (!public_origin_find(f))
		return;
	r = cursor_read(f, &cursor);

	if (r) {
		rk_log(RK_LOG_ERROR, "firehose", "cannot read the cursor",
			RK_LOG_STR("reason", strerror(-r)));
		return;
	}
	len = snprintf(url, sizeof(url), "%s/xrpc/com.atproto.sync.subscribeRepos",
		indexer->options.source);
	if (cursor.seq > 0)
		snprintf(url + len, sizeof(url) - (size_t)len, "?cursor=%lld",
			(long long)cursor.seq);
	r = rk_ws_open(&ws, url, &options, error);
	if (r) {
		if (!stopping(indexer))
			rk_log(RK_LOG_WARN, "firehose", "cannot connect",
				RK_LOG_STR("reason", error),
				RK_LOG_INT("tries", f->backoff.tries + 1));
		return;
	}
	if (cursor.seq > 0)
		rk_log(RK_LOG_INFO, "firehose", "connected",
			RK_LOG_STR("source", indexer->options.source),
			RK_LOG_INT("cursor", cursor.seq));
	else
		rk_log(RK_LOG_INFO, "firehose", "connected; there is no cursor yet",
			RK_LOG_STR("source", indexer->options.source));
	rk_metric_add(RK_METRIC_CONNECTS, 1);
	ws_publish(indexer, ws);
	receive(f, ws);
	ws_publish(indexer, NULL);
	rk_ws_close(ws);
	rk_metric_add(RK_METRIC_DISCONNECTS, 1);
}

void *rk_firehose_run(void *context)
{
	struct rk_indexer *indexer = context;
	struct firehose f = {
		.indexer = indexer,
		.backoff = {.first_ms = BACKOFF_FIRST_MS, .most_ms = BACKOFF_MOST_MS},
	};

	if (rk_fetcher_init(&f.fetcher, indexer, 0) != 0) {
		rk_log(RK_LOG_ERROR, "firehose", "no memory for the receiving thread");
		rk_fetcher_finish(&f.fetcher);
		return NULL;
	}
	while (!stopping(indexer)) {
		connection(&f);
		/* Only what is in the index counts: the next cursor covers all of it and no more. */
		while (!stopping(indexer) && !rk_ring_wait_empty(indexer->ring, EMPTY_MS))
			;
		if (atomic_load(&indexer->notes.future_cursor) && !stopping(indexer))
			sequence_reset(indexer);
		f.waited_ms = rk_backoff_next(&f.backoff, rk_backoff_random());
		if (!stopping(indexer))
			pause_ms(indexer, f.waited_ms);
	}
	rk_fetcher_finish(&f.fetcher);
	return NULL;
}
