/* One user's account at the PDS, from nothing to users.atproto; for accounts.c only. */
#ifndef RK_ACCOUNT_ACCOUNTS_MAKE_H
#define RK_ACCOUNT_ACCOUNTS_MAKE_H

#include "account/accounts.h"
#include "mongo/mongo.h"

/* Beside 0 and negative results, which end the run: the PDS's limits last longer than may be waited. */
enum { RK_ACCOUNTS_PUT_OFF = 100 };

struct rk_accounts_maker;

/* Pointers must outlive it. NULL: no memory, or an origin that is none. */
struct rk_accounts_maker *rk_accounts_maker_create(struct rk_mongo *mongo,
	const struct rk_accounts_options *options, const struct rk_accounts_request *request);
void rk_accounts_maker_destroy(struct rk_accounts_maker *maker); /* NULL is fine */
const char *rk_accounts_maker_error(const struct rk_accounts_maker *maker);

/* Asks what the PDS wants of new accounts, and whether it takes the admin password. 0, RK_ACCOUNTS_PUT_OFF
 * or as rk_accounts_run. */
int rk_accounts_maker_begin(struct rk_accounts_maker *maker) __attribute__((warn_unused_result));

/* Fills in what became of the line's person. 0, RK_ACCOUNTS_PUT_OFF or as rk_accounts_run. */
int rk_accounts_maker_make(struct rk_accounts_maker *maker, struct rk_accounts_line *line)
	__attribute__((warn_unused_result));

#endif
