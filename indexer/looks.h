/*
 * Second looks: an account whose DID document was read just now signs with another key for all that, for
 * it may change its key without a word on the stream. The first signature that does not fit has the document
 * read once more; whether another is worth a look depends on what that one found. Forged commits get one
 * look an account and a minute, and so many of all accounts.
 *
 * Belongs to the writer's thread. The same question gets the same answer, so that a transaction may be undone and
 * run again.
 */
#ifndef RK_INDEXER_LOOKS_H
#define RK_INDEXER_LOOKS_H

#include "base/slice.h"

enum {
	RK_LOOKS_MOST = 256, /* of all accounts, */
	RK_LOOKS_MS = 60000, /* in so long */
};

struct rk_look {
	char *did;          /* owned; NULL: free */
	int64_t fetched_ms; /* Unix ms when the document was read that is doubted */
	int64_t at_ms;      /* Unix ms of the look */
};

struct rk_looks {
	struct rk_look list[RK_LOOKS_MOST];
};

void rk_looks_finish(struct rk_looks *looks);
/* Whether the document that was read at fetched_ms is to be read again for a signature that does not fit it. */
bool rk_looks_take(struct rk_looks *looks, struct rk_slice did, int64_t fetched_ms, int64_t now_ms);
/* The account's key was found to be another one than before: the look was worth it, and the next one may be. */
void rk_looks_return(struct rk_looks *looks, struct rk_slice did);

#endif
