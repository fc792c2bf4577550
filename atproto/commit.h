/*
 * The signed commit object at the root of a repo.
 * Source: atproto.com/specs/repository ("Commit objects"), version 3.
 */
#ifndef RK_ATPROTO_COMMIT_H
#define RK_ATPROTO_COMMIT_H

#include "atproto/cbor.h"
#include "atproto/syntax.h"

struct rk_commit {
	struct rk_did did;     /* borrowed from the block */
	uint64_t rev;          /* TID */
	struct rk_cid data;    /* root of the tree */
	struct rk_slice sig;   /* 64 bytes */
	struct rk_slice block; /* the whole object, from which the signed bytes are made */
};

/* False unless the block is a canonical v3 commit with exactly the fields of the specification. */
bool rk_commit_parse(struct rk_commit *out, struct rk_slice block);

#endif
