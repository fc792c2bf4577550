/*
 * Accounts whose DID document is to be read: each once, with the time from which on it may be, and how
 * often it was tried in vain. Bounded in number and in pace, by who asks for it: anybody can make up accounts
 * that are not in the index, and they take neither room nor turns from those that are. A real one among them that
 * finds no room comes in by its next commit, or by the sweep. Guarded by the indexer's lock, which the caller holds.
 */
#ifndef RK_INDEXER_WISHES_H
#define RK_INDEXER_WISHES_H

#include "base/slice.h"

enum {
	RK_WISH_FIRST_MS = 2000,               /* between two tries at first, */
	RK_WISH_MOST_MS = 2 * 60 * 1000,       /* and at most, */
	RK_WISH_REST_MOST_MS = 10 * 60 * 1000, /* unless who is asked wants more */
	/* At hosts of did:web, at the same time: any number of them may not answer. */
	RK_WISH_WEBS_MOST = 1,
	RK_WISH_WEBS_SHARE = 4, /* … and one place of so many may be theirs */
};

/* X(id, room, at once, ms from one to the next, who asks for it); those that come first are taken first. */
#define RK_WISH_KINDS(X)                                                                           \
	X(STREAM, 2048, 1024, 100, "the stream, of an account in the index")                       \
	X(SWEEP, 2048, 1024, 100, "the sweep: the document held is old")                           \
	X(STRANGER, 1024, 256, 100, "the stream, of an account that is not in the index")

enum rk_wish_kind {
#define RK_WISH_KIND_ID(id, most, burst, pace_ms, who) RK_WISH_##id,
	RK_WISH_KINDS(RK_WISH_KIND_ID)
#undef RK_WISH_KIND_ID
		RK_WISH_KIND_COUNT
};

enum {
#define RK_WISH_KIND_ROOM(id, most, burst, pace_ms, who) most +
	RK_WISHES_MOST = RK_WISH_KINDS(RK_WISH_KIND_ROOM) 0,
#undef RK_WISH_KIND_ROOM
};

struct rk_wish {
	char *did; /* owned */
	int64_t due_ms;
	unsigned tries;
	enum rk_wish_kind kind;
	bool paced; /* it was due, and had to wait for its kind's turn */
};

struct rk_wishes {
	struct rk_wish list[RK_WISHES_MOST];
	size_t count;
	int64_t paces_ms[RK_WISH_KIND_COUNT]; /* when all that was taken of the kind is paid off */
	int64_t directory_ms; /* the directory is not to be asked before: monotonic */
	int64_t told_ms;      /* when rk_wishes_rest was last true; 0: never */
};

void rk_wishes_finish(struct rk_wishes *wishes);
/* A wish that is there already is kept, and brought forward only if nothing was tried for it; it becomes one of
 * the kind that comes first. False: it is not there, for there is no room for the kind (or no memory). */
bool rk_wishes_add(struct rk_wishes *wishes, struct rk_slice did, enum rk_wish_kind kind,
	int64_t due_ms, unsigned tries);
/* Takes one that is due at now_ms, by kind and then the least tried first; its did is then the caller's. reading:
 * accounts whose documents are being read now, NULL where none is; they are passed over, and with
 * RK_WISH_WEBS_MOST of did:web among them all others of did:web. So are those of did:plc while the directory is not
 * to be asked, and kinds that are to wait for their turn. False: none; *wait_ms is lowered to when one is due. */
bool rk_wishes_take(struct rk_wishes *wishes, struct rk_wish *out, int64_t now_ms,
	const char *const *reading, size_t reading_count, int64_t *wait_ms);
/* Whether the account is among them. */
bool rk_wish_is_read(const char *did, const char *const *reading, size_t count);
/* How many of them are of did:web. */
size_t rk_wish_webs(const char *const *reading, size_t count);
bool rk_wish_is_web(const char *did);
/* The directory asked to be left alone for so long, which is granted up to RK_WISH_REST_MOST_MS. True: it is to be
 * said; not again within RK_WISH_REST_MOST_MS. */
bool rk_wishes_rest(struct rk_wishes *wishes, int64_t now_ms, int64_t asked_ms);
/* Milliseconds to the next try after so many; asked_ms: what was asked for, granted up to RK_WISH_REST_MOST_MS, or -1;
 * random is any uniform 32-bit value. */
int64_t rk_wish_wait_ms(unsigned tries, int64_t asked_ms, uint32_t random);

#endif
