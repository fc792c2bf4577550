/*
 * Frames that cannot be judged yet, by account and in order: because its key is not known (or did not
 * fit, and is read again), or because its repo is being fetched. Once the reason is gone they are
 * decoded anew and applied in the same order.
 *
 * A frame in doubt waits for itself alone: what comes after it is not held up.
 *
 * Belongs to the writer's thread. Bounded: an account that has more waiting than it may loses all of
 * it, and is known to have lost some; one for which there is no room at all is not even known. Frames that waited for
 * a key, or are in doubt, and are dropped are counted as RK_VERDICT_NO_ROOM.
 */
#ifndef RK_INDEXER_WAITING_H
#define RK_INDEXER_WAITING_H

#include "base/slice.h"

enum {
	RK_WAITING_FRAMES = 512,         /* of one account */
	RK_WAITING_BYTES = 2 << 20,      /* of one account */
	RK_WAITING_ALL_BYTES = 16 << 20, /* of all */
	RK_WAITING_UNKNOWN_BYTES = 8
		<< 20, /* of all whose key is not known: anybody can make them up */
	RK_WAITING_ACCOUNTS = 32768,
	RK_WAITING_DOUBTS = 16,           /* frames of one account in doubt */
	RK_WAITING_DOUBT_BYTES = 4 << 20, /* of all in doubt */
};

struct rk_waiting;

/* One account's frames; borrowed until the next change. */
struct rk_waiting_frame {
	struct rk_waiting_frame *next;
	size_t len;
	int64_t stream_ms; /* how far the stream had come before it: Unix ms */
	bool doubt, unknown;
	uint8_t data[];
};

struct rk_waiting *rk_waiting_create(void); /* NULL: no memory */
void rk_waiting_destroy(struct rk_waiting *waiting);

/* Copies the frame; unknown: it waits for the account's key. False: there was no room (or memory); the account's
 * frames are dropped, this one too, and rk_waiting_lost says so until rk_waiting_drop. */
bool rk_waiting_add(struct rk_waiting *waiting, struct rk_slice did, struct rk_slice frame,
	int64_t stream_ms, bool unknown);
/* The same of a frame in doubt; false: there are enough of them, and nothing else is lost. */
bool rk_waiting_add_doubt(
	struct rk_waiting *waiting, struct rk_slice did, struct rk_slice frame, int64_t stream_ms);
/* Whether the account's later frames have to wait, too. */
bool rk_waiting_has(const struct rk_waiting *waiting, struct rk_slice did);
bool rk_waiting_lost(const struct rk_waiting *waiting, struct rk_slice did);
/* The first frame, then along `next`; NULL: none. */
const struct rk_waiting_frame *rk_waiting_first(
	const struct rk_waiting *waiting, struct rk_slice did);
/* The first `count` frames are done with; without any left the account no longer waits, unless it lost
 * some. */
void rk_waiting_shift(struct rk_waiting *waiting, struct rk_slice did, size_t count);
/* The account no longer waits; what did is dropped. */
void rk_waiting_drop(struct rk_waiting *waiting, struct rk_slice did);
size_t rk_waiting_bytes(const struct rk_waiting *waiting);

#endif
