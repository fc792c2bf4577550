/*
 * accounts-created.jsonl in the folder of --report: a line for each step of each account, on the disk
 * before the next step is taken. It grows from run to run and never holds a password.
 */
#ifndef RK_CLI_ACCOUNTS_REPORT_H
#define RK_CLI_ACCOUNTS_REPORT_H

#include "account/accounts.h"

struct rk_accounts_report {
	int fd; /* -1: not open */
	char path[4096];
};

/* Opens it, mode 0600, for this process alone. 0 or an exit code, after saying what is wrong. */
int rk_accounts_report_open(struct rk_accounts_report *report, const char *folder);
/* False, after saying why. */
bool rk_accounts_report_note(struct rk_accounts_report *report, enum rk_accounts_step step,
	const struct rk_accounts_line *line);
void rk_accounts_report_close(struct rk_accounts_report *report);

#endif
