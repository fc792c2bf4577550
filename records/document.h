/* Which MongoDB document a record stands for. Pure. */
#ifndef RK_RECORDS_DOCUMENT_H
#define RK_RECORDS_DOCUMENT_H

#include "atproto/syntax.h"
#include "records/collections.h"

/*
 * The document's _id: the ref, where that is an ObjectId. Else it is derived, and true is returned: the
 * first 12 bytes of SHA-256 over DID, NUL, collection NSID, NUL, record key; the same on every run and
 * every machine.
 */
bool rk_document_id(struct rk_oid *out, struct rk_slice ref, struct rk_slice did,
	uint8_t collection, struct rk_slice rkey);

#endif
