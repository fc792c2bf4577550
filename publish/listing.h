/* What a repo has in a collection already: which refs, under which keys. */
#ifndef RK_PUBLISH_LISTING_H
#define RK_PUBLISH_LISTING_H

#include "atproto/syntax.h"
#include "base/arena.h"
#include "records/collections.h"

struct rk_listing_ref {
	struct rk_oid ref;
	struct rk_slice rkey;
};

/* A zeroed struct is an empty listing. */
struct rk_listing {
	struct rk_arena arena;
	struct rk_listing_ref *refs; /* sorted, the oldest key first, once sealed */
	uint64_t *tids;              /* sorted, once sealed */
	size_t ref_count, ref_room, tid_count, tid_room;
};

/* The ref of a record as the PDS gives it (json_t), under whatever name it has there; empty: it has none. */
struct rk_slice rk_listing_ref_of(const void *value, const struct rk_collection *collection);

void rk_listing_finish(struct rk_listing *listing);
/* A record; ref: as it stands in it, empty if it has none. 0 or -ENOMEM. */
int rk_listing_add(struct rk_listing *listing, struct rk_slice rkey, struct rk_slice ref)
	__attribute__((warn_unused_result));
void rk_listing_seal(struct rk_listing *listing);
/* The key of the record with this ref, the oldest of several; empty: there is none. */
struct rk_slice rk_listing_ref(const struct rk_listing *listing, const struct rk_oid *ref);
/* Whether they have the same, both sealed: records that have neither a ref nor a TID for a key aside. */
bool rk_listing_equal(const struct rk_listing *a, const struct rk_listing *b);
/* Whether a record has this key. */
bool rk_listing_taken(const struct rk_listing *listing, uint64_t tid);

#endif
