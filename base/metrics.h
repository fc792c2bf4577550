/*
 * Counters and gauges, one row each in RK_METRICS; /metrics, status and tests are loops over the
 * rows. Updates are relaxed atomics: any thread, no lock. A counter only grows; a gauge is set.
 */
#ifndef RK_BASE_METRICS_H
#define RK_BASE_METRICS_H

#include <stdint.h>

/* X(id, kind, name, help): the exported name is refkey_<name>, counters end in _total. */
#define RK_METRICS(X)                                                                              \
	X(FRAMES, COUNTER, "frames_total", "Firehose frames received")                             \
	X(FRAME_BYTES, COUNTER, "frame_bytes_total", "Bytes of firehose frames received")          \
	X(FRAMES_FOREIGN, COUNTER, "frames_foreign_total",                                         \
		"Frames of repos that are none of ours")                                           \
	X(COMMITS_APPLIED, COUNTER, "commits_applied_total", "Commits applied to the index")       \
	X(COMMITS_REPLAYED, COUNTER, "commits_replayed_total", "Commits already in the index")     \
	X(RECORDS_PUT, COUNTER, "records_put_total", "Records written to the index")               \
	X(RECORDS_REMOVED, COUNTER, "records_removed_total", "Records removed from the index")     \
	X(RECORDS_INVALID, COUNTER, "records_invalid_total", "Records that fail their lexicon")    \
	X(EVENTS_UNKNOWN, COUNTER, "events_unknown_total", "Frames of unknown type, ignored")      \
	X(CONNECTS, COUNTER, "stream_connects_total", "Firehose connections opened")               \
	X(DISCONNECTS, COUNTER, "stream_disconnects_total", "Firehose connections lost")           \
	X(CONNECTED, GAUGE, "stream_connected", "1 while the firehose is connected")               \
	X(RING_FRAMES, GAUGE, "ring_frames", "Frames received and not yet in the index")           \
	X(RING_BYTES, GAUGE, "ring_bytes", "Bytes of those frames")                                \
	X(WRITER_QUEUE, GAUGE, "writer_queue", "Messages waiting for the writer")                  \
	X(WRITER_COMMITS, COUNTER, "writer_commits_total", "Transactions committed to disk")       \
	X(WRITER_FAILURES, COUNTER, "writer_failures_total", "Transactions that failed, retried")  \
	X(RESYNCS, COUNTER, "resyncs_total", "Repos fetched whole")                                \
	X(RESYNC_FAILURES, COUNTER, "resync_failures_total", "Repo fetches that failed")           \
	X(DESYNCHRONIZED, GAUGE, "desynchronized_repos", "Repos waiting to be fetched")            \
	X(SWEEPS, COUNTER, "sweeps_total", "Comparisons of all revs with the source")              \
	X(REPOS_REFUSED, COUNTER, "repos_refused_total",                                           \
		"Repos listed by the source and not taken: too many that never came in")           \
	X(IDENTITY_FETCHES, COUNTER, "identity_fetches_total", "DID documents fetched")            \
	X(IDENTITY_FAILURES, COUNTER, "identity_failures_total", "DID documents not to be had")    \
	X(IDENTITIES_DROPPED, COUNTER, "identities_dropped_total",                                 \
		"Identities of accounts without a repo here, dropped again")                       \
	X(IDENTITIES_PACED, COUNTER, "identities_paced_total",                                     \
		"DID documents that had to wait, for too many were to be read")                    \
	X(MONGO_CONNECTED, GAUGE, "mongo_connected", "1 while MongoDB answers")                    \
	X(MONGO_PENDING, GAUGE, "mongo_pending", "Records whose MongoDB side is to be looked at")  \
	X(MONGO_INSERTS, COUNTER, "mongo_inserts_total", "Documents inserted")                     \
	X(MONGO_UPDATES, COUNTER, "mongo_updates_total", "Documents updated")                      \
	X(MONGO_FAILURES, COUNTER, "mongo_failures_total", "MongoDB operations that failed")       \
	X(PUBLISH_CREATED, COUNTER, "publish_created_total", "Records written by the dual write")  \
	X(PUBLISH_DELETED, COUNTER, "publish_deleted_total", "Records deleted by the dual write")  \
	X(PUBLISH_FAILURES, COUNTER, "publish_failures_total",                                     \
		"Tries of the dual write that failed")                                             \
	X(PUBLISH_WAITING, GAUGE, "publish_waiting",                                               \
		"Documents that the dual write is to publish, or whose record it is to delete")    \
	X(PUBLISH_FAILING, GAUGE, "publish_failing",                                               \
		"Those of them that failed and are tried again")                                   \
	X(REQUESTS, COUNTER, "xrpc_requests_total", "XRPC requests answered")                      \
	X(REQUESTS_REFUSED, COUNTER, "xrpc_refused_total", "XRPC requests answered with an error") \
	X(CONNECTIONS, GAUGE, "http_connections", "HTTP connections open")                         \
	X(CONNECTIONS_REFUSED, COUNTER, "http_connections_refused_total",                          \
		"HTTP connections refused or timed out")

enum rk_metric {
#define RK_METRIC_ID(id, kind, name, help) RK_METRIC_##id,
	RK_METRICS(RK_METRIC_ID)
#undef RK_METRIC_ID
		RK_METRIC_COUNT
};

enum rk_metric_kind { RK_METRIC_KIND_COUNTER, RK_METRIC_KIND_GAUGE };

struct rk_metric_row {
	const char *name;
	const char *help;
	enum rk_metric_kind kind;
};

extern const struct rk_metric_row rk_metric_rows[RK_METRIC_COUNT];

void rk_metric_add(enum rk_metric metric, int64_t by);
void rk_metric_set(enum rk_metric metric, int64_t value);
int64_t rk_metric_get(enum rk_metric metric);

/* What was refused, by reason: one counter for each row of a table that is not ours (the verdicts of
 * atproto/verify.h), exported as refkey_refused_total{reason="<name of the row>"}. */
enum { RK_METRIC_REASONS_MOST = 64 };
void rk_metric_refused_add(unsigned reason);
int64_t rk_metric_refused_get(unsigned reason);

#endif
