/*
 * DID documents: what refkey needs of one. Both key forms in the wild are read: Multikey, and the
 * older EcdsaSecp256k1VerificationKey2019 / EcdsaSecp256r1VerificationKey2019 (uncompressed point in
 * base58btc); ids relative (#atproto) or absolute.
 * Source: atproto.com/specs/did, atproto.com/specs/cryptography.
 */
#ifndef RK_ATPROTO_DID_DOC_H
#define RK_ATPROTO_DID_DOC_H

#include "atproto/key.h"
#include "atproto/origin.h"
#include "atproto/syntax.h"

enum { RK_DID_DOC_MOST = 256 << 10 }; /* bytes of JSON; more is not parsed */

struct rk_did_doc {
	char handle[RK_HANDLE_MOST +
		1];               /* first at:// of alsoKnownAs, lower case; "" if none is valid */
	char pds[RK_ORIGIN_MOST]; /* origin (scheme://host[:port]) of #atproto_pds; "" if none */
	struct rk_key key;        /* type RK_KEY_NONE if there is no usable #atproto key */
};

/* False if it is not JSON, not an object, or its id is not did. A missing part is not a failure. */
bool rk_did_doc_parse(struct rk_did_doc *out, struct rk_did did, struct rk_slice json);

#endif
