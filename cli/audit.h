/* What `refkey audit` says as JSON: docs/audit.schema.json is its form. */
#ifndef RK_CLI_AUDIT_H
#define RK_CLI_AUDIT_H

#include "audit/audit.h"
#include "cli/operation.h"

/* Options for a service, and an "error" event where a setting is missing: false. */
bool rk_audit_options_make(struct rk_audit_options *out, const struct rk_operation_run *run,
	const char *command, bool index_only);

/* A user as "findings" events of a bounded size and, last, a "user" event with the counts. */
void rk_audit_person_emit(
	const struct rk_operation_run *run, const struct rk_audit_person *person, bool index_only);

/* Counts of every collection, by its NSID; a number that nobody knows is null. Adds one such object to
 * another. */
void rk_audit_counts_add(json_t *sum, const json_t *counts);

/* Whose numbers they are. */
struct rk_audit_title {
	const char *text; /* what stands behind "Mood Sync Audit for" */
	const char *
		unread; /* of one user: why the repo could not be read; NULL: it was, or there is none */
	json_int_t unread_users; /* of several: of how many the records are not in the sum */
};

/* Prints a block for each collection in which there is anything; named: for all where there is nothing. findings:
 * an array of finding objects, or NULL for the numbers alone. */
void rk_audit_print(const struct rk_audit_title *title, const json_t *counts,
	const json_t *findings, bool index_only, bool named);
/* Prints of how many users a "result" tells, and of how many of them something else than that all is well. */
void rk_audit_print_users(const json_t *result);
/* Says why the index may differ, where it does, and nothing is at work on it. sums: counts by collection. */
void rk_audit_print_hint(const json_t *result, const json_t *sums);

#endif
