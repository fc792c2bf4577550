/*
 * The signed commit object at the root of a repo.
 * Source: atproto.com/specs/repository ("Commit objects"), version 3.
 */
#ifndef RK_ATPROTO_COMMIT_H
#define RK_ATPROTO_COMMIT_H

#include "atproto/cbor.h"
#include "atproto/syntax.h"

struct rk_commit {
	struct rk_did did;      /* borrowed from the block */
	uint64_t rev;           /* TID */
	struct rk_cid data;     /* root of the tree */
	struct rk_slice sig;    /* of any length: see rk_signature_look */
	struct rk_slice block;  /* the whole object */
	size_t sig_at, sig_end; /* where in it the field of the signature is, with its name */
};

/* False unless the block is a canonical v3 commit with exactly the fields of the specification. */
bool rk_commit_parse(struct rk_commit *out, struct rk_slice block);

/* The SHA-256 that the signature is over: of the same object without its signature. */
void rk_commit_digest(uint8_t out[RK_SHA256_BYTES], const struct rk_commit *commit);

#endif
