/*
 * Public keys of both curves and the check of a signature.
 *
 * A key has two forms. As documents and the index have it the point is compressed; to check a
 * signature its other half must be computed first, which costs a seventh (k256) to a quarter (P-256)
 * of the check. struct rk_key_ready has the whole point: flat, without owner, to be copied freely
 * and kept wherever the same key is used again.
 *
 * Source: atproto.com/specs/cryptography ("ECDSA signature malleability").
 */
#ifndef RK_ATPROTO_KEY_H
#define RK_ATPROTO_KEY_H

#include "atproto/cid.h"

enum rk_key_type { RK_KEY_NONE, RK_KEY_K256, RK_KEY_P256 };

enum { RK_POINT_COMPRESSED = 33, RK_POINT_WHOLE = 65, RK_SIGNATURE_BYTES = 64 };

struct rk_key {
	uint8_t type;                       /* enum rk_key_type */
	uint8_t point[RK_POINT_COMPRESSED]; /* compressed SEC1 */
};

struct rk_key_ready {
	uint8_t type;
	uint8_t point[RK_POINT_WHOLE]; /* uncompressed SEC1; with RK_KEY_NONE nothing */
};

/* did:key text ("zQ3s…" or "zDn…", without the did:key: prefix) to a key. */
bool rk_key_from_multibase(struct rk_key *out, struct rk_slice multibase);
/* A SEC1 point in either form. False unless it is one of the curve. */
bool rk_key_from_point(struct rk_key *out, enum rk_key_type type, struct rk_slice point);
/* False, and type RK_KEY_NONE, if the key is no point of its curve. */
bool rk_key_ready_make(struct rk_key_ready *out, const struct rk_key *key);

/* What checks use again from one to the next, for one thread at a time: without it each check
 * under a P-256 key sets up its curve anew, which is a third more work. */
struct rk_key_checker;
struct rk_key_checker *rk_key_checker_create(void); /* NULL: no memory */
void rk_key_checker_destroy(struct rk_key_checker *checker);

enum rk_signature_result {
	RK_SIGNATURE_OK,
	RK_SIGNATURE_MALFORMED, /* not r and s of 32 bytes, each from 1 and below the curve's order */
	RK_SIGNATURE_HIGH_S, /* s is in the upper half: the same signature could be spelled twice */
	RK_SIGNATURE_WRONG,  /* not by this key over this digest */
};

/* The form alone: anything but RK_SIGNATURE_WRONG. */
enum rk_signature_result rk_signature_look(enum rk_key_type type, struct rk_slice signature);
/* checker may be NULL. A key of RK_KEY_NONE signed nothing. Negative: no memory. */
int rk_signature_check(struct rk_key_checker *checker, const struct rk_key_ready *key,
	const uint8_t digest[RK_SHA256_BYTES], struct rk_slice signature)
	__attribute__((warn_unused_result));

#endif
