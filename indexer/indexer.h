/*
 * The way in: follows a source's firehose and keeps the index equal to its repos. Owns the receiving
 * thread, the verify workers, the fetching threads and the sweep; the index is changed by the writer
 * only.
 */
#ifndef RK_INDEXER_INDEXER_H
#define RK_INDEXER_INDEXER_H

#include "store/writer.h"

struct rk_indexer_options {
	const char *source; /* origin of the PDS or relay */
	bool relay;         /* repos are fetched from where each DID document says */
	const char *
		public_origin; /* as DID documents name it, if that differs; NULL: the PDS is asked */
	const char *plc;       /* origin of the DID directory */
	const char *data_dir; /* fetched repos are spooled here, unlinked */
	bool allow_private;   /* DID documents may point at private addresses */
	unsigned threads;     /* verify workers */
	unsigned sweep_seconds;
	const char *user_agent;
	const char *bypass_key; /* secret; sent to the source, if that is a PDS; NULL: none */
};

struct rk_indexer;

/* Strings in options must outlive the indexer. Returns with the threads running; the source need not
 * be there. Negative: no memory or no threads. */
int rk_indexer_create(struct rk_indexer **out, struct rk_store *store, struct rk_writer *writer,
	const struct rk_indexer_options *options) __attribute__((warn_unused_result));
/* Stops receiving, lets what was received reach the index, stops the threads, frees. */
void rk_indexer_destroy(struct rk_indexer *indexer);
/* Something was committed: there may be a repo to fetch. Any thread, cheap. */
void rk_indexer_wake(struct rk_indexer *indexer);

struct rk_indexer_status {
	bool connected;
	bool swept;     /* the first sweep since the start is done */
	int64_t lag_ms; /* age of the newest event indexed since the start; of the start before one */
};
/* Any thread, never blocks. */
void rk_indexer_status(const struct rk_indexer *indexer, struct rk_indexer_status *out);

#endif
