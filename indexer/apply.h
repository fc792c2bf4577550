/*
 * What needs state, done by the writer in order of arrival: is the event new, does it follow from what
 * is held, is the account active. A good commit that does not follow shows a gap and marks the repo to
 * be fetched; a frame that was refused changes nothing.
 */
#ifndef RK_INDEXER_APPLY_H
#define RK_INDEXER_APPLY_H

#include <stdatomic.h>

#include "indexer/decode.h"

/* What the stream said of itself, for the thread that receives it. */
struct rk_stream_notes {
	atomic_bool outdated;      /* #info OutdatedCursor: the sweep has to find what was missed */
	atomic_bool future_cursor; /* error FutureCursor: the sequence was reset */
	atomic_llong event_ms;     /* `time` of the newest event applied, Unix ms; 0: none */
};

struct rk_apply {
	struct rk_slice source;    /* whose cursor moves */
	struct rk_stream_notes *notes;
	/* A believed commit of a repo that is being fetched: what is fetched may be older. */
	void (*saw)(void *context, rk_repo_id repo, uint64_t rev);
	/* An identity may have changed. */
	void (*identity)(void *context, rk_repo_id repo);
	void *context;
};

/* Applies one event. Negative: abort the transaction. */
int rk_apply(const struct rk_apply *apply, struct rk_write *w, const struct rk_decoded *decoded,
	int64_t now_us) __attribute__((warn_unused_result));
/* Moves the source's cursor to the newest sequence number applied, in the same transaction. */
int rk_apply_cursor(const struct rk_apply *apply, struct rk_write *w, int64_t seq)
	__attribute__((warn_unused_result));

#endif
