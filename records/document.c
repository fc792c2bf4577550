/* See document.h. */
#include "records/document.h"

#include "atproto/cid.h"

bool rk_document_id(struct rk_oid *out, struct rk_slice ref, struct rk_slice did,
	uint8_t collection, struct rk_slice rkey)
{
	const struct rk_slice nul = rk_slice_make("", 1);
	const struct rk_slice parts[] = {
		did, nul, rk_slice_str(rk_collections[collection].nsid), nul, rkey};
	uint8_t digest[RK_SHA256_BYTES];

	if (rk_oid_parse(out, ref))
		return false;
	rk_sha256_parts(digest, parts, sizeof(parts) / sizeof(parts[0]));
	memcpy(out->bytes, digest, sizeof(out->bytes));
	return true;
}
