/*
 * What an answer of a PDS means, in one place; for pds.c and session.c only.
 */
#ifndef RK_NET_PDS_ANSWER_H
#define RK_NET_PDS_ANSWER_H

#include "net/pds.h"

/* The result for what rk_http_perform gave (rc) and answered; fills the reply, which the caller has
 * emptied. xrpc: a 404 is an answer only with the name of an error. */
int rk_pds_answer(
	struct rk_pds_reply *reply, const struct rk_http_response *response, int rc, bool xrpc);
/* RK_PDS_WRONG, with this message. */
int rk_pds_wrong(struct rk_pds_reply *reply, const char *message);

/* What a PDS says of a refusal goes to logs and reports, and some say back what they were sent: it is not shown where
 * it repeats the secret, which may be NULL. */
void rk_pds_secret_hide(
	struct rk_pds_reply *reply, const struct rk_http_response *response, const char *secret);

#endif
