/*
 * A user's documents against the records of the user's repo, in one collection. Pure. It is the table of
 * decide.h told from both ends: what recovery would leave as it is, is matched.
 *
 * Of each record the caller has filled in what it is, its target, foreign, code_taken and known; of
 * each document what it is; of the collection whether the user is forgotten. The rest is filled in here.
 */
#ifndef RK_AUDIT_COMPARE_H
#define RK_AUDIT_COMPARE_H

#include "audit/audit.h"

/* The document of the user's with this _id, or RK_AUDIT_NONE. */
size_t rk_audit_document_find(const struct rk_audit_collection *c, const struct rk_oid *id);
/* The record with this key, or RK_AUDIT_NONE. */
size_t rk_audit_record_find(const struct rk_audit_collection *c, struct rk_slice rkey);

/* Sorts documents and records, which is what the two above need. */
void rk_audit_sort(struct rk_audit_collection *c);

/* kind, reason, document and record of all, and counts but those of the index; sorted before. A record
 * that is linked and fails its lexicon, or has somebody else's code, is both matched and that. */
void rk_audit_compare(struct rk_audit_collection *c);

/* Lists what was found of documents and records. 0 or -ENOMEM. */
int rk_audit_findings(struct rk_audit_collection *c, struct rk_arena *arena)
	__attribute__((warn_unused_result));
/* One more, for what the index has otherwise. */
int rk_audit_finding_add(struct rk_audit_collection *c, struct rk_arena *arena,
	const struct rk_audit_finding *finding) __attribute__((warn_unused_result));

#endif
