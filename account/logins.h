/*
 * Logins kept between uses, for who writes to the same accounts again and again: a PDS lets an account
 * log in thirty times in five minutes. Tokens only, in memory; the longest unused makes room. Any thread.
 */
#ifndef RK_ACCOUNT_LOGINS_H
#define RK_ACCOUNT_LOGINS_H

#include "net/session.h"

enum { RK_LOGINS_MOST = 1024 };

struct rk_logins;

struct rk_logins *rk_logins_create(void);         /* NULL: no memory */
void rk_logins_destroy(struct rk_logins *logins); /* NULL is fine */
/* Takes the login over; one of the same account is replaced. */
void rk_logins_keep(struct rk_logins *logins, struct rk_session_login *login);
/* Gives an account's login away; false: there is none. */
bool rk_logins_take(struct rk_logins *logins, struct rk_session_login *out, struct rk_slice did);

#endif
