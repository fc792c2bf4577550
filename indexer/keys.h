/*
 * Who signs for an account, and where it lives: read from its identity in the index. One thread at a time.
 */
#ifndef RK_INDEXER_KEYS_H
#define RK_INDEXER_KEYS_H

#include "atproto/key.h"
#include "store/store.h"

struct rk_keys;

/* origins: of the source, as it is reached and as DID documents may name it; ended by NULL and borrowed
 * for as long as the keys live; none: a relay, behind which every host is right. NULL: no memory. */
struct rk_keys *rk_keys_create(const char *const *origins);
void rk_keys_destroy(struct rk_keys *keys);

struct rk_signer {
	bool known;         /* the DID document was read */
	bool elsewhere;     /* it names another PDS than the source, or none */
	int64_t fetched_ms; /* Unix ms when it was read; 0: never, or it is to be read again */
	const struct rk_key_ready
		*key; /* NULL: not known; RK_KEY_NONE: it has none. Until the next find */
};

/* Reads the identity of the DID in an open snapshot. 0 or negative. */
int rk_keys_find(struct rk_keys *keys, struct rk_signer *out, struct rk_snapshot *snapshot,
	struct rk_slice did) __attribute__((warn_unused_result));
struct rk_key_checker *rk_keys_checker(struct rk_keys *keys);
/* True if the origin is none of the source's. So is one that a DID document does not name, or names by what is no
 * origin (rk_did_doc's pds is empty then): an account is the source's only where its document says so. */
bool rk_keys_elsewhere(const char *const *origins, struct rk_slice pds);

#endif
