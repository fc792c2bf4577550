/*
 * A look at a firehose frame that decides whether it is worth more: whose it is and whether one of its
 * operations is in a collection of interest. Nothing is allocated and nothing believed; a frame that is
 * not of the usual shape is for rk_event_parse to judge.
 */
#ifndef RK_ATPROTO_PEEK_H
#define RK_ATPROTO_PEEK_H

#include "atproto/event.h"

/* Borrowed from the frame. */
struct rk_peek {
	enum rk_event_type type; /* COMMIT, SYNC, IDENTITY or ACCOUNT */
	int64_t seq;
	struct rk_did did;
	int64_t time_ms; /* 0 if absent or malformed */
	bool wanted;     /* a commit with an operation in a wanted collection */
};

/* False: another type, malformed in any way (as CBOR to its last byte), or without seq or DID. */
bool rk_event_peek(
	struct rk_peek *out, struct rk_slice frame, bool (*wanted)(struct rk_slice nsid));

#endif
