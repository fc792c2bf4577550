/*
 * Firehose frames: two DAG-CBOR values, a header {op, t?} and a payload.
 * Source: atproto.com/specs/event-stream, lexicon com.atproto.sync.subscribeRepos.
 */
#ifndef RK_ATPROTO_EVENT_H
#define RK_ATPROTO_EVENT_H

#include "atproto/cbor.h"
#include "atproto/syntax.h"
#include "base/arena.h"

enum {
	RK_FRAME_MOST = 5 << 20,        /* bytes of a frame */
	RK_EVENT_OPS_MOST = 200,        /* of a commit */
	RK_EVENT_BLOCKS_MOST = 2000000, /* bytes of a commit's CAR slice */
};

#define RK_EVENT_SEQ_MOST INT64_C(9007199254740991) /* 2^53 - 1, as the data model has it */

enum rk_event_type {
	RK_EVENT_UNKNOWN, /* a type we do not know: ignored and counted */
	RK_EVENT_COMMIT,
	RK_EVENT_SYNC,
	RK_EVENT_IDENTITY,
	RK_EVENT_ACCOUNT,
	RK_EVENT_INFO,
	RK_EVENT_ERROR,
};

enum rk_op_action { RK_OP_CREATE, RK_OP_UPDATE, RK_OP_DELETE };

struct rk_event_op {
	enum rk_op_action action;
	struct rk_slice path;             /* "collection/rkey", syntax checked */
	struct rk_slice collection, rkey; /* its two parts */
	struct rk_cid cid;                /* unset for deletes */
	struct rk_cid prev;               /* unset for creates and where the sender left it out */
};

/* Everything borrowed from the frame but ops, which is the arena's. */
struct rk_event {
	enum rk_event_type type;
	int64_t seq;       /* 1 to RK_EVENT_SEQ_MOST; 0 for info, error and unknown */
	struct rk_did did; /* commit: repo; else did */
	int64_t time_ms;   /* 0 if absent or malformed */
	/* commit, sync */
	uint64_t rev;
	struct rk_slice blocks; /* CAR */
	/* commit */
	struct rk_cid commit;
	uint64_t since;          /* TID; 0: null */
	struct rk_cid prev_data; /* unset: absent */
	bool too_big;
	struct rk_event_op *ops;
	size_t op_count;
	/* identity */
	struct rk_slice handle; /* empty if absent or not a handle */
	/* account */
	bool active;
	struct rk_slice status; /* empty if absent */
	/* info: name; error: name of the error; unknown: the type */
	struct rk_slice name, message;
};

/* Reasons to refuse a frame; each has its counter (see atproto/verify.h). */
enum rk_event_result {
	RK_EVENT_OK,
	RK_EVENT_MALFORMED_HEADER,
	RK_EVENT_MALFORMED_BODY, /* not canonical, or truncated */
	RK_EVENT_TRAILING_BYTES,
	RK_EVENT_MISSING_FIELD, /* a required field is absent or of another type or syntax */
	RK_EVENT_TOO_LARGE,
	RK_EVENT_TOO_MANY_OPS,
};

/* Parses one frame. Negative: no memory. Positive: an enum rk_event_result. Which fields may be
 * absent, against the letter of the lexicon, is said in event.c. */
int rk_event_parse(struct rk_event *out, struct rk_arena *arena, struct rk_slice frame)
	__attribute__((warn_unused_result));

#endif
