/*
 * Accounts whose DID document is to be read: each once, with the time from which on it may be, and how
 * often it was tried in vain. Bounded. Guarded by the indexer's lock, which the caller holds.
 */
#ifndef RK_INDEXER_WISHES_H
#define RK_INDEXER_WISHES_H

#include "base/slice.h"

enum {
	RK_WISHES_MOST = 4096,
	RK_WISH_FIRST_MS = 2000,         /* between two tries at first, */
	RK_WISH_MOST_MS = 2 * 60 * 1000, /* and at most */
	/* At hosts of did:web, at the same time: any number of them may not answer. */
	RK_WISH_WEBS_MOST = 1,
};

struct rk_wish {
	char *did; /* owned */
	int64_t due_ms;
	unsigned tries;
};

struct rk_wishes {
	struct rk_wish list[RK_WISHES_MOST];
	size_t count;
};

void rk_wishes_finish(struct rk_wishes *wishes);
/* A wish that is there already is kept, and brought forward only if nothing was tried for it. False: it is
 * not there, for there are `most` (or no memory). */
bool rk_wishes_add(
	struct rk_wishes *wishes, struct rk_slice did, int64_t due_ms, unsigned tries, size_t most);
/* Takes one that is due at now_ms, the least tried first; its did is then the caller's. reading: accounts whose
 * documents are being read now, NULL where none is; they are passed over, and with RK_WISH_WEBS_MOST of did:web
 * among them all others of did:web. False: none; *wait_ms is lowered to when one is due. */
bool rk_wishes_take(struct rk_wishes *wishes, struct rk_wish *out, int64_t now_ms,
	const char *const *reading, size_t reading_count, int64_t *wait_ms);
/* How many of them are of did:web. */
size_t rk_wish_webs(const char *const *reading, size_t count);
bool rk_wish_is_web(const char *did);
/* Milliseconds to the next try after so many; random is any uniform 32-bit value. */
int64_t rk_wish_wait_ms(unsigned tries, uint32_t random);

#endif
