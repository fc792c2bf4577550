/*
 * What the account of a user of the site is called, and the password it is made with. Pure.
 *
 * The name follows from the site's handle: lower case, every character but a–z and 0–9 a hyphen, none
 * at the ends, 18 at most (the reference PDS's bound). Where it is shorter than 3, reserved or taken,
 * its first 13 get a hyphen and four letters of a hash of users._id, the next four after those; "user"
 * stands for no handle. So every run tries the same names in the same order.
 *
 * The password is an HMAC under the PDS's admin password, so that it need be kept nowhere, and an
 * account that an interrupted run made is known as ours by it.
 */
#ifndef RK_ACCOUNT_ACCOUNTS_NAME_H
#define RK_ACCOUNT_ACCOUNTS_NAME_H

#include "atproto/syntax.h"

enum {
	RK_ACCOUNTS_NAMES = 6, /* attempts */
	RK_ACCOUNTS_LABEL_LEAST = 3,
	RK_ACCOUNTS_LABEL_MOST = 18,
	RK_ACCOUNTS_PASSWORD_SIZE = 33,
};

/* The handle of an attempt, of 0 to RK_ACCOUNTS_NAMES - 1. False: there is none for this attempt, or the
 * domain (".pds.example") makes no handle. */
bool rk_accounts_name(char out[RK_HANDLE_MOST + 1], struct rk_slice handle, struct rk_slice user,
	const char *domain, unsigned attempt);

void rk_accounts_password(char out[RK_ACCOUNTS_PASSWORD_SIZE], const char *admin_password,
	struct rk_slice user, const char *name);

#endif
