/* Records of documents that are gone, deleted on the PDS, and then the documents' keys. */
#ifndef RK_PUBLISH_WATCH_WITHDRAW_H
#define RK_PUBLISH_WATCH_WITHDRAW_H

#include "account/account.h"
#include "store/writer.h"

struct rk_withdrawal {
	struct rk_oid id;
	const struct rk_user *user;
	char rkey[RK_RKEY_MOST +
		1]; /* as the document was read, or of a record that it never came to name */
	enum {
		RK_WITHDRAWAL_OPEN, /* not known, or not yet: for another time */
		RK_WITHDRAWAL_DONE,
		RK_WITHDRAWAL_FAILED,
		RK_WITHDRAWAL_VOID, /* the document is another by now */
	} state;
	bool of_account;
	bool later; /* OPEN: the index has not seen its record yet */
	char reason[256];
};

struct rk_withdrawing {
	struct rk_account_client *account;
	struct rk_mongo *mongo;
	struct rk_writer *writer;
	const struct rk_collection *collection;
	rk_repo_id repo; /* 0: not in the index */
	bool indexed; /* the index sees what the PDS has: what it has not seen yet is left for later */
};

/*
 * Of one user. Documents are read again first, and records only deleted that are theirs: that have their
 * ref, or that they name and that have none. The index knows of each before the PDS does
 * (RK_RECORD_WITHDRAWN), or recovery would take it for the user's. 0, or a result of account/account.h, or
 * -EIO (MongoDB).
 */
int rk_withdraw(const struct rk_withdrawing *with, struct rk_withdrawal *list, size_t count)
	__attribute__((warn_unused_result));

#endif
