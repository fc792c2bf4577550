/* What `refkey audit` says as JSON: docs/audit.schema.json is its form. */
#ifndef RK_CLI_AUDIT_H
#define RK_CLI_AUDIT_H

#include "cli/operation.h"
#include "mirror/audit.h"

/* Options for a service, and an "error" event where a setting is missing: false. */
bool rk_audit_options_make(struct rk_audit_options *out, const struct rk_operation_run *run,
	const char *command, bool index_only);

/* A user as "findings" events of a bounded size and, last, a "user" event with the counts. */
void rk_audit_person_emit(
	const struct rk_operation_run *run, const struct rk_audit_person *person, bool index_only);

/* Counts of every collection, by its NSID; a number that nobody knows is null. Adds one such object to
 * another. */
void rk_audit_counts_add(json_t *sum, const json_t *counts);

/* Prints a block for each collection in which there is anything; named: for all where there is nothing. title: what
 * stands behind "Mood Sync Audit for". findings: an array of finding objects, or NULL for the numbers alone. */
void rk_audit_print(const char *title, const json_t *counts, const json_t *findings,
	const char *unread, bool index_only, bool named);
/* Prints of how many users a "result" tells, and of how many of them something else than that all is well. */
void rk_audit_print_users(const json_t *result);

#endif
