/* Names of what types.h lists. */
#include "store/types.h"

const char *const rk_issue_names[RK_ISSUE_COUNT] = {
#define ROW(id, name) [RK_ISSUE_##id] = name,
	RK_ISSUES(ROW)
#undef ROW
};

static const char *const account_names[RK_ACCOUNT_COUNT] = {
#define ROW(id, name) [RK_ACCOUNT_##id] = name,
	RK_ACCOUNTS(ROW)
#undef ROW
};

const char *rk_account_name(enum rk_account account)
{
	return account_names[account];
}

enum rk_account rk_account_parse(struct rk_slice status)
{
	for (int i = 0; i < RK_ACCOUNT_COUNT; i++) {
		if (rk_slice_equal_str(status, account_names[i]))
			return (enum rk_account)i;
	}
	return RK_ACCOUNT_INACTIVE;
}
