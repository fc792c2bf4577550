/*
 * The key of a record that is made from a document: a TID that follows from the document alone, so
 * that publishing again finds what it wrote before. Pure.
 *
 * The TID's milliseconds are the document's `when`. What stands below them, 1,000 microseconds and
 * 1,024 clock ids, is a place among 1,024,000, told by SHA-256 of the collection's NSID, a zero byte
 * and the 12 bytes of `_id`. Where a place is taken by a record with another ref, the next one is
 * tried: a fixed number of places on, round and round within the millisecond. That number follows
 * from the hash too and shares no factor with 1,024,000, so every place comes up once.
 */
#ifndef RK_RECORDS_KEY_H
#define RK_RECORDS_KEY_H

#include "atproto/syntax.h"
#include "records/collections.h"

enum { RK_KEY_PLACES = 1000 * 1024 };

struct rk_record_key {
	uint64_t first; /* TID of the millisecond's first place */
	uint32_t place, step;
};

/* Times before 1970 and beyond what a TID holds (the year 2255) count as the nearest one it holds. */
void rk_record_key_init(struct rk_record_key *out, const struct rk_collection *collection,
	const struct rk_oid *id, int64_t when_ms);
/* The attempt'th place, from 0; rk_tid_format makes it a text. */
uint64_t rk_record_key_tid(const struct rk_record_key *key, uint32_t attempt);

#endif
