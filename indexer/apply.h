/*
 * What needs state, done by the writer in order of arrival: is the event new, does it follow from what
 * is held, is the account active. A good commit that does not follow shows a gap and marks the repo to
 * be fetched; a frame that was refused changes nothing.
 */
#ifndef RK_INDEXER_APPLY_H
#define RK_INDEXER_APPLY_H

#include <stdatomic.h>

#include "indexer/course.h"
#include "indexer/decode.h"
#include "indexer/looks.h"

/* What the stream said of itself, for the thread that receives it. */
struct rk_stream_notes {
	atomic_bool outdated;      /* #info OutdatedCursor: the sweep has to find what was missed */
	atomic_bool future_cursor; /* error FutureCursor: the sequence was reset */
	atomic_llong
		event_ms; /* `time` of the newest event applied, Unix ms, never ahead; 0: none */
};

struct rk_apply {
	struct rk_slice source; /* whose cursor moves */
	bool relay; /* it is not the accounts' host: what it says of them is asked there */
	struct rk_stream_notes *notes;
	const struct rk_course *course; /* up to the event before */
	struct rk_looks *looks;
	/* The account's DID document is to be read (again). known: its repo is in the index. */
	void (*identity)(void *context, struct rk_slice did, bool known);
	/* The stream says that the document may be another from now on: what was asked for before is old. */
	void (*doubt)(void *context, struct rk_slice did);
	/* The source told of its account's state: what it was asked of the repo before is old. */
	void (*told)(void *context, rk_repo_id repo);
	/* Whether earlier events of the account wait: then later ones do, too. */
	bool (*waits)(void *context, struct rk_slice did);
	void *context;
};

enum rk_apply_result {
	RK_APPLY_DONE,
	RK_APPLY_WAIT, /* to be decoded and applied again, in order, once the account waits for nothing */
	/* Refused by the DID document held, which may be an old one: to be decoded and applied again once a
	 * newer one was asked for. Nothing waits behind it. */
	RK_APPLY_DOUBT,
	/* Refused by a DID document older than the one held: to be decoded and applied again at once. */
	RK_APPLY_OUTDATED,
};

enum {
	/* A DID document read so recently is read again for a signature that does not fit it only once (looks.h). */
	RK_KEY_TRUST_MS = 60 * 1000,
	/* A commit whose rev is so far behind the newest event's time as it comes is an old one told again. */
	RK_COMMIT_LATE_MS = 60 * 60 * 1000,
};

/*
 * Applies one event. again: it has waited; what does not fit now never will, and nothing else of the
 * account waits before it. Negative: abort the transaction.
 */
int rk_apply(const struct rk_apply *apply, struct rk_write *w, const struct rk_decoded *decoded,
	int64_t now_us, bool again) __attribute__((warn_unused_result));
/* Notes the time of an event, as no later than now. */
void rk_apply_time(struct rk_stream_notes *notes, int64_t time_ms, int64_t now_us);
/* Counts a frame as refused, and logs it. */
void rk_apply_refuse(const struct rk_decoded *decoded);

#endif
