/* What DID documents call a source when its own URL is an inner address. */
#ifndef RK_INDEXER_SOURCE_H
#define RK_INDEXER_SOURCE_H

#include "atproto/origin.h"
#include "net/pds.h"

/* https and the host of the did:web by which the source describes itself; "" if that DID tells none,
 * which is logged. Result as rk_pds_describe_server's. */
int rk_source_public_origin(struct rk_pds *pds, struct rk_pds_reply *reply,
	char out[RK_ORIGIN_MOST], const char *source) __attribute__((warn_unused_result));

#endif
