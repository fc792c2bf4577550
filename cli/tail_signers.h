/*
 * Who signs for an account, for `refkey tail`: DID documents fetched when they are needed and kept in
 * memory, a bounded number of them. One thread.
 */
#ifndef RK_CLI_TAIL_SIGNERS_H
#define RK_CLI_TAIL_SIGNERS_H

#include <stdatomic.h>

#include "atproto/did_doc.h"
#include "cli/settings.h"
#include "net/pds.h"

struct rk_tail_signers;

struct rk_tail_signer {
	bool known;              /* its DID document could be read */
	bool elsewhere;          /* that names another PDS than the source, or none */
	int64_t age_ms;          /* since it was fetched */
	struct rk_did_doc doc;   /* if known */
	struct rk_key_ready key; /* if known; RK_KEY_NONE: the account has none */
};

/* settings and stop are borrowed; NULL: no memory. */
struct rk_tail_signers *rk_tail_signers_create(
	const struct rk_settings *settings, const atomic_bool *stop);
void rk_tail_signers_destroy(struct rk_tail_signers *signers);

/* Asks the source what DID documents call it. 0, -EAGAIN when it could not be asked (said in the log),
 * -ECANCELED when stop was set, -ENOMEM. */
int rk_tail_signers_home(struct rk_tail_signers *signers) __attribute__((warn_unused_result));

/* The account's signer, from a document not older than age_ms. While the directory cannot be asked
 * this waits for it: what is not known is not refused. *out is borrowed until the next call. 0,
 * -ECANCELED or -ENOMEM. */
int rk_tail_signers_find(struct rk_tail_signers *signers, const struct rk_tail_signer **out,
	struct rk_did did, int64_t age_ms) __attribute__((warn_unused_result));

#endif
