/*
 * One record: from its block (canonical DAG-CBOR) to what the index keeps of it. Pure.
 *
 * Tolerated of older and other writers, besides the lexicon: the names in rk_field.older, and a
 * missing ref. Everything else that the lexicon forbids makes the record invalid: it is indexed and
 * served as it is, but never written to MongoDB.
 */
#ifndef RK_RECORDS_RECORD_H
#define RK_RECORDS_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "records/collections.h"

enum { RK_RECORD_MOST = 1 << 20 }; /* bytes of a record's block */

struct rk_facts {
	struct rk_slice ref;        /* hexadecimal refs in lower case; empty: none usable */
	struct rk_slice code, slug; /* empty: none */
	bool has_when;
	int64_t when_ms;     /* Unix time */
	const char *invalid; /* static text: the first lexicon rule it breaks; NULL: valid */
};

struct rk_record_read {
	struct rk_facts facts;
	struct rk_slice json; /* the record as the PDS prints it */
};

/* Reads a record whose bytes are known to be canonical (rk_cbor_check; else -EINVAL). rkey is checked against the
 * collection's key type (tid). Slices live in the arena. Negative: no memory. 0: read. */
int rk_record_read(struct rk_record_read *out, struct rk_arena *arena,
	enum rk_collection_id collection, struct rk_slice rkey, struct rk_slice cbor)
	__attribute__((warn_unused_result));

/* Lower case if all of it is hexadecimal, else a copy as it is; the form refs are looked up in.
 * False if empty or over RK_REF_MOST. out holds RK_REF_MOST bytes. */
bool rk_ref_normalize(uint8_t *out, struct rk_slice ref);

#endif
