/* What an account's files share: the account itself (account.c), writing (write.c), looking up what was written (look.c). */
#ifndef RK_ACCOUNT_INSIDE_H
#define RK_ACCOUNT_INSIDE_H

#include "account/account.h"

/* Failures of the same request: a batch is tried by halves, anything else is refused. */
enum { RK_ACCOUNT_TRIES = 3 };

struct rk_account_client {
	struct rk_account_options options;
	struct rk_mongo *mongo;
	struct rk_session *session;
	struct rk_buf user, did;
	unsigned failures; /* in a row */
	int64_t failing_ms;
	bool open;              /* logged in */
	bool resumed;           /* … by a login that was kept, and may be void by now */
	struct rk_buf expected; /* the repo's commit; empty: whatever it is */
	struct rk_pds_reply reply;
	char error[256];
};

bool rk_account_stopping(void *account);
/* Waits as the PDS's limits want it. 0, RK_ACCOUNT_PUT_OFF, -ECANCELED. */
int rk_account_wait(struct rk_account_client *account, int64_t ms)
	__attribute__((warn_unused_result));
/* After RK_PDS_RETRY: waits before the next try. 0, RK_ACCOUNT_PUT_OFF, -ECANCELED, -EHOSTUNREACH. */
int rk_account_after_failure(struct rk_account_client *account) __attribute__((warn_unused_result));

/* A login that was kept is refused, and may be void by now: another one. */
int rk_account_login_anew(struct rk_account_client *account) __attribute__((warn_unused_result));

#endif
